"""GenBank flat files: names, letters, and what a cut file looks like."""

from __future__ import annotations

import gzip

import pytest
from genome_samples import contigs, genbank_text, random_dna, stream

from gfmp.errors import DataError
from gfmp.genome.genbank import LONGEST_LINE_BYTES, read_genbank


def read(data: bytes) -> dict[str, str]:
    return contigs(read_genbank(stream(data), "x.gb"))


@pytest.mark.parametrize("length", [1, 59, 60, 61, 5_000])
def test_letters_of_all_records_come_back(length: int) -> None:
    letters = random_dna(length, 1)
    data = genbank_text("AB1", letters) + b"\n" + genbank_text("AB2", letters[::-1])
    expected = {"AB1.2": letters.lower(), "AB2.2": letters[::-1].lower()}
    assert read(data) == expected
    assert read(data.replace(b"\n", b"\r\n")) == expected
    assert read(gzip.compress(data)) == expected


def test_records_longer_than_a_block_come_back() -> None:
    letters = random_dna(2_000_000, 2)
    assert read(genbank_text("BIG", letters))["BIG.2"] == letters.lower()


@pytest.mark.parametrize(
    ("drop", "name"), [(b"VERSION     AB1.2\n", "AB1"), (b"VERSION     AB1.2\nACCESSION", "AB1")]
)
def test_accession_or_locus_name_a_record_without_version(drop: bytes, name: str) -> None:
    data = genbank_text("AB1", "ACGT").replace(b"VERSION     AB1.2\n", b"")
    if b"ACCESSION" in drop:
        data = data.replace(b"ACCESSION   AB1\n", b"")
    assert list(read(data)) == [name]


def test_letters_are_located_by_line_and_column() -> None:
    data = genbank_text("AB1", random_dna(500, 3))
    for block in read_genbank(stream(data), "x.gb"):
        for index in (0, 77, 499):
            line, column = map(int, block.locate(index).split(":")[1:])
            assert data.split(b"\n")[line - 1][column - 1] == block.bases[index]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b">a\nACGT\n", "looks like FASTA"),
        (b"", "the file is empty"),
        (genbank_text("AB1", "ACGT", length=5), "holds 4 letters"),
        (genbank_text("AB1", "MKLV", unit="aa"), "is a protein"),
        (genbank_text("AB1", "ACGT").replace(b"//\n", b""), "does not end with //"),
        (genbank_text("AB1", "ACGT") + genbank_text("AB1", "AC"), "two records are named"),
        (b"LOCUS       X 4 bp DNA\nCONTIG      join(Y:1..4)\n//\n", "no ORIGIN sequence"),
        (b"LOCUS       X 0 bp DNA\nORIGIN\n//\n", "has no sequence"),
        (b"LOCUS       X 4 bp" + b" " * LONGEST_LINE_BYTES, "longer than"),
        (b"LOCUS       X 4 bp\rORIGIN\r" * LONGEST_LINE_BYTES, "longer than"),
    ],
)
def test_broken_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(data)
    assert caught.value.problems[0].where.startswith("x.gb")


def test_a_record_that_runs_into_the_next_is_refused() -> None:
    data = genbank_text("AB1", "ACGT").replace(b"//\n", b"") + genbank_text("AB2", "AC")
    with pytest.raises(DataError, match=r"the sequence of 'AB1\.2' does not end with //"):
        read(data)


def test_a_cut_gzip_names_the_last_complete_record() -> None:
    data = genbank_text("AB1", random_dna(9_000, 1)) + genbank_text("AB2", random_dna(90_000, 2))
    with pytest.raises(DataError) as caught:
        read(gzip.compress(data)[:-9_000])
    assert "'AB1.2'" in caught.value.problems[0].why
