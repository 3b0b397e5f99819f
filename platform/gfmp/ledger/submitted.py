"""What was handed to clusters from this workspace, so that it is found again without a spec."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError
from gfmp.spec.cluster import JobsConnection
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.workspace import Workspace

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Submitted:
    """A job on a cluster.

    Attributes:
        id: Submission id on the cluster.
        name: Name of the run.
        kind: Kind of the job, such as `pretrain`.
        created: UTC, ISO 8601.
        connection: How the cluster is reached; holds no secret.
    """

    id: str
    name: str
    kind: str
    created: str
    connection: JobsConnection


def remember(workspace: Workspace, submitted: Submitted) -> None:
    """Record what a cluster has taken.

    Raises:
        StorageError: the disk refused.
    """
    folder = workspace.submissions
    folder.mkdir(parents=True, exist_ok=True)
    body = TypeAdapter(Submitted).dump_python(submitted, mode="json")
    assert "/" not in submitted.id, "an id is made of a checked name"
    write_json(folder / f"{submitted.id}.json", {"format_version": FORMAT_VERSION, **body})


def recall(workspace: Workspace, wanted: str) -> Submitted | None:
    """Return the newest submission of this run name, or the one of this id; None when unknown.

    Raises:
        CorruptArtefactError: a record was changed.
    """
    found = [one for one in submissions(workspace) if wanted in (one.id, one.name)]
    return found[-1] if found else None


def submissions(workspace: Workspace) -> tuple[Submitted, ...]:
    """Return what was submitted from this workspace, oldest first.

    Raises:
        CorruptArtefactError: a record was changed.
    """
    found: list[Submitted] = []
    for path in sorted(workspace.submissions.glob("[!.]*.json")):
        body = read_json(path)
        try:
            if body.pop("format_version", None) != FORMAT_VERSION:
                raise ValueError("it is of another version")
            found.append(TypeAdapter(Submitted).validate_python(body))
        except (ValidationError, ValueError) as fault:
            raise CorruptArtefactError(
                f"the record of a submission is not understood: {str(fault).splitlines()[0]}",
                where=str(path),
                why="gfmp writes it whole, so something else changed it",
                fix="remove it; the job is found with --cluster all the same",
            ) from fault
    return tuple(sorted(found, key=lambda one: (one.created, one.id)))
