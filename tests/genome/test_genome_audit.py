"""What makes a corpus impossible although each of its files is fine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from genome_samples import Build, WriteFasta, local, random_dna

from gfmp.errors import DataError, GfmpError, SpecError
from gfmp.genome.sources import IngestSettings, Region, Source


def failing(build: Build, *sources: Source, shortest_bp: int = 70) -> GfmpError:
    settings = IngestSettings("s", sources=sources, shortest_bp=shortest_bp)
    with pytest.raises((DataError, SpecError)) as caught:
        build(settings)
    return caught.value


def test_no_source_is_refused(build: Build) -> None:
    assert "no source" in str(failing(build))


def test_one_file_under_two_names_is_refused(write_fasta: WriteFasta, build: Build) -> None:
    path = write_fasta("a.fa", ("a", random_dna(200, 1)))
    error = failing(build, local(path), local(path, "Testus two"))
    assert "named by two sources" in str(error)
    assert error.problems[0].where == str(path)


def test_identical_contigs_of_two_sources_name_both(write_fasta: WriteFasta, build: Build) -> None:
    letters = random_dna(300, 1)
    one = local(write_fasta("a.fa", ("a", letters), ("b", random_dna(300, 2))))
    two = local(write_fasta("b.fa", ("x", letters.lower())), "Testus two")
    error = failing(build, one, two)
    assert isinstance(error, DataError)
    assert "contig 'x'" in error.problems[0].message
    assert "a.fa" in error.problems[0].message
    assert error.problems[0].where.endswith("b.fa")
    build(
        IngestSettings(
            "fine",
            sources=(
                one,
                replace(two, exclude=(Region("x"),)),
            ),
        )
    )


def test_identical_contigs_of_one_source_are_its_own_business(
    write_fasta: WriteFasta, build: Build
) -> None:
    letters = random_dna(300, 1)
    build(
        IngestSettings("s", sources=(local(write_fasta("a.fa", ("a", letters), ("b", letters))),))
    )


def test_one_contig_name_twice_in_an_assembly_is_refused(
    write_fasta: WriteFasta, build: Build
) -> None:
    one = local(write_fasta("a.fa", ("chr1", random_dna(300, 1))))
    two = local(write_fasta("b.fa", ("chr1", random_dna(300, 2))))
    assert "the name of contig 'chr1'" in str(failing(build, one, two))
    build(IngestSettings("fine", sources=(one, replace(two, assembly="t2"))))


@pytest.mark.parametrize(
    ("region", "complaint"),
    [
        (Region("chr9"), "names no contig of its assembly, which has chr1, chr2"),
        (Region("chr1", 100, 301), "reaches beyond the contig's end at 300"),
        (Region("chr2", 400), "reaches beyond the contig's end at 400"),
    ],
)
def test_regions_must_hit(
    write_fasta: WriteFasta, build: Build, region: Region, complaint: str
) -> None:
    one = local(write_fasta("a.fa", ("chr1", random_dna(300, 1))))
    two = local(write_fasta("b.fa", ("chr2", random_dna(400, 2))))
    for sources in (
        (replace(one, valid=(region,)), two),
        (replace(one, exclude=(region,)), replace(two, exclude=(region,))),
    ):
        error = failing(build, *sources)
        assert isinstance(error, SpecError)
        assert [p.message for p in error.problems] == [f"region {region} {complaint}"]


def test_regions_may_lie_in_another_file_of_the_assembly(
    write_fasta: WriteFasta, build: Build
) -> None:
    regions = (Region("chr1", 0, 100), Region("chr2", 300))
    files = (("a.fa", "chr1", 1), ("b.fa", "chr2", 2))
    sources = tuple(
        replace(local(write_fasta(name, (contig, random_dna(400, seed)))), valid=regions)
        for name, contig, seed in files
    )
    assert build(IngestSettings("s", sources=sources)).manifest.bases("valid") == 200


@pytest.mark.parametrize("kind", ["valid", "exclude"])
def test_a_strain_group_holds_out_together(
    write_fasta: WriteFasta, build: Build, kind: str
) -> None:
    def strain(name: str, seed: int, regions: tuple[Region, ...], group: str = "g") -> Source:
        source = replace(
            local(write_fasta(f"{name}.fa", (name, random_dna(400, seed)))),
            assembly=name,
            strain_group=group,
        )
        return (
            replace(source, valid=regions) if kind == "valid" else replace(source, exclude=regions)
        )

    one, two = strain("one", 1, (Region("one", 0, 100),)), strain("two", 2, ())
    error = failing(build, one, two)
    assert isinstance(error, SpecError)
    assert f"'{kind}' regions in Testus one one, none in Testus one two" in str(error)
    build(IngestSettings("apart", sources=(one, strain("two", 2, (), group=""))))
    build(IngestSettings("both", sources=(one, strain("two", 2, (Region("two", 5, 105),)))))


def test_a_corpus_without_training_bases_is_refused(write_fasta: WriteFasta, build: Build) -> None:
    one = local(write_fasta("a.fa", ("a", random_dna(300, 1))))
    for source in (replace(one, valid=(Region("a"),)), replace(one, exclude=(Region("a"),))):
        assert "no base is left to train on" in str(failing(build, source))
    assert "no base is left" in str(failing(build, one, shortest_bp=301))
