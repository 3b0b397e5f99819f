"""Which other tasks the models of a sweep are scored on, and what it says beside the paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gfmp.cluster.arms import place_of
from gfmp.errors import DataError, Problem, SpecError
from gfmp.ledger.comparison import PAPER, TRANSFER
from gfmp.spec.sweep import SweepSpec
from gfmp.storage.documents import Document, Key, did_you_mean
from gfmp.tasks.catalogue import TaskTarget, find_task
from gfmp.tasks.pools import leave_one_out, pool_name, pooled
from gfmp.tasks.store import TaskStore
from gfmp.tasks.task import Task

_FEWEST = 3


def scored_only(
    spec: SweepSpec, start: Path, targets: Sequence[TaskTarget]
) -> tuple[TaskTarget, ...]:
    """Return the tasks that are scored and not learned from.

    Args:
        spec: The sweep.
        start: Where relative paths and the search for names start.
        targets: The tasks that are learned from.

    Raises:
        MissingInputError: there is no such task.
    """
    known = {target.name for target in targets}
    wanted = spec.transfer.scored_on if spec.transfer else ()
    found = (find_task(name, start) for name in wanted if name not in known)
    return tuple({t.name: t for t in found if t.name not in known}.values())


def also_on(
    spec: SweepSpec, targets: Sequence[TaskTarget], extra: Sequence[TaskTarget]
) -> Mapping[str, tuple[str, ...]]:
    """Return for each task the other tasks on which what is learned from it is scored, sorted."""
    transfer = spec.transfer
    if transfer is None:
        return {}
    names = [target.name for target in targets]
    sources = transfer.learned_from or names
    wanted = {name for name in names if name in transfer.scored_on or not transfer.scored_on}
    wanted |= {target.name for target in extra}
    found = {source: tuple(sorted(wanted - {source})) for source in sources}
    if transfer.leave_one_out:
        found |= {pool_name(name): (name,) for name in names}
    return {source: others for source, others in found.items() if others}


def pools(spec: SweepSpec, targets: Sequence[TaskTarget]) -> Mapping[str, tuple[str, ...]]:
    """Return the members of every pool that a sweep learns from, by its name; often none."""
    if spec.transfer is None or not spec.transfer.leave_one_out:
        return {}
    return leave_one_out([target.name for target in targets])


def prepared(
    targets: Sequence[TaskTarget], members: Mapping[str, tuple[str, ...]], store: TaskStore
) -> dict[str, Task]:
    """Return every task of a sweep by its name, and the pools of them, stored like tasks.

    Raises:
        DataError: a source is wrong, or tasks that are pooled ask different questions.
        GfmpError: see `TaskStore.prepare`.
    """
    tasks = {target.name: store.prepare(target) for target in targets}
    for names in members.values():
        check_alike(tasks, {names[0]: names[1:]})
    made = {
        name: store.keep(pooled(name, [tasks[one] for one in names]))
        for name, names in members.items()
    }
    return tasks | made


def check_said(spec: SweepSpec, targets: Sequence[TaskTarget], document: Document) -> None:
    """Check that a sweep speaks of tasks it has.

    Args:
        spec: The sweep.
        targets: Every task of it, also those that are only scored.
        document: Where it comes from.

    Raises:
        SpecError: each name that is no task of the sweep.
    """
    known = [target.name for target in targets]
    problems = [
        Problem(
            f"{'.'.join(map(str, key))}: the sweep has no task {name!r}",
            place_of(document, key),
            f"its tasks are called {', '.join(known)}",
            did_you_mean(name, known) or "add it to tasks, or remove it here",
        )
        for key, name in _named(spec)
        if name not in known
    ]
    if spec.transfer is not None and spec.transfer.leave_one_out and len(spec.tasks) < _FEWEST:
        problems.append(
            Problem(
                f"transfer.leave_one_out: {len(spec.tasks)} tasks are too few",
                place_of(document, ("transfer", "leave_one_out")),
                f"a pool is of all tasks but one: of two or more, so the sweep has {_FEWEST}",
                "add tasks, or remove leave_one_out",
            )
        )
    if problems:
        raise SpecError.of(problems)


def _named(spec: SweepSpec) -> Iterator[tuple[Key, str]]:
    """Yield every task that is named beside the grid, with its key in the document."""
    if spec.transfer is not None:
        for place, name in enumerate(spec.transfer.learned_from):
            yield ("transfer", "learned_from", place), name
        for group, names in spec.transfer.groups.items():
            yield from ((("transfer", "groups", group, n), name) for n, name in enumerate(names))
    if spec.paper is not None:
        yield from ((("paper", *key), name) for key, name in spec.paper.tasks())


def check_alike(tasks: Mapping[str, Task], others: Mapping[str, tuple[str, ...]]) -> None:
    """Check that a model of one task answers the question of the other.

    Raises:
        DataError: their outputs are not the same, or not in the same order.
    """
    for source, names in others.items():
        for name in names:
            learned, scored = tasks[source].target, tasks[name].target
            _check_features(tasks[source], tasks[name])
            if (learned.kind, learned.names) == (scored.kind, scored.names):
                continue
            raise DataError(
                f"a model of {source!r} cannot be scored on {name!r}",
                where="transfer",
                why=f"one is {learned.kind} of {', '.join(learned.names[:5])}, the other"
                f" {scored.kind} of {', '.join(scored.names[:5])}",
                fix="name tasks with the same outputs in the same order",
            )


def _check_features(learned: Task, scored: Task) -> None:
    """Check that two tasks give their rows the same features beside the sequence."""
    one, other = set(learned.train.feature_names), set(scored.train.feature_names)
    if one == other:
        return
    name = min(one ^ other)
    raise DataError(
        f"a model of {learned.name!r} cannot be scored on {scored.name!r}",
        where="transfer",
        why=f"one reads {len(one):,} features beside the sequence, the other {len(other):,}; only"
        f" one of them has {name!r}",
        fix="give both tasks the same `context`, or neither of them",
    )


def said(spec: SweepSpec) -> dict[str, object]:
    """Return what the plan of a sweep keeps for its report; nothing for most sweeps."""
    parts = ((PAPER, spec.paper), (TRANSFER, spec.transfer))
    return {key: part.model_dump(mode="json") for key, part in parts if part is not None}
