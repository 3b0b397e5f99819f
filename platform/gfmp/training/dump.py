"""What a step with unsound numbers was computed from, kept so that it can be computed again.

A dump holds everything by itself: weights, the micro-batches of every rank, ensemble and plan. It
needs neither the corpus nor the checkpoints, and no pickle is in it.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from gfmp.errors import CorruptArtefactError, GfmpError, MissingInputError
from gfmp.feed.batch import TokenBatch
from gfmp.plan.values import Plan
from gfmp.storage.atomic import (
    TEMPORARY_PREFIX,
    atomic_write,
    publish_directory,
    read_json,
    storage_faults,
    write_json,
)
from gfmp.storage.hashes import canonical_json, fingerprint, sha256_file
from gfmp.training.checkpoint import Identity
from gfmp.training.engine import Readable
from gfmp.training.health import Incident
from gfmp.training.manifest import ENSEMBLE_FILE, WEIGHTS_FILE, directory_name, library_versions
from gfmp.training.processes import Group
from gfmp.training.room import require_room
from gfmp.training.step import Agreement
from gfmp.training.tensors import write_tensors
from gfmp.vocabulary.ensemble import Ensemble

FORMAT_VERSION = 1
DUMP_FILE = "dump.json"
_PLAN_FILE = "plan.json"
_SEAL = "sha256"


@dataclass(frozen=True)
class DumpPlace:
    """Where dumps go, and whose state is dumped; calls are made by all ranks together.

    Attributes:
        folder: Folder of the run's dumps; created when missing.
        identity: The run's plan and ensemble.
        engine: Its weights.
        group: The ranks.
    """

    folder: Path
    identity: Identity
    engine: Readable
    group: Group


@dataclass(frozen=True)
class Computed:
    """What a step was computed from on one rank.

    Attributes:
        own: Its micro-batches.
        agreed: What the global batch holds.
        learning_rate: Rate the update would have had.
    """

    own: tuple[TokenBatch, ...]
    agreed: Agreement
    learning_rate: float


@dataclass(frozen=True)
class Dumped:
    """A written dump, or why there is none.

    Attributes:
        path: Its folder; empty when it could not be written.
        problem: What the disk said then.
    """

    path: str
    problem: str = ""

    def fix(self, run_id: str) -> str:
        """Return what a person can do about the step."""
        replay = f"`gfmp replay {self.path}` tells whether data and weights or the machine did it"
        resume = f"`gfmp submit --resume {run_id} --set numbers.on_nonfinite=skip`"
        first = replay if self.path else f"there is no dump ({self.problem})"
        return f"{first}; {resume} leaves the batch out; or train anew with a lower learning rate"


@dataclass(frozen=True)
class Dump:
    """A dump read back.

    Attributes:
        path: Its folder.
        plan: The run's plan.
        ensemble: The run's ensemble.
        incident: What was wrong.
        num_targets: Targets of the global batch.
        batches: The micro-batches of each rank, by rank.
    """

    path: Path
    plan: Plan
    ensemble: Ensemble
    incident: Incident
    num_targets: int
    batches: tuple[tuple[TokenBatch, ...], ...]


def write_dump(place: DumpPlace, incident: Incident, computed: Computed) -> Dumped:
    """Write what all ranks had when the incident came; a disk that refuses does not raise."""
    group = place.group
    weights = {name: place.engine.read(name, "weight").contiguous() for name in place.engine.names}
    try:
        names = group.on_root(lambda: _stage(place.folder, incident.step, weights))
        staging, final = map(Path, names)
        try:
            group.all_agree(lambda: _write_batches(staging, group.rank, computed.own))
            body = _body(incident, computed)
            group.on_root(lambda: _publish(staging, final, place.identity, weights, body))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except GfmpError as fault:
        return Dumped("", str(fault))
    return Dumped(str(final))


def _stage(folder: Path, step: int, weights: Mapping[str, Tensor]) -> tuple[str, str]:
    name = directory_name(step + 1)
    with storage_faults(folder):
        folder.mkdir(exist_ok=True)
    require_room(folder, sum(w.numel() * w.element_size() for w in weights.values()), "a dump")
    taken = len(list(folder.glob(f"{name}*")))
    final = folder / (f"{name}-{taken + 1}" if taken else name)
    staging = folder / f"{TEMPORARY_PREFIX}{name}-{uuid.uuid4().hex}"
    with storage_faults(staging):
        staging.mkdir()
    return str(staging), str(final)


def _write_batches(staging: Path, rank: int, own: Sequence[TokenBatch]) -> None:
    for batch in own:
        atomic_write(staging / _batch_file(rank, batch.micro), batch.to_bytes())


def _batch_file(rank: int, micro: int) -> str:
    return f"rank-{rank:05d}-micro-{micro:05d}.batch"


def _body(incident: Incident, computed: Computed) -> dict[str, object]:
    value = TypeAdapter(Incident).dump_python(incident, mode="json")
    return {
        "format_version": FORMAT_VERSION,
        "incident": _worded(value),
        "num_targets": computed.agreed.num_targets,
        "learning_rate": computed.learning_rate,
        "micro_batches": len(computed.own),
        "written_by": library_versions(),
    }


def _worded(value: object) -> object:
    """Write floats as text: JSON has no word for NaN, which is what this file is about."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {key: _worded(child) for key, child in value.items()}
    return [_worded(child) for child in value] if isinstance(value, (list, tuple)) else value


