"""What a training step was measured to cost on a machine, remembered in the workspace.

A measurement holds for one CPU (or GPU), one torch and one way of training: threads, precision,
engine, ranks, model and micro-batch. A plan of exactly that takes its rates from it; any other
plan keeps to the table in `estimate`.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError
from gfmp.plan.values import Engine, Plan
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Precision
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace

_FILE = "calibrations.json"
_LOCK_SECONDS = 10.0
_FORMAT_VERSION = 1


@dataclass(frozen=True)
class Setting:
    """What the cost of a step depends on, beside the machine.

    Attributes:
        use_gpu: One GPU per rank.
        workers: Ranks.
        threads: CPU threads of a rank.
        engine: What trains.
        precision: What matrix products compute in.
        architecture: The model.
        vocabulary_rows: Rows of its embedding table.
        micro_batch_tokens: Expected tokens of one forward pass.
    """

    use_gpu: bool
    workers: int
    threads: int
    engine: Engine
    precision: Precision
    architecture: Architecture
    vocabulary_rows: int
    micro_batch_tokens: int


@dataclass(frozen=True)
class Calibration:
    """One measurement.

    Attributes:
        machine: CPU and GPUs by name.
        torch: Version of torch.
        setting: What was measured.
        date: ISO date.
        steps: Steps that were measured.
        flops_per_second: Operations per second of all ranks together, by the clock.
        flops_per_cpu_second: The same per CPU second of all ranks, feed and engine included.
        peak_bytes: The most memory a rank took: of its GPU, else of main memory, where libraries
            and what the allocator does not give back count.
    """

    machine: str
    torch: str
    setting: Setting
    date: str
    steps: int
    flops_per_second: float
    flops_per_cpu_second: float
    peak_bytes: int


def setting_of(plan: Plan) -> Setting:
    """Return what the cost of the plan's steps depends on."""
    what, where = plan.what, plan.where
    found = [number.value for number in plan.derived if number.name == "micro_batch_tokens"]
    assert found and isinstance(found[0], int), "every plan tells the tokens of a micro-batch"
    return Setting(
        use_gpu=where.use_gpu,
        workers=where.workers,
        threads=where.threads_per_worker,
        engine=where.engine,
        precision=what.precision,
        architecture=what.architecture,
        vocabulary_rows=what.vocabulary_rows,
        micro_batch_tokens=found[0],
    )


def machine_name() -> str:
    """Return the CPU and the NVIDIA GPUs of this machine by name."""
    cpu = _values(Path("/proc/cpuinfo"), "model name")
    gpus = [
        name
        for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        for name in _values(path, "Model")
    ]
    return " + ".join([*cpu[:1], *gpus]) or "unknown"


def _values(path: Path, wanted: str) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = [line.partition(":") for line in lines]
    return [value.strip() for name, _, value in pairs if name.strip() == wanted]


def torch_version() -> str:
    """Return the version of the torch that is installed, without importing it; empty without."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def remembered(workspace: Workspace) -> tuple[Calibration, ...]:
    """Return what was measured on this machine with this torch.

    Raises:
        CorruptArtefactError: the file of measurements was changed.
    """
    here = (machine_name(), torch_version())
    return tuple(one for one in _read(workspace) if (one.machine, one.torch) == here)


def remember(workspace: Workspace, found: Calibration) -> None:
    """Store a measurement; it replaces an earlier one of the same setting and machine.

    Raises:
        CorruptArtefactError: the file of measurements was changed.
        StorageError: the disk refused.
    """
    path = workspace.root / _FILE
    with exclusive(path.with_suffix(".lock"), wait_seconds=_LOCK_SECONDS):
        kept = [one for one in _read(workspace) if _about(one) != _about(found)]
        rows = TypeAdapter(tuple[Calibration, ...]).dump_python((*kept, found), mode="json")
        write_json(path, {"format_version": _FORMAT_VERSION, "measured": rows})


def _about(one: Calibration) -> tuple[str, str, Setting]:
    return one.machine, one.torch, one.setting


def _read(workspace: Workspace) -> tuple[Calibration, ...]:
    path = workspace.root / _FILE
    if not path.exists():
        return ()
    stored = read_json(path)
    try:
        if stored.get("format_version") != _FORMAT_VERSION:
            raise ValueError(f"format version {stored.get('format_version')!r}")
        return TypeAdapter(tuple[Calibration, ...]).validate_python(stored.get("measured"))
    except (ValidationError, ValueError) as fault:
        raise CorruptArtefactError(
            f"the measurements of this machine cannot be read: {str(fault).splitlines()[0]}",
            where=str(path),
            why="gfmp writes the file whole, so something else changed it",
            fix="remove it, and measure again with `gfmp plan JOB --calibrate`",
        ) from fault
