"""Measurements are kept by what they depend on, and a plan of just that is estimated by them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from plan_examples import known, spec

from gfmp.errors import CorruptArtefactError
from gfmp.plan.calibration import (
    Calibration,
    machine_name,
    remember,
    remembered,
    setting_of,
    torch_version,
)
from gfmp.plan.resolve import resolve
from gfmp.plan.values import Derived, Plan
from gfmp.storage.workspace import Workspace

PLANNED = resolve(spec(), known())
MEASURED = Calibration(
    machine=machine_name(),
    torch=torch_version(),
    setting=setting_of(PLANNED),
    date="2026-01-02",
    steps=24,
    flops_per_second=30e9,
    flops_per_cpu_second=20e9,
    peak_bytes=900_000_000,
)


def number(plan: Plan, name: str) -> Derived:
    (found,) = (one for one in plan.derived if one.name == name)
    return found


def test_a_measured_job_is_estimated_by_its_measurement() -> None:
    plan = resolve(spec(), known(calibrations=(MEASURED,)))
    flops = number(plan, "total_flops").value
    assert isinstance(flops, int)
    assert number(plan, "estimated_time").value == pytest.approx(flops / 30e9, abs=0.1)
    assert number(plan, "estimated_cpu_time").value == pytest.approx(flops / 20e9, abs=0.1)
    assert number(plan, "measured_memory_per_rank").value == 900_000_000
    reason = number(plan, "estimated_time").reason
    assert "measured on 2026-01-02 over 24 steps" in reason and machine_name() in reason


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "bf16"},
        {"compute": {"workers": 1}},
        {"compute": {"workers": 2, "zero_stage": "ddp"}},
        {"compute": {"workers": 2, "threads_per_worker": 2}},
        {"sampling": {"global_batch_sequences": 64}},
    ],
)
def test_another_job_keeps_to_the_table(change: dict[str, object]) -> None:
    plan = resolve(spec(**change), known(calibrations=(MEASURED,)))
    reason = number(plan, "estimated_time").reason
    assert "1024^3 matrix products" in reason and "--calibrate" in reason
    assert "measured_memory_per_rank" not in {one.name for one in plan.derived}


def test_a_measurement_is_no_part_of_the_identity() -> None:
    plan = resolve(spec(), known(calibrations=(MEASURED,)))
    assert plan.what.fingerprint == PLANNED.what.fingerprint and plan.where == PLANNED.where


def test_they_are_remembered_and_replaced_by_newer_ones(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert remembered(workspace) == ()
    other = dataclasses.replace(
        MEASURED, setting=dataclasses.replace(MEASURED.setting, threads=3), steps=30
    )
    newer = dataclasses.replace(MEASURED, steps=40)
    for one in (MEASURED, other, newer):
        remember(workspace, one)
    assert remembered(workspace) == (other, newer)


@pytest.mark.parametrize("change", [{"machine": "another CPU"}, {"torch": "0.1"}])
def test_those_of_another_machine_are_not_ours(tmp_path: Path, change: dict[str, str]) -> None:
    workspace = Workspace(tmp_path)
    remember(workspace, dataclasses.replace(MEASURED, **change))
    assert remembered(workspace) == ()
    remember(workspace, MEASURED)
    assert remembered(workspace) == (MEASURED,)


@pytest.mark.parametrize(
    "text", ['{"format_version": 9, "measured": []}', '{"format_version": 1, "measured": [{}]}']
)
def test_a_changed_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calibrations.json"
    path.write_text(text)
    with pytest.raises(CorruptArtefactError) as caught:
        remembered(Workspace(tmp_path))
    problem = caught.value.problems[0]
    assert str(path) in problem.where and "--calibrate" in problem.fix


def test_the_machine_has_a_name() -> None:
    assert machine_name() and json.dumps(machine_name())
