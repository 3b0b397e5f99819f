from __future__ import annotations

import numpy as np
import pytest
from feed_world import BPE, KMER, World

from gfmp.feed.fixed import FixedWindows
from gfmp.feed.unigram import training_windows, unigram_counts


@pytest.fixture(scope="module")
def windows(world: World) -> FixedWindows:
    return training_windows(world.settings, world.corpus, world.ensemble, world.tokenizers)


@pytest.mark.parametrize("vocabulary", [KMER, BPE])
def test_counts_are_those_of_the_windows(
    world: World, windows: FixedWindows, vocabulary: int
) -> None:
    # More windows than one read takes.
    sequences, _ = windows.read(vocabulary, 0, 1_200)
    ids = world.tokenizers[vocabulary].encode(sequences).ids
    size = world.ensemble.vocabularies[vocabulary].size
    counts = unigram_counts(windows, vocabulary, 1_200)
    assert counts.dtype == np.int64
    assert np.array_equal(counts, np.bincount(ids, minlength=size))


def test_composition_shows(world: World, windows: FixedWindows) -> None:
    vocabulary = world.ensemble.vocabularies[KMER]
    counts = dict(zip(vocabulary.words, unigram_counts(windows, KMER, 300)[5:], strict=True))
    # 40 % A and 30 % T on one strand, both strands read: CCCCCC is rare.
    assert counts["AAAAAA"] > 10 * max(1, counts["CCCCCC"])


def test_vocabularies_have_their_own_windows(windows: FixedWindows) -> None:
    assert windows.read(KMER, 0, 4)[0] != windows.read(BPE, 0, 4)[0]


def test_windows_cover_the_split(world: World, windows: FixedWindows) -> None:
    drawn = windows.windows(KMER, 0, 4_000)
    groups = world.corpus.row_groups("train")
    shares = np.array([group.bases for group in groups]) / sum(g.bases for g in groups)
    found = np.bincount(drawn.groups, minlength=len(groups)) / 4_000
    assert found == pytest.approx(shares, abs=0.025)
    assert all(0 <= b < groups[g].bases for g, b in zip(drawn.groups, drawn.bases, strict=True))
