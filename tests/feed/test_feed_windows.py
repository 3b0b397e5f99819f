from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from feed_world import BPE, KMER, World

from gfmp.feed.draws import Purpose, contiguous_words
from gfmp.feed.feed import Feed
from gfmp.feed.windows import SPECIALS_PER_ROW, WORDS_PER_WINDOW, Mixture, places

NUM = 20_000


@pytest.fixture(scope="module")
def words() -> np.ndarray:
    return contiguous_words(1, Purpose.WINDOW, 0, (NUM, WORDS_PER_WINDOW))


def test_weights_are_respected(world: World, words: np.ndarray) -> None:
    settings = replace(world.settings, weights=(0.2, 0.8))
    drawn = Mixture(settings, world.ensemble.vocabularies).vocabularies(words)
    counts = np.bincount(drawn, minlength=2)
    expected = np.array(settings.weights) * NUM
    # Chi-square with one degree of freedom: 15 is passed by chance once in 10,000.
    assert np.sum((counts - expected) ** 2 / expected) < 15


def test_a_vocabulary_of_weight_one_takes_every_row(world: World, words: np.ndarray) -> None:
    settings = replace(world.settings, weights=(0.0, 1.0))
    drawn = Mixture(settings, world.ensemble.vocabularies).vocabularies(words)
    assert np.all(drawn == BPE)


@pytest.mark.parametrize("vocabulary", [KMER, BPE])
def test_lengths_follow_the_law(world: World, words: np.ndarray, vocabulary: int) -> None:
    law = world.ensemble.vocabularies[vocabulary].window
    mixture = Mixture(world.settings, world.ensemble.vocabularies)
    lengths = mixture.lengths_bp(words, np.full(NUM, vocabulary, dtype=np.int16))
    assert lengths.min() >= law.min_bp and lengths.max() == law.max_bp
    assert abs(np.mean(lengths == law.max_bp) - law.full_fraction) < 0.015
    assert abs(lengths.mean() - law.mean_bp) < 0.01 * law.max_bp
    free = lengths[lengths < law.max_bp]
    quarters = np.histogram(free, bins=4, range=(law.min_bp, law.max_bp))[0] / len(free)
    assert np.all(abs(quarters - 0.25) < 0.02)


def test_strands_and_mean_window(world: World, words: np.ndarray) -> None:
    settings = replace(world.settings, reverse_complement_fraction=0.3, weights=(0.25, 0.75))
    mixture = Mixture(settings, world.ensemble.vocabularies)
    assert abs(mixture.reverse(words).mean() - 0.3) < 0.015
    first, second = (v.window.mean_bp for v in world.ensemble.vocabularies)
    assert mixture.mean_window_bp == pytest.approx(0.25 * first + 0.75 * second)


def test_expected_tokens_count_specials_and_stop_at_the_limit(world: World) -> None:
    settings = replace(world.settings, max_tokens=100)
    mixture = Mixture(settings, world.ensemble.vocabularies)
    expected = mixture.expected_tokens(
        np.array([KMER, KMER, BPE], dtype=np.int16), np.array([70, 510, 139])
    )
    per_token = world.ensemble.vocabularies[BPE].bp_per_token
    assert expected.tolist() == pytest.approx([65 + 3, 100, 139 / per_token + SPECIALS_PER_ROW])


def test_places_cover_every_base(words: np.ndarray) -> None:
    drawn = places(words, 50)
    counts = np.bincount(drawn, minlength=50)
    assert len(counts) == 50
    assert np.sum((counts - NUM / 50) ** 2 / (NUM / 50)) < 110  # 49 degrees: once in 10**6


def test_expectation_matches_what_is_packed(world: World, feed: Feed) -> None:
    windows = feed.windows(0, 96)
    (batch,) = world.feed(global_batch_sequences=96).step(0, 0, 1, 1)
    packed = np.diff(batch.cu_seqlens)
    kmer = windows.vocabulary == KMER
    full = packed[kmer] == windows.expected_tokens[kmer]
    assert full.all()
    assert abs(packed.sum() / windows.expected_tokens.sum() - 1.0) < 0.05


def test_take_keeps_rows_together(feed: Feed) -> None:
    windows = feed.windows(5, 20)
    rows = np.array([3, 0, 19])
    taken = windows.take(rows)
    assert len(taken) == 3
    assert taken.samples.tolist() == [8, 5, 24]
    assert np.array_equal(taken.bases, windows.bases[rows])
    assert np.array_equal(taken.lengths_bp, windows.lengths_bp[rows])
    assert np.array_equal(taken.expected_tokens, windows.expected_tokens[rows])


def test_windows_of_a_range_are_those_of_its_parts(feed: Feed) -> None:
    whole, part = feed.windows(0, 300), feed.windows(250, 50)
    assert np.array_equal(whole.bases[250:], part.bases)
    assert np.array_equal(whole.vocabulary[250:], part.vocabulary)
    assert np.array_equal(whole.groups[250:], part.groups)
