"""Overlapping k-mers of uint8 bases as ensemble rows, on whatever device the bases are."""

from __future__ import annotations

import torch
from torch import Tensor

# Codes of A, C, G, T are two bits of their letters; any case.
_UPPER = 0xDF
_LETTERS = (65, 67, 71, 84)


def kmer_rows(bases_S: Tensor, lengths_B: Tensor, k: int, rows: tuple[int, int]) -> Tensor:
    """Return the row of every window of k bases that lies inside a sequence.

    Args:
        bases_S: Letters of the sequences end to end, uint8.
        lengths_B: Bases of each sequence, int64.
        k: Bases of a window.
        rows: Row of the first word (all A), and of a window with another letter.

    Returns:
        Rows in the order of the windows, int64; a sequence of n bases has n - k + 1 of them.
    """
    letters = bases_S & _UPPER
    known = (letters == _LETTERS[0]) | (letters == _LETTERS[1])
    known |= (letters == _LETTERS[2]) | (letters == _LETTERS[3])
    codes = (((bases_S >> 1) ^ (bases_S >> 2)) & 3).int()
    num = len(bases_S) - k + 1
    words = torch.zeros(num, dtype=torch.int32, device=bases_S.device)
    whole = torch.ones(num, dtype=torch.bool, device=bases_S.device)
    for place in range(k):
        words = (words << 2) | codes[place : place + num]
        whole &= known[place : place + num]
    found = torch.where(whole, words + rows[0], rows[1])
    ends = lengths_B.cumsum(0)
    sequence = torch.repeat_interleave(
        torch.arange(len(lengths_B), device=bases_S.device), lengths_B, output_size=len(bases_S)
    )
    inside = torch.arange(num, device=bases_S.device) + k <= ends[sequence[:num]]
    return found[inside].long()
