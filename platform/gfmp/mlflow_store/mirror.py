"""Keeps one MLflow run equal to one gfmp run."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import GfmpError
from gfmp.ledger.events import Event
from gfmp.ledger.reader import Follower
from gfmp.ledger.run import Run
from gfmp.ledger.series import SeriesBook
from gfmp.ledger.status import Status
from gfmp.mlflow_store import payload
from gfmp.mlflow_store.address import tracking_uri
from gfmp.mlflow_store.artifacts import collect_files, upload, upload_folder
from gfmp.mlflow_store.client import Tracked, open_store, store_faults
from gfmp.mlflow_store.figures import draw_figures
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace

INTERVAL_SECONDS = 5.0
MAX_INTERVAL_SECONDS = 60.0
# Of one core, beside the training. A synchronisation that costs more comes less often.
CPU_SHARE = 0.005
FIGURE_SECONDS = 60.0
_LOCK_SECONDS = 30.0
OVER = (Status.FINISHED, Status.FAILED, Status.INTERRUPTED)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Synced:
    """What one synchronisation did.

    Attributes:
        run_id: Id of the gfmp run.
        mlflow_run_id: Id of the MLflow run.
        num_points: Metric points that were sent.
        num_files: Artifacts that were sent.
        status: MLflow's state of the run now.
        num_children: Cells of a sweep that were sent.
    """

    run_id: str
    mlflow_run_id: str
    num_points: int
    num_files: int
    status: str
    num_children: int = 0


class RunMirror(ABC):
    """Makes MLflow equal to the ledger of one run, once or as it grows.

    What MLflow already has is read from MLflow, never remembered on disk.
    """

    def __init__(self, run: Run, workspace: Workspace) -> None:
        self._run = run
        self._workspace = workspace
        self._uri = tracking_uri(workspace)
        self._tracked: Tracked | None = None
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why the last attempt of `follow` failed; empty when it did not."""
        return self._problem

    def sync(self) -> Synced:
        """Bring MLflow up to date once.

        Raises:
            ServiceError: the store cannot be reached or refuses; a later call catches up.
            LockedError: another process keeps this run in step already.
            CorruptArtefactError: the ledger is broken.
        """
        with self._lock():
            self._tracked = None  # another process may have sent points since
            return self._sync()

    def follow(self, stop: threading.Event) -> None:
        """Keep MLflow in step every few seconds until `stop` is set, then once more.

        Nothing is raised: a store that is down, or anything else that goes wrong here, must
        not touch the training. It is logged, kept in `problem` and tried again, ever more
        rarely. The run is locked meanwhile, so that `sync` elsewhere does not interfere.
        """
        delay = 0.0
        with contextlib.ExitStack() as held:
            while True:
                last = stop.wait(delay)
                before = time.thread_time()
                succeeded = self._attempt(held)
                cost = time.thread_time() - before
                delay = interval(cost) if succeeded else _backoff(delay)
                if last:
                    return

    def _attempt(self, held: contextlib.ExitStack) -> bool:
        try:
            if self._tracked is None:
                held.close()
                held.enter_context(self._lock())
            self._sync()
        except Exception as fault:  # a thread beside the training: report, never raise
            self._tracked = None
            problem = str(fault) if isinstance(fault, GfmpError) else repr(fault)
            if problem != self._problem:
                _log.warning("MLflow is behind the ledger of %s: %s", self._run.id, problem)
            self._problem = problem
            return False
        self._problem = ""
        return True

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        return exclusive(self._run.path / "mlflow.lock", wait_seconds=_LOCK_SECONDS)

    def _open(self) -> Tracked:
        header = self._run.header
        client = open_store(self._uri, self._workspace, header.name)
        found = Tracked.find(client, header.name, self._run.id)
        return found or Tracked.create(client, header.name, self._run.id, header.created_seconds)

    def _send_status(self, tracked: Tracked, status: Status, last: float) -> None:
        wanted = payload.mlflow_status(status)
        over = status in OVER
        end = int(last * 1000) if over else 0
        if tracked.status != wanted or (over and tracked.end_milliseconds != end):
            tracked.set_status(wanted, end)

    @abstractmethod
    def _sync(self) -> Synced:
        """Send what is missing; the lock of the run is held."""


