"""Which rank and micro-batch a row goes to: alike loads, from the global batch alone.

Whoever gets a row decodes the row group it is cut from. A few ranks meet every group of the
shuffling buffer anyway. Many would each decode the whole corpus for a sliver of it, so they stand
in lanes, and the rows of a group mostly go to one lane.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import UsageError

LANE_RANKS = 32
# Of one lane and of like lengths. More of them: fewer groups for each lane, and loads less alike.
_ROWS_TOGETHER = 8


def num_lanes(world: int) -> int:
    """Return into how many lanes of `LANE_RANKS` ranks or more a world is divided; often 1."""
    return max(n for n in range(1, max(1, world // LANE_RANKS) + 1) if world % n == 0)


def lanes_of(
    expected_tokens: NDArray[np.float64], groups: NDArray[np.int64], lanes: int
) -> NDArray[np.int64]:
    """Return the lane of each row, shape (B,): like lengths for all, and few groups for each.

    Of the longest rows, eight for each lane, the first go to lane 0 in the order of their groups,
    then of the next longest. Lanes differ by at most one row.
    """
    order = np.argsort(-expected_tokens, kind="stable")
    found = np.empty(len(order), dtype=np.int64)
    for first in range(0, len(order), lanes * _ROWS_TOGETHER):
        alike = np.sort(order[first : first + lanes * _ROWS_TOGETHER])
        alike = alike[np.argsort(groups[alike], kind="stable")]
        found[alike] = np.arange(len(alike)) * lanes // len(alike)
    return found


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
    expected_tokens: NDArray[np.float64],
    groups: NDArray[np.int64],
    rank: int,
    world: int,
    accumulation: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of one rank and their micro-batches, ordered by (micro-batch, row).

    Args:
        expected_tokens: Of each row of the global batch, shape (B,).
        groups: Row group that each is cut from, shape (B,).
        rank: Whose rows.
        world: How many ranks.
        accumulation: Micro-batches of a rank.

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
    lanes = num_lanes(world)
    lane, place = divmod(rank, world // lanes)
    of_lane = np.flatnonzero(lanes_of(expected_tokens, groups, lanes) == lane)
    rows = of_lane[deal(expected_tokens[of_lane], world // lanes) == place]
    micros = deal(expected_tokens[rows], accumulation)
    order = np.argsort(micros, kind="stable")
    return rows[order], micros[order]
