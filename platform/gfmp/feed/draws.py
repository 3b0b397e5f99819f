"""Random words addressed by (seed, purpose, sample): no draw depends on another.

Every decision of the feed is a function of 64-bit words of numpy's Philox4x64-10, a counter-based
generator: the key holds the seed and what the draw is for, the counter holds the sample index and
the place in the sample. Only `random_raw` is used: numpy promises that its bit streams stay the
same between versions, and promises it not for the distributions built on them.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
_WORDS_PER_BLOCK = 4
_MAX_SEED = 2**63
_RESOLUTION = 2.0**-53


class Purpose(IntEnum):
    """What a stream of words decides; a part of the key, so streams never meet."""

    GROUP_ORDER = 1
    WINDOW_ORDER = 2
    WINDOW = 3
    MASK = 4
    HELD_OUT_WINDOW = 5
    HELD_OUT_MASK = 6
    UNIGRAM_WINDOW = 7
    SPAN = 8


def contiguous_words(seed: int, purpose: Purpose, first: int, shape: tuple[int, int]) -> Words:
    """Return the words of consecutive samples, shape (samples, words per sample).

    Args:
        seed: Run seed.
        purpose: What the words decide.
        first: Index of the first sample.
        shape: Number of samples, and words of each: a multiple of 4.
    """
    num_samples, words_per_sample = shape
    assert words_per_sample % _WORDS_PER_BLOCK == 0, "a sample owns whole Philox blocks"
    block = first * (words_per_sample // _WORDS_PER_BLOCK)
    generator = np.random.Philox(key=key(seed, purpose), counter=block)
    return generator.random_raw(num_samples * words_per_sample).reshape(shape)


def sample_words(seed: int, purpose: Purpose, index: tuple[int, int], num_words: int) -> Words:
    """Return the words of one thing of two indices (epoch and buffer; vocabulary and window).

    It shares no word with another index: the indices are the two middle words of the counter,
    and the lowest one leaves room for 2**64 blocks.
    """
    counter = np.array([0, index[0], index[1], 0], dtype=np.uint64)
    return np.random.Philox(key=key(seed, purpose), counter=counter).random_raw(num_words)


def ragged_words(
    seed: int, purpose: Purpose, samples: NDArray[np.int64], num_words: NDArray[np.int64]
) -> Words:
    """Return the words of several samples, one sample after another, shape (sum num_words,).

    Sample i has the same words whatever stands beside it: word w of `sample_words` at index
    (i, 0).
    """
    generator = np.random.Philox(key=key(seed, purpose))
    state = generator.state
    counter, exhausted = state["state"]["counter"], state["buffer_pos"]
    pieces: list[Words] = []
    for sample, count in zip(samples.tolist(), num_words.tolist(), strict=True):
        # Setting the state costs a ninth of making a generator (1.1 against 9.8 microseconds).
        counter[:] = (0, sample, 0, 0)
        state["buffer_pos"] = exhausted
        generator.state = state
        pieces.append(generator.random_raw(count))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.uint64)


def uniform(words: Words) -> NDArray[np.float64]:
    """Map words to floats uniform in [0, 1), 53 bits of each."""
    return (words >> np.uint64(11)).astype(np.float64) * _RESOLUTION


def below(words: Words, bound: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Map words to integers uniform in 0..bound-1; bounds up to 2**53, of any broadcast shape."""
    return (uniform(words) * bound).astype(np.int64)


def permutation(words: Words) -> NDArray[np.int64]:
    """Return the order that sorts the words: a uniform permutation, ties by index."""
    return np.argsort(words, kind="stable")


def key(seed: int, purpose: Purpose) -> NDArray[np.uint64]:
    """Return the key of a stream, shape (2,)."""
    assert 0 <= seed < _MAX_SEED, "the spec admits seeds below 2**63"
    return np.array([seed, int(purpose)], dtype=np.uint64)
