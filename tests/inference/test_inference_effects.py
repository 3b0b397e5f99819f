"""Shards and files: a job that stops goes on, to the same bytes; nothing of the VCF is lost."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from inference_samples import EMBEDDINGS, LIKELIHOODS, PROFILE, Watching, World, pretrained_run

from gfmp.errors import CorruptArtefactError, DataError, MissingInputError
from gfmp.genome.vcf import VcfFile
from gfmp.genome.vcf_info import values_of
from gfmp.inference.effects import scorers_of, shards_of
from gfmp.inference.names import look_up
from gfmp.inference.results import TABLE_FILE, VCF_FILE, read_agreements
from gfmp.learners.compute import Compute
from gfmp.plan.variant_effect import EffectPlan, resolve_effects
from gfmp.spec.load import validate
from gfmp.spec.variant_effect import VariantEffectSpec

SKIP = {"path": "v.vcf", "unusable": "skip"}
ALL = [*LIKELIHOODS, EMBEDDINGS[0], PROFILE]


def vcf(world: World) -> str:
    rows = [world.row("chr1", 100 + 7 * n, info=f"EF={0.1 * (n % 5) - 0.2:.2f}") for n in range(30)]
    base = world.contigs["chr1"][599]
    others = [b for b in "ACGT" if b != base]
    rows.append(world.row("chr1", 600, f"{others[0]},<DEL>,{base}AC", "EF=0.5,0.1,-0.4;DB"))
    rows += [world.row("chr2", 20 + 9 * n, info=f"EF={math.sin(n):.3f}") for n in range(20)]
    return "".join(rows)


def plan_of(world: World, **settings: object) -> EffectPlan:
    more = {"scorers": ALL, "measured": {"field": "EF"}, "compute": {"shard_records": 8}}
    return world.plan(vcf(world), variants=SKIP, **{**more, **settings})


def test_a_stopped_job_goes_on_to_the_same_bytes(world: World, tmp_path: Path) -> None:
    plan = plan_of(world)
    whole = world.results(plan, tmp_path / "whole")
    watching = Watching(stop_after=2)
    stopped = world.scored(plan, tmp_path / "parts", watching)
    assert (stopped.complete, stopped.progress.records) == (False, 16)
    assert watching.shards == [0, 1]
    later = Watching()
    parts = world.results(plan, tmp_path / "parts")
    assert world.scored(plan, tmp_path / "parts", later).complete and later.shards == []
    for name in (VCF_FILE, TABLE_FILE):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    shards = sorted((tmp_path / "parts" / "shards").iterdir())
    assert [path.name for path in shards] == [f"{n:06d}.parquet" for n in range(7)]


def test_a_damaged_or_foreign_shard_is_computed_again(world: World, tmp_path: Path) -> None:
    plan = plan_of(world)
    world.scored(plan, tmp_path)
    shards = shards_of(plan, tmp_path / "shards")
    paths = sorted((tmp_path / "shards").iterdir())
    paths[1].write_bytes(paths[1].read_bytes()[:-9])
    other = plan_of(world, window_bp=32)
    assert [shards.committed(n) for n in range(8)] == [True, False, *[True] * 5, False]
    assert not any(shards_of(other, tmp_path / "shards").committed(n) for n in range(7))
    watching = Watching()
    world.scored(plan, tmp_path, watching)
    assert watching.shards == [1]


def test_a_shard_that_breaks_later_is_named(world: World, tmp_path: Path) -> None:
    plan = plan_of(world)
    world.scored(plan, tmp_path)
    (path, *_) = sorted((tmp_path / "shards").iterdir())
    path.write_bytes(b"PAR1")
    with pytest.raises(CorruptArtefactError, match="cannot be read") as caught:
        list(shards_of(plan, tmp_path / "shards").tables())
    assert caught.value.problems[0].where == str(path)


def test_the_vcf_keeps_every_line_and_gains_info(world: World, tmp_path: Path) -> None:
    plan = plan_of(world)
    folder = world.results(plan, tmp_path)
    with (world.folder / "v.vcf").open("rb") as stream:
        before = list(VcfFile(stream, "v.vcf").records())
    with (folder / VCF_FILE).open("rb") as stream:
        opened = VcfFile(stream, "scores.vcf")
        after = list(opened.records())
    table = pq.read_table(folder / TABLE_FILE)
    assert [r.text.split("\t")[:7] for r in after] == [r.text.split("\t")[:7] for r in before]
    assert table.num_rows == sum(len(r.alts) for r in before) == 53
    declared = [line for line in opened.header.lines if "ID=GFMP_" in line]
    assert len(declared) == len(plan.what.columns) + 1
    rows = iter(table.to_pylist())
    for record in after:
        shown = values_of(record, "GFMP_llr_kmer3")
        assert len(shown) == len(record.alts)
        for text in shown:
            row = next(rows)
            if row["skipped"]:
                assert text == "." and math.isnan(row["llr_kmer3"])
            else:
                assert float(text) == pytest.approx(row["llr_kmer3"], rel=1e-5)
    several = next(r for r in after if len(r.alts) == 3)
    assert values_of(several, "GFMP_skipped") == (".", "symbolic", ".")
    assert values_of(several, "EF") == ("0.5", "0.1", "-0.4") and values_of(several, "DB") == ("",)
    rows_of = [r for r in table.to_pylist() if r["position"] == 600]
    assert [r["kind"] for r in rows_of] == ["substitution", "", "insertion"]
    assert [r["effect"] for r in rows_of] == [0.5, 0.1, -0.4]


def test_agreements_are_those_of_the_table(world: World, tmp_path: Path) -> None:
    plan = plan_of(world)
    folder = world.results(plan, tmp_path)
    rows = [r for r in pq.read_table(folder / TABLE_FILE).to_pylist() if not r["skipped"]]
    found = {(a.column, a.group): a for a in read_agreements(folder)}
    for group in ("chr1", "chr2"):
        pairs = [(r["llr_pairs"], r["effect"]) for r in rows if r["group"] == group]
        score, effect = np.array(pairs).T
        one = found["llr_pairs", group]
        assert one.pairs == len(pairs)
        assert one.signed == pytest.approx(np.corrcoef(score, effect)[0, 1], abs=1e-9)
        assert one.absolute == pytest.approx(np.corrcoef(score, abs(effect))[0, 1], abs=1e-9)
        assert one.low < one.headline < one.high
    mean = found["llr_pairs", ""]
    signed = [found["llr_pairs", g].signed for g in ("chr1", "chr2")]
    assert (mean.pairs, mean.signed) == (2, pytest.approx(np.mean(signed)))


def test_only_some_records_can_be_scored_in_full(world: World, tmp_path: Path) -> None:
    plan = plan_of(world, score_every=4, measured=None, scorers=[LIKELIHOODS[0]])
    folder = world.results(plan, tmp_path)
    rows = pq.read_table(folder / TABLE_FILE).to_pylist()
    due = [r for r in rows if r["record"] % 4 == 0]
    assert all(math.isfinite(r["llr_kmer3"]) for r in due)
    assert {r["skipped"] for r in rows if r["record"] % 4} == {"not_due", "symbolic"} - (
        {"symbolic"} if 30 % 4 == 0 else set()
    )
    text = (folder / VCF_FILE).read_text()
    assert "not_due" not in text
    assert text.count("GFMP_llr_kmer3=") == len({r["record"] for r in due})
    assert read_agreements(folder) == ()


def test_a_head_is_written_beside_the_scores(world: World, tmp_path: Path) -> None:
    head = {"scorer": "embedding_kmer3", "folds": 3, "penalties": [1.0]}
    plan = plan_of(world, head=head)
    folder = world.results(plan, tmp_path)
    table = pq.read_table(folder / TABLE_FILE)
    assert table.column_names[-1] == "head" and "features" not in table.column_names
    rows = table.to_pylist()
    assert all(math.isfinite(r["head"]) for r in rows if not r["skipped"])
    assert {a.column for a in read_agreements(folder)} >= {"head", "llr_kmer3"}
    assert "GFMP_head=" in (folder / VCF_FILE).read_text()


def test_an_effect_that_is_no_number_is_named(world: World, tmp_path: Path) -> None:
    plan = world.plan(world.row("chr1", 100, info="EF=high"), measured={"field": "EF"})
    with pytest.raises(DataError, match="INFO/EF: 'high' is no number") as caught:
        world.scored(plan, tmp_path)
    assert caught.value.problems[0].where.endswith("v.vcf:3")


def test_weights_that_changed_since_the_plan_are_refused(world: World) -> None:
    plan = plan_of(world)
    for path in world.workspace.runs.glob("tiny-*/checkpoints"):
        path.rename(path.with_name("gone"))
    with pytest.raises(MissingInputError, match="has no checkpoint"):
        scorers_of(plan, world.workspace, Compute.of("cpu", 1))
    changed = pretrained_run(world.workspace, seed=6)
    planned = plan.what.scorers[0].model.name
    old = world.workspace.runs / planned
    (old / "checkpoints").rmdir() if (old / "checkpoints").is_dir() else None
    changed.checkpoints_path.rename(old / "checkpoints")
    with pytest.raises(CorruptArtefactError, match="hashes to"):
        scorers_of(plan, world.workspace, Compute.of("cpu", 1))


def test_what_is_missing_is_listed_and_a_preview_is_planned_without_it(world: World) -> None:
    gone = {"kind": "likelihood", "model": "nobody", "vocabulary": "kmer6"}
    scorers = [{**PROFILE, "model": "tiny"}, gone, {**gone, "vocabulary": "bpe4096"}]
    document = world.document("", variants="gone.vcf", scorers=scorers)
    spec = validate(document, VariantEffectSpec)
    facts = look_up(spec, document, world.workspace)
    found = [(p.message, p.where) for p in facts.missing]
    assert found[0][0].endswith("gone.vcf") and "job.yaml:1" in found[0][1]
    assert "kept no fine-tuned model" in found[1][0]
    assert found[2][0] == "there is no run 'nobody'"
    assert len(found) == 3, "what two scorers miss is told once"
    plan = resolve_effects(spec, facts)
    assert plan.what.columns[-2:] == ("llr_kmer6", "llr_bpe4096")
