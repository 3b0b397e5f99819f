"""Masking and packing of rows token by token; compiled on need.

The words a row draws are those of `draws.ragged_words`: Philox4x64-10 (Salmon et al., SC 2011),
computed here block by block, so that no word is made that nothing reads.
"""

from __future__ import annotations

import numpy as np
from numpy import uint64
from numpy.typing import NDArray

from gfmp.storage.compiled import Kernels
from gfmp.vocabulary.vocabulary import CLS, MASK, SEP, UNK

_PER_BLOCK = 4
_BUCKETS = 256
_FEW = 16
_HALF, _TOP = uint64(32), uint64(56)
_LOW = uint64(0xFFFFFFFF)
_RESOLUTION = 2.0**-53
_HALF_RESOLUTION = 2.0**-32
_ROUNDS = 10
_FIRST_HIGH, _FIRST_LOW = uint64(0xD2E7470E), uint64(0xE14C6C93)
_THIRD_HIGH, _THIRD_LOW = uint64(0xCA5A8263), uint64(0x95121157)
_ONE_STEP, _TWO_STEP = uint64(0x9E3779B97F4A7C15), uint64(0xBB67AE8584CAA73B)
Scratch = tuple[NDArray[np.uint64], NDArray[np.uint64]]
Law = tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.uint16], NDArray[np.int64]]


