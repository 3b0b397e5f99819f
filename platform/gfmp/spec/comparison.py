"""What a sweep says of itself beside the paper, and the other tasks its models are scored on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from gfmp.spec.base import Closed

Text = Annotated[str, Field(min_length=1)]


class PaperFigure(Closed):
    """Which part of the paper a sweep does again, and with which data.

    Attributes:
        figure: Its name there, such as `Fig. 4a`.
        rows: Name in a table of the paper (`mouse`, `chicken/Liver`, the id of a number of the
            text) -> task that is laid beside it by `gfmp verify`.
        stand_ins: Task that is not the paper's data -> what of the paper's it stands in for. The
            report says so; every other task of the sweep is taken for the paper's own.
    """

    figure: Text
    rows: dict[str, Text] = Field(default_factory=dict)
    stand_ins: dict[str, Text] = Field(default_factory=dict)

    def tasks(self) -> tuple[tuple[tuple[str, str], str], ...]:
        """Return every task that is named, each with its key."""
        rows = ((("rows", name), task) for name, task in self.rows.items())
        stand_ins = ((("stand_ins", task), task) for task in self.stand_ins)
        return (*rows, *stand_ins)


class Transfer(Closed):
    """Models that are scored on the test rows of other tasks too: another species or tissue.

    Attributes:
        learned_from: Tasks of the sweep whose models are; without any, all of them.
        scored_on: Tasks whose test rows are read, of the sweep or not; without any, those of the
            sweep. What is learned from such a task in the same sweep is the ceiling within it.
        leave_one_out: Learn also from all tasks of the sweep but one, in turn, and score that on
            the one (`train-all` of Ye et al., Fig. 5).
        groups: Name -> tasks, in the order of the figures: the nearest first, such as `primates`
            and `other mammals`.
    """

    learned_from: tuple[Text, ...] = ()
    scored_on: tuple[Text, ...] = ()
    leave_one_out: bool = False
    groups: dict[str, tuple[Text, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _no_doubles(self) -> Transfer:
        listed = [name for group in self.groups.values() for name in group]
        for names in (self.learned_from, self.scored_on, listed):
            doubled = sorted({name for name in names if list(names).count(name) > 1})
            if doubled:
                raise ValueError(f"this stands twice: {', '.join(doubled)}")
        return self
