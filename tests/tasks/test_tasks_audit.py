"""The leak audit finds exactly the rows that repeat, on either strand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_samples import rows_of, sequences, task_of

from gfmp.storage.workspace import Workspace
from gfmp.tasks.audit import Overlap, Repeats, audit
from gfmp.tasks.catalogue import find_task
from gfmp.tasks.store import TaskStore
from gfmp.tasks.strands import canonical, other_strand
from gfmp.tasks.task import Rows

# Environment variable with a folder that holds the files of the GUE benchmark in gue/.
BENCHMARK_DATA = "GFMP_BENCHMARK_DATA"
# Folder: distinct rows of train or dev, leaks dev in train, test in train, test in dev. Where
# there is no train, dev is split into train and valid and their numbers are summed.
KNOWN = {
    "prom/prom_300_tata": (4848, 14, 6, 0),
    "prom/prom_core_tata": (4847, 8, 16, 2),
    "splice/reconstructed": (4542, 0, 32, 0),
    "tf/0": (32370, 1, 0, 0),
    "tf/2": (18815, 19, 0, 0),
}


def _rows(pairs: list[tuple[bytes, int]]) -> Rows:
    names = tuple(map(str, range(len(pairs))))
    targets = np.array([[label] for _, label in pairs], dtype=np.float32)
    return Rows(tuple(s for s, _ in pairs), targets, names, ("",) * len(pairs))


def test_every_kind_of_repeat_is_counted_once() -> None:
    a, b, c, d, e = sequences(5, seed=1)
    train = _rows([(a, 0), (a, 0), (b, 1), (other_strand(b), 1), (c, 0), (c, 1)])
    valid = _rows([(a, 0), (other_strand(a), 1), (d, 0)])
    test = _rows([(b, 0), (c, 1), (d, 1), (e, 0), (e, 0)])
    found = audit(task_of(train, valid, test))
    assert found.overlaps == (
        Overlap("train", "valid", rows=3, exact=1, reverse_complement=1, conflicting=1),
        Overlap("train", "test", rows=5, exact=2, reverse_complement=0, conflicting=1),
        Overlap("valid", "test", rows=5, exact=1, reverse_complement=0, conflicting=1),
    )
    assert found.repeats == (
        Repeats("train", rows=6, distinct=4, reverse_complement=2, conflicting=1),
        Repeats("valid", rows=3, distinct=3, reverse_complement=2, conflicting=0),
        Repeats("test", rows=5, distinct=4, reverse_complement=0, conflicting=0),
    )
    assert found.leaks == 5


def test_a_palindrome_is_no_repeat_of_itself() -> None:
    found = audit(task_of(_rows([(b"ACGT", 0)]), _rows([(b"AA", 0)]), _rows([(b"CC", 0)])))
    assert found.leaks == 0
    assert all(repeats.reverse_complement == 0 for repeats in found.repeats)


def test_unknown_labels_agree_with_each_other() -> None:
    rows = rows_of([[np.nan, 1.0], [0.0, np.nan]])
    twice = rows.take(np.array([0, 0, 1], dtype=np.int64))
    found = audit(task_of(twice, rows, rows))
    assert [overlap.conflicting for overlap in found.overlaps] == [0, 0, 0]
    assert found.repeats[0].conflicting == 0


short = st.lists(st.tuples(st.text("AC", min_size=1, max_size=3), st.integers(0, 1)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(short, short, short)
def test_the_audit_agrees_with_comparing_all_pairs(
    train: list[tuple[str, int]], valid: list[tuple[str, int]], test: list[tuple[str, int]]
) -> None:
    parts = [[(s.encode(), label) for s, label in part] for part in (train, valid, test)]
    found = audit(task_of(*(_rows(part) for part in parts)))
    for overlap, (i, j) in zip(found.overlaps, ((0, 1), (0, 2), (1, 2)), strict=True):
        exact = sum(any(s == t for t, _ in parts[i]) for s, _ in parts[j])
        either = sum(any(canonical(s) == canonical(t) for t, _ in parts[i]) for s, _ in parts[j])
        assert (overlap.exact, overlap.leaks) == (exact, either)
        assert overlap.conflicting <= overlap.leaks <= overlap.rows == len(parts[j])
    for repeats, part in zip(found.repeats, parts, strict=True):
        assert repeats.distinct == len({s for s, _ in part})
        assert repeats.conflicting == len(
            {s for s, x in part for t, y in part if s == t and x != y}
        )


@pytest.mark.skipif(
    BENCHMARK_DATA not in os.environ, reason=f"{BENCHMARK_DATA} does not name the benchmark files"
)
@pytest.mark.parametrize("name", KNOWN)
def test_the_known_overlaps_of_the_benchmark_are_found(name: str, tmp_path: Path) -> None:
    folder = Path(os.environ[BENCHMARK_DATA]) / "gue" / name
    task = TaskStore(Workspace(tmp_path)).prepare(find_task(str(folder), tmp_path))
    found = audit(task)
    distinct, dev_in_train, test_in_train, test_in_dev = KNOWN[name]
    exact = [overlap.exact for overlap in found.overlaps]
    learned = found.repeats[0].distinct
    if "train" in task.facts:  # dev is learned from
        exact = [exact[0], exact[1] + exact[2], 0]
        learned += found.repeats[1].distinct
        assert found.repeats[2].distinct == 4543
    assert learned == distinct
    assert exact == [dev_in_train, test_in_train, test_in_dev]


def _cut(text: bytes, length: int = 200) -> list[bytes]:
    return [text[i : i + length] for i in range(0, len(text) - length + 1, length)]


def test_windows_that_overlap_are_near_and_named() -> None:
    (text,) = sequences(1, seed=31, length=4_000)
    train, test = _cut(text), _cut(text[100:])
    found = audit(
        task_of(
            _rows([(s, 0) for s in train]),
            _rows([(sequences(1, seed=32, length=200)[0], 0)]),
            _rows([(s, 1) for s in test]),
        )
    )
    overlap = found.overlaps[1]
    assert (overlap.exact, overlap.reverse_complement, overlap.near) == (0, 0, len(test))
    assert [e.later for e in overlap.examples] == ["0", "1"]
    # Each half of a window stands in one of two training windows.
    assert all(e.earlier in (e.later, str(int(e.later) + 1)) for e in overlap.examples)
    assert overlap.refused and not found.overlaps[2].refused
    (problem,) = found.problems("specs/tasks/sample.yaml", "sample")
    assert f"{len(test)} of {len(test)} test rows (100.0%) are train rows" in problem.message
    assert "allow_leaks: [sample]" in problem.fix


@pytest.mark.parametrize(("copies", "refused"), [(1, False), (2, True)])
def test_one_row_in_two_hundred_is_the_border(copies: int, refused: bool) -> None:
    train, test = list(sequences(200, seed=33)), list(sequences(200, seed=34))
    test[:copies] = train[:copies]
    other = _rows([(b"ACGTACGTAA", 0)])
    sides = (_rows([(s, 0) for s in train]), other, _rows([(s, 0) for s in test]))
    found = audit(task_of(*sides))
    assert bool(found.problems("x", "x")) is refused
    # Validation only chooses: however much of it is learned from, nothing is refused.
    assert not audit(task_of(sides[0], sides[0], other)).problems("x", "x")
