"""What printed numbers follow from: means and ratios of other printed numbers, and rounding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from gfmp.paper.model import Derivation, TableEntry

Numbers = Sequence[tuple[Mapping[str, str], float]]
# Printed inputs carry four decimals where they are averaged or divided.
_INPUT_ROUNDING = 0.5e-4
# Three decimals in S1 to S5.
_COARSE_ROUNDING = 0.5e-3


@dataclass(frozen=True)
class Followed:
    """A number computed from other printed numbers.

    Attributes:
        value: The number.
        slack: How far it can be off because its inputs are rounded.
        how: What it was computed from, in words.
    """

    value: float
    slack: float
    how: str


def follow(entry: TableEntry, axes: Mapping[str, str], numbers: Numbers) -> Followed | None:
    """Compute a cell from the others of its table; None where it follows from none.

    Args:
        entry: The table.
        axes: The cell.
        numbers: Axes and value of every cell of the table.
    """
    for rule in entry.derived:
        if all(axes[axis] in allowed for axis, allowed in rule.where.items()):
            others = _others(rule, axes, numbers)
            return _ratio(rule, others) if rule.rule == "ratio" else _mean(rule, others)
    return None


def _others(rule: Derivation, axes: Mapping[str, str], numbers: Numbers) -> dict[str, float]:
    """Return the values along the axis of the rule, all else equal, without the cell itself."""
    rest = {axis: value for axis, value in axes.items() if axis != rule.over}
    return {
        there[rule.over]: value
        for there, value in numbers
        if there[rule.over] != axes[rule.over]
        and all(there[axis] == value_there for axis, value_there in rest.items())
    }


def _mean(rule: Derivation, others: Mapping[str, float]) -> Followed:
    how = f"the mean of its {len(others)} values of {rule.over}"
    coarse = all(round(value, 3) == value for value in others.values())
    return Followed(fmean(others.values()), _COARSE_ROUNDING if coarse else _INPUT_ROUNDING, how)


def _ratio(rule: Derivation, others: Mapping[str, float]) -> Followed:
    above, below = (others[name] for name in rule.of)
    slack = _INPUT_ROUNDING * (1 + above / below) / below
    return Followed(above / below, slack, f"{rule.of[0]} over {rule.of[1]}")


def agrees(text: str, followed: Followed) -> bool:
    """Return True when a printed number is what follows, within rounding of both."""
    decimals = len(text.partition(".")[2])
    rounding = 0.5 * 10.0**-decimals
    return math.isclose(float(text), followed.value, rel_tol=0, abs_tol=rounding + followed.slack)
