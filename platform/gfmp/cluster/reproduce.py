"""Repeating a finished run from its record alone, and comparing what came out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gfmp.cluster.inputs import RunInputs
from gfmp.errors import UsageError
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.storage.workspace import Workspace

_HASHES = ("step", "order_hash", "weights_hash")


@dataclass(frozen=True)
class Compared:
    """A run beside its repetition.

    Attributes:
        old: Id of the run.
        new: Id of its repetition.
        num_equal: Hashes and numbers of the report that are equal, bit for bit.
        differences: `name: old -> new` of all that are not.
        surroundings: The same of code, libraries, machine and placement, which may explain it.
    """

    old: str
    new: str
    num_equal: int
    differences: tuple[str, ...]
    surroundings: tuple[str, ...]


def repeat(old: Run, workspace: Workspace, command_line: tuple[str, ...]) -> Run:
    """Create a run with the plan and the inputs of a finished one; nothing is looked up by name.

    Raises:
        UsageError: there is nothing to compare with yet, or it is a sweep.
        CorruptArtefactError: corpus, vocabularies or plan are no longer what the run used.
    """
    if old.header.kind != "pretrain":
        raise UsageError(
            f"run {old.id} is a {old.header.kind} run",
            where=str(old.path),
            why="the cells of a sweep are shared, so its repetition would find them finished",
            fix="run its job in another workspace: gfmp sweep JOB --workspace FOLDER",
        )
    if old.status() is not Status.FINISHED:
        raise UsageError(
            f"run {old.id} is {old.status()}",
            where=str(old.path),
            why="only a finished run has weights and a report to compare with",
            fix=old.resume_command,
        )
    inputs = RunInputs.open(old.path)
    header = old.header

    def _inputs(folder: Path) -> None:
        job_path, parent = RunInputs.job_path(old.path), RunInputs.parent(old.path)
        RunInputs.save(folder, inputs.corpus, inputs.ensemble, job_path, parent)

    return RunStore(workspace).create(
        NewRun(
            name=header.name,
            kind=header.kind,
            seed=header.seed,
            what_fingerprint=header.what_fingerprint,
            spec=old.spec_path.read_bytes(),
            plan=old.plan_json(),
            command_line=command_line,
        ),
        _inputs,
    )


def compare(old: Run, new: Run) -> Compared:
    """Compare two finished runs: every hash and every number of their reports."""
    before, after = _results(old), _results(new)
    # What tells most comes first.
    names = [*_HASHES, *sorted((before.keys() | after.keys()) - set(_HASHES))]
    differences = [
        f"{name}: {before.get(name)} -> {after.get(name)}"
        for name in names
        if not _equal(before.get(name), after.get(name))
    ]
    return Compared(
        old.id,
        new.id,
        len(names) - len(differences),
        tuple(differences),
        tuple(_differs(_surroundings(old), _surroundings(new))),
    )


def _equal(before: object, after: object) -> bool:
    if isinstance(before, float) and isinstance(after, float) and math.isnan(before):
        return math.isnan(after)
    return before == after


def _results(run: Run) -> dict[str, object]:
    outcome = run.events("outcome")[-1].fields
    report = run.report() or {}
    numbers = {name: value for name, value in report.items() if name.startswith("report/")}
    return {name: outcome[name] for name in _HASHES} | numbers


def _surroundings(run: Run) -> dict[str, object]:
    made = run.header.provenance
    started = [event.fields for event in run.events("started")]
    segments = [(f.get("workers"), f.get("engine")) for f in started]
    return {
        "git": f"{made.git.revision[:12]} ({made.git.state})",
        "python": made.python,
        "platform": made.platform,
        "workers and engine": sorted(set(segments)),
        **{f"library {name}": version for name, version in made.libraries.items()},
    }


def _differs(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return [
        f"{name}: {before.get(name)} -> {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
