"""Rows of a task as the packed tokens an encoder reads, and means over their words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gfmp.feed.content import ranges
from gfmp.learners.initial import Initial
from gfmp.learners.tokens import SplitTokens, TaskTokens
from gfmp.model.tokens import Packing
from gfmp.vocabulary.vocabulary import CLS, SEP

# Where a row's mean is taken: over each third of its words. One mean over all of them does not
# tell where in the row a signal stands, and ALiBi knows distances only.
NUM_PARTS = 3
_ROW_END = 1


@dataclass(frozen=True)
class PackedRows:
    """B rows laid out as [CLS] [PROMPT] words [SEP] each.

    Attributes:
        ids_T: Ensemble rows of the tokens, int64.
        packing: Where the rows stand.
        pieces_BP: Tokens of each piece of a row: the leading specials, `NUM_PARTS` runs of
            words, [SEP]; int64.
    """

    ids_T: Tensor
    packing: Packing
    pieces_BP: Tensor

    def means(self, hidden_TD: Tensor) -> Tensor:
        """Return the mean of each third of a row's words, shape (B, NUM_PARTS * D), fp32.

        A third without words is zero.
        """
        num_rows, num_pieces = self.pieces_BP.shape
        sums = torch.segment_reduce(
            hidden_TD.float(), "sum", lengths=self.pieces_BP.flatten(), axis=0, unsafe=True
        )
        counts = self.pieces_BP.clamp(min=1).unsqueeze(-1)
        means = sums.view(num_rows, num_pieces, -1) / counts
        return means[:, 1:-1].flatten(1)


class RowPacker:
    """Packs rows of one task for one initial model.

    Raises:
        MissingInputError: the model never saw the vocabulary.
    """

    def __init__(self, initial: Initial, tokens: TaskTokens) -> None:
        index = initial.index_of(tokens.name, tokens.fingerprint)
        self._table = initial.ensemble.rows(index).astype(np.int64)
        prompt = (initial.ensemble.prompt(index),) if initial.prompted else ()
        self._lead = np.array((CLS, *prompt), dtype=np.int64)

    @property
    def num_specials(self) -> int:
        """Special tokens of a row."""
        return len(self._lead) + _ROW_END

    def pack(self, split: SplitTokens, rows: NDArray[np.int64], device: torch.device) -> PackedRows:
        """Lay out rows of a split, in this order."""
        lengths = split.lengths[rows]
        starts = np.concatenate(([0], np.cumsum(lengths + self.num_specials)))[:-1]
        ids = np.empty(int((lengths + self.num_specials).sum()), dtype=np.int64)
        for place, special in enumerate(self._lead):
            ids[starts + place] = special
        ids[starts + len(self._lead) + lengths] = SEP
        local = split.ids[ranges(split.offsets[rows], lengths)]
        ids[ranges(starts + len(self._lead), lengths)] = self._table[local]
        packing = Packing.of(tuple((lengths + self.num_specials).tolist()), device)
        pieces = torch.from_numpy(self._pieces(lengths))
        return PackedRows(torch.from_numpy(ids).to(device), packing, pieces.to(device))

    def _pieces(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        shares = np.arange(NUM_PARTS + 1) * 2 * lengths[:, None]
        borders = (shares + NUM_PARTS) // (2 * NUM_PARTS)  # rounded to the nearest word
        lead = np.full((len(lengths), 1), len(self._lead))
        end = np.full((len(lengths), 1), _ROW_END)
        return np.concatenate((lead, np.diff(borders, axis=1), end), axis=1)


def chunks(
    lengths: NDArray[np.int64], num_specials: int, most_tokens: int
) -> Sequence[NDArray[np.int64]]:
    """Cut row positions into chunks of like lengths, longest first.

    Args:
        lengths: Words of each row.
        num_specials: Special tokens of each row.
        most_tokens: Tokens of a chunk at most; a longer row is a chunk of its own.
    """
    order = np.argsort(-lengths, kind="stable")
    cut: list[NDArray[np.int64]] = []
    first = tokens = 0
    for place, length in enumerate((lengths[order] + num_specials).tolist()):
        if place > first and tokens + length > most_tokens:
            cut.append(order[first:place])
            first, tokens = place, 0
        tokens += length
    return [*cut, order[first:]] if len(order) else []