def _multiply(number: np.uint64, low: np.uint64, high: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return upper and lower half of the product with a factor given in halves.

    In halves, for no vector instruction multiplies 64 bits to 128.
    """
    left, right = number >> _HALF, number & _LOW
    last = right * low
    upper = left * low + (last >> _HALF)
    lower = right * high + (upper & _LOW)
    return left * high + (upper >> _HALF) + (lower >> _HALF), (lower << _HALF) | (last & _LOW)


def _philox(key: NDArray[np.uint64], state: NDArray[np.uint64], num_blocks: int) -> None:
    """Turn the counters of blocks (four rows of `state`) into their words."""
    first, second, third, fourth = state[0], state[1], state[2], state[3]
    one, two = key[0], key[1]
    for _ in range(_ROUNDS):
        for i in range(num_blocks):
            upper, lower = _multiply(first[i], _FIRST_LOW, _FIRST_HIGH)
            upper_third, lower_third = _multiply(third[i], _THIRD_LOW, _THIRD_HIGH)
            first[i] = upper_third ^ second[i] ^ one
            second[i] = lower_third
            third[i] = upper ^ fourth[i] ^ two
            fourth[i] = lower
        one, two = one + _ONE_STEP, two + _TWO_STEP


def draw_words(
    key: NDArray[np.uint64],
    sample: np.uint64,
    first: int,
    words: NDArray[np.uint64],
    state: NDArray[np.uint64],
) -> None:
    """Write the words of a sample from `first` on.

    Args:
        key: Key of the stream.
        sample: Which sample.
        first: Index of the first word.
        words: Written, shape (N,).
        state: Scratch, four rows of at least N / 4 + 2.
    """
    skipped = first % _PER_BLOCK
    num_blocks = (skipped + len(words) + _PER_BLOCK - 1) // _PER_BLOCK
    for i in range(num_blocks):
        # numpy counts up before it computes: block 0 has the counter 1.
        state[0, i] = uint64(first // _PER_BLOCK + i + 1)
        state[1, i], state[2, i], state[3, i] = sample, uint64(0), uint64(0)
    _philox(key, state, num_blocks)
    whole = len(words) // _PER_BLOCK if skipped == 0 else 0
    for i in range(whole):
        for word in range(_PER_BLOCK):
            words[_PER_BLOCK * i + word] = state[word, i]
    for i in range(_PER_BLOCK * whole, len(words)):
        words[i] = state[(skipped + i) % _PER_BLOCK, (skipped + i) // _PER_BLOCK]


def _first_words(
    key: NDArray[np.uint64], samples: NDArray[np.int64], state: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Return the first word of each sample."""
    for i in range(len(samples)):
        state[0, i], state[1, i] = uint64(1), uint64(samples[i])
        state[2, i], state[3, i] = uint64(0), uint64(0)
    _philox(key, state, len(samples))
    return state[0, : len(samples)].copy()


def _uniform(word: np.uint64) -> float:
    """Return the word as a number in [0, 1), 53 bits of it."""
    return float(word >> uint64(11)) * _RESOLUTION


def _insert(number: np.uint64, numbers: NDArray[np.uint64], at: int) -> None:
    """Put a number among the first `at`, which ascend, and move the greater ones up."""
    while at > 0 and numbers[at - 1] > number:
        numbers[at] = numbers[at - 1]
        at -= 1
    numbers[at] = number


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
            _insert((words[place] & ~_LOW) | uint64(place), tied, num_tied)
            num_tied += 1
    largest: np.uint64 = tied[count - below - 1]
    return largest


def _few_places(words: NDArray[np.uint64], count: int, numbers: NDArray[np.uint64]) -> None:
    """Write the places, ascending, of the words at or below `_threshold`; faster for a small count.

    One pass for each finds the smallest that is left, many words per instruction and without a
    branch to guess.
    """
    for place in range(len(words)):
        numbers[place] = (words[place] & ~_LOW) | uint64(place)
    behind = numbers[len(words) :]
    for found in range(count):
        least = ~uint64(0)
        for place in range(len(words)):
            least = min(least, numbers[place])
        numbers[least & _LOW] = ~uint64(0)
        _insert(least & _LOW, behind, found)


def count_spans(word: np.uint64, length: int, tokens: int, fraction: float) -> int:
    """Return the spans of a row; see `masker.draw_spans`."""
    wanted = np.floor(fraction * length / tokens + _uniform(word))
    return min(int(wanted), length // tokens)


def place_spans(
    keys: NDArray[np.uint64],
    count: int,
    tokens: int,
    spans: NDArray[np.int64],
    tied: NDArray[np.uint64],
) -> None:
    """Write begin and end of each span of a row; see `masker.draw_spans`.

    Args:
        keys: The words of as many tokens as remain when every span is shrunk to one.
        count: Spans.
        tokens: Tokens of a span.
        spans: Written, ascending, shape (count, 2).
        tied: Scratch, 16 more than keys.
    """
    if count == 0:
        return
    if count <= _FEW:
        _few_places(keys, count, tied)
        for i in range(count):
            spans[i, 0] = np.int64(tied[len(keys) + i]) + i * (tokens - 1)
            spans[i, 1] = spans[i, 0] + tokens
        return
    threshold, found = _threshold(keys, count, tied), 0
    for place in range(len(keys)):
        if (keys[place] & ~_LOW) | uint64(place) <= threshold:
            spans[found, 0] = place + found * (tokens - 1)
            spans[found, 1] = spans[found, 0] + tokens
            found += 1


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
    scratch: Scratch,
    out: tuple[NDArray[np.uint16], NDArray[np.int64], NDArray[np.uint16], int],
) -> int:
    """Mask, replace or keep each span of a row; return how many tokens are scored by now.

    Words that were not needed to place spans are drawn where they are read.
    """
    begin, sample, bound, choices = row[0], uint64(row[2]), law[3][row[4]], law[2]
    (drawn, state), (ids, targets, labels, scored) = scratch, out
    for i in range(len(spans)):
        first, size = spans[i, 0], spans[i, 1] - spans[i, 0]
        if 1 + first < len(words):
            drawn[0] = words[1 + first]
        else:
            draw_words(law[0], sample, 1 + first, drawn[:1], state)
        action = float(drawn[0] & _LOW) * _HALF_RESOLUTION
        masked = action < law[1][0]
        replaced = not masked and action < law[1][0] + law[1][1]
        if replaced:
            draw_words(law[0], sample, 1 + row[1] + first, drawn[:size], state)
        for place in range(size):
            token = begin + first + place
            if ids[token] == UNK:
                continue
            targets[scored], labels[scored] = token, ids[token]
            scored += 1
            if masked:
                ids[token] = MASK
            elif replaced:
                ids[token] = choices[bound[0] + np.int64(_uniform(drawn[place]) * bound[1])]
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
    words, tied = np.empty(most + 1, np.uint64), np.empty(most + _FEW, np.uint64)
    state, spans = np.empty((4, max(most + 2, len(rows))), np.uint64), np.empty((most, 2), np.int64)
    roundings = _first_words(law[0], rows[:, 2].copy(), state)
    ids, targets, labels, ends = out
    scored = 0
    for i in range(len(rows)):
        length, sample, tokens = rows[i, 1], uint64(rows[i, 2]), rows[i, 3]
        if whole_spans:
            tokens = max(1, min(tokens, length))
            count = count_spans(roundings[i], length, tokens, chances[i])
            own = words[: 1 + length - count * (tokens - 1)]
            draw_words(law[0], sample, 0, own, state)
            place_spans(own[1:], count, tokens, spans, tied)
        else:
            own = words[: 1 + length]
            draw_words(law[0], sample, 0, own, state)
            count = place_centres(own, tokens, chances[i], spans)
        kept = (ids, targets, labels, scored)
        scored = _hide(rows[i], own, spans[:count], law, (tied, state), kept)
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
        "_multiply": "UniTuple(u8, 2)(u8, u8, u8)",
        "_philox": "void(u8[::1], u8[:, ::1], i8)",
        "draw_words": "void(u8[::1], u8, i8, u8[::1], u8[:, ::1])",
        "_first_words": "u8[::1](u8[::1], i8[::1], u8[:, ::1])",
        "_uniform": "f8(u8)",
        "_insert": "void(u8, u8[::1], i8)",
        "_threshold": "u8(u8[::1], i8, u8[::1])",
        "_few_places": "void(u8[::1], i8, u8[::1])",
        "count_spans": "i8(u8, i8, i8, f8)",
        "place_spans": "void(u8[::1], i8, i8, i8[:, ::1], u8[::1])",
        "place_centres": "i8(u8[::1], i8, f8, i8[:, ::1])",
        "_hide": (
            f"i8(i8[::1], u8[::1], i8[:, ::1], {_LAW}, "
            "Tuple((u8[::1], u8[:, ::1])), Tuple((u2[::1], i8[::1], u2[::1], i8)))"
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
