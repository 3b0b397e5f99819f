"""What is known about the leaks of the tasks of a sweep: between their splits, and to corpora."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError
from gfmp.tasks.audit import Overlap
from gfmp.tasks.exposure import Exposure

_FORMAT_VERSION = 1


@dataclass(frozen=True)
class TaskLeaks:
    """The audit of one task.

    Attributes:
        task: Its name.
        overlaps: Between its splits.
        exposures: Between it and what the initial models were pretrained on.
        allowed: Whether the sweep accepts more overlap than is believed.
    """

    task: str
    overlaps: tuple[Overlap, ...]
    exposures: tuple[Exposure, ...] = ()
    allowed: bool = False

    @property
    def refused(self) -> bool:
        """Whether there is more overlap than is believed, accepted or not."""
        return any(overlap.refused for overlap in self.overlaps)


@dataclass(frozen=True)
class LeakReport:
    """The audits of a sweep.

    Attributes:
        tasks: One for each task.
        unknown: Initial models whose corpus is not known.
    """

    tasks: tuple[TaskLeaks, ...] = ()
    unknown: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the report as JSON values."""
        body: dict[str, object] = TypeAdapter(LeakReport).dump_python(self, mode="json")
        return {"format_version": _FORMAT_VERSION, **body}

    @classmethod
    def from_json(cls, value: Mapping[str, object], where: str) -> LeakReport:
        """Rebuild a report written by `to_json`; `where` names its file.

        Raises:
            CorruptArtefactError: it is not what `to_json` writes.
        """
        body = {key: item for key, item in value.items() if key != "format_version"}
        try:
            return TypeAdapter(cls).validate_python(body)
        except ValidationError as fault:
            raise CorruptArtefactError(
                "the leak audit of the sweep was changed",
                where=where,
                why=str(fault.errors()[0]["msg"]),
                fix="restore the file, or start the sweep anew: finished cells are not run again",
            ) from fault
