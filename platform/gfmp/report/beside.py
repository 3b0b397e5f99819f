"""Our numbers beside the paper's: the same quantity or nothing, with every reservation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gfmp.paper.model import Quantity
from gfmp.paper.numbers import TEXT, PaperTable, Printed, claim_lays, selected
from gfmp.report.paper import NOT_THE_PAPERS

_SAME_PERCENT = 1e-9


@dataclass(frozen=True)
class Measured:
    """A number that was computed here.

    Attributes:
        task: Whose test rows were scored.
        learned_from: Whose training rows were learned from; empty for a mean over several.
        quantity: `within`, `cross`, `ratio` or `pooled`.
        model: What our tables call it.
        metric: Name of the metric.
        percent: Share of labels.
        value: The number.
        low: Lower end of its 95 percent interval; NaN without one.
        high: Upper end.
        num_seeds: Seeds behind it; 0 when that is not known.
        decides: Whether the metric is the one that decides its task.
    """

    task: str
    learned_from: str
    quantity: Quantity
    model: str
    metric: str
    percent: float
    value: float
    low: float = math.nan
    high: float = math.nan
    num_seeds: int = 0
    decides: bool = True


@dataclass(frozen=True)
class Pairing:
    """Which task is laid beside which name of the paper.

    Attributes:
        tasks: Name in the paper -> task.
        stand_ins: Task that is not the paper's data -> what it stands in for.
        declared: Whether the run says of its tasks whose data they are.
    """

    tasks: Mapping[str, str] = field(default_factory=dict)
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    declared: bool = False

    def reservations(self, task: str) -> Iterator[str]:
        """Say what speaks against taking a task for the paper's."""
        if task in self.stand_ins:
            yield f"{NOT_THE_PAPERS}: {task} stands in for {self.stand_ins[task]}"
        elif not self.declared:
            yield f"nothing says that {task} is the paper's data"


@dataclass(frozen=True)
class Laid:
    """A printed number and one of ours that is the same quantity.

    Attributes:
        printed: The paper's.
        measured: Ours.
        reservations: Why the two may not be comparable, and what speaks against the printed one.
    """

    printed: Printed
    measured: Measured
    reservations: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Ours minus the paper's."""
        return self.measured.value - self.printed.value


@dataclass(frozen=True)
class _Wanted:
    """What a number of ours has to be to stand beside a printed one."""

    subject: str
    quantity: Quantity
    metric: str
    learned_from: str = ""
    percent: float = 100.0


def lay(table: PaperTable, measured: Sequence[Measured], pairing: Pairing) -> tuple[Laid, ...]:
    """Lay numbers beside those of a table; a printed number that nothing was run for is left out.

    Args:
        table: A table of the paper, or its text.
        measured: All that was computed.
        pairing: Which task stands for which name; a task of the paper's own name needs none.
    """
    return tuple(
        Laid(printed, one, _reservations(printed, wanted, one, pairing))
        for printed, wanted in _wanted(table)
        for one in _nearest(wanted, [m for m in measured if _belongs(wanted, m, pairing)])
    )


def comparable(table: PaperTable) -> tuple[str, ...]:
    """Return the names that a task can be paired with; none where no sweep measures the like."""
    return tuple(dict.fromkeys(wanted.subject for _, wanted in _wanted(table)))


def _wanted(table: PaperTable) -> Iterator[tuple[Printed, _Wanted]]:
    if table.name == TEXT:
        lays = claim_lays()
        for cell in table.cells:
            name = cell.axes["number"]
            if name in lays:
                one = lays[name]
                yield cell, _Wanted(name, one.quantity, one.metric, "", one.percent)
        return
    entry, rules = table.entry, table.entry.lay
    for cell in table.cells if rules.subject else ():
        subject = _subject(cell, rules.subject, rules.group)
        derived = any(
            rule.over == rules.subject and selected(cell.axes, rule.where) for rule in entry.derived
        )
        if derived or not selected(cell.axes, entry.ours):
            continue
        quantity = rules.quantities.get(cell.axes.get(rules.quantity, ""), rules.quantity_is)
        learned_from = cell.axes.get(rules.trained_on, "")
        if learned_from and learned_from != subject:
            quantity = "cross"
        yield cell, _Wanted(subject, quantity, entry.metric, learned_from)


def _subject(cell: Printed, subject: str, group: str) -> str:
    return f"{cell.axes[group]}/{cell.axes[subject]}" if group else cell.axes[subject]


def _belongs(wanted: _Wanted, one: Measured, pairing: Pairing) -> bool:
    """Return True where a number of ours is the quantity wanted, on the task that stands for it."""
    if one.quantity != wanted.quantity or abs(one.percent - wanted.percent) > _SAME_PERCENT:
        return False
    if not _stands_for(one.task, wanted.subject, pairing):
        return False
    if not wanted.learned_from:
        return one.quantity == "within" or not one.learned_from
    return _stands_for(one.learned_from, wanted.learned_from, pairing)


def _nearest(wanted: _Wanted, found: Sequence[Measured]) -> list[Measured]:
    """Keep of each model the metric that is wanted; where it has none, the one that decides."""
    same = {one.model for one in found if one.metric == wanted.metric}
    return [
        one
        for one in found
        if one.metric == wanted.metric or (one.model not in same and one.decides)
    ]


def _stands_for(task: str, name: str, pairing: Pairing) -> bool:
    paired = pairing.tasks.get(name)
    return task == paired if paired else bool(task) and _plain(task) == _plain(name)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _reservations(
    printed: Printed, wanted: _Wanted, one: Measured, pairing: Pairing
) -> tuple[str, ...]:
    found = [*pairing.reservations(one.task)]
    if one.metric != wanted.metric:
        paper = wanted.metric or "a metric that the paper does not define"
        found.append(f"{one.metric} here, {paper} there")
    if one.num_seeds == 1:
        found.append("one seed")
    if printed.trust in ("doubtful", "wrong"):
        found.append(f"the paper's number is {printed.trust}: {printed.why}")
    return tuple(found)
