"""The k-mer baseline: counts of k-mers, scaled, and a linear model; validation sets its penalty.

Source: the usual floor in genomics, as in gkm-SVM's comparisons (Ghandi et al., 2014); here with
logistic regression, one model per label, or ridge regression by the kind of target.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from gfmp.errors import SpecError
from gfmp.learners.beside import Scale
from gfmp.learners.compute import Compute
from gfmp.learners.kmer_counts import Lengths, count
from gfmp.learners.kmer_models import LinearModel, fit
from gfmp.learners.scoring import metrics_of, metrics_on
from gfmp.ledger.cells import CellResult
from gfmp.plan.cells import Cell
from gfmp.spec.learner import KmerBaseline
from gfmp.tasks.metrics import score
from gfmp.tasks.task import SPLITS, Rows, Split, Task

# 4 ** 10 columns of counts; beyond, a row alone would fill a cache.
LONGEST_K = 10


@dataclass(frozen=True)
class Scaling:
    """The columns that are used and what each is multiplied by.

    Attributes:
        columns: K-mers of the table, ascending, shape (F,).
        factors: One over the largest count among the labelled rows, float32, shape (F,).
    """

    columns: NDArray[np.int64]
    factors: NDArray[np.float32]

    @classmethod
    def of(cls, counts: scipy.sparse.csr_matrix, max_features: int) -> Scaling:
        """Choose the most frequent k-mers of these rows; of equals those that stand first."""
        totals = np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel()
        order = np.argsort(-totals, kind="stable")[:max_features]
        columns = np.sort(order[totals[order] > 0]).astype(np.int64)
        largest = np.asarray(counts.max(axis=0).todense()).ravel()[columns]
        return cls(columns, (1.0 / largest).astype(np.float32))

    def apply(self, counts: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
        """Return the scaled features of rows of counts, shape (N, F)."""
        return counts[:, self.columns] @ scipy.sparse.diags(self.factors)


@dataclass(frozen=True)
class _Tried:
    penalty: float
    model: LinearModel
    valid: NDArray[np.float32]
    score: float


class KmerTrial:
    """The cells of the k-mer baseline on one task; k-mers are counted once for all of them.

    Args:
        task: The task.
        threads: Threads of the linear algebra; with one a result is a function of its cell.
        others: Tasks whose test rows are scored too.
    """

    def __init__(self, task: Task, threads: int = 1, others: Sequence[Task] = ()) -> None:
        self._task = task
        self._others = {one.name: one for one in others}
        self._other_counts: dict[Lengths, Mapping[str, scipy.sparse.csr_matrix]] = {}
        self._compute = Compute.of("cpu", threads)
        self._counts: dict[Lengths, Mapping[Split, scipy.sparse.csr_matrix]] = {}

    def run(self, cell: Cell, rows: NDArray[np.int64]) -> CellResult:
        """Learn from some rows of the training split and score the test split once.

        Args:
            cell: What to do; its learner is a k-mer baseline.
            rows: Positions of the labelled rows in the training split.

        Raises:
            SpecError: the k-mers it asks for are too long.
        """
        learner = cell.learner
        assert isinstance(learner, KmerBaseline), "the cells of this trial are k-mer baselines"
        began = time.perf_counter()
        with self._compute.engaged():
            counts = self._counted(learner)
            # A linear model does not depend on the order of its rows, its solver's digits do.
            rows = np.sort(rows)
            tables = {**counts, "train": counts["train"][rows]}
            scaling = Scaling.of(tables["train"], learner.max_features)
            read = {s: self._task.rows(s) for s in SPLITS}
            read["train"], scale = read["train"].take(rows), Scale.of(read["train"], rows)
            features = {s: _joined(scaling.apply(tables[s]), scale, read[s]) for s in SPLITS}
            tried = self._try(learner, features, self._task.train.targets[rows])
            best = max(tried, key=lambda one: (one.score, -one.penalty))
            test = best.model.predict(features["test"])
            others = {
                name: best.model.predict(_joined(scaling.apply(table), scale, other.test))
                for name, table in self._counted_others(learner).items()
                for other in (self._others[name],)
            }
        valid_metrics, valid_facts = metrics_of(self._task, "valid", best.valid)
        test_metrics, test_facts = metrics_of(self._task, "test", test)
        on, on_facts = metrics_on({name: (self._others[name], p) for name, p in others.items()})
        return CellResult(
            cell=cell.fingerprint,
            metrics={**valid_metrics, **test_metrics, **on},
            facts={
                "penalty": best.penalty,
                "features": features["train"].shape[1],
                "attempts": 1,
                "seconds": round(time.perf_counter() - began, 3),
                **valid_facts,
                **test_facts,
                **on_facts,
            },
            test_predictions=test,
            history=tuple(self._point(step, one) for step, one in enumerate(tried, start=1)),
            other_predictions=others,
        )

    def _counted_others(self, learner: KmerBaseline) -> Mapping[str, scipy.sparse.csr_matrix]:
        lengths = Lengths(learner.shortest, learner.longest)
        if lengths not in self._other_counts:
            self._other_counts[lengths] = {
                name: count(task.test.sequences, lengths) for name, task in self._others.items()
            }
        return self._other_counts[lengths]

    def _counted(self, learner: KmerBaseline) -> Mapping[Split, scipy.sparse.csr_matrix]:
        if learner.longest > LONGEST_K:
            raise SpecError(
                f"longest is {learner.longest}",
                where="the k-mer baseline",
                why=f"k-mers of at most {LONGEST_K} bases are counted",
                fix=f"set longest to {LONGEST_K} or less",
            )
        lengths = Lengths(learner.shortest, learner.longest)
        if lengths not in self._counts:
            self._counts[lengths] = {
                split: count(self._task.rows(split).sequences, lengths) for split in SPLITS
            }
        return self._counts[lengths]

    def _try(
        self,
        learner: KmerBaseline,
        features: Mapping[Split, scipy.sparse.csr_matrix],
        targets: NDArray[np.float32],
    ) -> list[_Tried]:
        tried = []
        for penalty in sorted(set(learner.penalties)):
            model = fit(self._task.target, features["train"], targets, penalty)
            valid = model.predict(features["valid"])
            value = score(self._task.metric, self._task.valid.matrix, valid)
            known = -math.inf if math.isnan(value) else value
            tried.append(_Tried(penalty, model, valid, known))
        return tried

    def _point(self, step: int, tried: _Tried) -> Mapping[str, float]:
        point = {"step": float(step), "penalty": tried.penalty}
        known = math.isfinite(tried.score)
        return {**point, f"valid/{self._task.metric}": tried.score} if known else point


def _joined(counts: scipy.sparse.csr_matrix, scale: Scale, rows: Rows) -> scipy.sparse.csr_matrix:
    """Return the features of rows: k-mers, then what stands beside the sequence."""
    if rows.contexts is None:
        return counts
    beside = scipy.sparse.csr_matrix(scale.applied(rows, np.arange(len(rows))))
    return scipy.sparse.hstack([counts, beside], format="csr")
