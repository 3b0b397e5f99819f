"""Byte-pair training on a seeded, bounded sample of DNA."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer, models, trainers

from gfmp.errors import VocabularyError
from gfmp.vocabulary.vocabulary import BASES

# The trainer's time grows with the square of the chunk length: 1,000 bases cost what 200 do,
# 50,000 cost ten times as much, and the words learnt hardly differ.
CHUNK_BP = 1_000
_STRETCH = re.compile(rb"[ACGT]{2,}")


@dataclass(frozen=True)
class Merges:
    """What training learns.

    Attributes:
        words: The four bases, then each new word in the order it was learnt.
        merges: Pairs "left right", first applied first.
    """

    words: tuple[str, ...]
    merges: tuple[str, ...]


def chunks(sample: Sequence[bytes], sample_bp: int, seed: int) -> list[str]:
    """Return at most `sample_bp` bases of the sample as upper-case pieces over ACGT.

    Pieces end at any other letter and after `CHUNK_BP` bases. When there are more than enough,
    a seeded choice is taken.
    """
    pieces = [
        stretch[at : at + CHUNK_BP].decode("ascii")
        for sequence in sample
        for stretch in _STRETCH.findall(sequence.upper())
        for at in range(0, len(stretch), CHUNK_BP)
    ]
    if sum(map(len, pieces)) <= sample_bp:
        return pieces
    order = np.random.default_rng(seed).permutation(len(pieces))
    lengths = np.array([len(pieces[i]) for i in order])
    enough = int(np.searchsorted(np.cumsum(lengths), sample_bp, side="right"))
    return [pieces[i] for i in sorted(order[:enough])]


def train(pieces: Sequence[str], num_words: int, name: str) -> Merges:
    """Learn `num_words` words, the four bases included.

    Raises:
        VocabularyError: the pieces do not hold so many words that occur twice.
    """
    trained = Tokenizer(models.BPE(cache_capacity=0))
    trainer = trainers.BpeTrainer(
        vocab_size=num_words,
        min_frequency=2,
        initial_alphabet=list(BASES),
        special_tokens=[],
        show_progress=False,
    )
    trained.train_from_iterator(pieces, trainer=trainer, length=len(pieces))
    model = json.loads(trained.to_str())["model"]
    words = sorted(model["vocab"], key=model["vocab"].__getitem__)
    if len(words) < num_words:
        raise VocabularyError(
            f"the sample yields {len(words):,} words of the {num_words:,} asked for",
            where=f"vocabulary {name!r}",
            why=f"it has {sum(map(len, pieces)):,} bases; a word must occur twice in them",
            fix="give a larger corpus or sample_bp, or ask for a smaller size",
        )
    return Merges(tuple(words), tuple(f"{left} {right}" for left, right in model["merges"]))
