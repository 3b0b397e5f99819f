"""One unfinished run of a job at a time; a run is found by the command that made it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gfmp.errors import ExistsError
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.ledger.submission import creator_lives, token_of
from gfmp.ledger.writer import LedgerWriter, being_written
from gfmp.storage.atomic import write_json
from gfmp.storage.owners import MARK_VARIABLE, TOKEN_VARIABLE, Owner
from gfmp.storage.workspace import Workspace

NEW = NewRun("demo", "pretrain", 0, "ab" * 32, b"kind: pretrain\n", {}, ("gfmp",))
STARTED = {"segment": 0, "workers": 1, "engine": "ddp", "from_step": 0}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(Workspace(tmp_path))


def _begun(run: Run, *last: tuple[str, dict[str, object]]) -> None:
    with run.open_writer("driver") as driver:
        driver.append("started", STARTED)
        with run.open_writer("rank0") as rank:
            rank.append("step", {"step": 7})
        for kind, fields in last:
            driver.append(kind, fields)


def _checkpoint(run: Run) -> None:
    path = run.checkpoints_path / "step-000000005"
    path.mkdir()
    with run.open_writer("rank0") as rank:
        rank.append("checkpoint", {"step": 5, "path": str(path), "bytes": 1, "seconds": 0.1})


def _orphaned(run: Run) -> None:
    """Let the run have been created by a process that is gone."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    me = Owner.present()
    tag = Owner(me.host, me.boot, child.pid).tag
    write_json(run.path / "submission.json", {"creator": tag, "token": ""})


def test_a_second_run_of_an_unfinished_job_is_refused(store: RunStore) -> None:
    run = store.create(NEW, alone=True)
    _begun(run)
    assert run.status() is Status.INTERRUPTED
    with pytest.raises(ExistsError) as caught:
        store.create(NEW, alone=True)
    (problem,) = caught.value.problems
    assert caught.value.exit_status == 73
    assert problem.message == f"run exists: {run.id} of the same job is interrupted at step 7"
    assert f"gfmp submit --resume {run.id}" in problem.fix
    assert "gfmp submit JOB --new" in problem.fix
    # Asked for, another one is made; so is one of another model or another name.
    other = NewRun("demo", "pretrain", 0, "cd" * 32, b"", {}, ())
    named = NewRun("other", "pretrain", 0, "ab" * 32, b"", {}, ())
    made = [store.create(NEW), store.create(other, alone=True), store.create(named, alone=True)]
    assert len({run.id, *(one.id for one in made)}) == 4


def test_which_runs_are_in_the_way(store: RunStore) -> None:
    run = store.create(NEW)
    assert run.unfinished()  # whoever created it is about to drive it
    _orphaned(run)
    assert not run.unfinished()  # it never began
    _begun(run)
    assert run.unfinished()  # killed
    with run.own():
        assert run.unfinished()  # running
    with run.open_writer("driver") as driver:
        driver.append("started", STARTED)
        driver.append("interrupted", {"step": 7, "signal": "SIGTERM"})
    assert run.unfinished()
    with run.open_writer("driver") as driver:
        driver.append("failed", {"error": "nan", "code": "T070"})
    assert not run.unfinished()  # nothing to go on from
    assert run.committed_step() == 0
    _checkpoint(run)
    assert run.unfinished()
    assert run.committed_step() == 5
    with run.open_writer("driver") as driver:
        driver.append("finished", {"step": 10, "seconds": 1.0})
    assert not run.unfinished()
    store.create(NEW, alone=True)


def test_of_many_equal_submits_one_creates(store: RunStore) -> None:
    made: list[Run] = []
    refused: list[ExistsError] = []

    def _create() -> None:
        try:
            made.append(store.create(NEW, alone=True))
        except ExistsError as fault:
            refused.append(fault)

    threads = [threading.Thread(target=_create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 5)


def test_a_run_is_published_with_all_its_files(store: RunStore) -> None:
    def _fill(folder: Path) -> None:
        assert folder.name.startswith(".tmp-")
        (folder / "inputs.json").write_text("{}")

    run = store.create(NEW, _fill)
    assert (run.path / "inputs.json").read_text() == "{}"

    def _fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        store.create(NEW, _fail)
    assert [one.id for one in store.list()] == [run.id]
    assert not list(run.path.parent.glob(".tmp-*"))


def test_a_run_is_found_by_its_token(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = store.create(NEW)
    assert token_of(plain.path) == ""
    monkeypatch.setenv(TOKEN_VARIABLE, "t1")
    assert store.submitted("t1") is None
    run = store.create(NEW)
    found = store.submitted("t1")
    assert found is not None
    assert found.id == run.id
    assert creator_lives(run.path)
    # Runs of older versions have no such file, and a broken one is no obstacle either.
    (run.path / "submission.json").write_text("{")
    assert store.submitted("t1") is None
    assert not creator_lives(run.path)


def test_a_writer_is_seen_from_other_processes_until_it_dies(store: RunStore) -> None:
    run = store.create(NEW)
    assert not run.worker_alive()
    script = (
        "import sys, time; from pathlib import Path; from gfmp.ledger.run import Run\n"
        "writer = Run.open(Path(sys.argv[1])).open_writer('rank0')\n"
        "print('open', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "open\n"
        assert run.worker_alive()
        worker.kill()
        worker.wait()
    assert not run.worker_alive()
    path = run.ledger_path / "001-rank0.jsonl"
    with LedgerWriter(path):
        assert being_written(path)
    assert not being_written(path)


def test_the_owner_learns_who_drove_before(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create(NEW)
    monkeypatch.setenv(MARK_VARIABLE, "first")
    with run.own() as before:
        assert before.pid == 0
    monkeypatch.setenv(MARK_VARIABLE, "second")
    with run.own() as before:
        assert (before.pid, before.mark) == (os.getpid(), "first")
