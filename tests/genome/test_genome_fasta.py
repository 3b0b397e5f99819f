"""FASTA in every shape files come in, and in the shapes that must be refused."""

from __future__ import annotations

import gzip
import io
import tracemalloc

import pytest
from genome_samples import contigs, fasta_text, random_dna, stream
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import DataError
from gfmp.genome.blocks import BLOCK_BYTES
from gfmp.genome.fasta import LONGEST_HEADER_BYTES, read_fasta

RECORDS = st.lists(st.text("ACGTNacgt", min_size=1, max_size=80), min_size=1, max_size=5).map(
    lambda letters: [(f"r{i}", text) for i, text in enumerate(letters)]
)


class Dribble(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._step)


def read(data: bytes) -> dict[str, str]:
    return contigs(read_fasta(stream(data), "x.fa"))


@given(RECORDS, st.integers(1, 90), st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_content_depends_on_neither_lines_nor_chunks(
    records: list[tuple[str, str]], width: int, step: int
) -> None:
    expected = dict(records)
    for end in ("\n", "\r\n"):
        data = fasta_text(records, width, end)
        assert contigs(read_fasta(Dribble(b"\xef\xbb\xbf"[:0] + data, step), "x")) == expected
        assert read(b"\xef\xbb\xbf" + data) == expected
        assert read(data.rstrip()) == expected
        assert read(gzip.compress(data)) == expected
        assert read(b"\n" + data + b"\n\n") == expected


def test_name_is_the_first_word_of_the_header() -> None:
    assert read(b">NC_1.1 Some species chromosome 4\nAC\n") == {"NC_1.1": "AC"}


def test_concatenated_gzip_members_are_one_file() -> None:
    data = gzip.compress(b">a\nAC") + gzip.compress(b"GT\n>b\nTT\n") + b"\0" * 8
    assert read(data) == {"a": "ACGT", "b": "TT"}


def test_gzip_is_told_by_content_and_not_by_name() -> None:
    assert contigs(read_fasta(stream(b">a\nAC\n"), "x.fa.gz")) == {"a": "AC"}


def test_one_long_line_takes_bounded_memory() -> None:
    data = b">long\n" + b"ACGT" * (4 * BLOCK_BYTES) + b"\n"
    tracemalloc.start()
    total = largest = 0
    for block in read_fasta(stream(data), "x.fa"):
        total += len(block.bases)
        largest = max(largest, len(block.bases))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 16 * BLOCK_BYTES
    assert largest <= BLOCK_BYTES
    assert peak < len(data) + 8 * BLOCK_BYTES, "BytesIO may copy its data once, the reader not"


@pytest.mark.parametrize("width", [60, 10_000])
def test_letters_are_located_by_line_and_column(width: int) -> None:
    letters = random_dna(2_000, 5)
    data = b"\r\n" + fasta_text([("a", letters)], width, "\r\n")
    for block in read_fasta(Dribble(data, 700), "x.fa"):
        for index in (0, len(block.bases) // 2, len(block.bases) - 1):
            line, column = map(int, block.locate(index).split(":")[1:])
            assert data.split(b"\r\n")[line - 1][column - 1] == block.bases[index]


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"@read1\nACGT\n+\nIIII\n", "FASTQ"),
        (b"LOCUS       X 10 bp DNA\n", "GenBank"),
        (b"##fileformat=VCFv4.2\n", "VCF"),
        (b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
        (">a\nACGT\n".encode("utf-16"), "UTF-16"),
        (b"ACGTACGTACGTACGTACGTACGTACGT\n", "bare sequence"),
        (b"\0\1\2\3", "binary"),
        (b"", "empty"),
        (b"\n \n", "blank"),
        (b"BZh91AY", "bzip2"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"hello there\n", "plain text"),
        (gzip.compress(gzip.compress(b">a\nA\n")), "gzip compressed twice"),
        (gzip.compress(b""), "empty"),
    ],
)
def test_other_formats_are_named(data: bytes, seen: str) -> None:
    with pytest.raises(DataError, match="not FASTA") as caught:
        read(data)
    assert seen in str(caught.value)
    assert caught.value.problems[0].where == "x.fa:1"


@pytest.mark.parametrize(
    ("data", "where", "message"),
    [
        (b">a\nAC\n>b\n>c\nGT\n", "x.fa:3", "record 'b' has no sequence"),
        (b">a\nAC\n>b\n\n \n", "x.fa:3", "record 'b' has no sequence"),
        (b">a\nAC\n>b", "x.fa:3", "record 'b' has no sequence"),
        (b">a\nAC\n\n>b\nG\n>a x\nT\n", "x.fa:6", "'a': lines 1 and 6"),
        (b">\nAC\n", "x.fa:1", "record name ''"),
        (b">\xc3\xa9\nAC\n", "x.fa:1", "not allowed"),
        (b">a\x00b\nAC\n", "x.fa:1", "not allowed"),
        (b">" + b"a" * (2 * LONGEST_HEADER_BYTES), "x.fa:1", None),
    ],
)
def test_broken_records_are_named_with_their_lines(
    data: bytes, where: str, message: str | None
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(data)
    assert caught.value.problems[0].where == where


def test_endless_header_is_refused_before_it_fills_the_memory() -> None:
    data = b">a" + b"x\r" * LONGEST_HEADER_BYTES
    with pytest.raises(DataError, match="header line is longer"):
        contigs(read_fasta(Dribble(data, 1 << 15), "x.fa"))


def test_a_greater_sign_inside_a_line_is_a_letter() -> None:
    assert read(b">a\nAC>b\nGT\n") == {"a": "AC>bGT"}
