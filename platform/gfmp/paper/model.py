"""The grammar of what the paper says: tables.yaml and text.yaml, checked when they are read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gfmp.spec.base import Closed

# `confirmed` is never written down: it is what follows from other printed numbers.
Trust = Literal["confirmed", "unchecked", "doubtful", "wrong"]
Quantity = Literal["within", "cross", "ratio", "pooled"]
Selector = dict[str, tuple[str, ...]]
Text = Annotated[str, Field(min_length=1)]


class Derivation(Closed):
    """Cells of a table that follow from others of it.

    Attributes:
        where: The cells: axis -> its values there.
        rule: `mean` over all other values of the axis `over`; `ratio` of the two values `of`.
        over: The axis along which the others stand.
        of: Two values of that axis: numerator, denominator.
    """

    where: Selector
    rule: Literal["mean", "ratio"]
    over: Text
    of: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _two_make_a_ratio(self) -> Derivation:
        if len(self.of) != (2 if self.rule == "ratio" else 0):
            raise ValueError("a ratio is of two values, a mean over all")
        return self


class Flag(Closed):
    """Something that speaks against printed numbers.

    Attributes:
        where: The numbers: axis -> its values there; an axis that is not named is not looked at.
        diagonal: Only cells whose two axes have the same value.
        trust: How far the numbers can be relied on.
        why: The reason, for people.
    """

    where: Selector
    diagonal: bool = False
    trust: Literal["doubtful", "wrong"]
    why: Text


class Lay(Closed):
    """Which number of ours is the same quantity as a cell.

    Attributes:
        subject: Axis whose values name what is scored; empty when the table is of no such thing.
        group: Another axis that belongs to the name of the subject, such as a species.
        trained_on: Axis whose values name what was learned from.
        quantity: Axis that says which quantity a cell is ...
        quantities: ... and how: its value -> `within` (scored on the task learned from), `cross`
            (scored on another), `ratio` of both, `pooled` (learned from several at once).
        quantity_is: The quantity of every cell, where no axis says it.
    """

    subject: str = ""
    group: str = ""
    trained_on: str = ""
    quantity: str = ""
    quantities: dict[str, Quantity] = Field(default_factory=dict)
    quantity_is: Quantity = "within"


class TableEntry(Closed):
    """A table of the supplement.

    Attributes:
        title: What it is about.
        keys: Axes that lead a row of its file.
        across: Axis of the other columns.
        unit: What its cells are.
        metric: Name of the metric of gfmp that is the same number; empty for none or several.
        ours: Cells of the paper's own model, beside which ours are laid; empty takes all.
        lay: Which number of ours belongs beside a cell.
        derived: Cells that follow from others.
        flags: What speaks against cells.
        notes: What is to be known of the whole table.
    """

    title: Text
    keys: Annotated[tuple[str, ...], Field(min_length=1)]
    across: Text
    unit: Text
    metric: str = ""
    ours: Selector = Field(default_factory=dict)
    lay: Lay = Lay()
    derived: tuple[Derivation, ...] = ()
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()


class Tables(Closed):
    """The file tables.yaml."""

    kind: Literal["tables"]
    tables: dict[str, TableEntry]


class Check(Closed):
    """Cells of a table whose mean a number of the text is.

    Attributes:
        table: Its id.
        where: The cells.
    """

    table: Text
    where: Selector


class LayClaim(Closed):
    """Which number of ours is the same quantity as a number of the text.

    Attributes:
        metric: Name of the metric of gfmp.
        quantity: As in `Lay.quantities`.
        percent: Share of labels; 100 when all are used.
    """

    metric: Text
    quantity: Quantity = "within"
    percent: Annotated[float, Field(gt=0.0, le=100.0)] = 100.0


class ClaimEntry(Closed):
    """A number of the text.

    Attributes:
        section: Where it stands.
        says: What it is.
        printed: The number as it stands there.
        unit: Its unit.
        check: What it follows from; nothing where no table has it.
        lay: What of ours is the same quantity; nothing where a sweep measures no such thing.
        trust: Set where something speaks against it ...
        why: ... and what that is.
    """

    section: Text
    says: Text
    printed: Text
    unit: Text
    check: Check | None = None
    lay: LayClaim | None = None
    trust: Literal["", "doubtful", "wrong"] = ""
    why: str = ""

    @model_validator(mode="after")
    def _reasons(self) -> ClaimEntry:
        if bool(self.trust) != bool(self.why):
            raise ValueError("trust and why go together")
        return self


class Claims(Closed):
    """The file text.yaml."""

    kind: Literal["claims"]
    claims: dict[str, ClaimEntry]
