"""Several tasks learned as one: the rows of all of them, split as they are split alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from gfmp.tasks.contexts import stacked_contexts
from gfmp.tasks.prepare import Outline, assemble
from gfmp.tasks.task import SPLITS, Rows, Split, Task

_PREFIX = "all-but-"


def pool_name(left_out: str) -> str:
    """Return what the pool of all tasks but one is called."""
    return f"{_PREFIX}{left_out}"[:64]


def leave_one_out(names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return for each pool of all tasks but one its members, by the name of the pool."""
    return {pool_name(one): tuple(name for name in names if name != one) for one in names}


def pooled(name: str, members: Sequence[Task]) -> Task:
    """Return one task with the rows of several, in their order.

    Groups of different members are different groups. The metric is that of the first.

    Args:
        name: What the pool is called.
        members: At least one; all of one question: the same outputs in the same order.
    """
    first = members[0]
    kinds = {(one.target.kind, one.target.names, one.train.feature_names) for one in members}
    assert len(kinds) == 1, "tasks that are pooled ask one question of the same inputs"
    parts = {split: _joined(members, split) for split in SPLITS}
    told = ", ".join(one.name for one in members)
    facts = {"description": f"The rows of {told}, learned as one", "source": f"tasks {told}"}
    return assemble(Outline(name, first.target, first.metric, first.also), parts, facts)


def _joined(members: Sequence[Task], split: Split) -> Rows:
    rows = [one.rows(split) for one in members]
    groups = (
        f"{member.name}:{group}" if group else ""
        for member, part in zip(members, rows, strict=True)
        for group in part.groups
    )
    return Rows(
        tuple(chain.from_iterable(part.sequences for part in rows)),
        np.concatenate([part.targets for part in rows]),
        tuple(chain.from_iterable(part.origins for part in rows)),
        tuple(groups),
        stacked_contexts([part.contexts for part in rows]),
    )
