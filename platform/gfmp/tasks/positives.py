"""Which training rows of a task are its positive sequences, from which its own words are learnt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.tasks.sparse import has_label
from gfmp.tasks.task import Task

# What a class is called when it is made of everything that is not what the task is about.
NEGATIVE_NAMES = frozenset(
    {"negative", "neg", "none", "no", "background", "control", "decoy", "random", "other"}
)


@dataclass(frozen=True)
class Positives:
    """The positive training rows of a task.

    Attributes:
        rows: Positions in `task.train`, ascending, int64, shape (N,).
        rule: How they were chosen, for people.
    """

    rows: NDArray[np.int64]
    rule: str


def positives(task: Task) -> Positives:
    """Return the positive training rows; validation and test rows never count.

    Ye et al. (A.8) say `positive samples for binary classification tasks`. Here:

    * binary: class 1;
    * several classes: all but those of a name in `NEGATIVE_NAMES`; every row where none is called
      so, for then no class is more the negative one than another;
    * several labels: rows with at least one;
    * values: rows whose first value is above its median over the training rows.

    A task without such a row gives all its training rows.
    """
    mask, rule = _chosen(task)
    if not mask.any():
        return Positives(np.arange(len(task.train)), f"all training rows, for there are no {rule}")
    return Positives(np.flatnonzero(mask).astype(np.int64), rule)


def _chosen(task: Task) -> tuple[NDArray[np.bool_], str]:
    targets, names = task.train.targets, task.target.names
    if task.target.kind == "binary":
        return targets[:, 0] == 1, f"training rows of class {names[1]}"
    if task.target.kind == "multiclass":
        negative = [i for i, name in enumerate(names) if name.lower() in NEGATIVE_NAMES]
        if not negative:
            return np.ones(len(targets), dtype=np.bool_), "training rows of every class"
        listed = ", ".join(names[i] for i in negative)
        return ~np.isin(targets[:, 0], negative), f"training rows of every class but {listed}"
    if task.target.kind == "multilabel":
        return has_label(targets), "training rows with a label"
    return targets[:, 0] > np.nanmedian(targets[:, 0]), f"training rows above the median {names[0]}"
