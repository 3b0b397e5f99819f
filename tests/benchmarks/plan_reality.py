"""What `gfmp plan --calibrate` says a job takes, against what the job then took.

    python tests/benchmarks/plan_reality.py [--rounds 5] [--steps 40]

A round measures a few steps, plans, and runs the job: the demo, shortened. Compared are the CPU
seconds of a step (of all ranks, the driver and Ray's processes; the first steps apart) and the
most memory a rank took. Without the measurement a plan has a table of rates, whose deviation is
printed beside as the peer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from figure import Figure
from submit_throughput import GFMP, ROOT, WARM_STEPS, submit

from gfmp.storage.workspace import Workspace

GOAL = 0.15


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a step over all processes, and the most bytes a rank takes."""

    cpu_seconds: float
    peak_bytes: float


def planned(workspace: Workspace, *, calibrate: bool) -> Cost:
    """Return what the plan says; bytes are 0 without a measurement."""
    job = GFMP[2]
    command = [GFMP[0], "plan", job, "--json", "--workspace", str(workspace.root)]
    command += ["--calibrate"] if calibrate else []
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    numbers = {row["name"]: row["value"] for row in json.loads(done.stdout)["derived"]}
    seconds = numbers["estimated_cpu_time"] / numbers["steps"]
    return Cost(seconds, numbers.get("measured_memory_per_rank", 0.0))


def taken(workspace: Workspace, steps: int) -> Cost:
    """Run the job and return what it took."""
    speed, run, _ = submit(workspace, steps, "")
    events = run.events("step")
    tokens = [int(str(event.fields["tokens"])) for event in events if event.step > WARM_STEPS]
    peak = max(float(str(event.fields["peak_memory_bytes"])) for event in events)
    return Cost(statistics.mean(tokens) / speed.per_cpu_second, peak)


def off(plan: Sequence[float], reality: Sequence[float]) -> float:
    """Return the median of the deviations, as a share of what was taken."""
    return statistics.median(abs(p / r - 1.0) for p, r in zip(plan, reality, strict=True))


def main() -> None:
    """Print plan, reality and deviation of every round, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--workspace")
    options = parser.parse_args()
    workspace = Workspace.at(options.workspace)
    if not list(workspace.corpora.glob("demo/*")):
        submit(workspace, WARM_STEPS + 2, "")
    (workspace.root / "calibrations.json").unlink(missing_ok=True)
    table = planned(workspace, calibrate=False)
    plans, realities = [], []
    for _ in range(options.rounds):
        plans.append(planned(workspace, calibrate=True))
        realities.append(taken(workspace, options.steps))
        print(f"plan {plans[-1]}, run {realities[-1]}, table {table}", flush=True)
    cpu = [cost.cpu_seconds for cost in realities]
    deviation = off([plan.cpu_seconds for plan in plans], cpu)
    memory = off([plan.peak_bytes for plan in plans], [cost.peak_bytes for cost in realities])
    guess = off([table.cpu_seconds] * len(cpu), cpu)
    print(f"CPU time off by {deviation:.1%}, memory by {memory:.1%}; the table by {guess:.1%}")
    for work, found, peer, other in (
        ("CPU seconds of a step, planned against taken", deviation, "the table of rates", guess),
        ("memory of a rank, planned against taken", memory, "", 0.0),
    ):
        Figure(
            item="11",
            work=work,
            peer=peer,
            peer_rate=other,
            our_rate=found,
            unit="share off",
            ratio=other / found if found else 0.0,
            goal=f"rate <= {GOAL}",
        ).print()


if __name__ == "__main__":
    sys.exit(main())
