"""What masked overlapping tokens really hide: the copy oracle and the account of a span.

Neighbouring overlapping tokens show each other's bases, so a masked token can often be read off
its visible neighbours without any model. Ye et al. (Genomics-FM, A.1.3) therefore mask at least
six 6-mers in a row; that hides one base. Fourteen in a row hide nine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.vocabulary.tokenizer import Encoded, is_word
from gfmp.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class SpanAccount:
    """What one masked span hides.

    Attributes:
        span_tokens: Tokens masked in a row.
        hidden_bp: Bases that no visible token shows (the mean where tokens do not overlap).
        leaks: True when a decoder that only copies recovers every token of the span.
    """

    span_tokens: int
    hidden_bp: int
    leaks: bool


def account(vocabulary: Vocabulary, span_tokens: int) -> SpanAccount:
    """Return what a span of `span_tokens` hides, given visible tokens on both sides."""
    assert span_tokens >= 1, "a span has at least one token"
    hidden_bp = vocabulary.hidden_bp(span_tokens)
    return SpanAccount(span_tokens, hidden_bp, vocabulary.overlapping and hidden_bp == 0)


def shown_bases(
    encoded: Encoded, masked: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which bases some visible token shows.

    Args:
        encoded: The tokens of B sequences.
        masked: True for each token that is hidden, shape (T,).

    Returns:
        Flags over the sequences laid end to end, and the first base of each sequence in them,
        shape (B+1,). [UNK] shows nothing.
    """
    assert masked.shape == encoded.ids.shape, "one flag for each token"
    rows = encoded.rows
    lengths = np.zeros(encoded.num_sequences, dtype=np.int64)
    np.maximum.at(lengths, rows, encoded.ends)
    origins = np.concatenate(([0], np.cumsum(lengths)))
    visible = is_word(encoded.ids) & ~masked
    steps = np.zeros(int(origins[-1]) + 1, dtype=np.int64)
    np.add.at(steps, (origins[rows] + encoded.starts)[visible], 1)
    np.add.at(steps, (origins[rows] + encoded.ends)[visible], -1)
    return np.cumsum(steps)[:-1] > 0, origins


def hidden_bases(encoded: Encoded, masked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many known bases of each sequence no visible token shows, shape (B,).

    It is the denominator of a loss in bits per hidden base. Bases that only [UNK] covers do not
    count, for nothing is asked about them.
    """
    nothing = np.zeros_like(masked)
    known, origins = shown_bases(encoded, nothing)
    shown, _ = shown_bases(encoded, masked)
    before = np.concatenate(([0], np.cumsum(known & ~shown)))
    return before[origins[1:]] - before[origins[:-1]]


def copy_oracle(
    encoded: Encoded, masked: NDArray[np.bool_], vocabulary: Vocabulary
) -> NDArray[np.bool_]:
    """Return which masked tokens can be recovered by copying bases from visible tokens.

    Args:
        encoded: The tokens of B sequences.
        masked: True for each token that is hidden, shape (T,).
        vocabulary: The vocabulary that encoded them.

    Returns:
        Flags of shape (T,); a token is recovered when it is a masked word and visible words
        show every one of its bases.
    """
    if not vocabulary.overlapping:
        return np.zeros_like(masked)
    shown, origins = shown_bases(encoded, masked)
    before = np.concatenate(([0], np.cumsum(shown)))
    origin = origins[encoded.rows]
    seen = before[origin + encoded.ends] - before[origin + encoded.starts]
    whole: NDArray[np.bool_] = seen == encoded.ends - encoded.starts
    return masked & is_word(encoded.ids) & whole
