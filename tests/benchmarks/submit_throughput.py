"""Steady-state speed of `gfmp submit` against a bare PyTorch loop under torchrun.

    python tests/benchmarks/submit_throughput.py [--rounds 5] [--steps 60] [--engine ddp]

Both train the demo model on the same demo batches with the same ranks and threads, turn by turn,
because machines drift. A round counts the CPU seconds between two steps of everything that works:
for gfmp the ranks, the driver and every process of Ray; for the loop its ranks, whose batches lie
ready in memory. Tokens per wall second are printed beside, and mean little on a busy machine. The
break-down of the start comes from the ledger of the same runs. No checkpoint or evaluation falls
into the measured steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from figure import Figure

from gfmp.ledger.events import Event
from gfmp.ledger.reader import Follower
from gfmp.ledger.run import Run
from gfmp.ledger.startup import startup_phases
from gfmp.ledger.store import RunStore
from gfmp.storage.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
GFMP = (str(Path(sys.executable).with_name("gfmp")), "submit", str(ROOT / "jobs" / "pretrain.yaml"))
WARM_STEPS = 20
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Speed:
    """Tokens per second of CPU and of the clock between two steps."""

    per_cpu_second: float
    per_second: float


class Tree:
    """CPU seconds of a process and of everything below it, also of what has ended since."""

    def __init__(self, root: psutil.Process) -> None:
        self._root = root
        self._seen: dict[int, float] = {}

    def cpu_seconds(self) -> float:
        """Look at all processes now and return the sum over all that were ever seen."""
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            self._seen[process.pid] = times.user + times.system
        return sum(self._seen.values())


def submit(workspace: Workspace, steps: int, engine: str) -> tuple[Speed, Run, float]:
    """Run the demo job; return its speed after the warm-up, the run, and CPU up to its step 1."""
    store = RunStore(workspace)
    known = {run.id for run in store.list()}
    changes = (f"steps={steps}", "evaluation.final_hidden_bases=1", "optimiser.warmup_steps=5")
    changes += (f"compute.zero_stage={engine}",) if engine else ()
    words = [word for change in changes for word in ("--set", change)]
    command = [*GFMP, "--new", *words, "--workspace", str(workspace.root)]
    with tempfile.TemporaryFile() as log:
        process = psutil.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        tree, spent, events = Tree(process), {0: 0.0}, list[Event]()
        run, follower = None, None
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            used = tree.cpu_seconds()
            if follower is None:
                run = next((found for found in store.list() if found.id not in known), None)
                follower = None if run is None else Follower(run.ledger_path)
                continue
            new = [event for event in follower.poll() if event.kind == "step"]
            spent |= {event.step: used for event in new}
            events += new
        log.seek(0)
        assert process.returncode == 0 and run is not None, log.read().decode()
    counted = [event for event in events if event.step > WARM_STEPS]
    tokens = sum(int(str(event.fields["tokens"])) for event in counted)
    warm = next(event for event in events if event.step == WARM_STEPS)
    cpu = spent[steps] - spent[WARM_STEPS]
    return Speed(tokens / cpu, tokens / (events[-1].time - warm.time)), run, spent[1]


def bare(run: Run, steps: int) -> Speed:
    """Train on the same steps in a loop that does nothing else."""
    workers = run.plan().where.workers
    script = str(Path(__file__).with_name("bare_loop.py"))
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={workers}"]
    done = subprocess.run(
        [*command, script, str(run.path), str(WARM_STEPS), str(steps)],
        check=True,
        capture_output=True,
        text=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    found = json.loads(line)
    return Speed(found["tokens_per_cpu_second"], found["tokens_per_second"])


def main() -> None:
    """Measure and print both speeds, their ratio, and what a start costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--engine", default="", help="compute.zero_stage; empty: the job's own")
    parser.add_argument("--workspace")
    options = parser.parse_args()
    workspace = Workspace.at(options.workspace)
    if not list(workspace.corpora.glob("demo/*")):
        submit(workspace, WARM_STEPS + 2, options.engine)  # what is built is no part of a start
    ours, loops, starts, costs = [], [], [], []
    for _ in range(options.rounds):
        speed, run, cpu = submit(workspace, options.steps, options.engine)
        ours.append(speed)
        loops.append(bare(run, options.steps))
        phases = startup_phases(run.events())
        starts.append(sum(phase.seconds for phase in phases))
        costs.append(cpu)
        print(f"gfmp {speed}, bare loop {loops[-1]}, start {starts[-1]:.1f} s, {cpu:.1f} CPU s")
    for phase in phases:
        print(f"  {phase.name:<60} {phase.seconds:6.1f} s {phase.cpu_seconds:6.1f} CPU s")
    pairs = list(zip(ours, loops, strict=True))
    ratio = statistics.median(a.per_cpu_second / b.per_cpu_second for a, b in pairs)
    wall = statistics.median(a.per_second / b.per_second for a, b in pairs)
    plan = run.plan()
    print(f"ratio {ratio:.3f} per CPU second, {wall:.3f} per second (goal 0.97)")
    Figure(
        item="6",
        work=f"gfmp submit, steady state, {plan.where.workers} ranks, {plan.where.engine}",
        peer="bare PyTorch DDP loop, batches in memory",
        peer_rate=statistics.median(loop.per_cpu_second for loop in loops),
        our_rate=statistics.median(speed.per_cpu_second for speed in ours),
        unit="tokens per CPU s",
        ratio=ratio,
        goal="ratio >= 0.97",
        limit="the bare loop",
        share_of_limit=ratio,
    ).print()
    start, cpu = statistics.median(starts), statistics.median(costs)
    cores = len(psutil.Process().cpu_affinity())
    Figure(
        item="6",
        work="from gfmp submit to the first step",
        peer="35 s allowed",
        peer_rate=1 / 35.0,
        our_rate=1 / start,
        unit="starts per second",
        ratio=35.0 / start,
        goal="ratio >= 1",
        limit=f"{cpu:.1f} CPU s of the start on {cores} cores",
        share_of_limit=cpu / cores / start,
    ).print()


if __name__ == "__main__":
    main()
