from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from training_launch import launch
from training_world import Events, Shape, World

from gfmp.errors import TrainingError
from gfmp.spec.pretrain import Optimiser
from gfmp.storage.atomic import read_json
from gfmp.training.job import Job, Outcome
from gfmp.training.loop import train
from gfmp.training.processes import Group


@pytest.fixture(scope="module", autouse=True)
def _one_thread(group: Group) -> None:
    import torch

    assert group.world == 1
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def straight(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Events]:
    """Six steps without a break."""
    events = Events()
    folder = tmp_path_factory.mktemp("straight")
    return train(world.job(world.plan(Shape()), folder, events)), events


def test_a_run_tells_its_story_in_order(straight: tuple[Outcome, Events]) -> None:
    _, events = straight
    kinds = [kind for kind, _ in events.seen]
    # Commits are written beside the steps, so the ledger hears of one when a step finds it ended.
    assert [kind for kind in kinds if kind != "checkpoint"] == [
        *("step", "step", "evaluation"),
        *("step", "step", "evaluation"),
        *("step", "step", "evaluation", "report"),
    ]
    assert kinds[-3:] == ["checkpoint", "evaluation", "report"]
    for step, at in zip((2, 4, 6), _places(kinds, "checkpoint"), strict=True):
        assert _places(kinds, "step")[step - 1] < at
    assert _places(kinds, "checkpoint")[0] < _places(kinds, "step")[4]
    assert [fields["step"] for fields in events.of("step")] == [1, 2, 3, 4, 5, 6]
    assert [fields["step"] for fields in events.of("checkpoint")] == [2, 4, 6]
    json.dumps(events.seen, allow_nan=False)


def test_a_step_says_everything(straight: tuple[Outcome, Events]) -> None:
    outcome, events = straight
    for fields in events.of("step"):
        assert set(fields) == {
            *("step", "loss", "loss/kmer3", "loss/bpe64", "learning_rate", "gradient_norm"),
            *("tokens", "targets", "seconds", "tokens_per_second", "mfu", "peak_memory_bytes"),
            *("order_hash", "mixture/kmer3", "mixture/bpe64"),
        }
        low, high = sorted((_number(fields, "loss/kmer3"), _number(fields, "loss/bpe64")))
        assert low <= _number(fields, "loss") <= high
        speed = _number(fields, "tokens") / _number(fields, "seconds")
        assert fields["tokens_per_second"] == pytest.approx(speed)
        assert 0 < _number(fields, "mfu") < 1
        assert _number(fields, "peak_memory_bytes") > 1e7
    assert events.of("step")[-1]["order_hash"] == outcome.order_hash
    assert outcome.status == "finished"
    assert outcome.to_json()["step"] == 6


def _places(kinds: list[str], kind: str) -> list[int]:
    return [place for place, seen in enumerate(kinds) if seen == kind]


def _number(fields: dict[str, object], name: str) -> float:
    value = fields[name]
    assert isinstance(value, (int, float))
    return float(value)


def test_evaluation_and_report_name_every_vocabulary(straight: tuple[Outcome, Events]) -> None:
    _, events = straight
    names = ("loss", "accuracy", "bits_per_base")
    expected = {f"heldout/{v}/{n}" for v in ("kmer3", "bpe64") for n in names} | {"step"}
    assert all(set(fields) == expected for fields in events.of("evaluation"))
    (report,) = events.of("report")
    for vocabulary in ("kmer3", "bpe64"):
        assert _number(report, f"report/{vocabulary}/hidden_bases") >= 400
        assert (
            report[f"report/{vocabulary}/loss"]
            == events.of("evaluation")[-1][f"heldout/{vocabulary}/loss"]
        )
        assert 1.5 < _number(report, f"report/{vocabulary}/order5_bits") < 2.1


def test_an_untrained_encoder_fails_every_check(straight: tuple[Outcome, Events]) -> None:
    (report,) = straight[1].of("report")
    verdicts = report["checks"]
    assert isinstance(verdicts, list)
    assert [check["name"] for check in verdicts] == [
        "kmer3 loss < unigram",
        "bpe64 loss < unigram",
        "bpe64 bits per base < order 0",
    ]
    assert not any(check["passed"] for check in verdicts)
    assert all(set(c) == {"name", "value", "baseline", "low", "high", "passed"} for c in verdicts)


