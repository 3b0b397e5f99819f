"""The first pass: everything counted, everything wrong named before a model is loaded."""

from __future__ import annotations

import pytest
from inference_samples import World

from gfmp.errors import DataError

SKIP = {"path": "v.vcf", "unusable": "skip"}


def mixed(world: World) -> str:
    base = world.contigs["chr1"][499]
    wrong = "A" if base != "A" else "C"
    return (
        world.row("chr1", 20)
        + world.row("chr1", 400, "C,<DEL>" if world.contigs["chr1"][399] != "C" else "G,<DEL>")
        + world.row("chr1", 401, ".")
        + f"chr1\t500\t.\t{wrong}\tG\t.\t.\t.\n"
        + world.row("chr1", 501, "N")
        + world.row("chr1", 502, world.contigs["chr1"][501] + "ACGT")
        + "chr9\t5\t.\tA\tC\t.\t.\t.\n"
        + world.row("tiny", 1)
    )


def refused(world: World, vcf: str, **settings: object) -> DataError:
    with pytest.raises(DataError) as caught:
        world.survey(world.plan(vcf, **settings))
    return caught.value


def test_every_alternate_is_counted_once(world: World) -> None:
    found = world.survey(world.plan(mixed(world), variants=SKIP))
    assert (found.records, found.reference_only, found.multi_allelic) == (8, 1, 1)
    assert found.alleles == 8
    assert found.kinds == {"substitution": 2, "insertion": 1}
    assert found.skipped == {
        **{"symbolic": 1, "ref_mismatch": 1, "ambiguous": 1, "no_contig": 1, "short": 1},
    }
    assert found.usable + sum(found.skipped.values()) == found.alleles
    assert found.cut == 1
    numbers = found.to_json()
    assert numbers["kind/substitution"] == 2 and numbers["skipped/short"] == 1


def test_without_leave_to_skip_all_that_is_wrong_is_told_with_its_line(world: World) -> None:
    error = refused(world, mixed(world))
    found = [(p.where.rsplit(":", 1)[1], p.message.split(":")[0]) for p in error.problems]
    assert found == [
        *(("4", "field ALT"), ("6", "field REF"), ("7", "field ALT"), ("9", "field CHROM")),
        ("10", "field POS"),
    ]
    assert all(p.why and p.fix for p in error.problems)
    assert "is shorter than 3 bases" in error.problems[-1].message


def test_many_problems_stop_the_reading_early(world: World) -> None:
    rows = "".join(world.row("chr1", place, "N") for place in range(1, 300))
    assert len(refused(world, rows).problems) == 20


def test_another_assembly_is_refused_even_with_leave_to_skip(world: World) -> None:
    rows = []
    for place in range(1, 201):
        ref = world.contigs["chr1"][place - 1]
        shifted = "A" if ref != "A" else "C"
        rows.append(f"chr1\t{place}\t.\t{shifted if place % 5 == 0 else ref}\tG,T\t.\t.\t.\n")
    vcf = "".join(row for row in rows)
    error = refused(world, vcf, variants=SKIP)
    assert "REF differs from the reference in" in error.problems[0].message
    assert error.problems[0].where.endswith("v.vcf:7")
    assert "most_mismatches (10%)" in error.problems[0].why
    found = world.survey(world.plan(vcf, variants=SKIP, most_mismatches=0.5))
    assert found.skipped["ref_mismatch"] == 80


def test_nothing_to_score_is_an_error_that_says_why(world: World) -> None:
    error = refused(world, "chr9\t5\t.\tA\tC\t.\t.\t.\n", variants=SKIP)
    assert "none of 1 alternates in 1 records" in error.problems[0].message
    assert error.problems[0].why == "1 no_contig"
    assert "the file has no alternate" in refused(world, "").problems[0].why


def test_a_proposed_mapping_of_contigs_works(world: World) -> None:
    vcf = world.row("chr1", 20).replace("chr1", "1")
    error = refused(world, vcf)
    assert error.problems[0].fix == "set variants.contigs: {1: chr1}"
    mapped = {"path": "v.vcf", "contigs": {"1": "chr1"}}
    assert world.survey(world.plan(vcf, variants=mapped)).usable == 1


def test_a_reader_hears_how_far_the_pass_is(world: World) -> None:
    rows = "".join(world.row("chr1", 20) for _ in range(50_001))
    told: list[tuple[int, float]] = []
    from gfmp.inference.effects import open_variants

    plan = world.plan(rows)
    found = open_variants(plan, world.workspace).survey(lambda n, s: told.append((n, s)))
    assert [records for records, _ in told] == [50_000]
    assert found.records == 50_001
