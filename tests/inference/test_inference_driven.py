"""Runs without Ray: owned, told and ended alike, whatever their driver computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from inference_samples import World

from gfmp.cluster.driven import Driver, PlannedJob, Telling
from gfmp.errors import DataError, ExistsError, InterruptedRunError, LockedError
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.spec.load import overridden
from gfmp.storage.atomic import read_json
from gfmp.storage.documents import load_document


@dataclass
class Lines:
    """A console that remembers."""

    said: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Remember."""
        self.said.append(line)

    def event(self, event: Event) -> None:
        """Remember."""
        self.events.append(event)


def created(world: World) -> Run:
    document = world.document(world.row("chr1", 100))
    plan = world.plan(world.row("chr1", 100))
    job = PlannedJob(plan, 3, document, world.workspace, ("gfmp", "submit"))
    return job.run(overridden(document, ("window_bp=32",)))


def test_a_run_keeps_what_its_job_was(world: World) -> None:
    run = created(world)
    assert (run.header.kind, run.header.seed, run.status()) == ("variant_effect", 3, Status.PLANNED)
    assert run.plan_json()["what_fingerprint"] == run.header.what_fingerprint
    assert load_document(run.spec_path).value["window_bp"] == 32, "the job as it is kept"
    assert read_json(run.path / "inputs.json")["job_path"] == str(world.folder / "job.yaml")


def test_a_run_fails_is_stopped_and_ends_by_what_its_work_does(world: World) -> None:
    run, lines = created(world), Lines()

    def _driven(work: Callable[[Telling], bool]) -> Run:
        return Driver(world.workspace, lines, work, {"engine": "cpu"}).drive(run)

    def _fails(telling: Telling) -> bool:
        assert run.status() is Status.RUNNING and not telling.stopping()
        with pytest.raises(LockedError):
            _driven(_fails)
        raise DataError("a row is wrong", where="x:1", why="rows are right", fix="correct it")

    def _is_stopped(telling: Telling) -> bool:
        run.request_stop()
        return not telling.stopping()

    def _ends(telling: Telling) -> bool:
        telling.say("surveyed", {"records": 1})
        return True

    with pytest.raises(DataError, match="a row is wrong"):
        _driven(_fails)
    assert run.status() is Status.FAILED
    with pytest.raises(InterruptedRunError, match="stop request"):
        _driven(_is_stopped)
    assert run.status() is Status.INTERRUPTED
    assert _driven(_ends).status() is Status.FINISHED
    started = [event.fields for event in run.events("started")]
    assert started == [{"segment": n, "workers": 1, "engine": "cpu"} for n in range(3)]
    kinds = ["started", "started", "started", "surveyed", "finished"]
    assert [event.kind for event in lines.events] == kinds, "endings with an error are its own"
    with pytest.raises(ExistsError, match="is finished") as caught:
        _driven(_ends)
    assert run.id in caught.value.problems[0].fix
