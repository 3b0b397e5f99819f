"""Scoring held-out windows with all ranks; the result does not depend on how many there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.feed.heldout import HeldOut
from gfmp.training.baselines import Baselines
from gfmp.training.batches import SoftmaxRows
from gfmp.training.engine import Engine
from gfmp.training.processes import Group
from gfmp.training.scores import (
    BITS,
    CORRECT,
    HIDDEN,
    NATS,
    TARGETS,
    Scorer,
    baseline_columns,
)
from gfmp.vocabulary.ensemble import Ensemble

_WINDOWS_PER_BATCH = 16


@dataclass(frozen=True)
class Evaluator:
    """Scores a run's held-out windows.

    Attributes:
        engine: The model.
        softmax: What predictions are normalised over.
        ensemble: The vocabularies.
        heldout: The windows.
        group: The ranks that share them.
    """

    engine: Engine
    softmax: SoftmaxRows
    ensemble: Ensemble
    heldout: HeldOut
    group: Group

    def table(
        self, vocabulary: int, num_windows: int, baselines: Baselines | None
    ) -> NDArray[np.float64]:
        """Return one row of sums per window (see `gfmp.training.scores`), on every rank.

        Windows go to the ranks in chunks, in turn. Every rank runs equally many forward passes,
        because under ZeRO 3 a forward pass is collective; a surplus one is computed and dropped.
        """
        scorer = Scorer(self.engine, self.softmax, self.ensemble, vocabulary, self.group.device)
        chunks = range(0, num_windows, _WINDOWS_PER_BATCH)
        rounds = -(-len(chunks) // self.group.world)
        own: list[tuple[int, NDArray[np.float64]]] = []
        for turn in range(rounds):
            index = turn * self.group.world + self.group.rank
            first = chunks[index] if index < len(chunks) else 0
            count = min(_WINDOWS_PER_BATCH, num_windows - first)
            held = self.heldout.batch(vocabulary, first, count)
            rows = scorer.score(held)
            if baselines is not None:
                rows = rows + baseline_columns(held, vocabulary, baselines)
            if index < len(chunks):
                own.append((first, rows))
        parts = sorted(part for share in self.group.gather(own) for part in share)
        return np.concatenate([rows for _, rows in parts])

    def short(self, num_windows: int) -> dict[str, float]:
        """Return `heldout/<vocabulary>/{loss,accuracy,bits_per_base}` of every vocabulary."""
        fields: dict[str, float] = {}
        for index, vocabulary in enumerate(self.ensemble.vocabularies):
            fields |= summary(vocabulary.name, self.table(index, num_windows, None))
        return fields


def summary(name: str, table: NDArray[np.float64]) -> dict[str, float]:
    """Return the event fields of one vocabulary from its table of windows."""
    total = table.sum(axis=0)
    return {
        f"heldout/{name}/loss": float(total[NATS] / total[TARGETS]),
        f"heldout/{name}/accuracy": float(total[CORRECT] / total[TARGETS]),
        f"heldout/{name}/bits_per_base": float(total[BITS] / total[HIDDEN]),
    }


def mean_loss(fields: dict[str, float]) -> float:
    """Return the mean over vocabularies of their held-out loss: what `best` means."""
    losses = [value for name, value in fields.items() if name.endswith("/loss")]
    return float(np.mean(losses))
