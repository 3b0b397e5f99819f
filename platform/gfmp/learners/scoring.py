"""The metrics of a split by the names that results carry."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gfmp.tasks.metrics import score
from gfmp.tasks.task import Split, Task


def metrics_of(
    task: Task, split: Split, predictions: NDArray[np.float32]
) -> tuple[dict[str, float], dict[str, str]]:
    """Score the predictions of a split with every metric of its task.

    Args:
        task: Knows the targets and the metrics.
        split: Whose rows were predicted.
        predictions: Probabilities or values, shape (N, O).

    Returns:
        `<split>/<metric>` for each defined metric, and facts: `<split>/undefined` lists the
        others; no such fact when all are defined.
    """
    targets = task.rows(split).matrix
    names = dict.fromkeys((task.metric, *task.also))
    values = {f"{split}/{name}": score(name, targets, predictions) for name in names}
    undefined = [name for name in names if not math.isfinite(values[f"{split}/{name}"])]
    facts = {f"{split}/undefined": ", ".join(undefined)} if undefined else {}
    return {name: value for name, value in values.items() if math.isfinite(value)}, facts


def metrics_on(
    others: Mapping[str, tuple[Task, NDArray[np.float32]]],
) -> tuple[dict[str, float], dict[str, str]]:
    """Score what a model of one task says of the test rows of others.

    Args:
        others: Task name -> the task and the predictions of its test rows.

    Returns:
        As `metrics_of`, named `on/<task>/<metric>`.
    """
    metrics: dict[str, float] = {}
    facts: dict[str, str] = {}
    for name, (task, predictions) in others.items():
        scored, undefined = metrics_of(task, "test", predictions)
        metrics |= {key.replace("test/", f"on/{name}/", 1): x for key, x in scored.items()}
        facts |= {key.replace("test/", f"on/{name}/", 1): x for key, x in undefined.items()}
    return metrics, facts
