"""Wide labels as lists of positives: the same task as with a matrix, in little memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from task_samples import rows_of, task_of

from gfmp.errors import DataError
from gfmp.tasks.audit import audit
from gfmp.tasks.positives import positives
from gfmp.tasks.rowfiles import read_rows, write_rows
from gfmp.tasks.sparse import (
    SparseLabels,
    known_counts,
    labels_at,
    of_dense,
    positive_counts,
    sparse_labels,
    stacked,
)
from gfmp.tasks.strata import contents_digest, strata
from gfmp.tasks.subsets import choose
from gfmp.tasks.task import Rows, Target

Matrix = NDArray[np.float32]


def matrix_of(num_rows: int, num_labels: int, seed: int) -> Matrix:
    """Labels that become rarer from column to column; some rows have none."""
    shares = np.linspace(0.5, 0.02, num_labels)
    return (np.random.default_rng(seed).random((num_rows, num_labels)) < shares).astype(np.float32)


def sparse_rows(matrix: Matrix) -> Rows:
    """Return rows with these labels, kept sparse."""
    return replace(rows_of(matrix), targets=of_dense(matrix == 1))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 30), st.integers(1, 12), st.integers(0, 1000))
def test_indexing_is_that_of_the_matrix(num_rows: int, num_labels: int, seed: int) -> None:
    matrix = matrix_of(num_rows, num_labels, seed)
    labels = of_dense(matrix == 1)
    assert labels.shape == matrix.shape and len(labels) == num_rows
    assert np.array_equal(labels.dense(), matrix)
    assert np.array_equal(np.asarray(labels), matrix)
    chosen = np.random.default_rng(seed).integers(0, max(num_rows, 1), 7 if num_rows else 0)
    assert np.array_equal(labels[chosen], matrix[chosen])
    assert np.array_equal(labels.take(chosen).dense(), matrix[chosen])
    assert np.array_equal(labels[:, 0], matrix[:, 0])
    assert np.array_equal(labels[2:9], matrix[2:9])
    assert positive_counts(labels).tolist() == positive_counts(matrix).tolist()
    assert known_counts(labels).tolist() == known_counts(matrix).tolist()
    some = np.random.default_rng(seed).permutation(num_labels)[: num_labels // 2 + 1]
    assert np.array_equal(labels.only(some).dense(), matrix[:, some])
    rows, columns = np.nonzero(matrix)
    order = np.random.default_rng(seed).permutation(len(rows))
    again = labels_at(rows[order], columns[order], (num_rows, num_labels))
    assert np.array_equal(again.dense(), matrix)
    if num_rows:
        assert np.array_equal(labels[0], matrix[0])
        halves = [of_dense(matrix[: num_rows // 2] == 1), of_dense(matrix[num_rows // 2 :] == 1)]
        assert np.array_equal(np.asarray(stacked(halves)), matrix)


def test_lists_may_repeat_and_stand_in_any_order() -> None:
    rows = [np.array(row, dtype=np.int64) for row in ([5, 0, 5], [], [2])]
    labels = sparse_labels(rows, 6)
    assert labels.ends.tolist() == [2, 2, 3] and labels.columns.tolist() == [0, 5, 2]
    assert len(sparse_labels([], 6)) == 0


def test_rows_go_to_disk_and_back(tmp_path: Path) -> None:
    rows = sparse_rows(matrix_of(40, 9, 1))
    write_rows(tmp_path / "r.parquet", rows)
    again = read_rows(tmp_path / "r.parquet")
    assert isinstance(again.targets, SparseLabels)
    assert np.array_equal(again.matrix, rows.matrix)
    assert contents_digest(again) == contents_digest(rows)
    other = replace(rows, targets=of_dense(rows.matrix[::-1] == 1))
    assert contents_digest(other) != contents_digest(rows)


def test_subsets_positives_and_audit_are_those_of_the_matrix() -> None:
    names = tuple(f"l{k}" for k in range(9))
    target = Target("multilabel", names)
    matrix = matrix_of(200, 9, 2)
    dense, sparse = rows_of(matrix), sparse_rows(matrix)
    assert strata(dense, target).tolist() == strata(sparse, target).tolist()
    tasks = [task_of(rows, rows.take(np.arange(20)), rows, target) for rows in (dense, sparse)]
    chosen = [positives(task).rows.tolist() for task in tasks]
    assert chosen[0] == chosen[1]
    found = [audit(task) for task in tasks]
    assert found[0] == found[1]
    subsets = [choose(tasks[1], percent, seed=3).rows for percent in (5, 20, 100)]
    assert set(subsets[0]) <= set(subsets[1]) <= set(subsets[2])


def test_a_matrix_that_no_machine_holds_is_refused_and_a_batch_is_not() -> None:
    """2.2 million rows of 75,000 labels are 660 GB dense; sparse they are what is positive."""
    num_rows, num_labels = 2_200_000, 75_000
    columns = np.tile(np.array([3, 70_000], dtype=np.int32), num_rows)
    ends = np.arange(2, 2 * num_rows + 1, 2, dtype=np.int64)
    labels = SparseLabels(ends, columns, num_labels)
    assert labels.ends.nbytes + labels.columns.nbytes < 40e6
    batch = labels[np.array([0, num_rows - 1])]
    assert batch.shape == (2, num_labels) and batch.sum() == 4 and batch[1, 70_000] == 1
    with pytest.raises(DataError) as caught:
        labels.dense()
    assert caught.value.problems[0].message.endswith("are 614 GiB")
    assert positive_counts(labels)[70_000] == num_rows
