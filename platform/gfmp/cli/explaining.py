"""What `gfmp explain` says, apart from printing: a field, where it is used, its value in a job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gfmp.cli.loading import load_job
from gfmp.errors import UsageError
from gfmp.plan.decides import decided_by, stem
from gfmp.plan.values import Derived
from gfmp.spec.fields import Block, all_blocks
from gfmp.spec.lookup import Found, find
from gfmp.spec.pretrain import PretrainSpec
from gfmp.storage.workspace import Workspace


@dataclass(frozen=True)
class Explained:
    """What is known of one thing that was asked for.

    Attributes:
        found: The field or block.
        inside: The blocks that the field may be; those a block holds stand in its fields.
        decides: Rows of the plan that the field decides.
        value: What it is in the job, as YAML writes it; empty without a job.
        rows: Those rows in the job's plan; none without a job.
    """

    found: Found
    inside: tuple[Block, ...]
    decides: tuple[str, ...]
    value: str = ""
    rows: tuple[Derived, ...] = ()


def explained(text: str, job: Path | None, workspace: Workspace) -> tuple[Explained, ...]:
    """Say what `text` means, and with a job what it is there.

    Raises:
        UsageError: no field is called so, or the job is of another kind.
        GfmpError: the job cannot be read or planned.
    """
    blocks = all_blocks()
    found = find(text, blocks)
    if job is None:
        return tuple(_explained(one, blocks) for one in found)
    spec, _ = load_job(job, ())
    here = [one for one in found if one.path.split(".")[0] == spec.kind]
    if not here:
        raise UsageError(
            f"{job} has no field {text!r}",
            where=str(job),
            why=f"it is of kind: {spec.kind}; the field is {', '.join(f.path for f in found)}",
            fix="name a job of that kind, or leave --job out",
        )
    rows = _plan_rows(job, workspace) if isinstance(spec, PretrainSpec) else ()
    written = spec.model_dump(mode="json")
    return tuple(_in_job(_explained(one, blocks), written, rows) for one in here)


def _explained(found: Found, blocks: tuple[Block, ...]) -> Explained:
    inside = tuple(b for b in blocks if b.path == found.path and found.field is not None)
    return Explained(found, inside, decided_by(found.path))


def _in_job(told: Explained, written: dict[str, object], rows: tuple[Derived, ...]) -> Explained:
    value: object = written
    for key in told.found.path.split(".")[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    mine = tuple(row for row in rows if stem(row.name) in told.decides)
    return Explained(told.found, told.inside, told.decides, _yaml(value), mine)


def _yaml(value: object) -> str:
    import json

    return json.dumps(value).strip('"')


def _plan_rows(job: Path, workspace: Workspace) -> tuple[Derived, ...]:
    from gfmp.plan.resolve import resolve
    from gfmp.plan.survey import survey
    from gfmp.training.parent import expected_parent

    spec, document = load_job(job, ())
    assert isinstance(spec, PretrainSpec), "the caller has looked"
    known = survey(spec, document.path, workspace, expected_parent(spec, workspace)).known
    return resolve(spec, known, document.where).derived
