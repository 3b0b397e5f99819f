"""Errors about letters: place, rule and a remedy that fits the letter."""

from __future__ import annotations

import pytest

from gfmp.genome.alphabet import AlphabetPolicy
from gfmp.genome.blocks import Block
from gfmp.genome.refused import refused_letter


def block(raw: bytes, line: int = 5, column: int = 1) -> Block:
    return Block("chr1", raw, b"\r\n \t", "x.fa", line, column)


@pytest.mark.parametrize(
    ("raw", "index", "fix"),
    [
        (b"ACGTR", 4, "alphabet.iupac: n"),
        (b"ACGTu", 4, "alphabet.uracil: t"),
        (b"ACG-T", 3, "remove the gaps"),
        (b"MELPFQ", 1, "protein"),
        (b"ACGTACGTACGTE", 12, "fetch it again"),
    ],
)
def test_the_remedy_fits_the_letter(raw: bytes, index: int, fix: str) -> None:
    (problem,) = refused_letter(block(raw), index, AlphabetPolicy(iupac="error")).problems
    assert fix in problem.fix
    assert "record 'chr1'" in problem.message
    assert problem.why == "letters are A C G T N, iupac is 'error', uracil is 'error'"


@pytest.mark.parametrize(
    ("raw", "shown"), [(b"A\x80", "byte 0x80"), (b"A\0", "a NUL byte"), (b"A;", "';' (0x3b)")]
)
def test_letters_that_cannot_be_shown_are_numbers(raw: bytes, shown: str) -> None:
    assert shown in refused_letter(block(raw), 1, AlphabetPolicy()).problems[0].message


@pytest.mark.parametrize(
    ("raw", "index", "place"),
    [
        (b"ACGT", 0, "x.fa:5:11"),
        (b"ACGT", 3, "x.fa:5:14"),
        (b"AC\nGT\r\n\r\n T", 2, "x.fa:6:1"),
        (b"AC\nGT\r\n\r\n T", 4, "x.fa:8:2"),
    ],
)
def test_places_count_from_the_start_of_the_line(raw: bytes, index: int, place: str) -> None:
    assert block(raw, column=11).locate(index) == place
