"""Sequences as a fine-tuned model reads them, with the way back from its tokens to bases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.learners.finetuned import Finetuned
from gfmp.learners.initial import Initial
from gfmp.learners.packed import RowPacker
from gfmp.learners.tokens import SplitTokens, TaskTokens
from gfmp.learners.views import SplitViews
from gfmp.spec.vocabularies import parts
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.tokenizer import Encoded, Tokenizer


@dataclass(frozen=True)
class TokenPlaces:
    """Where the C words of one row stand in it.

    Attributes:
        starts: First base of each word, 0-based, shape (C,).
        ends: One past its last base (half-open), shape (C,).
        num_bp: Bases of the row.
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    num_bp: int

    def mean(self, scores_C: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return for each base the mean score of the words that cover it; 0 where none does.

        For what is a weight of a word, such as attention (DNABERT-viz, Ji et al. 2021).
        """
        return self._sums(scores_C) / np.maximum(self._sums(np.ones(len(self.starts))), 1)

    def shared(self, scores_C: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return for each base its equal share of the words that cover it; sums are kept.

        For what adds up over words, such as integrated gradients.
        """
        return self._sums(scores_C / (self.ends - self.starts))

    def _sums(self, values_C: NDArray[np.floating]) -> NDArray[np.float64]:
        steps = np.zeros(self.num_bp + 1)
        np.add.at(steps, self.starts, values_C)
        np.add.at(steps, self.ends, -np.asarray(values_C, dtype=np.float64))
        return np.cumsum(steps)[:-1]


@dataclass(frozen=True)
class ReadRows:
    """N sequences in every vocabulary of a model.

    Attributes:
        sequences: The sequences.
        views: Their tokens and who lays them out, by vocabulary.
        encoded: The same tokens with their offsets, by vocabulary.
    """

    sequences: tuple[bytes, ...]
    views: SplitViews
    encoded: tuple[Encoded, ...]

    def __len__(self) -> int:
        return len(self.sequences)

    def places(self, view: int, row: int) -> TokenPlaces:
        """Return where the words of a row stand, in the vocabulary of a view."""
        own = self.encoded[view]
        span = slice(int(own.cu_tokens[row]), int(own.cu_tokens[row + 1]))
        return TokenPlaces(own.starts[span], own.ends[span], len(self.sequences[row]))


class RowReader:
    """Reads sequences for one model.

    Args:
        made: A fine-tuned model, read in all its vocabularies at once, or what lays out the rows
            of a model.
        names: Vocabularies that are read; empty takes those of the fine-tuned model.
    """

    def __init__(self, made: Finetuned | Initial, names: Sequence[str] = ()) -> None:
        registry = FamilyRegistry.discover()
        initial = made.initial if isinstance(made, Finetuned) else made
        known = {one.name: one for one in initial.ensemble.vocabularies}
        own = parts(made.vocabulary) if isinstance(made, Finetuned) else tuple(known)
        self._tokenizers = tuple(registry.tokenizer(known[n]) for n in names or own)
        self._packers = tuple(_packer(initial, one) for one in self._tokenizers)

    @property
    def shortest_bp(self) -> int:
        """Bases that a sequence has at least."""
        return max(one.vocabulary.shortest_bp for one in self._tokenizers)

    def read(self, sequences: Sequence[bytes]) -> ReadRows:
        """Encode sequences whole.

        Raises:
            DataError: one is shorter than a vocabulary of the model can encode.
        """
        encoded = tuple(one.encode(sequences) for one in self._tokenizers)
        tokens = tuple(map(_tokens, encoded))
        views = SplitViews(tuple(zip(tokens, self._packers, strict=True)))
        return ReadRows(tuple(sequences), views, encoded)


def _packer(initial: Initial, tokenizer: Tokenizer) -> RowPacker:
    vocabulary = tokenizer.vocabulary
    none = SplitTokens(np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64))
    # A packer is of a vocabulary; the rows come later.
    named = TaskTokens(vocabulary.name, vocabulary.fingerprint, none, none, none)
    return RowPacker(initial, named)


def _tokens(encoded: Encoded) -> SplitTokens:
    return SplitTokens(encoded.ids, encoded.cu_tokens.astype(np.int64))