class Mirror(RunMirror):
    """Makes the MLflow run of a training run equal to its ledger, again and again.

    MLflow cannot take a point back: when a resumed run computes a step again that was sent
    before, the first value stays there and the tag `gfmp.recomputed` names the steps; `rebuild`
    makes them equal.
    """

    def __init__(self, run: Run, workspace: Workspace) -> None:
        super().__init__(run, workspace)
        self._plan = run.plan_json()
        self._follower = Follower(run.ledger_path)
        self._book = SeriesBook(payload.step_filter(payload.planned_steps(self._plan)))
        self._latest: dict[str, Event] = {}
        self._drawn_at = time.monotonic()

    def rebuild(self) -> Synced:
        """Move the MLflow run to MLflow's trash and make it anew from the ledger.

        Raises:
            ServiceError, LockedError, CorruptArtefactError: see `sync`.
        """
        with self._lock():
            with store_faults(self._uri):
                self._open().delete()
            self._tracked = None
            return self._sync()

    def _sync(self) -> Synced:
        status = self._run.status()  # before reading, so that a final status has every event
        events = self._follower.poll()
        self._latest |= {event.kind: event for event in events}
        self._book.add(events)
        with store_faults(self._uri):
            tracked = self._tracked or self._open()
            num_points = self._send_numbers(tracked, status)
            num_files = self._send_files(tracked, status, num_points)
            last = max((event.time for event in self._latest.values()), default=0.0)
            self._send_status(tracked, status, last)
        self._tracked = tracked
        return Synced(self._run.id, tracked.id, num_points, num_files, tracked.status)

    def _send_numbers(self, tracked: Tracked, status: Status) -> int:
        params = payload.flat_params(self._plan)
        changed = payload.changed_params(tracked.params, params)
        tracked.send_params({k: v for k, v in params.items() if k not in tracked.params})
        curves = self._book.curves()
        if "report" in self._latest:
            curves |= payload.report_curves(self._latest["report"])
        if status is Status.FINISHED and self._run.header.kind == "pretrain":
            curves |= payload.goodput_curves(self._run)
        finite, nonfinite = payload.split_nonfinite(curves)
        tracked.send_tags(
            payload.header_tags(self._run)
            | payload.lineage_tags(self._plan)
            | payload.state_tags(status, self._run.lifecycle())
            | payload.latest_tags(self._latest, self._book.recomputed)
            | changed
            | nonfinite
        )
        corpus = payload.corpus_input(self._run, self._workspace, self._plan)
        if corpus is not None and not tracked.has_dataset:
            tracked.send_dataset(corpus)
        missing = tracked.missing(finite)
        tracked.send_metrics(missing)
        return len(missing)

    def _send_files(self, tracked: Tracked, status: Status, num_points: int) -> int:
        if self._must_draw(tracked, status, num_points):
            draw_figures(self._book, self._run.figures_path, self._run.id)
            self._drawn_at = time.monotonic()
        report = self._latest.get("report")
        with tempfile.TemporaryDirectory() as scratch:
            fields = report.fields if report else None
            sent = upload(tracked, collect_files(self._run, fields, Path(scratch)))
        return sent + upload_folder(tracked, self._run.path / "report", "report")

    def _must_draw(self, tracked: Tracked, status: Status, num_points: int) -> bool:
        if status not in OVER:
            return num_points > 0 and time.monotonic() - self._drawn_at > FIGURE_SECONDS
        news = num_points > 0 or tracked.status != payload.mlflow_status(status)
        return news or not any(self._run.figures_path.glob("*.png"))


def interval(cpu_seconds: float) -> float:
    """Return how long to wait after a synchronisation that cost so much."""
    return min(max(INTERVAL_SECONDS, cpu_seconds / CPU_SHARE), MAX_INTERVAL_SECONDS)


def _backoff(delay: float) -> float:
    return min(max(2 * delay, INTERVAL_SECONDS), MAX_INTERVAL_SECONDS)
