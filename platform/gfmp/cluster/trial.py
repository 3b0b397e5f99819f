"""One trial of a sweep: the cells of one task, vocabulary and initial model, one after another."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gfmp.cluster.halving import EPOCH_EVENT
from gfmp.errors import GfmpError
from gfmp.ledger.cells import CellResult, CellStore
from gfmp.ledger.run import Run
from gfmp.ledger.sweep import unended_starts
from gfmp.plan.cells import Cell
from gfmp.spec.vocabularies import parts
from gfmp.storage.workspace import Workspace
from gfmp.tasks.strata import contents_digest
from gfmp.tasks.subsets import order

if TYPE_CHECKING:
    from gfmp.tasks.task import Task

# A cell that needs more memory than there is kills every worker that comes to it.
MOST_DEATHS_OF_A_CELL = 5
_NO_ROWS = np.zeros(0, dtype=np.int64)
Fields = Mapping[str, object]
Report = Callable[[str, Fields], None]


class CellLearner(Protocol):
    """What learns the cells of one trial and shares work between them."""

    def run(self, cell: Cell, rows: NDArray[np.int64]) -> CellResult:
        """Learn one cell from these rows of `task.train` and score it."""
        ...


@dataclass(frozen=True)
class Materials:
    """References to what trials share, in Ray's object store.

    Attributes:
        tasks: Task name -> task.
        tokens: (task, single vocabulary) -> tokens.
        initials: (initial, vocabulary or several by their one name) -> initial model.
    """

    tasks: Mapping[str, Any]
    tokens: Mapping[tuple[str, str], Any]
    initials: Mapping[tuple[str, str], Any]


@dataclass(frozen=True)
class TrialJob:
    """What a trial works on.

    Attributes:
        cells: Its unfinished cells, in order.
        run_folder: The sweep.
        workspace: Where results go.
        threads: CPU threads of the trial.
        models: Folder for fine-tuned models, named by their cells; None keeps none.
        search: Search whose ASHA may stop its one cell between epochs; empty for all others.
    """

    cells: tuple[Cell, ...]
    run_folder: Path
    workspace: Workspace
    threads: int
    models: Path | None = None
    search: str = ""

    def finished(self, cell: Cell) -> bool:
        """Return True when a cell has all it is asked for: a result, and a model where kept."""
        kept = self.models is None or (self.models / cell.fingerprint[:12]).is_dir()
        return kept and CellStore(self.workspace).finished(cell.fingerprint)


def run_trial(job: TrialJob, materials: Materials, report: Report) -> None:
    """Run the cells that have no result yet, until the sweep is asked to stop.

    A cell that fails is reported and does not touch the others; neither does one that takes its
    worker with it, which is given up after a few attempts.
    """
    import torch

    torch.set_num_threads(job.threads)
    store, run = CellStore(job.workspace), Run.open(job.run_folder)
    learner: CellLearner | None = None
    task = fetched(materials.tasks[job.cells[0].task.name])
    for cell, rows in _with_rows(job.cells, task):
        if run.stop_requested():
            return
        if job.finished(cell):
            continue
        if (deaths := unended_starts(run, cell.fingerprint)) >= MOST_DEATHS_OF_A_CELL:
            error = f"its worker died {deaths} times while it computed this cell"
            report("cell_failed", {"cell": cell.fingerprint, "error": error})
            continue
        report("cell_started", _axes(cell))
        began = time.monotonic()
        try:
            learner = learner or _learner(job, task, materials, report)
            result = learner.run(cell, rows)
            store.put(result, cell.to_json())
        except Exception as fault:  # one cell must not cost the others
            logging.getLogger(__name__).exception("cell %s failed", cell.fingerprint)
            report("cell_failed", {"cell": cell.fingerprint, "error": _words(fault)})
            continue
        seconds = round(time.monotonic() - began, 3)
        found = {"cell": cell.fingerprint, "seconds": seconds, "reused": False}
        report("cell", {**result.metrics, **found})


def _with_rows(cells: tuple[Cell, ...], task: Task) -> Iterator[tuple[Cell, NDArray[np.int64]]]:
    orders: dict[int, NDArray[np.int64]] = {}
    for cell in cells:
        if cell.seed not in orders:
            orders[cell.seed] = order(task.train, task.target, cell.seed)
        rows = orders[cell.seed][: cell.num_rows]
        assert contents_digest(task.train.take(rows)) == cell.subset, "subsets are repeatable"
        yield cell, rows


def _learner(job: TrialJob, task: Task, materials: Materials, report: Report) -> CellLearner:
    key = job.cells[0].trial
    # Cells of one task are scored on the same others.
    others = tuple(fetched(materials.tasks[one.name]) for one in job.cells[0].also_on)
    if key.baseline == "kmer":
        from gfmp.learners.kmer import KmerTrial

        return KmerTrial(task, others=others)
    if key.baseline == "cnn":
        from gfmp.learners.cnn import CnnTrial

        network = CnnTrial(task, others=others)
        if job.search:
            network.watched_by(_asking(job, report))
        return network
    from gfmp.learners.encoder_trial import EncoderTrial

    names = parts(key.vocabulary)
    tokens = tuple(fetched(materials.tokens[key.task, name]) for name in names)
    initial = fetched(materials.initials[key.initial, key.vocabulary])
    trial = EncoderTrial(task, tokens, initial, job.threads, models=job.models)
    for one in others:
        trial.also_on(one, tuple(fetched(materials.tokens[one.name, name]) for name in names))
    probed = [rows for cell, rows in _with_rows(job.cells, task) if cell.learner.kind == "probe"]
    trial.prepare(np.unique(np.concatenate([_NO_ROWS, *probed])))
    if job.search:
        trial.watched_by(_asking(job, report))
    return trial


def _asking(job: TrialJob, report: Report) -> Callable[[int, float], None]:
    """Return who asks ASHA before an epoch; `report` does not return when it says stop."""
    names = {"search": job.search, "cell": job.cells[0].fingerprint}

    def _ask(epochs: int, score: float) -> None:
        report(EPOCH_EVENT, {**names, "epochs": epochs, "score": score})

    return _ask


def _axes(cell: Cell) -> dict[str, object]:
    return {
        "cell": cell.fingerprint,
        "task": cell.task.name,
        "model": cell.model,
        "label_percent": cell.label_percent,
        "seed": cell.seed,
    }


def _words(fault: Exception) -> str:
    text = str(fault) if isinstance(fault, GfmpError) else f"{type(fault).__name__}: {fault}"
    return text[:1000]


def fetched(reference: Any) -> Any:  # noqa: ANN401 - Ray is untyped
    """Return what a reference stands for.

    Raises:
        GfmpError: making it failed so, of its own class; Ray's wrapping hides it from people.
    """
    import ray
    from ray.exceptions import RayTaskError

    try:
        return ray.get(reference)
    except RayTaskError as fault:
        if isinstance(fault.cause, GfmpError):
            raise fault.cause from fault
        raise
