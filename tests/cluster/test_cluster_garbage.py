"""`gfmp gc`: what it takes, what it never takes, and what a crash in between leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from garbage_world import cell, checkpoint, corpus, finish, pretraining, say, sweep, task
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gfmp.cli.main import gfmp
from gfmp.cluster import garbage
from gfmp.cluster.garbage import Cleared, clear, survey
from gfmp.errors import StorageError
from gfmp.ledger.cells import CellStore
from gfmp.ledger.references import references_of
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.ledger.sweep import results_of
from gfmp.storage.locks import exclusive, shared
from gfmp.storage.removal import set_aside
from gfmp.storage.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def places(found: Cleared, workspace: Workspace) -> set[str]:
    return {Path(one.path).relative_to(workspace.root).as_posix() for one in found.things}


def command(workspace: Workspace, *words: str) -> Result:
    call = ["gc", *words, "--workspace", str(workspace.root)]
    return CliRunner().invoke(gfmp, call, catch_exceptions=False)


def test_what_no_run_asks_for_goes_and_what_one_asks_for_stays(workspace: Workspace) -> None:
    used, lost = cell("used"), cell("lost")
    finish(workspace, used, lost)
    here, there = task(workspace, "used"), task(workspace, "lost")
    say(sweep(workspace, [used]), "started", "finished")
    found = clear(workspace, 0.0)
    store = CellStore(workspace)
    assert places(found, workspace) == {
        store.path(lost.fingerprint).relative_to(workspace.root).as_posix(),
        there.relative_to(workspace.root).as_posix(),
    }
    assert not there.exists() and not store.finished(lost.fingerprint)
    assert here.is_dir() and store.get(used.fingerprint).metrics == {"test/mcc": 0.5}
    assert found.num_bytes > 0
    assert survey(workspace, 0.0).things == ()


def test_what_is_young_stays(workspace: Workspace) -> None:
    finish(workspace, cell("lost"))
    corpus(workspace, "new")
    assert clear(workspace, 3600.0).things == ()
    assert len(survey(workspace, 0.0).things) == 2


def test_a_finished_run_keeps_its_model_its_best_and_what_others_began_with(
    workspace: Workspace,
) -> None:
    run = pretraining(workspace, "demo")
    content = corpus(workspace, "demo")
    losses = {10: 3.0, 20: 1.0, 30: 2.0, 40: 2.5, 50: None}
    models = {step: checkpoint(run, step, loss) for step, loss in losses.items()}
    say(run, "started", "finished")
    grown = say(pretraining(workspace, "demo", (run.id, 30)), "started", "interrupted")
    checkpoint(grown, 5)
    checkpoint(grown, 6)
    tuned = cell("x", initial=models[40])
    say(sweep(workspace, [tuned], [run.id]), "started")
    found = clear(workspace, 0.0)
    assert places(found, workspace) == {f"runs/{run.id}/checkpoints/step-000000010"}
    left = sorted(int(path.name[5:]) for path in run.checkpoints_path.iterdir())
    assert left == [20, 30, 40, 50]
    assert len(list(grown.checkpoints_path.iterdir())) == 2  # it can be resumed
    assert content.is_dir()


def test_a_run_that_never_came_to_a_checkpoint_goes_with_what_it_alone_used(
    workspace: Workspace,
) -> None:
    dead = say(pretraining(workspace, "alone"), "started", "failed")
    content = corpus(workspace, "alone")
    other = say(sweep(workspace, [cell("t")]), "started", "failed")
    found = clear(workspace, 0.0)
    assert not dead.path.exists() and not content.exists()
    assert [one.noun for one in found.things] == ["run", "corpus"]
    assert other.path.exists()  # a sweep goes on with what is missing


def test_a_workspace_that_was_moved_keeps_what_its_runs_name(
    workspace: Workspace, tmp_path: Path
) -> None:
    run = say(pretraining(workspace, "demo"), "started", "failed")
    checkpoint(run, 4)
    corpus(workspace, "demo")
    with run.open_writer("rank0") as rank0:
        path = str(run.checkpoints_path / "step-000000004")
        rank0.append("checkpoint", {"step": 4, "path": path, "bytes": 1, "seconds": 0.1})
    moved = Workspace(tmp_path / "elsewhere")
    shutil.move(workspace.root, moved.root)
    assert clear(moved, 0.0).things == ()


def test_a_run_that_somebody_drives_is_not_touched(workspace: Workspace) -> None:
    run = say(pretraining(workspace, "demo"), "started")
    with run.own():
        assert clear(workspace, 0.0).things == ()
    assert [one.noun for one in clear(workspace, 0.0).things] == ["run"]


def test_while_a_command_works_what_it_may_use_is_held_back(workspace: Workspace) -> None:
    lost = cell("lost")
    finish(workspace, lost)
    run = say(pretraining(workspace, "demo"), "started", "finished")
    for step in (1, 2):
        checkpoint(run, step, float(step))
    checkpoint(run, 3, 3.0)
    with shared(workspace.use_lock):
        found = clear(workspace, 0.0)
    assert {one.noun for one in found.things} == {"checkpoint"}
    assert [one.noun for one in found.held_back] == ["cell"]
    assert CellStore(workspace).finished(lost.fingerprint)
    assert [one.noun for one in clear(workspace, 0.0).things] == ["cell"]


def test_what_is_locked_by_its_owner_is_held_back(workspace: Workspace) -> None:
    folder = task(workspace, "lost")
    with exclusive(folder.parent / "lock"):
        found = clear(workspace, 0.0)
    assert found.things == () and [one.why for one in found.held_back] == ["somebody works on it"]
    assert folder.is_dir()


def test_with_a_run_that_cannot_be_read_only_leftovers_go(workspace: Workspace) -> None:
    finish(workspace, cell("lost"))
    broken = sweep(workspace, [cell("t")])
    broken.plan_path.write_text("{")
    over = say(sweep(workspace, [cell("u")]), "started", "finished")
    (over.path / "ray" / "cells").mkdir(parents=True)
    found = clear(workspace, 0.0)
    assert places(found, workspace) == {f"runs/{over.id}/ray"}
    assert [Path(one.where) for one in found.problems] == [broken.plan_path]
    output = command(workspace).output
    assert "plan.json" in output and "Nothing can go" in output


def test_a_run_that_lost_its_header_is_not_taken_for_none(workspace: Workspace) -> None:
    used = cell("used")
    finish(workspace, used)
    run = say(sweep(workspace, [used]), "started", "finished")
    (run.path / "run.json").unlink()
    found = clear(workspace, 0.0)
    assert found.things == ()
    assert [problem.where for problem in found.problems] == [str(run.path)]
    assert CellStore(workspace).finished(used.fingerprint)


def test_an_artefact_that_cannot_tell_what_it_is_stays(workspace: Workspace) -> None:
    (task(workspace, "odd") / "manifest.json").write_text("{}")
    (corpus(workspace, "odd") / "manifest.json").unlink()
    assert survey(workspace, 0.0).things == ()


def test_a_registered_vocabulary_stays_and_a_nameless_one_goes(workspace: Workspace) -> None:
    for name in ("a" * 16, "b" * 16):
        (workspace.vocabularies / "objects" / name).mkdir(parents=True)
    (workspace.vocabularies / "names").mkdir()
    record = {"name": "kmer6", "fingerprint": "a" * 64}
    (workspace.vocabularies / "names" / "kmer6.json").write_text(json.dumps(record))
    found = clear(workspace, 0.0)
    assert places(found, workspace) == {f"vocabularies/objects/{'b' * 16}"}


def test_nothing_changes_unless_it_is_asked_for(workspace: Workspace) -> None:
    lost = cell("lost")
    finish(workspace, lost)
    before = sorted(workspace.root.rglob("*"))
    output = command(workspace, "--keep-days", "0").output
    assert "1 cell, " in output
    assert "no run asks for it; a sweep that does computes it again" in output
    assert "Nothing was deleted; `gfmp gc --delete` does it." in output
    assert max(map(len, output.splitlines()[:1])) <= 80
    assert sorted(workspace.root.rglob("*")) == before
    listed = json.loads(command(workspace, "--keep-days", "0", "--delete", "--json").output)
    assert listed["deleted"] is True and listed["num_bytes"] > 0
    assert [one["noun"] for one in listed["things"]] == ["cell"]
    assert set(listed["things"][0]) == {"noun", "path", "num_bytes", "why"}
    assert not CellStore(workspace).finished(lost.fingerprint)
    assert "Nothing can go" in command(workspace, "--keep-days", "0").output


def test_a_workspace_that_is_not_there_is_not_made(workspace: Workspace) -> None:
    assert clear(workspace, 0.0) == Cleared((), (), ())
    assert survey(workspace, 0.0) == Cleared((), (), ())
    assert not workspace.root.exists()


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, str, tuple[int, ...]]]:
    """Runs: how each ended, and the numbers of its tasks or of its checkpoints."""
    ends = st.sampled_from(("finished", "failed", "interrupted", ""))
    numbers = st.lists(st.integers(0, 4), max_size=3, unique=True).map(tuple)
    kinds = st.sampled_from(("sweep", "pretrain"))
    return draw(st.lists(st.tuples(kinds, ends, numbers), max_size=5))


def build(workspace: Workspace, history: list[tuple[str, str, tuple[int, ...]]]) -> None:
    """Make a workspace with these runs and more than they need."""
    for number in range(5):
        task(workspace, f"t{number}")
        corpus(workspace, f"c{number}")
        finish(workspace, cell(f"t{number}"), cell(f"t{number}", seed=1))
    models = []
    for kind, end, numbers in history:
        if kind == "pretrain":
            run = pretraining(workspace, f"c{len(numbers)}")
            models += [(run.id, checkpoint(run, 1 + n, float(n))) for n in numbers]
        else:
            pinned = models[-1:]
            begun = [cell("t0", 7, model) for _, model in pinned]
            finish(workspace, *begun)
            cells = [cell(f"t{n}") for n in numbers]
            run = sweep(workspace, [*cells, *begun], [name for name, _ in pinned])
        say(run, "started", *([end] if end else []))


def whole(run: Run, workspace: Workspace) -> tuple[object, ...]:
    """Return all that is there of what a run refers to."""
    refers = references_of(run)
    tasks = {json.loads(p.read_bytes())["fingerprint"] for p in manifests(workspace.tasks)}
    corpora = {json.loads(p.read_bytes())["content_hash"] for p in manifests(workspace.corpora)}
    scores: object = None
    if run.header.kind == "sweep":
        found = results_of(run, CellStore(workspace))
        scores = {one.fingerprint: result.metrics for one, result in found.finished}
    newest = max((path.name for path in run.checkpoints_path.iterdir()), default="")
    return refers.tasks & tasks, refers.corpora & corpora, scores, newest


def manifests(folder: Path) -> list[Path]:
    return list(folder.glob("[!.]*/[!.]*/manifest.json"))


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(history=histories(), stop=st.integers(0, 30))
def test_whatever_was_done_and_whenever_it_is_killed_every_run_is_as_before(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[str, str, tuple[int, ...]]],
    stop: int,
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("w") / "workspace")
    build(workspace, history)
    planned = {one.path for one in survey(workspace, 0.0).things}
    stays = [run for run in RunStore(workspace).list() if str(run.path) not in planned]
    before = {run.id: whole(run, workspace) for run in stays}
    done: list[Path] = []

    def _killed(path: Path) -> Path:
        if len(done) == stop:
            raise StorageError("killed here")
        done.append(path)
        return set_aside(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(garbage, "set_aside", _killed)
        if stop < len(planned):
            with pytest.raises(StorageError, match="killed here"):
                clear(workspace, 0.0)
        else:
            clear(workspace, 0.0)
    assert {str(path) for path in done} <= planned
    left = {run.id: run for run in RunStore(workspace).list()}
    assert {name: whole(left[name], workspace) for name in before} == before
    clear(workspace, 0.0)
    assert not any(Path(place).exists() for place in planned)
    assert {name: whole(left[name], workspace) for name in before} == before
    assert survey(workspace, 0.0).things == ()
