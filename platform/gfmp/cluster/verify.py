"""Whether everything runs rest on is still as it was written; reads all of it, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gfmp.cluster.inputs import RunInputs
from gfmp.errors import CorruptArtefactError, GfmpError, MissingInputError, Problem
from gfmp.ledger.cells import CellStore
from gfmp.ledger.run import Run
from gfmp.plan.motifs import KIND as MOTIFS
from gfmp.plan.motifs import MotifPlan
from gfmp.storage.workspace import Workspace
from gfmp.training.history import newest_commit
from gfmp.training.manifest import COMMITTED_PATTERN, directory_name
from gfmp.training.manifest import verify as verify_checkpoint


@dataclass(frozen=True)
class Verified:
    """What was looked at of one run, or of what several share.

    Attributes:
        name: Run id, or the path of what several share.
        checked: What was compared, one line each.
        problems: What is damaged or gone.
    """

    name: str
    checked: tuple[str, ...]
    problems: tuple[Problem, ...]


def verify_runs(runs: Sequence[Run], workspace: Workspace) -> tuple[Verified, ...]:
    """Verify runs, and each corpus they were trained on once."""
    corpora: dict[Path, RunInputs] = {}
    found = [_verify_run(run, workspace, corpora) for run in runs]
    for path, inputs in corpora.items():
        lines, problems = _attempts([("every shard", inputs.corpus.verify)])
        found.append(Verified(str(path), lines, problems))
    return tuple(found)


def _verify_run(run: Run, workspace: Workspace, corpora: dict[Path, RunInputs]) -> Verified:
    calls: list[tuple[str, Callable[[], object]]] = [("ledger", run.contents)]
    if run.header.kind == "pretrain":

        def _inputs() -> None:
            inputs = RunInputs.open(run.path)
            corpora.setdefault(inputs.corpus.path, inputs)

        calls += [("plan", run.plan), ("inputs", _inputs), *_checkpoints(run)]
    elif run.header.kind == MOTIFS:
        calls.append(("plan", lambda: MotifPlan.from_json(run.plan_json(), str(run.plan_path))))
    else:
        calls += _cells(run, CellStore(workspace))
    lines, problems = _attempts(calls)
    return Verified(run.id, lines, problems)


def _checkpoints(run: Run) -> Iterator[tuple[str, Callable[[], object]]]:
    def _newest() -> None:
        step = newest_commit(run)
        if step and not (run.checkpoints_path / directory_name(step)).is_dir():
            raise MissingInputError(
                f"the checkpoint of step {step:,} is gone",
                where=str(run.checkpoints_path),
                why="the ledger says that it was committed",
                fix="restore it from a backup; a resume goes on from an older one if there is one",
            )

    yield "newest commit", _newest
    for path in sorted(run.checkpoints_path.glob(COMMITTED_PATTERN)):
        yield path.name, partial(verify_checkpoint, path)


def _cells(run: Run, store: CellStore) -> Iterator[tuple[str, Callable[[], object]]]:
    for event in run.events("cell"):
        cell = str(event.fields.get("cell", ""))
        yield f"cell {cell[:12]}", partial(_cell, store, cell)


def _cell(store: CellStore, cell: str) -> None:
    if not store.finished(cell):
        raise CorruptArtefactError(
            f"the result of cell {cell[:12]} is gone",
            where=str(store.path(cell)),
            why="the ledger says that it was finished",
            fix="run the sweep again with --resume",
        )
    store.get(cell)


def _attempts(
    calls: Sequence[tuple[str, Callable[[], object]]],
) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    lines: list[str] = []
    problems: list[Problem] = []
    for name, call in calls:
        try:
            call()
            lines.append(f"{name}: as it was written")
        except GfmpError as fault:
            lines.append(f"{name}: {fault.problems[0].message}")
            problems.extend(fault.problems)
    return tuple(lines), tuple(problems)
