"""Every map by its name, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gfmp.inference.attribution_attention import ATTENTION_MAPS, AttentionMap, attention_maps
from gfmp.inference.attribution_gradients import integrated_gradients
from gfmp.inference.attribution_mutagenesis import importance, mutagenesis
from gfmp.inference.attribution_rows import RowReader
from gfmp.inference.attribution_target import Explained
from gfmp.learners.compute import Compute
from gfmp.learners.finetuned import Finetuned
from gfmp.spec.motifs import MapName

# Rows between two looks at whether somebody wants to stop; maps do not depend on it.
ROWS_AT_A_TIME = 128
Maps = list[NDArray[np.float64]]


@dataclass(frozen=True)
class Explainer:
    """A model, what of it is explained, and how it reads.

    Attributes:
        made: The model.
        reader: Tokenises for it.
        what: The number that is explained.
        compute: Device and threads.
    """

    made: Finetuned
    reader: RowReader
    what: Explained
    compute: Compute

    def maps(self, sequences: Sequence[bytes], name: MapName) -> Iterator[Maps]:
        """Yield the maps of the next rows, each of shape (bases,).

        Args:
            sequences: The rows.
            name: Which map.
        """
        for first in range(0, len(sequences), ROWS_AT_A_TIME):
            yield _READERS[name](self, sequences[first : first + ROWS_AT_A_TIME])


def _attention(kind: AttentionMap, explainer: Explainer, sequences: Sequence[bytes]) -> Maps:
    rows = explainer.reader.read(sequences)
    return attention_maps(explainer.made.model, rows, kind, explainer.compute)


def _gradients(explainer: Explainer, sequences: Sequence[bytes]) -> Maps:
    rows = explainer.reader.read(sequences)
    model, what, compute = explainer.made.model, explainer.what, explainer.compute
    found = (integrated_gradients(model, rows, row, what, compute) for row in range(len(rows)))
    return [one.per_base for one in found]


def _mutagenesis(explainer: Explainer, sequences: Sequence[bytes]) -> Maps:
    model, reader, what = explainer.made.model, explainer.reader, explainer.what
    changes = (mutagenesis(model, reader, one, what, explainer.compute) for one in sequences)
    return [importance(one) for one in changes]


_READERS: Mapping[MapName, Callable[[Explainer, Sequence[bytes]], Maps]] = {
    **{kind: partial(_attention, kind) for kind in ATTENTION_MAPS},
    "integrated_gradients": _gradients,
    "mutagenesis": _mutagenesis,
}