def test_stopping_commits_and_the_rest_gives_the_same_run(
    world: World, straight: tuple[Outcome, Events], tmp_path: Path
) -> None:
    plan = world.plan(Shape())
    first = train(world.job(plan, tmp_path, Events(stop_after=3)))
    assert (first.status, first.step) == ("interrupted", 3)
    events = Events()
    second = train(world.job(plan, tmp_path, events))
    assert second == straight[0]
    assert events.of("resumed") == [{"step": 3, "checkpoint": str(tmp_path / "step-000000003")}]
    assert [fields["step"] for fields in events.of("step")] == [4, 5, 6]
    _same_numbers(events.of("evaluation"), straight[1].of("evaluation")[1:])
    _same_numbers(events.of("report"), straight[1].of("report"))


def _same_numbers(found: list[dict[str, object]], expected: list[dict[str, object]]) -> None:
    assert found == expected


def test_stopping_before_the_first_step_commits_nothing(world: World, tmp_path: Path) -> None:
    outcome = train(world.job(world.plan(Shape()), tmp_path, Events(stop_after=0)))
    assert (outcome.status, outcome.step) == ("interrupted", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_only_reports_again(
    world: World, straight: tuple[Outcome, Events], tmp_path: Path
) -> None:
    plan = world.plan(Shape(steps=2))
    done = train(world.job(plan, tmp_path, Events()))
    events = Events()
    assert train(world.job(plan, tmp_path, events)) == done
    assert [kind for kind, _ in events.seen] == ["resumed", "evaluation", "report"]
    assert straight[0].weights_hash != done.weights_hash


def test_a_damaged_checkpoint_is_told_and_training_goes_on_before_it(
    world: World, straight: tuple[Outcome, Events], tmp_path: Path
) -> None:
    plan = world.plan(Shape())
    train(world.job(plan, tmp_path, Events(stop_after=4)))
    broken = tmp_path / "step-000000004" / "model.safetensors"
    data = bytearray(broken.read_bytes())
    data[-5] ^= 4
    broken.write_bytes(data)
    events = Events()
    assert train(world.job(plan, tmp_path, events)) == straight[0]
    assert events.of("checkpoint_rejected") == [
        {"path": str(broken.parent), "reason": "model.safetensors does not match its sha256"}
    ]
    assert events.of("resumed")[0]["step"] == 2


def test_batches_of_another_step_are_a_bug(world: World, tmp_path: Path) -> None:
    job = world.job(world.plan(Shape()), tmp_path, Events())
    late = replace(job, source=lambda dealing: job.source(replace(dealing, first_step=1)))
    with pytest.raises(AssertionError, match=r"batches of steps \{1\} at step 0"):
        train(late)
    short = replace(job, source=lambda dealing: (batches for batches in ()))
    with pytest.raises(AssertionError, match="the source ended before step 0"):
        train(short)


def test_divergence_ends_with_the_step_and_keeps_the_checkpoint(
    world: World, tmp_path: Path
) -> None:
    wild = Optimiser(learning_rate=1e30, clip_norm=1e30)
    job = world.job(
        world.plan(Shape(changes={"optimiser": wild}, commit_every=1)), tmp_path, Events()
    )
    with pytest.raises(
        TrainingError, match=r"at step \d on rank 0|not finite after step"
    ) as caught:
        train(job)
    assert caught.value.exit_status == 70


def test_two_ranks_under_a_launcher_equal_one(
    scene: Path, straight: tuple[Outcome, Events]
) -> None:
    script = str(Path(__file__).parent / "training_launched.py")
    launch(2, [script, str(scene)])
    found: dict[str, Any] = read_json(scene / "launched.json")
    outcome, events = straight
    assert found["order_hash"] == outcome.order_hash
    losses = [_number(fields, "loss") for fields in events.of("step")]
    assert found["losses"] == pytest.approx(losses, abs=1e-4)
    report = events.of("report")[0]
    assert found["report"]["report/kmer3/windows"] == report["report/kmer3/windows"]
    assert found["report"]["report/kmer3/loss"] == pytest.approx(
        _number(report, "report/kmer3/loss"), abs=1e-4
    )
    assert found["interrupted"]["status"] == "interrupted"
    assert found["interrupted"]["step"] == 3
    assert found["resumed_from"] == 3


def test_training_imports_neither_ray_nor_mlflow_nor_deepspeed() -> None:
    heavy = "('ray', 'mlflow', 'deepspeed')"
    script = f"import sys, gfmp.training.loop; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_job_is_what_the_loop_is_given(world: World, tmp_path: Path) -> None:
    job = world.job(world.plan(Shape()), tmp_path, Events())
    assert isinstance(job, Job)
    assert not job.should_stop()
