"""MLflow fails at any call, or answers and is not heard: the next sync makes it equal."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gfmp.errors import ServiceError
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.mlflow_store import payload
from gfmp.mlflow_store.client import MAX_TEXTS_PER_BATCH, Tracked, open_store
from gfmp.mlflow_store.mirror import Mirror, Synced
from gfmp.mlflow_store.sweeps import sync_workspace
from gfmp.storage.atomic import write_json
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

Compute = Callable[[Run, Iterable[int], int], None]
CALLS = ("create_run", "log_batch", "log_inputs", "log_artifact", "set_terminated", "update_run")
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Workspace:
    """One store for the module: making or copying one costs more than a test."""
    workspace = Workspace(tmp_path_factory.mktemp("shared"))
    shutil.copy(empty_database, workspace.mlflow_database)
    return workspace


@pytest.fixture
def client(shared: Workspace) -> MlflowClient:
    return open_store(f"sqlite:///{shared.mlflow_database}", shared)


@pytest.fixture
def fresh(shared: Workspace) -> Iterator[Run]:
    """A run in an experiment of its own; its folder goes when the test ends."""
    name = f"demo{next(NUMBERS)}"
    spec = f"kind: pretrain\nname: {name}\ncorpus: specs/corpora/demo.yaml\n".encode()
    plan = {"what": {"steps": 3, "corpus": "ab" * 32}, **{f"k{i}": i for i in range(120)}}
    run = RunStore(shared).create(NewRun(name, "pretrain", 7, "3f9a" * 16, spec, plan, ("gfmp",)))
    yield run
    shutil.rmtree(run.path)


def content(client: MlflowClient, synced: Synced) -> dict[str, object]:
    """All that a run holds in MLflow, with its own ids and times left out."""
    found = client.get_run(synced.mlflow_run_id)
    history = {
        name: [(m.step, m.value) for m in client.get_metric_history(found.info.run_id, name)]
        for name in found.data.metrics
    }
    tags = {k: v for k, v in found.data.tags.items() if k not in ("mlflow.user",)}
    names = sorted(f.path for f in client.list_artifacts(found.info.run_id))
    inputs = [(i.dataset.name, i.dataset.digest) for i in found.inputs.dataset_inputs]
    return {
        "history": history,
        "params": dict(found.data.params),
        "tags": tags,
        "artifacts": names,
        "inputs": inputs,
        "state": (found.info.status, found.info.end_time),
    }


def active(client: MlflowClient, run: Run) -> int:
    experiment = client.get_experiment_by_name(run.header.name)
    return len(client.search_runs([experiment.experiment_id])) if experiment else 0


class Outage:
    """MLflow's client breaks at call number `at`, before or after the store did its part."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, heard: bool) -> None:
        from mlflow import MlflowClient

        self.seen: list[str] = []
        for name in CALLS:
            real = getattr(MlflowClient, name)
            patch.setattr(MlflowClient, name, self._wrapped(name, real, at, heard))

    def _wrapped(
        self, name: str, real: Callable[..., object], at: int, heard: bool
    ) -> Callable[..., object]:
        from mlflow.exceptions import MlflowException

        def call(*arguments: object, **options: object) -> object:
            self.seen.append(name)
            if len(self.seen) == at and not heard:
                raise MlflowException("the line is dead")
            answer = real(*arguments, **options)
            if len(self.seen) == at:
                raise MlflowException("the answer was lost")
            return answer

        return call


def record(run: Run) -> None:
    with run.own(), run.open_writer("driver") as driver, run.open_writer("rank0") as rank0:
        driver.append("started", {"workers": 2})
        for step in (1, 2, 3):  # names without a panel, because figures are drawn elsewhere
            rank0.append("step", {"step": step, "entropy": 1.0 / step})
        driver.append("interrupted", {"step": 3})


def calls_of(run: Run, workspace: Workspace) -> tuple[list[str], Synced]:
    with pytest.MonkeyPatch.context() as patch:
        outage = Outage(patch, 0, heard=True)
        synced = Mirror(run, workspace).sync()
    return outage.seen, synced


def survive(run: Run, workspace: Workspace, at: int, heard: bool) -> Synced:
    """Let the call number `at` of a first sync fail, and sync again."""
    mirror = Mirror(run, workspace)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ServiceError) as caught:
        Outage(patch, at, heard)
        mirror.sync()
    assert ("lost" if heard else "dead") in caught.value.problems[0].message
    return mirror.sync()


