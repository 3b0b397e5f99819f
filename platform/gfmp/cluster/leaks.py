"""The leak audit of a sweep: before anything is run, and kept with it for its report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gfmp.cluster.inputs import RunInputs
from gfmp.cluster.sweep_inputs import SweepNames
from gfmp.errors import DataError, GfmpError, Problem
from gfmp.genome.corpus import Corpus
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.workspace import Workspace
from gfmp.tasks.audit import Audit, Overlap, across, audit, problems_across
from gfmp.tasks.exposure import Exposure, exposures
from gfmp.tasks.leaks import LeakReport, TaskLeaks
from gfmp.tasks.task import Task

FILE = "leaks.json"
Say = Callable[[str], None]


def audited(
    names: SweepNames, tasks: Mapping[str, Task], workspace: Workspace, say: Say
) -> LeakReport:
    """Audit every task of a sweep.

    Raises:
        DataError: the test rows of a task repeat rows it learns from, and the sweep does not
            say that it knows.
    """
    # Pools hold nothing that their members do not; what crosses into another task is below.
    own_tasks = {target.name: tasks[target.name] for target in names.every}
    found = {name: audit(task) for name, task in own_tasks.items()}
    pairs = {
        (source, name): across(tasks[source], tasks[name])
        for source, others in names.others().items()
        for name in others
    }
    _check_allowed(names, found, pairs)
    corpora, unknown = _corpora(names, workspace)
    seen: dict[str, list[Exposure]] = {name: [] for name in own_tasks}
    for corpus_name, corpus in corpora.items():
        for name, rows in _exposed(corpus_name, corpus, own_tasks, workspace, say).items():
            seen[name] += rows
    allowed = names.spec.allow_leaks
    own = [
        TaskLeaks(name, one.overlaps, tuple(seen[name]), name in allowed)
        for name, one in found.items()
    ]
    crossed = [
        TaskLeaks(f"{name}, by models of {source}", (one,), (), name in allowed)
        for (source, name), one in pairs.items()
    ]
    return LeakReport((*own, *crossed), unknown)


def record(run: Run, report: LeakReport) -> None:
    """Keep the audit with the run."""
    write_json(run.path / FILE, report.to_json())


def recorded(run: Run) -> LeakReport | None:
    """Return the audit that was kept with a run; None for one from before there were audits.

    Raises:
        CorruptArtefactError: it was changed.
    """
    path = run.path / FILE
    return LeakReport.from_json(read_json(path), str(path)) if path.is_file() else None


def _check_allowed(
    names: SweepNames, found: Mapping[str, Audit], pairs: Mapping[tuple[str, str], Overlap]
) -> None:
    problems: list[Problem] = []
    for target in names.every:
        if target.name in names.spec.allow_leaks:
            continue
        if target in names.targets:
            problems += found[target.name].problems(str(target.where), target.name)
        for (source, scored), one in pairs.items():
            if scored == target.name:
                problems += problems_across(one, str(target.where), source, scored)
    if problems:
        raise DataError.of(problems)


def _corpora(names: SweepNames, workspace: Workspace) -> tuple[dict[str, Corpus], tuple[str, ...]]:
    """Return what the initial models were pretrained on, and those of which it is not known."""
    found: dict[str, Corpus] = {}
    unknown = list(names.folders)
    for initial, model in names.pretrained.items():
        try:
            for corpus in _lineage(RunStore(workspace).get(model.run_id), workspace):
                found.setdefault(corpus.manifest.name, corpus)
        except GfmpError:
            # A corpus may be removed when its model is made; that is no reason to stop.
            unknown.append(initial)
    return found, tuple(unknown)


def _lineage(run: Run, workspace: Workspace) -> Iterator[Corpus]:
    """Yield the corpus of a run, then those of the runs it was grown from."""
    yield RunInputs.open(run.path).corpus
    parent = RunInputs.parent(run.path)
    if parent is not None:
        yield from _lineage(RunStore(workspace).get(parent.run_id), workspace)


def _exposed(
    name: str, corpus: Corpus, tasks: Mapping[str, Task], workspace: Workspace, say: Say
) -> dict[str, tuple[Exposure, ...]]:
    """Compare tasks with a corpus; what was compared before is not compared again."""
    paths = {n: _kept_path(workspace, task, corpus) for n, task in tasks.items()}
    kept = {n: rows for n, path in paths.items() if (rows := _kept(path))}
    new = {n: task for n, task in tasks.items() if n not in kept}
    if not new:
        return kept
    say(f"looking for {', '.join(new)} in the pretraining corpus {name}")
    made = exposures(name, corpus, new)
    for task, rows in made.items():
        listed = TypeAdapter(tuple[Exposure, ...]).dump_python(rows, mode="json")
        write_json(paths[task], {"format_version": 1, "exposures": listed})
    return {n: (kept | made)[n] for n in tasks}


def _kept_path(workspace: Workspace, task: Task, corpus: Corpus) -> Path:
    which = f"{task.fingerprint[:16]}-{corpus.fingerprint[:16]}"
    return workspace.tasks / task.name / f"exposure-{which}.json"


def _kept(path: Path) -> tuple[Exposure, ...]:
    """Return what was found before; nothing when it cannot be used."""
    if not path.is_file():
        return ()
    try:
        stored = read_json(path).get("exposures")
        return TypeAdapter(tuple[Exposure, ...]).validate_python(stored)
    except (GfmpError, ValidationError):
        return ()