def _publish(
    staging: Path,
    final: Path,
    identity: Identity,
    weights: Mapping[str, Tensor],
    body: Mapping[str, object],
) -> None:
    with storage_faults(staging):
        write_tensors(weights, staging / WEIGHTS_FILE, {})
    write_json(staging / ENSEMBLE_FILE, identity.ensemble.to_json())
    write_json(staging / _PLAN_FILE, identity.plan.to_json())
    files = {path.name: sha256_file(path) for path in sorted(staging.iterdir())}
    whole = {**body, "files": files}
    write_json(staging / DUMP_FILE, {**whole, _SEAL: fingerprint(whole)})
    publish_directory(staging, final)


def read_dump(path: Path) -> Dump:
    """Read a dump; every file is compared with its hash, and nothing in it is executed.

    Raises:
        MissingInputError: there is no dump.
        CorruptArtefactError: a file is missing or changed; names it.
    """
    if not (path / DUMP_FILE).is_file():
        raise MissingInputError(
            "there is no dump here",
            where=str(path),
            why=f"a dump is a folder with a {DUMP_FILE}",
            fix="give the folder the error named: <workspace>/runs/<run>/dumps/step-...",
        )
    body = read_json(path / DUMP_FILE)
    seal = body.pop(_SEAL, "")
    if fingerprint(body) != seal or body.get("format_version") != FORMAT_VERSION:
        raise _damaged(path / DUMP_FILE, "it does not match its own sha256, or is of another gfmp")
    _check_files(path, body["files"])
    ensemble = Ensemble.from_json(read_json(path / ENSEMBLE_FILE), str(path / ENSEMBLE_FILE))
    try:
        incident = TypeAdapter(Incident).validate_json(canonical_json(body["incident"]))
        num_targets = TypeAdapter(int).validate_python(body["num_targets"])
        micros = TypeAdapter(int).validate_python(body["micro_batches"])
    except ValidationError as fault:
        raise _damaged(path / DUMP_FILE, f"it is not understood: {fault.errors()[0]}") from fault
    batches = tuple(
        tuple(
            TokenBatch.from_bytes((path / _batch_file(rank, micro)).read_bytes())
            for micro in range(micros)
        )
        for rank in range(len(incident.shares))
    )
    plan = Plan.from_json(read_json(path / _PLAN_FILE))
    return Dump(path, plan, ensemble, incident, num_targets, batches)


def _check_files(path: Path, files: object) -> None:
    assert isinstance(files, dict), "the seal covers it"
    for name, expected in files.items():
        file = path / name
        if not file.is_file() or sha256_file(file) != expected:
            raise _damaged(file, "it is missing or does not match its sha256")


def _damaged(path: Path, message: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        message,
        where=str(path),
        why="a dump is written once and never changed",
        fix="restore it from a copy; a run that fails there again writes another",
    )
