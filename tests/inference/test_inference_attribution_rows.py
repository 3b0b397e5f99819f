"""Scores of words become scores of bases, in any vocabulary."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from motif_samples import CPU, kmers, pairs, planted_task, reading, untrained

from gfmp.errors import DataError
from gfmp.inference.attribution_rows import TokenPlaces
from gfmp.learners.finetune import Setting, predicted
from gfmp.learners.tokens import TaskTokens
from gfmp.learners.views import TaskViews
from gfmp.vocabulary.registry import FamilyRegistry

NAMES = ("kmer4", "bpe", "both")


def places(starts: list[int], ends: list[int], num_bp: int) -> TokenPlaces:
    return TokenPlaces(np.array(starts, np.int32), np.array(ends, np.int32), num_bp)


def test_a_base_has_the_mean_of_the_words_that_cover_it() -> None:
    own = places([0, 1, 2], [3, 4, 5], 6)
    assert own.mean(np.array([3.0, 6.0, 9.0])).tolist() == [3.0, 4.5, 6.0, 7.5, 9.0, 0.0]


def test_a_word_is_shared_by_its_bases() -> None:
    own = places([0, 2, 5], [2, 5, 6], 7)
    shared = own.shared(np.array([2.0, 6.0, -1.0]))
    assert shared.tolist() == [1.0, 1.0, 2.0, 2.0, 2.0, -1.0, 0.0]


@settings(max_examples=25, deadline=None)
@given(
    sequence=st.text("ACGTN", min_size=8, max_size=60),
    k=st.sampled_from([0, 3, 6]),
    seed=st.integers(0, 9),
)
def test_sums_and_means_hold_in_every_vocabulary(sequence: str, k: int, seed: int) -> None:
    vocabulary = kmers(k) if k else pairs()
    encoded = FamilyRegistry.discover().tokenizer(vocabulary).encode([sequence.encode()])
    own = TokenPlaces(encoded.starts, encoded.ends, len(sequence))
    scores = np.random.default_rng(seed).normal(size=len(encoded.ids))
    assert own.shared(scores).sum() == pytest.approx(scores.sum(), abs=1e-9)
    means = own.mean(scores)
    for base in range(len(sequence)):
        covering = scores[(encoded.starts <= base) & (base < encoded.ends)]
        assert means[base] == pytest.approx(covering.mean() if len(covering) else 0.0, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_read_rows_are_what_the_model_was_trained_on(name: str) -> None:
    made, task = untrained(name), planted_task()
    registry = FamilyRegistry.discover()
    words = made.initial.ensemble.vocabularies
    tokens = [TaskTokens.encode(task, registry.tokenizer(one)) for one in words]
    setting = Setting(task, TaskViews.of(made.initial, tokens), made.initial, CPU)
    wanted = predicted(setting, made.model, made.objective, "test").predictions
    rows = reading(made, *task.test.sequences)
    every = np.arange(len(rows), dtype=np.int64)
    with torch.inference_mode():
        outputs = made.model(rows.views.pack(every, CPU.device))
    np.testing.assert_allclose(made.objective.predictions(outputs), wanted, atol=1e-6)
    assert len(rows.encoded) == len(words)
    assert rows.places(0, 3).num_bp == len(task.test.sequences[3])


def test_a_row_too_short_for_a_vocabulary_is_refused() -> None:
    with pytest.raises(DataError, match="3 bases"):
        reading(untrained("kmer4"), b"ACG")
