"""A few steps of a job are measured by as many ranks as it has, and leave nothing behind."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from cluster_world import World

from gfmp.cluster import calibrate as module
from gfmp.cluster.calibrate import Asked, calibrate
from gfmp.errors import MissingInputError, TrainingError
from gfmp.plan.calibration import setting_of
from gfmp.plan.resolve import resolve
from gfmp.plan.survey import survey
from gfmp.spec.load import load_spec
from gfmp.spec.pretrain import PretrainSpec


def asked(world: World) -> Asked:
    spec, document = load_spec(world.job, {"pretrain": PretrainSpec})
    found = survey(spec, document.path, world.workspace)
    return Asked(resolve(spec, found.known, document.where), found, world.job, seconds=0.1)


@pytest.mark.long
def test_a_job_is_measured_with_its_own_ranks(
    own_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_world.run()
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(module.tempfile, "tempdir", None)
    before = sorted(own_world.workspace.root.rglob("*"))
    wanted = asked(own_world)
    found = calibrate(wanted)
    assert found.setting == setting_of(wanted.plan)
    assert found.steps >= 24
    assert found.flops_per_second > 0 and found.flops_per_cpu_second > 0
    assert found.peak_bytes > 100_000_000  # torch alone
    assert sorted(own_world.workspace.root.rglob("*")) == before
    assert not list(place.glob("gfmp*"))


def test_what_is_not_built_cannot_be_measured(own_world: World) -> None:
    ready = asked(own_world)
    lacking = dataclasses.replace(ready.found, ensemble=None)
    with pytest.raises(MissingInputError) as caught:
        calibrate(dataclasses.replace(ready, found=lacking))
    assert "gfmp submit" in caught.value.problems[0].fix


def test_a_rank_that_fails_is_told_with_its_last_words(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_world.run()
    monkeypatch.setattr(module, "_PROGRAM", "raise SystemExit('no memory for 7 ranks')")
    with pytest.raises(TrainingError) as caught:
        calibrate(asked(own_world))
    problem = caught.value.problems[0]
    assert "no memory for 7 ranks" in problem.message and "compute.workers=1" in problem.fix
    assert "RANK" not in os.environ