def check_outages(
    run: Run, workspace: Workspace, client: MlflowClient, heard: bool, each: bool
) -> None:
    record(run)
    calls, synced = calls_of(run, workspace)
    assert set(calls) == {*CALLS} - {"update_run"}
    expected = content(client, synced)
    assert expected["history"] == {"entropy": [(1, 1.0), (2, 0.5), (3, 1.0 / 3)]}
    assert expected["inputs"] == [("demo", "ab" * 16)]
    for at, name in enumerate(calls, 1):
        if each or name not in calls[: at - 1]:
            client.delete_run(synced.mlflow_run_id)
            synced = survive(run, workspace, at, heard)
            assert content(client, synced) == expected, (at, name)
            assert active(client, run) == 1


def test_a_lost_answer_of_each_kind_is_made_good_by_the_next_sync(
    shared: Workspace, client: MlflowClient, fresh: Run
) -> None:
    check_outages(fresh, shared, client, heard=True, each=False)


@pytest.mark.long
@pytest.mark.parametrize("heard", [False, True])
def test_whatever_call_fails_the_next_sync_makes_it_equal(
    shared: Workspace, client: MlflowClient, fresh: Run, heard: bool
) -> None:
    check_outages(fresh, shared, client, heard, each=True)


LIFECYCLES = {
    (): "SCHEDULED",
    ("started",): "KILLED",
    ("started", "restarted"): "KILLED",
    ("started", "finished"): "FINISHED",
    ("started", "failed"): "FAILED",
    ("started", "interrupted"): "KILLED",
    ("started", "failed", "started", "finished"): "FINISHED",
}


@pytest.mark.parametrize("kinds", list(LIFECYCLES))
def test_every_lifecycle_has_its_state_and_its_end(
    shared: Workspace, client: MlflowClient, fresh: Run, kinds: tuple[str, ...]
) -> None:
    with fresh.own(), fresh.open_writer("driver") as driver:
        events = [driver.append(kind, {"error": "x"}) for kind in kinds]
        if not {"finished", "failed", "interrupted"} & set(kinds):
            alive = Mirror(fresh, shared).sync()
            assert alive.status == "RUNNING"
            assert client.get_run(alive.mlflow_run_id).info.end_time is None
    synced = Mirror(fresh, shared).sync()
    found = client.get_run(synced.mlflow_run_id)
    assert found.info.status == synced.status == LIFECYCLES[kinds]
    ended = int(events[-1].time * 1000) if kinds else None
    assert found.info.end_time == ended
    assert found.data.tags["gfmp.status"] == str(fresh.status())
    assert ("gfmp.error" in found.data.tags) == (synced.status == "FAILED")


def test_a_run_that_goes_on_after_its_end_is_running_again(
    shared: Workspace, client: MlflowClient, fresh: Run
) -> None:
    record(fresh)
    first = Mirror(fresh, shared).sync()
    with fresh.own(), fresh.open_writer("driver") as driver:
        driver.append("started", {"workers": 1})
        again = Mirror(fresh, shared).sync()
        assert (again.mlflow_run_id, again.status) == (first.mlflow_run_id, "RUNNING")
        assert client.get_run(first.mlflow_run_id).data.tags["gfmp.restarts"] == "1"


def test_a_long_run_is_thinned_the_same_mirrored_early_or_late(
    shared: Workspace, client: MlflowClient, fresh: Run
) -> None:
    write_json(fresh.plan_path, {"what": {"steps": 5000}})
    growing = Mirror(fresh, shared)
    with fresh.open_writer("rank0") as rank0:
        for step in range(1, 5001):
            rank0.append("step", {"step": step, "entropy": float(step)})
            if step == 700:
                early = growing.sync()
    late = growing.sync()
    history = client.get_metric_history(late.mlflow_run_id, "entropy")
    kept = list(filter(payload.step_filter(5000), range(1, 5001)))
    assert [(m.step, m.value) for m in history] == [(s, float(s)) for s in kept]
    assert early.num_points == sum(s <= 700 for s in kept)
    assert early.num_points + late.num_points == len(kept) <= payload.MAX_POINTS_PER_CURVE
    assert Mirror(fresh, shared).sync().num_points == 0


def test_long_and_empty_words_are_no_changes_at_a_resume(
    shared: Workspace, client: MlflowClient, fresh: Run
) -> None:
    plan = {"long": "n" * 7000, "exact": "x" * 6000, "empty": "", "word": "a\nb"}
    write_json(fresh.plan_path, plan)
    synced = Mirror(fresh, shared).sync()
    write_json(fresh.plan_path, {**plan, "word": "c"})
    Mirror(fresh, shared).sync()
    found = client.get_run(synced.mlflow_run_id).data
    assert {k: len(v) for k, v in found.params.items()} == {
        "long": 6000,
        "exact": 6000,
        "empty": 0,
        "word": 3,
    }
    resumed = {k: v for k, v in found.tags.items() if k.startswith("gfmp.resume.")}
    assert resumed == {"gfmp.resume.word": "a\nb -> c"}


