"""What differs between runs, in what was planned and in what came out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pydantic import TypeAdapter

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.cells import CellStore
from gfmp.ledger.goodput import goodput
from gfmp.ledger.run import Run
from gfmp.ledger.sweep import CELLS_FILE
from gfmp.plan.cells import Cell
from gfmp.storage.atomic import read_json
from gfmp.storage.documents import leaves
from gfmp.storage.workspace import Workspace

Value = str | int | float | bool | None
_NOT_PLANNED = frozenset({"derived", "to_build", "format_version", "cells", "searches", "advice"})
_SHORT = 12


@dataclass(frozen=True)
class Described:
    """A run as flat values.

    Attributes:
        run_id: The run.
        kind: Of the job.
        plan: What was to happen, by dotted name; lists of a sweep are one value each.
        result: What came out; a score of a sweep is the mean over its seeds.
    """

    run_id: str
    kind: str
    plan: Mapping[str, Value]
    result: Mapping[str, Value]


@dataclass(frozen=True)
class Line:
    """One value of several runs.

    Attributes:
        name: What it is.
        values: Of each run; None where a run has no such value.
    """

    name: str
    values: tuple[Value, ...]

    @property
    def differs(self) -> bool:
        """True when not all runs say the same; NaN is the same as NaN."""
        return len({repr(value) for value in self.values}) > 1

    @property
    def changes(self) -> tuple[float | None, ...]:
        """How much each number is above that of the first run; None without two numbers."""
        numbers = tuple(map(_number, self.values))
        first = numbers[0]
        return tuple(None if first is None or one is None else one - first for one in numbers)


def _number(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side.

    Attributes:
        runs: Their ids, the first being what the others are compared with.
        plan: What was planned differently.
        result: Everything that came out of any of them.
    """

    runs: tuple[str, ...]
    plan: tuple[Line, ...]
    result: tuple[Line, ...]


def compare(described: Sequence[Described]) -> Comparison:
    """Return runs side by side, values in the order in which they first appear."""
    return Comparison(
        runs=tuple(one.run_id for one in described),
        plan=tuple(line for line in _lines([one.plan for one in described]) if line.differs),
        result=tuple(_lines([one.result for one in described])),
    )


def _lines(mappings: Sequence[Mapping[str, Value]]) -> Iterator[Line]:
    for name in dict.fromkeys(name for mapping in mappings for name in mapping):
        yield Line(name, tuple(mapping.get(name) for mapping in mappings))


def describe(run: Run, workspace: Workspace) -> Described:
    """Read what a run planned and what came out of it so far.

    Raises:
        CorruptArtefactError: its plan, its ledger or a result is not as it was written.
    """
    return Described(
        run_id=run.id,
        kind=run.header.kind,
        plan=dict(_planned(run)),
        result=dict(_came_out(run, workspace)),
    )


def _planned(run: Run) -> Iterator[tuple[str, Value]]:
    header, plan = run.header, run.plan_json()
    yield "kind", header.kind
    yield "name", header.name
    yield "seed", header.seed
    body = {key: value for key, value in plan.items() if key not in _NOT_PLANNED | {"name"}}
    for key, value in leaves(body):
        yield ".".join(map(str, key)), _plain(value)
    if names := _vocabularies(run):
        yield "vocabularies", names
    yield from _of_cells(tuple(cell for _, cell in planned(run)))
    derived = plan.get("derived")
    for row in derived if isinstance(derived, list) else ():
        yield f"derived.{row['name']}", _plain(row["value"])
    yield "code.git", f"{header.provenance.git.revision[:_SHORT]} {header.provenance.git.state}"
    for name, version in sorted(header.provenance.libraries.items()):
        yield f"library.{name}", version


def _vocabularies(run: Run) -> str:
    """Return the vocabularies of a pretraining run; empty for other kinds."""
    path = run.path / "inputs.json"
    ensemble = read_json(path).get("ensemble") if path.is_file() else None
    listed = ensemble.get("vocabularies") if isinstance(ensemble, dict) else None
    return ", ".join(str(one["name"]) for one in listed) if isinstance(listed, list) else ""


def _plain(value: object) -> Value:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _of_cells(cells: tuple[Cell, ...]) -> Iterator[tuple[str, Value]]:
    if not cells:
        return
    yield "cells", len(cells)
    yield "tasks", _joined({cell.task.name for cell in cells})
    yield "models", _joined({cell.model for cell in cells})
    yield "label_percents", _joined({f"{cell.label_percent:g}" for cell in cells})
    yield "seeds", _joined({str(cell.seed) for cell in cells})
    tasks = {(cell.task.name, cell.task.fingerprint[:_SHORT]) for cell in cells}
    for name, content in sorted(tasks):
        yield f"task.{name}", content
    initials = {(cell.initial.name, cell.initial.fingerprint[:_SHORT]) for cell in cells}
    for name, content in sorted(initials):
        if name:
            yield f"initial.{name}", content


def _joined(words: set[str]) -> str:
    return ", ".join(sorted(words, key=lambda word: (len(word), word)))


def planned(run: Run) -> tuple[tuple[str, Cell], ...]:
    """Return the cells of a run with the fingerprints its plan gives them; none for most kinds.

    Those of a plan of an earlier gfmp too, where this one would give them other fingerprints.

    Raises:
        CorruptArtefactError: the plan was changed.
    """
    path = run.path / CELLS_FILE
    listed = (read_json(path) if path.is_file() else run.plan_json()).get("cells", [])
    try:
        values = TypeAdapter(list[dict[str, object]]).validate_python(listed)
        return tuple((str(value["fingerprint"]), Cell.from_json(value)) for value in values)
    except (KeyError, TypeError, ValueError) as fault:
        raise CorruptArtefactError(
            f"the cells of run {run.id} cannot be read: {next(iter(str(fault).splitlines()), '')}",
            where=str(run.plan_path),
            why="a plan never changes",
            fix="restore it, or start the sweep anew; finished cells are not run again",
        ) from fault


def _came_out(run: Run, workspace: Workspace) -> Iterator[tuple[str, Value]]:
    yield "status", str(run.status())
    for name, value in (run.report() or {}).items():
        if isinstance(value, int | float | str):
            yield name, value
    events = run.events()
    measured = goodput(events)
    if measured.tokens:
        yield from measured.numbers().items()
    yield from _scores(run, CellStore(workspace))


def _scores(run: Run, store: CellStore) -> Iterator[tuple[str, Value]]:
    found: dict[str, list[float]] = {}
    for name, cell in planned(run):
        if not store.finished(name):
            continue
        for metric, value in store.get(name).metrics.items():
            if metric.startswith("test/"):
                of = f"{cell.task.name} | {cell.model} | {cell.label_percent:g} % | {metric[5:]}"
                found.setdefault(of, []).append(value)
    for of, values in found.items():
        yield of, fmean(values)
