"""The cost model takes sizes from the plan and rates from the table, and says what it lacks."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cost_model
import table
from figure import Figure
from train_step import SHAPE

from gfmp.cli.loading import load_job
from gfmp.plan.estimate import H200
from gfmp.plan.explain import explain
from gfmp.plan.sizes import Sizes, measure
from gfmp.plan.survey import survey
from gfmp.spec.pretrain import PretrainSpec
from gfmp.storage.workspace import Workspace

UNITS = {
    "ingest_bp": ("Mnt per CPU s", 20.0),
    "bits": ("bits", 2.3),
    "decode_bp": ("bases per CPU s", 3e8),
    "feed_tokens": ("tokens per CPU s", 1e7),
    "core_tokens": ("real tokens per CPU s", 2e3),
    "gpu_tokens": ("real tokens/s", 5e5),
}


def rows(*without: str) -> list[table.Row]:
    """Return a table with a row for every rate but some."""
    return [
        table.Row(Figure("7", work, "", 0.0, value, unit, 0.0, ""), script, "2026-01-02", "a CPU")
        for name, (unit, value) in UNITS.items()
        for script, work in [cost_model.ROWS[name]]
        if name not in without
    ]


@pytest.fixture
def sizes(tmp_path: Path) -> Sizes:
    """The plan of the base preset where nothing was built."""
    spec, _ = load_job(cost_model.JOB, ())
    assert isinstance(spec, PretrainSpec)
    return measure(spec, survey(spec, cost_model.JOB, Workspace(tmp_path)).known)


def test_the_step_is_the_one_that_the_plan_explains(sizes: Sizes) -> None:
    said = {one.name: one.value for one in explain(sizes)}
    step = cost_model.planned(sizes)
    assert step.sequences == said["global_batch_sequences"]
    assert step.tokens == said["tokens_per_step"]
    assert step.flops == said["flops_per_step"]
    assert step.commit_bytes == said["checkpoint_size"]
    assert step.gradient_bytes == 4 * sizes.parameters
    windows = [row.mean_bp * row.share for row in sizes.rows]
    assert step.bases == pytest.approx(step.sequences * sum(windows))
    assert 0.15 < step.targets / step.tokens < 0.3


def test_rates_are_those_of_the_table_in_bases_and_tokens() -> None:
    found = cost_model.rates(rows())
    assert (found.ingest_bp, found.bits, found.decode_bp) == (20e6, 2.3, 3e8)
    assert (found.feed_tokens, found.core_tokens, found.gpu_tokens) == (1e7, 2e3, 5e5)
    assert not cost_model.commands(found)


@pytest.mark.parametrize("name", [name for name in UNITS if name != "gpu_tokens"])
def test_a_missing_row_is_named_with_its_command(name: str) -> None:
    found = cost_model.rates(rows(name))
    assert [one for one, value in vars(found).items() if math.isnan(value)] == [name]
    (command,) = cost_model.commands(found)
    assert command == f"python tests/benchmarks/table.py --only {cost_model.ROWS[name][0]}"


def test_the_rows_are_those_that_benchmarks_print() -> None:
    assert {script for script, _ in cost_model.ROWS.values()} <= set(table.scripts())
    committed = table.read(table.TABLE.read_text(encoding="utf-8"))
    for script, work in cost_model.ROWS.values():
        works = {row.figure.work for row in committed if row.script == script}
        assert not works or work in works


def test_an_open_row_group_takes_some_hundred_bytes() -> None:
    assert 100 < cost_model.group_memory() < 1000


def test_a_measured_gpu_takes_the_place_of_the_assumed_one(sizes: Sizes) -> None:
    found = cost_model.rates(rows())
    assumed = cost_model.places(sizes, replace(found, gpu_tokens=math.nan))
    measured = cost_model.places(sizes, found)
    assert [place.name for place in measured] == ["1 core", "1 GPU", "8 GPUs", "512 GPUs"]
    assert {place.flops for place in assumed[1:]} == {H200.reached("bf16")}
    of_token = cost_model.token_flops(sizes.known.architecture)
    assert {place.flops for place in measured[1:]} == {5e5 * of_token}
    assert measured[0].flops == 2e3 * cost_model.token_flops(SHAPE)
    without = cost_model.places(sizes, replace(found, core_tokens=math.nan))
    assert without == measured[1:]


@pytest.mark.parametrize(
    ("without", "lost"), [((), ()), (("ingest_bp", "gpu_tokens"), ("ingest, Mbp",))]
)
def test_the_command_prints_every_stage_it_has_a_rate_for(
    without: tuple[str, ...],
    lost: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "table.md"
    place.write_text(table.written(rows(*without)), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["cost_model.py", "--table", str(place)])
    monkeypatch.setenv("GFMP_WORKSPACE", str(tmp_path))
    assert cost_model.main() == int(bool(lost))
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    for name in ("ingest, Mbp", "node reads, MB", "decode, Mbp", "gradients, GB"):
        assert any(line.startswith(name) for line in lines) is (name not in lost)
    assert ("--only corpus_ingest" in printed) is bool(lost)
    assert ("No row of gpu.py" in printed) is ("gpu_tokens" in without)
    assert "512 GPUs, 1,536 rows: bound by gradients" in printed
    assert "512 GPUs, 98,304 rows: bound by compute" in printed