@pytest.mark.parametrize("number", [MAX_TEXTS_PER_BATCH, MAX_TEXTS_PER_BATCH + 1])
def test_words_travel_in_whole_batches(
    shared: Workspace, client: MlflowClient, fresh: Run, number: int
) -> None:
    found = Tracked.find(
        open_store(f"sqlite:///{shared.mlflow_database}", shared, fresh.header.name),
        fresh.header.name,
        fresh.id,
    )
    assert found is None
    tracked = Tracked.create(client, fresh.header.name, fresh.id, 5.0)
    words = {f"w{i}": str(i) for i in range(number)}
    tracked.send_params(words)
    tracked.send_tags(words)
    kept = client.get_run(tracked.id)
    assert kept.data.params == words
    assert words.items() <= kept.data.tags.items()
    assert kept.info.start_time == 5000
    again = Tracked.find(client, fresh.header.name, fresh.id)
    assert again is not None
    assert (again.id, again.params, again.end_milliseconds) == (tracked.id, words, 0)


def test_only_files_that_changed_travel_again(
    shared: Workspace, client: MlflowClient, fresh: Run
) -> None:
    mirror = Mirror(fresh, shared)
    first = mirror.sync()
    assert first.num_files == 3
    (fresh.figures_path / "loss.png").write_bytes(b"a picture")
    with fresh.open_writer("rank0") as rank0:
        rank0.append("report", {"step": 3, "final": 0.5, "checks": []})
    assert mirror.sync().num_files == 3  # the figure and both reports
    with fresh.open_writer("rank0") as rank0:
        rank0.append("report", {"step": 3, "final": 0.25, "checks": []})
    assert mirror.sync().num_files == 2
    assert mirror.sync().num_files == 0
    local = Path(client.download_artifacts(first.mlflow_run_id, "report.json"))
    assert json.loads(local.read_text())["final"] == 0.25
    names = [f.path for f in client.list_artifacts(first.mlflow_run_id, "figures")]
    assert names == ["figures/loss.png"]


def test_rebuilding_leaves_one_run_and_the_old_ones_in_the_trash(
    shared: Workspace, client: MlflowClient, fresh: Run
) -> None:
    record(fresh)
    mirror = Mirror(fresh, shared)
    made = [mirror.rebuild(), mirror.rebuild(), mirror.sync()]
    assert made[0].mlflow_run_id != made[1].mlflow_run_id == made[2].mlflow_run_id
    assert (made[1].num_points, made[2].num_points) == (3, 0)
    assert active(client, fresh) == 1
    assert client.get_run(made[0].mlflow_run_id).info.lifecycle_stage == "deleted"


def test_a_deleted_experiment_is_an_error_until_it_is_restored(
    shared: Workspace, client: MlflowClient, fresh: Run
) -> None:
    record(fresh)
    before = Mirror(fresh, shared).sync()
    experiment = client.get_experiment_by_name(fresh.header.name)
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(ServiceError, match="MLflow refuses") as caught:
        Mirror(fresh, shared).sync()
    assert str(shared.mlflow_database) in caught.value.problems[0].where
    client.restore_experiment(experiment.experiment_id)
    assert Mirror(fresh, shared).sync().status == before.status


def test_two_runs_of_one_name_share_an_experiment_and_nothing_else(
    shared: Workspace, client: MlflowClient, fresh: Run
) -> None:
    spec, header = fresh.spec_path.read_bytes(), fresh.header
    new = NewRun(header.name, "pretrain", 7, header.what_fingerprint, spec, {}, ("gfmp",))
    other = RunStore(shared).create(new)
    record(fresh)
    done, failed = sync_workspace(shared)
    shutil.rmtree(other.path)
    assert failed == ()
    by_id = {synced.run_id: synced for synced in done}
    assert {fresh.id, other.id} <= set(by_id)
    assert (by_id[fresh.id].num_points, by_id[other.id].num_points) == (3, 0)
    assert (by_id[fresh.id].status, by_id[other.id].status) == ("KILLED", "SCHEDULED")
    assert active(client, fresh) == 2


def test_a_workspace_without_runs_needs_no_store(tmp_path: Path) -> None:
    assert sync_workspace(Workspace(tmp_path)) == ((), ())
    assert list(tmp_path.iterdir()) == []
