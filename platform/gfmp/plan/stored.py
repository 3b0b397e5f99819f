"""Plans as their runs keep them: with version and identity, and refused once they are changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, Self

from pydantic import TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError
from gfmp.storage.hashes import canonical_json

FORMAT_VERSION = 1


class Identity(Protocol):
    """Everything that decides the numbers of a job."""

    @property
    def fingerprint(self) -> str:
        """sha256 over all of it."""
        ...


class StoredPlan:
    """A plan that is a frozen dataclass with a name and an identity.

    Attributes:
        KIND: Kind of its runs.
        JOB: The same in words.
        name: Name of the job.
        what: What decides its numbers.
    """

    KIND: ClassVar[str]
    JOB: ClassVar[str]
    name: str
    what: Identity

    def to_json(self) -> dict[str, object]:
        """Return the plan as JSON values, with its format version and fingerprint."""
        value = TypeAdapter(type(self)).dump_python(self, mode="json")
        stamp = {"format_version": FORMAT_VERSION, "what_fingerprint": self.what.fingerprint}
        return {**stamp, **value}

    @classmethod
    def from_json(cls, value: Mapping[str, object], source: str) -> Self:
        """Rebuild a plan written by `to_json`.

        Raises:
            CorruptArtefactError: it is of another version, or was changed; names `source`.
        """
        body = dict(value)
        version, stored = body.pop("format_version", 0), body.pop("what_fingerprint", "")
        try:
            plan = TypeAdapter(cls).validate_json(canonical_json(body))
        except ValidationError as fault:
            raise cls._changed(source, fault.errors()[0]["msg"]) from fault
        if version != FORMAT_VERSION or plan.what.fingerprint != stored:
            raise cls._changed(source, "its identity is not what it says")
        return plan

    @classmethod
    def _changed(cls, source: str, how: str) -> CorruptArtefactError:
        return CorruptArtefactError(
            f"this is not the plan of {cls.JOB}: {how}",
            where=source,
            why="a plan never changes; it was edited, or another version wrote it",
            fix="restore plan.json, or submit the job again",
        )
