"""Runs are published whole, have unique readable names and are easy to find."""

from __future__ import annotations

import dataclasses
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from gfmp.errors import (
    CorruptArtefactError,
    ExistsError,
    MissingInputError,
    RefusedError,
    UsageError,
)
from gfmp.ledger import store as store_module
from gfmp.ledger.header import NewRun, read_header, run_id
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.storage.workspace import Workspace


def test_a_run_is_published_with_everything_it_was_made_from(run: Run, new_run: NewRun) -> None:
    assert re.fullmatch(r"demo-\d{8}-\d{4}-3f9a(-2)?", run.id)
    assert run.spec_path.read_bytes() == new_run.spec
    assert run.plan_json() == new_run.plan
    header = read_header(run.path)
    assert header == run.header
    assert header.provenance.command_line == new_run.command_line
    assert header.seed == 7
    assert datetime.fromisoformat(header.created).tzinfo == UTC
    assert header.created_seconds > 1.7e9
    for folder in (run.ledger_path, run.checkpoints_path, run.logs_path, run.figures_path):
        assert folder.is_dir()


def test_many_runs_of_one_plan_at_once_get_names_of_their_own(
    workspace: Workspace, new_run: NewRun
) -> None:
    store = RunStore(workspace)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(store.create, [new_run] * 8))
    assert len({run.id for run in runs}) == 8
    assert {run.id for run in store.list()} == {run.id for run in runs}
    assert not list(workspace.runs.glob(".tmp-*"))


def test_losing_the_race_for_a_name_takes_the_next(
    workspace: Workspace, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, lost = store_module._publish, []

    def second(*arguments: object) -> None:
        if not lost:
            lost.append(arguments)
            raise ExistsError("another process was first")
        publish(*arguments)  # type: ignore[arg-type]  # the same arguments, passed on

    monkeypatch.setattr(store_module, "_publish", second)
    assert RunStore(workspace).create(new_run).id.endswith("-3f9a-2")


def test_names_say_what_when_and_which() -> None:
    at = datetime(2026, 11, 22, 16, 34, tzinfo=UTC)
    assert run_id("demo", at, "3f9a77", 1) == "demo-20261122-1634-3f9a"
    assert run_id("demo", at, "3f9a77", 3) == "demo-20261122-1634-3f9a-3"


@pytest.mark.parametrize("name", ["", "../x", "A b", "x" * 65])
def test_unsafe_names_make_no_run(workspace: Workspace, new_run: NewRun, name: str) -> None:
    with pytest.raises(RefusedError):
        RunStore(workspace).create(dataclasses.replace(new_run, name=name))
    assert not workspace.runs.exists()


def test_a_run_is_found_by_its_id_or_the_only_beginning(
    workspace: Workspace, new_run: NewRun, run: Run
) -> None:
    store = RunStore(workspace)
    assert store.get("demo").id == run.id
    other = store.create(new_run)
    assert store.get(run.id).id == run.id
    assert store.get(other.id).id == other.id
    with pytest.raises(UsageError, match="2 runs begin with 'demo'"):
        store.get("demo")


def test_the_newest_finished_run_of_a_name_is_meant(
    workspace: Workspace, new_run: NewRun, run: Run
) -> None:
    store = RunStore(workspace)
    runs = [run, store.create(new_run), store.create(new_run)]
    swept = store.create(dataclasses.replace(new_run, kind="sweep"))
    for one in (runs[0], runs[1], swept):
        with one.open_writer("driver") as driver:
            driver.append("finished", {})
    assert store.newest("demo", "pretrain", "finetune").id == runs[1].id
    assert store.newest("demo", "sweep").id == swept.id
    assert store.newest(runs[2].id, "pretrain").id == runs[2].id
    with pytest.raises(UsageError, match="4 runs begin with 'demo'"):
        store.newest("demo", "finetune")


@pytest.mark.parametrize("wanted", ["", "dmo", "../runs", "demo/", "*"])
def test_an_unknown_run_is_an_error_that_helps(workspace: Workspace, run: Run, wanted: str) -> None:
    with pytest.raises(MissingInputError) as caught:
        RunStore(workspace).get(wanted)
    assert run.id in caught.value.problems[0].why
    assert caught.value.exit_status == 66


def test_a_near_miss_is_named(workspace: Workspace, run: Run) -> None:
    with pytest.raises(MissingInputError) as caught:
        RunStore(workspace).get(run.id.replace("demo", "dem0"))
    assert caught.value.problems[0].fix == f"did you mean {run.id!r}?"


def test_an_empty_workspace_has_no_runs(workspace: Workspace) -> None:
    store = RunStore(workspace)
    assert store.list() == ()
    assert store.broken() == ()
    with pytest.raises(MissingInputError, match="no run 'x'"):
        store.get("x")


@pytest.mark.parametrize(
    ("field", "value"), [("format_version", 9), ("id", "other"), ("seed", "x"), ("provenance", 1)]
)
def test_a_broken_header_hides_no_other_run_and_is_named(
    workspace: Workspace, new_run: NewRun, run: Run, field: str, value: object
) -> None:
    store = RunStore(workspace)
    good = store.create(new_run)
    path = run.path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    assert [found.id for found in store.list()] == [good.id]
    assert [problem.where for problem in store.broken()] == [str(path)]
    with pytest.raises(CorruptArtefactError):
        store.get(run.id)


def test_only_a_running_run_can_be_stopped(workspace: Workspace, run: Run) -> None:
    store = RunStore(workspace)
    with pytest.raises(UsageError, match="is planned, not running"):
        store.request_stop(run.id)
    with run.own():
        store.request_stop("demo")
        assert run.stop_requested()
