"""Which rank and micro-batch a row goes to: alike loads, from the global batch alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import UsageError


def deal(expected_tokens: NDArray[np.float64], num_parts: int) -> NDArray[np.int64]:
    """Return the part of each row, shape (B,): longest rows first, dealt to and fro.

    Parts differ by at most one row, and by at most the longest row in expected tokens. Equal
    lengths keep their order, so the result is a pure function of its arguments.
    """
    order = np.argsort(-expected_tokens, kind="stable")
    turn, place = np.divmod(np.arange(len(order)), num_parts)
    parts = np.empty(len(order), dtype=np.int64)
    parts[order] = np.where(turn % 2 == 0, place, num_parts - 1 - place)
    return parts


def deal_rank(
    expected_tokens: NDArray[np.float64], rank: int, world: int, accumulation: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of one rank and their micro-batches, ordered by (micro-batch, row).

    Raises:
        UsageError: rank is not below world, or a micro-batch would have no row.
    """
    if not 0 <= rank < world:
        raise UsageError(
            f"rank {rank} of {world}",
            why="ranks are 0 to world - 1",
            fix="pass the rank and the world size of the process group",
        )
    if accumulation < 1 or len(expected_tokens) < world * accumulation:
        raise UsageError(
            f"{len(expected_tokens)} sequences for {world} ranks x {accumulation} micro-batches",
            where="sampling.global_batch_sequences",
            why="every rank has at least one sequence in every micro-batch",
            fix="use fewer workers, a larger compute.micro_batch_tokens or a larger global batch",
        )
    rows = np.flatnonzero(deal(expected_tokens, world) == rank)
    micros = deal(expected_tokens[rows], accumulation)
    order = np.argsort(micros, kind="stable")
    return rows[order], micros[order]
