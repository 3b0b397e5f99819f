"""A run tells the truth about itself, also when its process was killed."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gfmp.errors import CorruptArtefactError, LockedError
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status, decide, owner_alive
from gfmp.plan.values import FeedSettings, Plan, What, Where
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Checkpointing, Evaluation, Masking, Optimiser
from gfmp.storage.atomic import write_json

SOURCE = Path(__file__).parents[2] / "platform"
OWNER = """
import sys, time
from pathlib import Path
from gfmp.ledger.run import Run
run = Run.open(Path(sys.argv[1]))
with run.own(), run.open_writer("driver") as driver:
    driver.append("started", {"segment": 0})
    print("owned", flush=True)
    time.sleep(60)
"""


def owner_of(run: Run) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(run.path)],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "owned\n"
    return process


def test_status_follows_the_drivers_words(run: Run) -> None:
    assert run.status() is Status.PLANNED
    seen = []
    with run.own(), run.open_writer("driver") as driver:
        assert run.status() is Status.RUNNING
        for kind in ("started", "restarted", "finished", "started", "failed", "interrupted"):
            driver.append(kind, {})
            seen.append(str(run.status()))
    assert seen == ["running", "running", "finished", "running", "failed", "interrupted"]


def test_every_combination_has_one_status_and_running_needs_a_living_owner() -> None:
    kinds = ("", "started", "restarted", "finished", "failed", "interrupted")
    table = {(k, a): decide(k, a) for k, a in itertools.product(kinds, (True, False))}
    assert {key for key, status in table.items() if status is Status.RUNNING} == {
        ("", True),
        ("started", True),
        ("restarted", True),
    }
    assert table["", False] is Status.PLANNED
    assert table["started", False] is Status.INTERRUPTED


def test_a_killed_owner_leaves_an_interrupted_run_that_another_can_own(run: Run) -> None:
    process = owner_of(run)
    try:
        assert run.status() is Status.RUNNING
        with pytest.raises(LockedError) as caught, run.own():
            pytest.fail("two owners")
        assert caught.value.exit_status == 73
        assert str(process.pid) in caught.value.problems[0].why
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert run.status() is Status.INTERRUPTED
    with run.own():
        assert owner_alive(run.lock_path)
    assert not owner_alive(run.lock_path)


def test_asking_for_the_status_never_costs_an_owner_the_run(run: Run) -> None:
    with run.own():
        pass
    with run.lock_path.open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)  # somebody asks at this very moment
        threading.Timer(0.3, fcntl.flock, (handle, fcntl.LOCK_UN)).start()
        with run.own():
            assert run.status() is Status.RUNNING


def test_an_owner_forgets_an_old_request_to_stop(run: Run) -> None:
    assert not run.stop_requested()
    assert run.request_stop()
    assert not run.request_stop()
    assert run.stop_requested()
    with run.own():
        assert not run.stop_requested()


def test_a_run_with_two_starts_reads_as_one(run: Run) -> None:
    for steps, at in ((range(1, 8), 0), (range(6, 11), 5)):
        with run.open_writer("driver") as driver, run.open_writer("rank0") as rank0:
            driver.append("started", {"segment": driver.segment, "from_step": at})
            if at:
                rank0.append("resumed", {"step": at})
            for step in steps:
                rank0.append("step", {"step": step, "loss": 1.0 / step})
            rank0.append("evaluation", {"step": steps[-1], "heldout/a/loss": 1.0})
    assert [point.step for point in run.series("loss")] == list(range(1, 11))
    assert run.last_step() == 10
    assert len(run.evaluations()) == 2
    assert [event.kind for event in run.lifecycle()] == ["started", "started"]
    assert len(run.events("step")) == 12
    assert len(run.events()) == len(run.contents().events) == 17


def test_the_last_step_is_found_behind_a_torn_line_and_before_any_step(run: Run) -> None:
    assert run.last_step() == 0
    with run.open_writer("rank0") as rank0:
        rank0.append("step", {"step": 3})
    with (run.ledger_path / "000-rank0.jsonl").open("ab") as handle:
        handle.write(b'{"sequence":1,"kind":"step","fie')
    with run.open_writer("rank0") as rank0:
        rank0.append("resumed", {"step": 2})
    assert run.last_step() == 3
    assert len(run.contents().torn) == 1


def test_only_a_run_with_a_checkpoint_that_nobody_drives_can_be_resumed(run: Run) -> None:
    with run.own(), run.open_writer("driver") as driver, run.open_writer("rank0") as rank0:
        driver.append("started", {})
        rank0.append("checkpoint", {"step": 5, "path": "checkpoints/step-5"})
        (run.checkpoints_path / "step-5").mkdir()
        assert not run.resumable()
    assert run.resumable()
    assert [event.step for event in run.checkpoints()] == [5]
    (run.checkpoints_path / "step-5").rmdir()
    assert not run.resumable()


def test_the_newest_report_counts(run: Run) -> None:
    assert run.report() is None
    with run.open_writer("rank0") as rank0:
        rank0.append("report", {"step": 5, "loss": float("inf")})
        rank0.append("report", {"step": 9, "loss": 1.0})
    assert run.report() == {"step": 9, "loss": 1.0}


def test_a_plan_comes_back_as_it_was_and_a_changed_one_is_noticed(run: Run) -> None:
    with pytest.raises(CorruptArtefactError) as caught:
        run.plan()  # the plan of this fixture has no architecture
    assert caught.value.problems[0].where == str(run.plan_path)
    plan = Plan(
        name="demo",
        what=What(
            corpus="c",
            ensemble="e",
            vocabulary_rows=9,
            architecture=Architecture(layers=1, width=4, heads=2, intermediate=8),
            feed=FeedSettings(7, (1.0,), 8, 64, 0.5, 4, Masking()),
            steps=20,
            optimiser=Optimiser(learning_rate=1e-3),
            precision="fp32",
            evaluation=Evaluation(),
        ),
        where=Where(1, False, "ddp", 1, 1, 0, Checkpointing()),
        derived=(),
        to_build=(),
    )
    write_json(run.plan_path, plan.to_json())
    assert run.plan() == plan
    run.plan_path.write_text(run.plan_path.read_text().replace('"steps": 20', '"steps": 21'))
    with pytest.raises(CorruptArtefactError, match="hashes to"):
        run.plan()
    run.plan_path.write_text("[]")
    with pytest.raises(CorruptArtefactError, match="JSON object"):
        run.plan_json()


def test_the_commands_name_the_run(run: Run) -> None:
    assert run.repeat_command == f"gfmp reproduce {run.id}"
    assert run.id in run.resume_command
    assert run.logs_path.is_dir()
    assert run.figures_path.is_dir()
