"""Steady-state tokens/s of `gfmp submit` against a bare PyTorch loop under torchrun.

    python tests/benchmarks/submit_throughput.py [--steps 60] [--workspace FOLDER]

Both run the demo model on the demo batches with the same ranks and threads, one after the
other in this command; the bare loop brackets the run, because machines drift.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from gfmp.ledger.store import RunStore
from gfmp.storage.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
WARM_STEPS = 20


def main() -> None:
    """Measure and print both speeds and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=60)
    arguments.add_argument("--workspace")
    options = arguments.parse_args()
    workspace = Workspace.at(options.workspace)
    submitted, folder = _submit(workspace, options.steps)
    before = _bare(folder, options.steps)
    again, _ = _submit(workspace, options.steps)
    after = _bare(folder, options.steps)
    ours, bare = statistics.mean((submitted, again)), statistics.mean((before, after))
    print(f"gfmp submit   {submitted:10,.0f} {again:10,.0f} tokens/s (median of steps, two runs)")
    print(f"bare torchrun {before:10,.0f} {after:10,.0f} tokens/s")
    print(f"ratio         {ours / bare:10.3f}  (goal 0.95)")


def _submit(workspace: Workspace, steps: int) -> tuple[float, Path]:
    gfmp = str(Path(sys.executable).with_name("gfmp"))
    changes = [f"steps={steps}", "evaluation.final_hidden_bases=1", f"optimiser.warmup_steps={5}"]
    sets = [word for change in changes for word in ("--set", change)]
    job = str(ROOT / "jobs" / "pretrain.yaml")
    place = ["--workspace", str(workspace.root)]
    subprocess.run([gfmp, "submit", job, *sets, *place], check=True, capture_output=True, cwd=ROOT)
    run = RunStore(workspace).list()[-1]
    speeds = [e.fields["tokens_per_second"] for e in run.events("step") if e.step > WARM_STEPS]
    return statistics.median(float(str(speed)) for speed in speeds), run.path


def _bare(folder: Path, steps: int) -> float:
    workers = json.loads((folder / "plan.json").read_text())["where"]["workers"]
    script = str(Path(__file__).with_name("bare_loop.py"))
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={workers}"]
    done = subprocess.run(
        [*command, script, str(folder), str(WARM_STEPS), str(steps)],
        check=True,
        capture_output=True,
        text=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    return float(json.loads(line)["tokens_per_second"])


if __name__ == "__main__":
    main()
