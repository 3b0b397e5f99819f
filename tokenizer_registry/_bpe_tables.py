"""What exact encoding looks up: the longest word at a place, and who may stand beside whom.

Words are counted by rank: the four bases, then what each merge makes. Vocabularies whose merges
follow no such order, or make a word in two ways, are not encoded this way; `why_not` says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.vocabulary.vocabulary import BASES
from tokenizer_registry._bpe_encoding_kernels import HEAD_BP, NONE, ROOT

# The table of neighbours has a byte for every two words while it is made.
MOST_WORDS = 16_384


@dataclass(frozen=True)
class Ranked:
    """Words by rank.

    Attributes:
        words: The bases, then what each merge makes.
        halves: Ranks of the two halves of each made word, shape (words - 4, 2).
    """

    words: tuple[str, ...]
    halves: NDArray[np.int64]


def why_not(merges: Sequence[str]) -> str:
    """Return why these merges cannot be encoded without merging; empty where they can."""
    if len(merges) + len(BASES) > MOST_WORDS:
        return f"{len(merges):,} merges need too large a table (at most {MOST_WORDS:,} words)"
    known = set(BASES)
    for merge in merges:
        left, _, right = merge.partition(" ")
        if left not in known or right not in known:
            return f"the merge {merge!r} uses a word that a later merge makes, or none"
        if left + right in known:
            return f"the merge {merge!r} makes a word that is there already"
        known.add(left + right)
    ranked = rank(merges)
    apart = ~_neighbours(ranked)[ranked.halves[:, 0], ranked.halves[:, 1]]
    if apart.any():
        word = ranked.words[len(BASES) + int(np.argmax(apart))]
        return f"the word {word!r} does not come out of its own letters"
    return ""


def rank(merges: Sequence[str]) -> Ranked:
    """Count words by rank."""
    ranks = {base: i for i, base in enumerate(BASES)}
    halves = []
    for merge in merges:
        left, _, right = merge.partition(" ")
        halves.append((ranks[left], ranks[right]))
        ranks[left + right] = len(ranks)
    return Ranked(tuple(ranks), np.array(halves, dtype=np.int64).reshape(-1, 2))


def tables(ranked: Ranked) -> tuple[NDArray[np.generic], ...]:
    """Return the arrays that `encode_sequences` reads.

    For each eight bases the longest word that begins them and the node of the trie they lead to;
    children of each node by base; word of each node; letters of each word; its longest beginning
    that is a word; its row and column in the table of neighbours; that table, a bit for each.
    """
    children, node_words = _trie(ranked.words)
    head_words, head_nodes = _heads(children, node_words)
    beside = _neighbours(ranked)
    beside[ranked.halves[:, 0], ranked.halves[:, 1]] = False
    # Many words have the same neighbours: the table of those that differ fits the cache.
    _, kept, rows = np.unique(
        np.packbits(beside, axis=1), axis=0, return_index=True, return_inverse=True
    )
    beside = beside[kept]
    _, kept, columns = np.unique(
        np.packbits(beside, axis=0), axis=1, return_index=True, return_inverse=True
    )
    return (
        head_words,
        head_nodes,
        children,
        node_words,
        np.array([len(word) for word in ranked.words], dtype=np.uint32),
        _shorter(ranked.words),
        rows.ravel().astype(np.uint16),
        columns.ravel().astype(np.uint16),
        np.packbits(np.ascontiguousarray(beside[:, kept]), axis=1, bitorder="little"),
    )


def _neighbours(ranked: Ranked) -> NDArray[np.bool_]:
    """Return which words stand side by side, the merge of the two themselves left aside.

    By induction over the later of the two: before it was made, one of its halves stood at the
    border. A merge of that half with the other word must not come first; of merges of one rank
    the left one comes first. Shape (V, V), left words by right words.
    """
    num_words, num_bases = len(ranked.words), len(BASES)
    behind: dict[int, list[int]] = defaultdict(list)
    before: dict[int, list[int]] = defaultdict(list)
    beside = np.ones((num_words, num_words), dtype=np.bool_)
    for made, (left, right) in enumerate(ranked.halves.tolist(), start=num_bases):
        beside[made, :made] = beside[right, :made]
        beside[made, behind[right]] = False
        behind[left].append(right)
        before[right].append(left)
        beside[: made + 1, made] = beside[: made + 1, left]
        beside[before[left], made] = False
    return beside


def _trie(words: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Return children of each node by base, and its word; node 0 is none, 1 the root."""
    children, node_words = [[0] * len(BASES), [0] * len(BASES)], [NONE, NONE]
    for number, word in enumerate(words):
        node = ROOT
        for base in map(BASES.index, word):
            if not children[node][base]:
                children[node][base] = len(children)
                children.append([0] * len(BASES))
                node_words.append(NONE)
            node = children[node][base]
        node_words[node] = number
    return np.array(children, dtype=np.int32), np.array(node_words, dtype=np.uint16)


def _heads(
    children: NDArray[np.int32], node_words: NDArray[np.uint16]
) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Return the longest word within each eight bases, and the node they lead to."""
    numbers = np.arange(len(BASES) ** HEAD_BP)
    nodes = np.full(len(numbers), ROOT, dtype=np.int32)
    words = np.full(len(numbers), NONE, dtype=np.uint16)
    for place in reversed(range(HEAD_BP)):
        nodes = children[nodes, numbers >> 2 * place & 3]
        words = np.where(node_words[nodes] != NONE, node_words[nodes], words)
    return words, nodes


def _shorter(words: Sequence[str]) -> NDArray[np.uint16]:
    """Return the longest proper beginning of each word that is a word."""
    ranks = {word: i for i, word in enumerate(words)}
    found = [
        next(
            (ranks[word[:end]] for end in range(len(word) - 1, 0, -1) if word[:end] in ranks), NONE
        )
        for word in words
    ]
    return np.array(found, dtype=np.uint16)
