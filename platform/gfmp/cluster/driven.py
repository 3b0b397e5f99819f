"""Runs that their driver computes by itself, without Ray: owned, mirrored and told to their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from gfmp.cluster.closing import close_killed
from gfmp.cluster.litter import end_predecessor
from gfmp.cluster.mirror import mirrored
from gfmp.cluster.submit import recorded_text
from gfmp.cluster.watch import Console, StopSignal, interruption, last_word
from gfmp.errors import ExistsError
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.ledger.writer import LedgerWriter
from gfmp.plan.stored import StoredPlan
from gfmp.storage.atomic import write_json
from gfmp.storage.documents import Document
from gfmp.storage.workspace import Workspace

_INPUTS = "inputs.json"
AnyPlan = TypeVar("AnyPlan", bound=StoredPlan)


@dataclass(frozen=True)
class PlannedJob(Generic[AnyPlan]):
    """A planned job on its way to becoming a run.

    Attributes:
        plan: What it does.
        seed: Recorded.
        document: The YAML it came from, with `--set` applied.
        workspace: Where everything goes.
        command_line: How gfmp was called.
    """

    plan: AnyPlan
    seed: int
    document: Document
    workspace: Workspace
    command_line: tuple[str, ...]

    def run(self, kept: Document) -> Run:
        """Create its run, which keeps the job as `kept`: what it names is found from anywhere."""
        plan = self.plan
        new = NewRun(
            name=plan.name,
            kind=plan.KIND,
            seed=self.seed,
            what_fingerprint=plan.what.fingerprint,
            spec=recorded_text(kept),
            plan=plan.to_json(),
            command_line=self.command_line,
        )
        inputs = {"format_version": 1, "job_path": str(self.document.path.resolve())}
        store = RunStore(self.workspace)
        return store.create(new, lambda folder: write_json(folder / _INPUTS, inputs))


@dataclass(frozen=True)
class Telling:
    """Writes into the ledger of a run and shows to a person."""

    run: Run
    ledger: LedgerWriter
    console: Console

    def say(self, kind: str, fields: Mapping[str, object]) -> None:
        """Record an event and show it."""
        self.console.event(self.ledger.append(kind, fields))

    def stopping(self) -> bool:
        """Return True when somebody asked the run to stop."""
        return self.run.stop_requested()


@dataclass(frozen=True)
class Driver:
    """Computes a run.

    Attributes:
        workspace: Holds the runs.
        console: Shows how it goes.
        work: Does what is not done yet; returns False when it was stopped before its end.
        beginning: What the ledger says of every start.
    """

    workspace: Workspace
    console: Console
    work: Callable[[Telling], bool]
    beginning: Mapping[str, object]

    def drive(self, run: Run) -> Run:
        """Bring a run to its end and return it.

        Raises:
            ExistsError: it is finished.
            LockedError: another process drives it.
            InterruptedRunError: it was stopped and can be resumed.
            GfmpError: what the work raises; the run failed.
        """
        if run.status() is Status.FINISHED:
            raise ExistsError(
                f"run {run.id} is finished",
                where=str(run.path),
                why="a finished run is never changed",
                fix=f"gfmp report {run.id} shows what it found; its job submitted again is new",
            )
        began, say = time.monotonic(), self.console.say
        with run.own() as before, StopSignal(run) as signals:
            end_predecessor(run, before)
            with mirrored(run, self.workspace, say), run.open_writer("driver") as ledger:
                close_killed(self.workspace, run)
                telling = Telling(run, ledger, self.console)
                telling.say("started", {"segment": ledger.segment, "workers": 1, **self.beginning})
                with last_word(run, ledger, signals):
                    complete = self.work(telling)
                if not complete:
                    ledger.append("interrupted", {"step": 0, "signal": signals.name})
                    raise interruption(run, signals.name)
                telling.say("finished", {"seconds": round(time.monotonic() - began, 3)})
        return run
