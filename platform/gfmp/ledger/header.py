"""The immutable header of a run, `run.json`, and the readable name it goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.provenance import Provenance
from gfmp.storage.atomic import read_json

FORMAT_VERSION = 1
FILE_NAME = "run.json"


@dataclass(frozen=True)
class NewRun:
    """What a run is made from.

    Attributes:
        name: Name of the job; first part of the run id.
        kind: Kind of the job, such as `pretrain`.
        seed: The seed of every random draw.
        what_fingerprint: Identity of the result (sha256 hex).
        spec: The job file, byte for byte.
        plan: The plan as JSON values.
        command_line: How gfmp was called.
    """

    name: str
    kind: str
    seed: int
    what_fingerprint: str
    spec: bytes
    plan: Mapping[str, object]
    command_line: tuple[str, ...]


@dataclass(frozen=True)
class RunHeader:
    """What was known about a run before it began.

    Attributes:
        format_version: Version of the layout of the run's folder.
        id: Readable and unique in its workspace; also the name of the folder.
        created: UTC, ISO 8601.
    """

    format_version: int
    id: str
    name: str
    kind: str
    created: str
    seed: int
    what_fingerprint: str
    provenance: Provenance

    def to_json(self) -> dict[str, Any]:
        """Return the header as JSON values."""
        value: dict[str, Any] = TypeAdapter(RunHeader).dump_python(self, mode="json")
        return value

    @property
    def created_seconds(self) -> float:
        """Unix time at which the run was created."""
        return datetime.fromisoformat(self.created).timestamp()


def read_header(folder: Path) -> RunHeader:
    """Read the header of the run in `folder`.

    Raises:
        CorruptArtefactError: not a header, another format version, or the header of another run.
        FileNotFoundError: there is no header.
    """
    path = folder / FILE_NAME
    value = read_json(path)
    if value.get("format_version") != FORMAT_VERSION:
        raise _corrupt(path, f"format version is {value.get('format_version')!r}")
    try:
        header = TypeAdapter(RunHeader).validate_python(value)
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _corrupt(path, f"{place}: {first['msg']}") from fault
    if header.id != folder.name:
        raise _corrupt(path, f"it belongs to run {header.id!r}")
    return header


def _corrupt(path: Path, message: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        message,
        where=str(path),
        why=f"this gfmp reads headers of format version {FORMAT_VERSION}, named as their folder",
        fix="restore the file, or use the gfmp version that wrote it",
    )


def run_id(name: str, created: datetime, what_fingerprint: str, attempt: int) -> str:
    """Return `<name>-<UTC date>-<UTC time>-<4 hex of the identity>`.

    From the second attempt on (counted from 1), the number of the attempt follows.
    """
    readable = f"{name}-{created:%Y%m%d-%H%M}-{what_fingerprint[:4]}"
    return readable if attempt == 1 else f"{readable}-{attempt}"
