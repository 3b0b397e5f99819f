"""Selections that find nothing, or not what was meant, and what a corpus says of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from genome_samples import Build, fasta_text, local, random_dna

from gfmp.errors import DataError, Problem, SpecError
from gfmp.genome.region_shares import region_lines
from gfmp.genome.sources import IngestSettings, LocalFile, PinnedFile, Selection, Source


def source(folder: Path, selection: Selection, *names: str, species: str = "Testus one") -> Source:
    path = folder / f"{species[-3:]}-{names[0]}.fa"
    seeds = {name: sum(map(ord, species + name)) for name in names}
    path.write_bytes(fasta_text([(n, random_dna(400, seed)) for n, seed in seeds.items()]))
    return replace(local(path, species), selection=selection)


def file(folder: Path, name: str, *lines: str) -> PinnedFile:
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return PinnedFile(LocalFile(str(folder / name)))


def gff(folder: Path, *features: tuple[str, str]) -> PinnedFile:
    lines = [f"{contig}\t.\t{kind}\t11\t100\t.\t+\t.\tID=x" for contig, kind in features]
    return file(folder, "a.gff", "##gff-version 3", *lines)


def problem(build: Build, kind: type[DataError | SpecError], *sources: Source) -> Problem:
    with pytest.raises(kind) as caught:
        build(IngestSettings("s", sources=sources))
    (found,) = caught.value.problems
    return found


def test_a_misspelt_type_is_told_with_the_types_that_exist(tmp_path: Path, build: Build) -> None:
    rule = Selection("features", ("CDS", "exn"), (gff(tmp_path, ("c", "exon"), ("c", "CDS")),))
    found = problem(build, SpecError, source(tmp_path, rule, "c"))
    assert "features of type 'exn'" in found.message
    assert found.why == "types here: CDS, exon"
    assert found.fix == "did you mean 'exon'?"
    assert found.where.endswith("a.gff")


def test_a_type_that_only_one_annotation_has_is_fine(tmp_path: Path, build: Build) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    rules = [
        Selection("features", ("CDS", "LTR"), (gff(folder, ("c", "CDS"), ("c", extra)),))
        for folder, extra in ((one, "LTR"), (two, "gene"))
    ]
    build(
        IngestSettings(
            "s",
            sources=(
                source(one, rules[0], "c"),
                source(two, rules[1], "c", species="Testus two"),
            ),
        )
    )


def test_an_annotation_without_the_wanted_type_is_told_what_it_has(
    tmp_path: Path, build: Build
) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    good = Selection("features", ("CDS",), (gff(tmp_path, ("c", "CDS")),))
    poor = Selection("features", ("CDS",), (gff(folder, ("c", "gene"), ("c", "tRNA")),))
    found = problem(
        build,
        DataError,
        source(tmp_path, good, "c"),
        source(folder, poor, "c", species="Testus two"),
    )
    assert found.message == "Testus two t1 has no CDS"
    assert found.why == "its annotation has gene, tRNA"


@pytest.mark.parametrize("complement", [False, True])
def test_contigs_with_other_names_are_named(tmp_path: Path, build: Build, complement: bool) -> None:
    bed = file(tmp_path, "x.bed", "chr1\t0\t100", "chr2\t5\t9")
    rule = Selection("bed", files=(bed,), complement=complement)
    found = problem(build, DataError, source(tmp_path, rule, "chr_1", "chr_2"))
    assert "no interval lies on any of its contigs" in found.message
    assert found.why == "sequence: chr_1, chr_2; intervals: chr1, chr2"
    assert "did you mean 'chr1'?" in found.fix


def test_a_bed_for_more_contigs_than_there_are_is_fine_and_said(
    tmp_path: Path, build: Build
) -> None:
    bed = file(tmp_path, "x.bed", "a\t0\t100", "b\t50\t250", "X\t1\t2", "b\t60\t90")
    rule = Selection("bed", files=(bed,))
    one, two = source(tmp_path, rule, "a"), source(tmp_path, rule, "b", "empty")
    corpus = build(IngestSettings("s", sources=(one, two)))
    assert region_lines(corpus) == (
        "Testus one t1: 300 of 1,200 bases (25.0%) in 2 intervals of x.bed",
        "passed over: intervals on 1 contigs that no source holds (X)",
    )


def test_an_interval_that_could_mean_two_assemblies_is_refused(
    tmp_path: Path, build: Build
) -> None:
    rule = Selection("bed", files=(file(tmp_path, "x.bed", "chr1\t0\t100"),))
    one = source(tmp_path, rule, "chr1", "m")
    two = source(tmp_path, rule, "chr1", "n", species="Testus two")
    found = problem(build, SpecError, one, two)
    assert found.message == "contig 'chr1' is in Testus one t1 and in Testus two t1"
    assert "its own regions" in found.fix


def test_sequence_without_repeats_marked_is_told(tmp_path: Path, build: Build) -> None:
    found = problem(build, DataError, source(tmp_path, Selection("soft_masked"), "c"))
    assert "upper case" in found.why


def test_an_empty_bed_and_a_min_bp_beyond_all_are_told(tmp_path: Path, build: Build) -> None:
    empty = Selection("bed", files=(file(tmp_path, "x.bed", "# nothing"),))
    assert problem(build, DataError, source(tmp_path, empty, "c")).why == "the BED is empty"
    short = Selection("bed", files=(file(tmp_path, "y.bed", "c\t0\t99"),), min_bp=100)
    found = problem(build, DataError, source(tmp_path, short, "c"))
    assert "no interval of y.bed reaches min_bp 100" in found.message


def test_a_corpus_taken_whole_has_nothing_to_say(tmp_path: Path, build: Build) -> None:
    whole = replace(source(tmp_path, Selection("soft_masked"), "c"), selection=None)
    assert region_lines(build(IngestSettings("s", sources=(whole,)))) == ()


def test_rules_are_said_as_a_person_would() -> None:
    masked = Selection("soft_masked", complement=True, flank_bp=1_500)
    assert str(masked) == "everything but soft-masked bases with 1,500 bp around"
    assert str(Selection("features", ("CDS", "exon"))) == "CDS, exon"
