"""Shared words agree with looking at every stretch; strands and samples are as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_samples import sequences

from gfmp.tasks.near import (
    MOST_SAMPLE,
    NEAR_BP,
    WORD_BP,
    are_near,
    found_in,
    num_shared,
    sample_of,
    words_of,
)
from gfmp.tasks.strands import canonical, other_strand

letters = st.lists(st.text("ACGTN", max_size=2 * WORD_BP).map(str.encode), min_size=1, max_size=6)


def _brute(sequence: bytes) -> list[bytes]:
    """Every word of a sequence on the smaller strand, those with an N left out."""
    starts = range(len(sequence) - WORD_BP + 1)
    found = [sequence[i : i + WORD_BP] for i in starts]
    return [canonical(word) for word in found if b"N" not in word]


def _near(earlier: tuple[bytes, ...], later: tuple[bytes, ...], sample: int = 1) -> list[bool]:
    words = words_of(later, sample)
    shared = found_in(words.hashes, np.unique(words_of(earlier, sample).hashes))
    return are_near(words, shared, sample).tolist()


@settings(max_examples=60, deadline=None)
@given(letters)
def test_words_are_those_of_every_window(rows: list[bytes]) -> None:
    words = words_of(rows)
    assert words.per_row.tolist() == [len(_brute(row)) for row in rows]
    # One hash for one word, and for no other.
    spelled = [word for row in rows for word in _brute(row)]
    assert len(set(words.hashes.tolist())) == len(set(spelled))
    pairs = zip(words.rows.tolist(), words.starts.tolist(), spelled, strict=True)
    assert all(canonical(rows[r][s : s + WORD_BP]) == word for r, s, word in pairs)


def test_both_strands_have_the_same_words() -> None:
    rows = sequences(4, seed=2, length=200)
    there = words_of(rows).hashes
    back = words_of([other_strand(row) for row in rows]).hashes
    assert sorted(there.tolist()) == sorted(back.tolist())


def test_many_batches_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sequences(50, seed=3, length=90)
    whole = words_of(rows)
    monkeypatch.setattr("gfmp.tasks.near._BATCH_BP", 200)
    parts = words_of(rows)
    for name in ("hashes", "rows", "starts", "per_row"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.parametrize("flip", [False, True])
def test_rows_are_near_from_64_shared_bases_on(flip: bool) -> None:
    (row,) = sequences(1, seed=4, length=300)
    text = other_strand(row) if flip else row
    (other,) = sequences(1, seed=5, length=300)
    enough, short = text[:NEAR_BP] + other, text[: NEAR_BP - 1] + other
    # One base more may be shared by chance; the random rest begins with another letter.
    assert _near((row,), (enough,)) == [True]
    if other[0] != text[NEAR_BP - 1]:
        assert _near((row,), (short,)) == [False]
    assert _near((row,), (other,)) == [False]


def test_short_rows_are_near_when_they_share_half() -> None:
    (row,) = sequences(1, seed=6, length=200)
    (other,) = sequences(1, seed=7, length=200)
    assert _near((row,), (row[:52] + other[:18],)) == [True]
    assert _near((row,), (row[:40] + other[:30],)) == [False]
    assert _near((row,), (row[: WORD_BP - 1], b"", b"N" * 80)) == [False, False, False]


def test_a_repeat_counts_once() -> None:
    words = words_of([b"ACGTTGCA" * 40])
    every = np.ones(len(words.hashes), dtype=np.bool_)
    assert num_shared(words, every).tolist() == [len(set(_brute(b"ACGTTGCA" * 40)))]


def test_a_sample_is_the_same_wherever_a_word_stands() -> None:
    rows = sequences(20, seed=8, length=2_000)
    all_words, some = words_of(rows), words_of(rows, 4)
    kept = set(some.hashes.tolist())
    assert kept == {h for h in all_words.hashes.tolist() if h % 4 == 0}
    assert 0.2 < len(some.hashes) / len(all_words.hashes) < 0.3
    later = tuple(a[:150] + b[:350] for a, b in zip(rows, sequences(20, 9, 2_000), strict=True))
    assert _near(rows, later, 4) == [True] * 20
    assert sum(_near(rows, sequences(20, 10, 500), 4)) == 0


def test_memory_is_bounded_by_the_sample() -> None:
    assert sample_of(0) == sample_of(1 << 25) == 1
    assert sample_of((1 << 25) + 1) == 2
    assert sample_of(1 << 40) == MOST_SAMPLE
