"""The printed numbers, by table: read once, each with its trust and the reason."""

from __future__ import annotations

import csv
import functools
import importlib.resources
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import MissingInputError
from gfmp.paper.follows import Followed, agrees, follow
from gfmp.paper.model import ClaimEntry, Claims, LayClaim, Selector, TableEntry, Tables, Trust
from gfmp.spec.load import validate
from gfmp.storage.documents import did_you_mean, parse_document
from gfmp.vocabulary.published import published_overlaps

TEXT = "text"
_OVERLAPS = "S21"
_NOTHING = "nothing printed confirms or contradicts it"
_Axes = Mapping[str, str]


@dataclass(frozen=True)
class Printed:
    """A number of the paper.

    Attributes:
        table: Id of its table, `text` for the numbers of the text.
        axes: What it is: axis -> value.
        text: As printed.
        trust: How far it can be relied on.
        why: The reason.
        follows: What it is when computed from other printed numbers; NaN where it is not.
    """

    table: str
    axes: _Axes
    text: str
    trust: Trust
    why: str
    follows: float = math.nan

    @property
    def value(self) -> float:
        """The number; NaN where words are printed."""
        return number(self.text)


@dataclass(frozen=True)
class PaperTable:
    """A table of the supplement, or the numbers of the text.

    Attributes:
        name: `S1` to `S21`, or `text`.
        entry: What is known of it.
        cells: Its numbers, in reading order.
    """

    name: str
    entry: TableEntry
    cells: tuple[Printed, ...]

    @property
    def axes(self) -> tuple[str, ...]:
        """Its axes: those that lead a row, then the one across."""
        return (*self.entry.keys, self.entry.across)

    def count(self, trust: Trust) -> int:
        """Count the numbers of a trust."""
        return sum(cell.trust == trust for cell in self.cells)


def number(text: str) -> float:
    """Return the number of a printed cell; NaN where it is a word."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def tables() -> tuple[PaperTable, ...]:
    """Return every table of the supplement in order, then the numbers of the text."""
    return (*_tables().values(), _text())


def find_table(name: str) -> PaperTable:
    """Return a table by its name: `table-S5`, `S5`, `text`.

    Raises:
        MissingInputError: there is no such table; says what is near.
    """
    wanted = name.lower().removeprefix("table").lstrip("-_ ").lower()
    known = {table.name.lower(): table for table in tables()}
    if wanted in known:
        return known[wanted]
    names = [table.name if table.name == TEXT else f"table-{table.name}" for table in tables()]
    raise MissingInputError(
        f"the paper has no {name!r}",
        why="there are table-S1 to table-S21 of the supplement, and text",
        fix=did_you_mean(name, names) or "gfmp verify lists them",
    )


def claim_lays() -> Mapping[str, LayClaim]:
    """Return the numbers of the text that a sweep can measure, by their id."""
    return {name: one.lay for name, one in _claims().items() if one.lay is not None}


def tissue_groups() -> Mapping[str, tuple[str, ...]]:
    """Return the tissues of each of the eleven groups of Table S14, in the order printed."""
    found: dict[str, tuple[str, ...]] = {}
    for row in _rows("S14"):
        found[row["group"]] = (*found.get(row["group"], ()), row["tissue"])
    return found


@functools.cache
def _tables() -> Mapping[str, PaperTable]:
    document = parse_document(_read("tables.yaml"), Path("tables.yaml"))
    entries = validate(document, Tables).tables
    return {name: _table(name, entry) for name, entry in entries.items()}


@functools.cache
def _claims() -> Mapping[str, ClaimEntry]:
    return validate(parse_document(_read("text.yaml"), Path("text.yaml")), Claims).claims


def _read(*parts: str) -> str:
    return importlib.resources.files(__package__).joinpath(*parts).read_text(encoding="ascii")


def _rows(name: str) -> list[dict[str, str]]:
    text = _read("tables", f"s{int(name.removeprefix('S')):02d}.csv")
    return list(csv.DictReader(io.StringIO(text)))


def _raw(name: str, entry: TableEntry) -> Iterator[tuple[_Axes, str]]:
    """Yield the axes and the text of every cell."""
    if name == _OVERLAPS:
        for row in published_overlaps():
            lead = {"printed_under": row.printed_under, "task": row.task}
            yield {**lead, "vocabulary": "bpe"}, str(row.bpe_overlap)
            yield {**lead, "vocabulary": "kmer"}, str(row.kmer_overlap)
        return
    for read in _rows(name):
        lead = {key: read.pop(key) for key in entry.keys}
        if not read:
            yield {**lead, entry.across: "tissue"}, lead[entry.keys[-1]]
        for column, text in read.items():
            yield {**lead, entry.across: column}, text


def _table(name: str, entry: TableEntry) -> PaperTable:
    raw = list(_raw(name, entry))
    values = [(axes, number(text)) for axes, text in raw]
    cells = tuple(
        _cell(name, entry, (axes, text), follow(entry, axes, values)) for axes, text in raw
    )
    return PaperTable(name, entry, cells)


def _cell(
    name: str, entry: TableEntry, raw: tuple[_Axes, str], followed: Followed | None
) -> Printed:
    axes, text = raw
    follows = followed.value if followed else math.nan
    for flag in entry.flags:
        on_it = not flag.diagonal or len(set(axes.values())) == 1
        if on_it and selected(axes, flag.where):
            return Printed(name, axes, text, flag.trust, flag.why, follows)
    return Printed(name, axes, text, *_judged(text, followed), follows)


def _judged(text: str, followed: Followed | None) -> tuple[Trust, str]:
    """Return the trust of a number that nothing is written against."""
    if followed is None:
        return "unchecked", _NOTHING
    if agrees(text, followed):
        return "confirmed", followed.how
    return "doubtful", f"printed {text}, but {followed.how} is {followed.value:.4f}"


def selected(axes: _Axes, where: Selector) -> bool:
    """Return True when every axis that `where` names has one of the values it allows."""
    return all(axes[axis] in allowed for axis, allowed in where.items())


def _text() -> PaperTable:
    entry = TableEntry(
        title="Numbers of the main text and of supplement A",
        keys=("number",),
        across="says",
        unit="as each says",
    )
    cells = tuple(_claim(name, one) for name, one in _claims().items())
    return PaperTable(TEXT, entry, cells)


def _claim(name: str, one: ClaimEntry) -> Printed:
    axes = {"number": name, "says": f"{one.says} ({one.unit}; section {one.section})"}
    followed = None
    if one.check is not None:
        table = _tables()[one.check.table]
        chosen = [cell for cell in table.cells if selected(cell.axes, one.check.where)]
        values = [cell.value for cell in chosen]
        decimals = max(cell.text[::-1].find(".") for cell in chosen)
        how = f"{'the mean of its' if len(chosen) > 1 else 'its'} cells of {table.name}"
        followed = Followed(sum(values) / len(values), 0.5 * 10.0**-decimals, how)
    follows = followed.value if followed else math.nan
    trust, why = _judged(one.printed, followed)
    if one.trust:
        return Printed(TEXT, axes, one.printed, one.trust, one.why, follows)
    return Printed(TEXT, axes, one.printed, trust, why, follows)
