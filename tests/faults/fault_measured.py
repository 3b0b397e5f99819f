"""A command and what it cost: processor seconds and peak memory, alike on a busy machine.

As a program it runs another one and writes what that cost: `fault_measured.py COSTS.json PROGRAM`
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from fault_project import GFMP, Project


@dataclass(frozen=True)
class Measured:
    """How a command ended.

    Attributes:
        status: Exit status.
        output: What it printed, in one line, as a person reads it.
        cpu_seconds: Processor time of it and its children.
        peak_mib: Resident memory of its largest process.
    """

    status: int
    output: str
    cpu_seconds: float
    peak_mib: float


def measured(project: Project, *arguments: str, seconds: float = 240) -> Measured:
    """Run `gfmp ARGUMENTS` in the project to its end and measure it."""
    costs = project.folder / f"costs-{uuid.uuid4().hex[:8]}.json"
    program = [sys.executable, __file__, str(costs), GFMP, *arguments]
    done = project.start_program(program).wait(seconds)
    value = json.loads(costs.read_text())
    text = " ".join(done.output.split())
    assert "Traceback" not in text, done.output
    return Measured(done.status, text, value["cpu_seconds"], value["peak_mib"])


@dataclass
class Worst:
    """The costliest of several commands.

    Attributes:
        cpu_seconds: Most processor time.
        peak_mib: Most memory.
    """

    cpu_seconds: float = 0.0
    peak_mib: float = 0.0

    def add(self, done: Measured) -> None:
        """Take one command in."""
        self.cpu_seconds = max(self.cpu_seconds, done.cpu_seconds)
        self.peak_mib = max(self.peak_mib, done.peak_mib)

    def __str__(self) -> str:
        return f"{self.cpu_seconds:.1f} s of processor and {self.peak_mib:.0f} MiB at most"


def _main() -> int:
    status = subprocess.call(sys.argv[2:])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    costs = {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}
    Path(sys.argv[1]).write_text(json.dumps(costs))
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(_main())
