"""Which tokens are hidden, and what stands in their place.

A span is masked, replaced or kept as a whole: the published recipe decides token by token, and a
span of six overlapping 6-mers then keeps a true token with probability 1 - 0.9**6 = 47 %, which
shows the bases of its neighbours. Spans of a vocabulary are long enough that no visible token
shows all bases of a masked one (`vocabulary.masking` holds the proof by copying).

A row of L tokens owns 1 + 2 L words, in this order: one that rounds the number of spans; one per
token whose upper half places spans and whose lower half decides what becomes of the span that
starts there; one per token that picks its random replacement. So a decision never depends on
other rows or on earlier decisions. Compiled functions (`kernels`) take the same words one row at a
time; masks are the same to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gfmp.feed.content import TokenRows, ranges
from gfmp.feed.draws import Purpose, Words, below, key, ragged_words, uniform
from gfmp.feed.kernels import KERNELS
from gfmp.feed.spans import RowSpans
from gfmp.spec.pretrain import Masking
from gfmp.storage.compiled import Compiled
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.vocabulary import MASK, UNK

_HALF_BITS = 32
_HALF = np.uint64(_HALF_BITS)
_LOW_HALF = np.uint64(2**_HALF_BITS - 1)
_RESOLUTION = 2.0**-_HALF_BITS
_LANES = 2
_SPAN, _REPLACEMENT = range(_LANES)


@dataclass(frozen=True)
class Masked:
    """Content after masking.

    Attributes:
        ids: Ensemble ids as the model sees them, shape (C,).
        targets: Content positions that are scored, ascending, shape (M,).
        labels: True ensemble ids there, shape (M,).
        target_ends: Targets up to the end of each row, shape (B,).
    """

    ids: NDArray[np.integer]
    targets: NDArray[np.int64]
    labels: NDArray[np.integer]
    target_ends: NDArray[np.int64]


@dataclass(frozen=True)
class Spans:
    """S runs of tokens that are decided as a whole, in content order, never overlapping.

    Attributes:
        rows: Row of each span, shape (S,).
        starts: First content position, shape (S,).
        lengths: Tokens, shape (S,).
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]


