"""The contract finds each way a tokenizer can lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from gfmp.errors import VocabularyError
from gfmp.vocabulary.contract import check
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.tokenizer import Encoded, Tokenizer
from gfmp.vocabulary.vocabulary import MASK, UNK, Vocabulary

# The contract encodes a batch in its ninth and tenth call, then each sequence alone.
_CALLS_THAT_LIE = {"unsteady": (10,), "neighbours": (9, 10)}


@dataclass
class Liar:
    """A real tokenizer with one fault put in."""

    inner: Tokenizer
    fault: str
    calls: int = 0

    @property
    def vocabulary(self) -> Vocabulary:
        if self.fault == "other vocabulary":
            return replace(self.inner.vocabulary, mask_span_tokens=9)
        return self.inner.vocabulary

    def encode(self, sequences: Sequence[bytes]) -> Encoded:
        self.calls += 1
        if self.fault == "case":
            sequences = [s.replace(b"t", b"N") for s in sequences]
        if self.fault == "drops":
            sequences = [b"".join(s.split(b"N")) or b"A" for s in sequences]
        encoded = self.inner.encode(sequences)
        ids = encoded.ids.copy()
        if self.fault == "no T":
            ids[ids == 8] = UNK
        if self.fault == "rare" and len(sequences) > 1:
            ids[777 % len(ids)] = UNK
        if self.fault == "injects":
            for row, text in enumerate(sequences):
                first = encoded.cu_tokens[row]
                ids[first] = MASK if b"[MASK]" in text else ids[first]
        if self.fault == "fills":
            ids[ids == UNK] = 5
        if self.calls in _CALLS_THAT_LIE.get(self.fault, ()):
            ids[0] = 5 + (ids[0] - 4) % 4
        starts = encoded.starts + 1 if self.fault == "offsets" else encoded.starts
        return replace(encoded, ids=ids, starts=starts)

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        text = self.inner.decode(ids)
        return text[::-1] if self.fault == "decode" else text


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("other vocabulary", "fingerprint"),
        ("no T", r"the symbol 'T' \(0x54\) is not covered"),
        ("rare", "is not covered"),
        ("offsets", "do not tile"),
        ("injects", "special token"),
        ("decode", "does not decode to itself"),
        ("case", "lower case"),
        ("drops", "do not tile"),
        ("fills", r"not \[UNK\]"),
        ("unsteady", "two results"),
        ("neighbours", "depends on its neighbours"),
    ],
)
def test_each_lie_is_found(
    families: FamilyRegistry, built: dict[str, Vocabulary], fault: str, text: str
) -> None:
    vocabulary = built["nucleotide"]
    with pytest.raises(VocabularyError, match=text) as caught:
        check(vocabulary, Liar(families.tokenizer(vocabulary), fault), 0)
    assert "nucleotide" in caught.value.problems[0].where


def test_an_honest_tokenizer_passes_with_evidence(
    families: FamilyRegistry, built: dict[str, Vocabulary]
) -> None:
    vocabulary = built["nucleotide"]
    findings = check(vocabulary, Liar(families.tokenizer(vocabulary), "none"), 0)
    assert len(findings) == 6
    assert any("10,000 random sequences" in f.evidence for f in findings)
