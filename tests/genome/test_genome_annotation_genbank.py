"""GenBank feature tables: locations with joins and strands, names, faults with their line."""

from __future__ import annotations

import io

import pytest

from gfmp.errors import DataError
from gfmp.genome.annotation import Feature
from gfmp.genome.annotation_genbank import read_genbank_features


def record(*table: str, name: str = "R1") -> str:
    """Write a record whose feature table holds these lines, padded as the format asks."""
    head = f"LOCUS       {name}   60 bp    DNA\nACCESSION   {name}\nVERSION     {name}.2\n"
    features = "FEATURES             Location/Qualifiers\n" + "".join(f"{x}\n" for x in table)
    return head + features + "ORIGIN\n        1 acgt\n//\n"


def feature(key: str, location: str, *qualifiers: str) -> tuple[str, ...]:
    return (f"     {key:<16}{location}", *(" " * 21 + q for q in qualifiers))


def read(text: str) -> list[Feature]:
    return list(read_genbank_features(io.BytesIO(text.encode()), "x.gb"))


@pytest.mark.parametrize(
    ("location", "strand", "parts"),
    [
        ("3..20", "+", ((2, 20),)),
        ("7", "+", ((6, 7),)),
        ("<3..>20", "+", ((2, 20),)),
        ("complement(3..20)", "-", ((2, 20),)),
        ("join(3..10,15..20)", "+", ((2, 10), (14, 20))),
        ("order(3..10,15..20)", "+", ((2, 10), (14, 20))),
        ("complement(join(3..10,15..20))", "-", ((2, 10), (14, 20))),
        ("join(complement(15..20),complement(3..10))", "-", ((2, 10), (14, 20))),
        ("join(complement(15..20),3..10)", ".", ((2, 10), (14, 20))),
        ("R1.2:3..20", "+", ((2, 20),)),
        ("9^10", "+", ((9, 9),)),
    ],
)
def test_locations(location: str, strand: str, parts: tuple[tuple[int, int], ...]) -> None:
    (found,) = read(record(*feature("CDS", location)))
    assert (found.contig, found.strand, found.parts) == ("R1.2", strand, parts)


def test_introns_are_the_gaps_of_a_join() -> None:
    (found,) = read(record(*feature("mRNA", "complement(join(3..10,15..20,21..30))")))
    assert found.introns == ((10, 14),)


def test_names_and_continued_lines() -> None:
    text = record(
        *feature("gene", "1..9", '/locus_tag="Y1"'),
        *feature(
            "CDS", "join(1..3,", "5..9)", '/note="a', "/gene is not here", 'x"', '/gene="ABC"'
        ),
        *feature("CDS", "1..2", "/pseudo", '/protein_id="P1"', '/product="half ""of"" it"'),
    )
    gene, joined, last = read(text)
    assert (gene.gene, gene.line) == ("Y1", 5)
    assert (joined.gene, joined.parts) == ("ABC", ((0, 3), (4, 9)))
    assert (last.gene, last.id, last.name) == ("", "P1", 'half "of" it')


def test_records_follow_one_another() -> None:
    text = record(*feature("gene", "1..9")) + record(*feature("gene", "2..9"), name="R2")
    assert [(f.contig, f.start) for f in read(text)] == [("R1.2", 0), ("R2.2", 1)]


@pytest.mark.parametrize(
    "location", ["", "5..3", "0..3", "join(1..3", "1..3)", "bond(1,3)", "a..b"]
)
def test_a_location_that_cannot_be_read_is_named(location: str) -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        read(record(*feature("gene", "1..9"), *feature("CDS", location)))
    assert caught.value.problems[0].where == "x.gb:6"


def test_a_file_that_is_not_genbank() -> None:
    with pytest.raises(DataError, match="not GenBank: it looks like GFF annotation"):
        read("##gff-version 3\n")