class Masker:
    """Applies one masking law to rows of an ensemble.

    Args:
        masking: The law (Ye et al., A.1.3; `centres` as in the released code).
        ensemble: Gives the words random tokens are drawn from.
        seed: Run seed.
        purpose: Stream of the draws: training or held-out.
        spans: Spans of the rows; by default those the vocabularies were registered with.
    """

    def __init__(
        self,
        masking: Masking,
        ensemble: Ensemble,
        seed: int,
        purpose: Purpose = Purpose.MASK,
        spans: RowSpans | None = None,
    ) -> None:
        self._masking = masking
        self._seed = seed
        self._purpose = purpose
        self._spans = spans or RowSpans.registered(ensemble.vocabularies)
        shown = np.array([v.words_per_base for v in ensemble.vocabularies])
        self._centre_probability = masking.fraction / shown
        self._words, self._word_counts = _replacements(masking, ensemble)

    def mask(self, content: TokenRows) -> Masked:
        """Hide spans of each row; [UNK] tokens stay as they are and are never scored."""
        small = content.ids.dtype == np.uint16
        kernels = KERNELS.after(len(content.ids)) if small else None
        return self._by_numpy(content) if kernels is None else self._compiled(kernels, content)

    def _compiled(self, kernels: Compiled, content: TokenRows) -> Masked:
        num_rows, vocabulary, spans = len(content.samples), content.vocabulary, self._spans
        rows = np.empty((num_rows, 5), dtype=np.int64)
        rows[:, 0], rows[:, 1] = content.offsets[:-1], content.lengths
        rows[:, 2], rows[:, 3], rows[:, 4] = content.samples, spans.tokens(content), vocabulary
        whole_spans, most = self._masking.law == "spans", len(content.ids)
        if whole_spans:
            chances = np.full(num_rows, self._masking.fraction)
            most = min(most, int(self._masking.fraction * most + rows[:, 3].sum()) + 1)
        else:
            chances = self._centre_probability[vocabulary]
        ids, ends = content.ids.copy(), np.zeros(num_rows, dtype=np.int64)
        targets, labels = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.uint16)
        law, out = self._compiled_law, (ids, targets, labels, ends)
        kernels.mask_rows(rows, chances, whole_spans, law, out)
        num_targets = int(ends[-1]) if num_rows else 0
        return Masked(ids, targets[:num_targets], labels[:num_targets], ends)

    @cached_property
    def _compiled_law(self) -> tuple[NDArray[np.generic], ...]:
        shares = np.array([self._masking.mask_fraction, self._masking.random_fraction])
        first = np.cumsum(self._word_counts) - self._word_counts
        bounds = np.stack((first, self._word_counts), axis=1)
        return key(self._seed, self._purpose), shares, self._words.astype(np.uint16), bounds

    def _by_numpy(self, content: TokenRows) -> Masked:
        draws = RowDraws.of(content, self._seed, self._purpose)
        span_tokens = self._spans.tokens(content)
        if self._masking.law == "spans":
            spans = draw_spans(draws, span_tokens, self._masking.fraction)
        else:
            probability = self._centre_probability[content.vocabulary]
            spans = draw_centres(draws, span_tokens, probability)
        decisions = draws.at(_SPAN, spans.starts, spans.rows) & _LOW_HALF
        action = np.repeat(decisions * _RESOLUTION, spans.lengths)
        targets = ranges(spans.starts, spans.lengths)
        known = content.ids[targets] != UNK
        targets, action = targets[known], action[known]
        rows = np.repeat(spans.rows, spans.lengths)[known]
        ids = content.ids.copy()
        hidden = action < self._masking.mask_fraction
        replaced = ~hidden & (action < self._masking.mask_fraction + self._masking.random_fraction)
        ids[targets[hidden]] = MASK
        ids[targets[replaced]] = self._replacement(
            draws.at(_REPLACEMENT, targets[replaced], rows[replaced]),
            content.vocabulary[rows[replaced]],
        )
        ends = np.searchsorted(targets, content.offsets[1:])
        return Masked(ids, targets, content.ids[targets], ends)

    def _replacement(self, words: Words, vocabulary: NDArray[np.int16]) -> NDArray[np.int64]:
        first = (np.cumsum(self._word_counts) - self._word_counts)[vocabulary]
        words_of_row = first + below(words, self._word_counts[vocabulary])
        drawn: NDArray[np.int64] = self._words[words_of_row]
        return drawn


