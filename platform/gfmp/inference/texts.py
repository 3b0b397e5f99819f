"""A batch of alleles as the texts a model reads: each once, whoever shares it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gfmp.genome.alleles import Window
from gfmp.learners.tokens import SplitTokens
from gfmp.tasks.strands import other_strand
from gfmp.vocabulary.tokenizer import Encoded, Tokenizer


@dataclass(frozen=True)
class Text:
    """A sequence and the part of it that an allele decides.

    Attributes:
        sequence: Letters, upper case.
        start: 0-based first letter of the allele.
        end: One past its last; `start` for a deletion.
    """

    sequence: bytes
    start: int
    end: int

    @property
    def other_strand(self) -> Text:
        """The same on the other strand."""
        length = len(self.sequence)
        return Text(other_strand(self.sequence), length - self.end, length - self.start)


@dataclass(frozen=True)
class Batch:
    """N alleles on S strands.

    Attributes:
        texts: The distinct texts; alternates of one place share that of the reference.
        reference: Place in `texts` of each reference, shape (N, S).
        alternate: Place of each alternate, shape (N, S).
    """

    texts: tuple[Text, ...]
    reference: NDArray[np.int64]
    alternate: NDArray[np.int64]
    _encoded: dict[str, Encoded] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, windows: Sequence[Window], *, both_strands: bool) -> Batch:
        """Spell alleles on one strand or both."""
        places: dict[Text, int] = {}
        pairs: list[list[int]] = [[], []]
        for window in windows:
            start, allele = len(window.before), window.allele
            spelled = (
                Text(window.reference, start, start + len(allele.ref)),
                Text(window.alternate, start, start + len(allele.alt)),
            )
            for found, text in zip(pairs, spelled, strict=True):
                strands = (text, text.other_strand) if both_strands else (text,)
                found += [places.setdefault(one, len(places)) for one in strands]
        shape = (len(windows), 2 if both_strands else 1)
        reference, alternate = (np.array(p, dtype=np.int64).reshape(shape) for p in pairs)
        return cls(tuple(places), reference, alternate)

    def __len__(self) -> int:
        return len(self.reference)

    def encoded(self, tokenizer: Tokenizer) -> Encoded:
        """Return the tokens of every text; each vocabulary encodes once, whoever asks."""
        key = tokenizer.vocabulary.fingerprint
        if key not in self._encoded:
            self._encoded[key] = tokenizer.encode([text.sequence for text in self.texts])
        return self._encoded[key]

    def pairs(self) -> zip[tuple[int, int]]:
        """Yield the places of reference and alternate, allele by allele, strand by strand."""
        return zip(self.reference.ravel().tolist(), self.alternate.ravel().tolist(), strict=True)


def split_tokens(encoded: Encoded) -> SplitTokens:
    """Return tokens as the rows that models are packed from."""
    return SplitTokens(encoded.ids, encoded.cu_tokens)


def changed(one: NDArray[np.integer], other: NDArray[np.integer]) -> tuple[slice, slice]:
    """Return the tokens in which two texts differ, after the alleles were tokenised anew.

    What both begin and end with is left out. Where one of them would be empty, both get the token
    before (or behind, at the beginning): of nothing there is no likelihood. Texts of equal tokens,
    such as [UNK] all around the change, differ in none.
    """
    if np.array_equal(one, other):
        return slice(0, 0), slice(0, 0)
    most = min(len(one), len(other))
    same = one[:most] == other[:most]
    front = most if same.all() else int(same.argmin())
    same = one[len(one) - most :][::-1] == other[len(other) - most :][::-1]
    behind = min(most if same.all() else int(same.argmin()), most - front)
    if front + behind == most:
        if front:
            front -= 1
        elif behind:
            behind -= 1
    return slice(front, len(one) - behind), slice(front, len(other) - behind)
