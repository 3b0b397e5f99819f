"""Masking and packing of rows token by token; compiled on need.

The words a row draws are those of `draws.ragged_words`: Philox4x64-10 (Salmon et al., SC 2011),
computed here block by block, so that no word is made that nothing reads.
"""

from __future__ import annotations

import numpy as np
from numpy import uint64
from numpy.typing import NDArray

from gfmp.storage.compiled import Kernels, high_product
from gfmp.vocabulary.vocabulary import CLS, MASK, SEP, UNK

_PER_BLOCK = 4
_BUCKETS = 256
_HALF, _TOP = uint64(32), uint64(56)
_LOW = uint64(0xFFFFFFFF)
_RESOLUTION = 2.0**-53
_HALF_RESOLUTION = 2.0**-32
_FACTORS = (uint64(0xD2E7470EE14C6C93), uint64(0xCA5A826395121157))
Law = tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.uint16], NDArray[np.int64]]
_STEPS = (uint64(0x9E3779B97F4A7C15), uint64(0xBB67AE8584CAA73B))


def philox(
    key: NDArray[np.uint64], sample: np.uint64, block: int
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return the four words of a block of a sample."""
    # numpy counts up before it computes: the first block has the counter 1.
    first, second, third, fourth = uint64(block + 1), sample, uint64(0), uint64(0)
    one, two = key[0], key[1]
    for _ in range(10):
        low, high = _FACTORS[0] * first, high_product(_FACTORS[0], first)
        low_third, high_third = _FACTORS[1] * third, high_product(_FACTORS[1], third)
        first, second = high_third ^ second ^ one, low_third
        third, fourth = high ^ fourth ^ two, low
        one, two = one + _STEPS[0], two + _STEPS[1]
    return first, second, third, fourth


def _word(key: NDArray[np.uint64], sample: np.uint64, index: int) -> np.uint64:
    """Return one word of a sample."""
    words = philox(key, sample, index // _PER_BLOCK)
    return words[index % _PER_BLOCK]


def draw_words(key: NDArray[np.uint64], sample: np.uint64, words: NDArray[np.uint64]) -> None:
    """Write the first words of a sample."""
    whole = len(words) // _PER_BLOCK
    for block in range(whole):
        four = philox(key, sample, block)
        place = _PER_BLOCK * block
        words[place], words[place + 1] = four[0], four[1]
        words[place + 2], words[place + 3] = four[2], four[3]
    for index in range(whole * _PER_BLOCK, len(words)):
        words[index] = _word(key, sample, index)


def _uniform(word: np.uint64) -> float:
    """Return the word as a number in [0, 1), 53 bits of it."""
    return float(word >> uint64(11)) * _RESOLUTION


def _threshold(words: NDArray[np.uint64], count: int, tied: NDArray[np.uint64]) -> np.uint64:
    """Return the `count`-th smallest of numbers made of a word's upper half and its place."""
    sizes = np.zeros(_BUCKETS, np.int64)
    for place in range(len(words)):
        sizes[words[place] >> _TOP] += 1
    bucket, below = 0, 0
    while below + sizes[bucket] < count:
        below += sizes[bucket]
        bucket += 1
    num_tied = 0
    for place in range(len(words)):
        if words[place] >> _TOP == bucket:
            number = (words[place] & ~_LOW) | uint64(place)
            at = num_tied
            while at > 0 and tied[at - 1] > number:
                tied[at] = tied[at - 1]
                at -= 1
            tied[at] = number
            num_tied += 1
    largest: np.uint64 = tied[count - below - 1]
    return largest


def place_spans(
    words: NDArray[np.uint64],
    span: int,
    fraction: float,
    spans: NDArray[np.int64],
    tied: NDArray[np.uint64],
) -> int:
    """Write begin and end of each span of a row; see `masker.draw_spans`.

    Args:
        words: The word that rounds, then one for each token.
        span: Tokens of a span.
        fraction: Expected share of tokens inside spans.
        spans: Written, ascending, shape (tokens, 2).
        tied: Scratch, shape (tokens,).
    """
    length = len(words) - 1
    tokens = max(1, min(span, length))
    wanted = np.floor(fraction * length / tokens + _uniform(words[0]))
    count = min(int(wanted), length // tokens)
    if count == 0:
        return 0
    keys = words[1 : 1 + length - count * (tokens - 1)]
    threshold, found = _threshold(keys, count, tied), 0
    for place in range(len(keys)):
        if (keys[place] & ~_LOW) | uint64(place) <= threshold:
            spans[found, 0] = place + found * (tokens - 1)
            spans[found, 1] = spans[found, 0] + tokens
            found += 1
    return found


def place_centres(
    words: NDArray[np.uint64], span: int, probability: float, spans: NDArray[np.int64]
) -> int:
    """Write begin and end of each span of a row; see `masker.draw_centres`."""
    length, found = len(words) - 1, 0
    before, after = (span - 1) // 2, span // 2
    for centre in range(length):
        if float(words[1 + centre] >> _HALF) * _HALF_RESOLUTION >= probability:
            continue
        begin, end = max(0, centre - before), min(length, centre + after + 1)
        if found == 0 or begin > spans[found - 1, 1]:
            spans[found, 0] = begin
            found += 1
        spans[found - 1, 1] = end
    return found


def _hide(
    row: NDArray[np.int64],
    words: NDArray[np.uint64],
    spans: NDArray[np.int64],
    law: Law,
    out: tuple[NDArray[np.uint16], NDArray[np.int64], NDArray[np.uint16], int],
) -> int:
    """Mask, replace or keep each span of a row; return how many tokens are scored by now."""
    begin, length, sample, vocabulary = row[0], row[1], uint64(row[2]), row[4]
    key, shares, choices, bounds = law
    ids, targets, labels, scored = out
    for i in range(len(spans)):
        action = float(words[1 + spans[i, 0]] & _LOW) * _HALF_RESOLUTION
        for place in range(begin + spans[i, 0], begin + spans[i, 1]):
            if ids[place] == UNK:
                continue
            targets[scored], labels[scored] = place, ids[place]
            scored += 1
            if action < shares[0]:
                ids[place] = MASK
            elif action < shares[0] + shares[1]:
                drawn = _uniform(_word(key, sample, 1 + length + place - begin))
                chosen = np.int64(drawn * bounds[vocabulary, 1])
                ids[place] = choices[bounds[vocabulary, 0] + chosen]
    return scored


def mask_rows(
    rows: NDArray[np.int64],
    chances: NDArray[np.float64],
    whole_spans: bool,
    law: Law,
    out: tuple[NDArray[np.uint16], NDArray[np.int64], NDArray[np.uint16], NDArray[np.int64]],
) -> None:
    """Mask every row as `masker.Masker` says.

    Args:
        rows: First content position, tokens, sample, tokens of a span and vocabulary of each row.
        chances: Share of tokens inside spans, or probability of a centre, of each row.
        whole_spans: True for the law of spans, False for that of centres.
        law: Key of the draws; shares of masked and of random spans; the ids random tokens are
            drawn from; where those of each vocabulary begin and how many there are.
        out: Ids, changed in place; then written: scored positions, their true ids, and how many
            there are up to the end of each row.
    """
    most = max(1, rows[:, 1].max()) if len(rows) else 1
    words, tied = np.empty(most + 1, np.uint64), np.empty(most, np.uint64)
    spans = np.empty((most, 2), np.int64)
    ids, targets, labels, ends = out
    scored = 0
    for i in range(len(rows)):
        own = words[: rows[i, 1] + 1]
        draw_words(law[0], uint64(rows[i, 2]), own)
        if whole_spans:
            count = place_spans(own, rows[i, 3], chances[i], spans, tied)
        else:
            count = place_centres(own, rows[i, 3], chances[i], spans)
        scored = _hide(rows[i], own, spans[:count], law, (ids, targets, labels, scored))
        ends[i] = scored


def pack_rows(
    offsets: NDArray[np.int64],
    prompts: NDArray[np.uint16],
    ids: NDArray[np.uint16],
    targets: tuple[NDArray[np.int64], NDArray[np.int64]],
    out: tuple[NDArray[np.uint16], NDArray[np.int32]],
) -> None:
    """Lay rows out as [CLS] [PROMPT] tokens [SEP], and their scored positions with them.

    Args:
        offsets: Where the tokens of each row begin and the last end, shape (B+1,).
        prompts: Prompt of each row, shape (B,).
        ids: The tokens, shape (C,).
        targets: Scored content positions (M,), and how many up to the end of each row (B,).
        out: Written: packed ids (C + 3 B,) and scored positions in them (M,).
    """
    packed, positions = out
    written = scored = 0
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        packed[written], packed[written + 1] = CLS, prompts[row]
        own = packed[written + 2 : written + 2 + end - begin]
        tokens = ids[begin:end]
        for i in range(len(own)):
            own[i] = tokens[i]
        for i in range(scored, targets[1][row]):
            positions[i] = targets[0][i] + written + 2 - begin
        scored = targets[1][row]
        written += end - begin + 3
        packed[written - 1] = SEP


_LAW = "Tuple((u8[::1], f8[::1], u2[::1], i8[:, ::1]))"
KERNELS = Kernels(
    __name__,
    {
        "philox": "UniTuple(u8, 4)(u8[::1], u8, i8)",
        "_word": "u8(u8[::1], u8, i8)",
        "draw_words": "void(u8[::1], u8, u8[::1])",
        "_uniform": "f8(u8)",
        "_threshold": "u8(u8[::1], i8, u8[::1])",
        "place_spans": "i8(u8[::1], i8, f8, i8[:, ::1], u8[::1])",
        "place_centres": "i8(u8[::1], i8, f8, i8[:, ::1])",
        "_hide": (
            f"i8(i8[::1], u8[::1], i8[:, ::1], {_LAW}, Tuple((u2[::1], i8[::1], u2[::1], i8)))"
        ),
        "mask_rows": (
            f"void(i8[:, ::1], f8[::1], boolean, {_LAW}, "
            "Tuple((u2[::1], i8[::1], u2[::1], i8[::1])))"
        ),
        "pack_rows": (
            "void(i8[::1], u2[::1], u2[::1], UniTuple(i8[::1], 2), Tuple((u2[::1], i4[::1])))"
        ),
    },
    # Importing numba takes most of a second; numpy masks as many tokens in that time.
    worth=1 << 24,
)
