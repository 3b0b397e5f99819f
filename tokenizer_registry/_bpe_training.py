"""Byte-pair training: compiled where it pays, else by Hugging Face `tokenizers`; both alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer, models, trainers

from gfmp.errors import VocabularyError
from gfmp.storage.compiled import Compiled
from gfmp.vocabulary.vocabulary import BASES
from tokenizer_registry._bpe_merging import MOST_LETTERS, MOST_WORDS, merged_pairs
from tokenizer_registry._bpe_training_kernels import KERNELS


@dataclass(frozen=True)
class Merges:
    """What training learns.

    Attributes:
        words: The four bases, then each new word in the order it was learnt.
        merges: Pairs "left right", first applied first.
    """

    words: tuple[str, ...]
    merges: tuple[str, ...]


def train(pieces: Sequence[str], num_words: int, name: str) -> Merges:
    """Learn `num_words` words, the four bases included.

    Args:
        pieces: Upper-case stretches of ACGT.
        num_words: Words to learn.
        name: Name of the vocabulary.

    Raises:
        VocabularyError: the pieces do not hold so many words that occur twice.
    """
    bases = sum(map(len, pieces))
    fits = num_words <= MOST_WORDS and bases + len(pieces) <= MOST_LETTERS
    kernels = KERNELS.after(bases) if fits else None
    learnt = (
        by_library(pieces, num_words) if kernels is None else compiled(kernels, pieces, num_words)
    )
    if len(learnt.words) < num_words:
        raise VocabularyError(
            f"the sample yields {len(learnt.words):,} words of the {num_words:,} asked for",
            where=f"vocabulary {name!r}",
            why=f"it has {bases:,} bases; a word must occur twice in them",
            fix="give a larger corpus or sample_bp, or ask for a smaller size",
        )
    return learnt


def compiled(kernels: Compiled, pieces: Sequence[str], num_words: int) -> Merges:
    """Learn by compiled functions as many of `num_words` words as occur twice."""
    words, merges = [*BASES], []
    for left, right in merged_pairs(kernels, pieces, num_words):
        merges.append(f"{words[left]} {words[right]}")
        words.append(words[left] + words[right])
    return Merges(tuple(words), tuple(merges))


def by_library(pieces: Sequence[str], num_words: int) -> Merges:
    """Learn by the library as many of `num_words` words as occur twice."""
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
    return Merges(tuple(words), tuple(f"{left} {right}" for left, right in model["merges"]))