@dataclass(frozen=True)
class RowDraws:
    """The words of every row of a content, addressed by lane and token.

    Attributes:
        words: All words, row after row.
        begins: Where each row's words begin, shape (B,).
        offsets: Content offsets, shape (B+1,).
    """

    words: Words
    begins: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, content: TokenRows, seed: int, purpose: Purpose) -> RowDraws:
        """Draw the words of every row; a row's words depend on its sample index alone."""
        num_words = 1 + _LANES * content.lengths
        words = ragged_words(seed, purpose, content.samples, num_words)
        return cls(words, np.cumsum(num_words) - num_words, content.offsets)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, shape (B,)."""
        return np.diff(self.offsets)

    @property
    def rounding(self) -> Words:
        """The word of each row that rounds its number of spans, shape (B,)."""
        words: Words = self.words[self.begins]
        return words

    def at(self, lane: int, positions: NDArray[np.int64], rows: NDArray[np.int64]) -> Words:
        """Return the words of a lane at content positions; shape of `positions`."""
        base = self.begins + 1 + lane * self.lengths - self.offsets[:-1]
        words: Words = self.words[base[rows] + positions]
        return words


def draw_spans(draws: RowDraws, span_tokens: NDArray[np.int64], fraction: float) -> Spans:
    """Place whole spans that do not overlap, uniformly among all placements.

    The number of spans is fraction * L / span, rounded up or down at random so that its mean is
    exact. A row shorter than a span is one span with probability `fraction`. Where a fraction
    near 1 asks for more whole spans than fit, as many as fit are placed.

    Args:
        draws: The words of each row.
        span_tokens: Tokens of a span in each row, shape (B,).
        fraction: Expected share of tokens inside spans.
    """
    lengths = draws.lengths
    tokens = np.maximum(1, np.minimum(span_tokens, lengths))
    wanted = np.floor(fraction * lengths / tokens + uniform(draws.rounding)).astype(np.int64)
    num_spans = np.minimum(wanted, lengths // tokens)
    # With every span shrunk to one slot, k spans are a k-subset of the slots that remain.
    slots = lengths - num_spans * (tokens - 1)
    rows, chosen = _smallest(draws, slots, num_spans)
    nth = np.arange(len(rows)) - (np.cumsum(num_spans) - num_spans)[rows]
    starts = draws.offsets[rows] + chosen + nth * (tokens[rows] - 1)
    return Spans(rows, starts, tokens[rows])


def draw_centres(
    draws: RowDraws, span_tokens: NDArray[np.int64], probability: NDArray[np.float64]
) -> Spans:
    """Start a span at each token with a row's probability; merge what overlaps or touches.

    A span of m tokens reaches from (m - 1) // 2 tokens before its centre to m // 2 after (14:
    -6..+7, as in the released code) and is clipped at the ends of its row. A merged run is one
    span. With m = 14 and probability 0.025 it holds 1 - 0.975**14 = 29.8 % of the tokens.

    Args:
        draws: The words of each row.
        span_tokens: Tokens of an unclipped span in each row, shape (B,).
        probability: Probability that a token of the row is a centre, shape (B,).
    """
    size = int(draws.offsets[-1])
    all_rows = np.repeat(np.arange(len(draws.lengths)), draws.lengths)
    keys = draws.at(_SPAN, np.arange(size), all_rows) >> _HALF
    centres = np.flatnonzero(keys * _RESOLUTION < probability[all_rows])
    rows = all_rows[centres]
    before, after = (span_tokens[rows] - 1) // 2, span_tokens[rows] // 2
    first = np.maximum(draws.offsets[rows], centres - before)
    last = np.minimum(draws.offsets[rows + 1], centres + after + 1)
    # Sorted by centre, `first` and `last` ascend: a run ends where the next span starts later.
    begins = np.ones(len(rows), dtype=np.bool_)
    begins[1:] = (first[1:] > last[:-1]) | (rows[1:] != rows[:-1])
    ends = np.append(begins[1:], True)[: len(rows)]
    return Spans(rows[begins], first[begins], last[ends] - first[begins])


def _smallest(
    draws: RowDraws, slots: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pick `counts` of the first `slots` places of each row, uniformly; ascending per row."""
    rows = np.repeat(np.arange(len(slots)), slots)
    within = ranges(np.zeros(len(slots), dtype=np.int64), slots)
    bits = int(slots.max(initial=1)).bit_length()
    assert bits + len(slots).bit_length() <= _HALF_BITS, "row and slot share 32 bits"
    # Row, random key and slot in one word: a plain sort of distinct numbers is ten times faster
    # than an indirect one and breaks ties alike everywhere. The key keeps 32 bits always, so that
    # the rows beside it do not change the order.
    keys = draws.at(_SPAN, draws.offsets[rows] + within, rows) >> _HALF
    mixed = (rows.astype(np.uint64) << np.uint64(_HALF_BITS + bits)) | (
        (keys << np.uint64(bits)) | within.astype(np.uint64)
    )
    mixed.sort()
    picked = mixed[ranges(np.cumsum(slots) - slots, counts)]
    low = (picked & np.uint64((1 << bits) - 1)).astype(np.int64)
    row = np.repeat(np.arange(len(slots)), counts)
    placed = np.sort((row << bits) | low)
    return row, placed & ((1 << bits) - 1)


def _replacements(
    masking: Masking, ensemble: Ensemble
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ensemble rows random tokens are drawn from, joined by vocabulary, and their counts."""
    tables = [ensemble.word_rows(v).astype(np.int64) for v in range(len(ensemble.vocabularies))]
    if masking.scope == "union":
        union = np.unique(np.concatenate(tables))
        tables = [union] * len(tables)
    counts = np.array([len(table) for table in tables], dtype=np.int64)
    return np.concatenate(tables), counts
