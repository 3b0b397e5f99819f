"""In-silico mutagenesis: every base of a row replaced by every other, the row read anew each time.

The mutated row is tokenised from its letters, so BPE boundaries move as they would in a genome
that has the variant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gfmp.inference.attribution_rows import RowReader
from gfmp.inference.attribution_target import Explained, row_scores
from gfmp.learners.compute import Compute
from gfmp.learners.head import TaskModel

BASES = b"ACGT"


def mutagenesis(
    model: TaskModel, reader: RowReader, sequence: bytes, what: Explained, compute: Compute
) -> NDArray[np.float64]:
    """Return what each substitution changes: score of the mutant minus score of the row.

    Args:
        model: The model.
        reader: Tokenises for it.
        sequence: The row, upper-case.
        what: The number that is explained.
        compute: Device and size of a chunk.

    Returns:
        Shape (bases, 4), columns A, C, G, T; 0 for the base that stands there. A letter that is
        no base has the change of each of the four bases put in its place.
    """
    letters = np.frombuffer(sequence, dtype=np.uint8)
    places = [(at, base) for at in range(len(letters)) for base in range(4)]
    places = [(at, base) for at, base in places if letters[at] != BASES[base]]
    mutants = [sequence, *(_mutant(letters, at, BASES[base]) for at, base in places)]
    scores = row_scores(model, reader.read(mutants), what, compute)
    changes = np.zeros((len(letters), 4))
    changes[tuple(np.array(places, dtype=np.int64).reshape(-1, 2).T)] = scores[1:] - scores[0]
    return changes


def importance(changes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the row loses on average when a base becomes another, shape (bases,)."""
    lost: NDArray[np.float64] = -changes.sum(axis=1) / (len(BASES) - 1)
    return lost


def _mutant(letters: NDArray[np.uint8], at: int, base: int) -> bytes:
    changed = letters.copy()
    changed[at] = base
    return changed.tobytes()
