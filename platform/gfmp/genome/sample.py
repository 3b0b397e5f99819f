"""A seeded uniform sample of a corpus, reading only the row groups it falls on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gfmp.errors import UsageError
from gfmp.genome.corpus import Corpus, Piece
from gfmp.genome.splits import Split


def sample_sequences(
    corpus: Corpus, total_bp: int, chunk_bp: int, seed: int, split: Split = "train"
) -> list[bytes]:
    """Draw about `total_bp` core bases in chunks of at most `chunk_bp`, without repetition.

    The cores of each row group are laid end to end and cut into slots of `chunk_bp`; slots are
    drawn uniformly. A slot on a border between two pieces gives two shorter chunks. Asking for
    more than there is gives every base exactly once.

    Args:
        corpus: What to sample.
        total_bp: Bases wanted; rounded up to whole slots.
        chunk_bp: Longest chunk.
        seed: The same seed gives the same chunks.
        split: `train` or `valid`.

    Returns:
        Chunks in canonical order (by species and position, not shuffled).

    Raises:
        UsageError: a length is below 1, or the split is empty.
    """
    groups = corpus.row_groups(split)
    if total_bp < 1 or chunk_bp < 1 or not groups:
        raise UsageError(
            f"cannot draw {total_bp} bp in chunks of {chunk_bp} from {len(groups)} row groups",
            where=str(corpus.path),
            why="both lengths are at least 1 and the split must hold sequence",
            fix=f"ask for lengths above 0 and a split with bases (here {split!r})",
        )
    slots = np.array([-(-group.bases // chunk_bp) for group in groups])
    borders = np.concatenate([[0], np.cumsum(slots)])
    num_slots = min(int(borders[-1]), -(-total_bp // chunk_bp))
    drawn = np.random.default_rng(seed).choice(int(borders[-1]), num_slots, replace=False)
    drawn.sort()
    owners = np.searchsorted(borders, drawn, side="right") - 1
    chunks: list[bytes] = []
    for owner in np.unique(owners).tolist():
        starts = (drawn[owners == owner] - borders[owner]) * chunk_bp
        pieces = corpus.read(groups[owner])
        chunks += _cut(pieces, starts.tolist(), chunk_bp)
    return chunks


def _cut(pieces: Sequence[Piece], starts: Sequence[int], chunk_bp: int) -> Iterator[bytes]:
    """Cut `[start, start + chunk_bp)` out of the cores laid end to end; `starts` ascend."""
    borders = np.concatenate([[0], np.cumsum([piece.bases for piece in pieces])])
    for start in starts:
        end = min(start + chunk_bp, int(borders[-1]))
        first = int(np.searchsorted(borders, start, side="right")) - 1
        last = int(np.searchsorted(borders, end, side="left"))
        for i in range(first, last):
            begin = max(start - int(borders[i]), 0)
            stop = min(end - int(borders[i]), pieces[i].bases)
            yield pieces[i].sequence[begin:stop]
