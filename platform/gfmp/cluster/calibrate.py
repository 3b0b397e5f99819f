"""A few seconds of a job's own steps, measured on this machine without Ray.

The ranks are processes of this command: they open the corpus, make their own batches and train
with the plan's engine, as in a run; nothing is recorded and nothing is kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from gfmp.cluster.feed import OwnStepSource, Share
from gfmp.cluster.inputs import RunInputs
from gfmp.errors import MissingInputError, TrainingError
from gfmp.genome.corpus import Corpus
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.plan.calibration import Calibration, machine_name, setting_of, torch_version
from gfmp.plan.survey import Survey
from gfmp.plan.values import Plan
from gfmp.storage.workspace import Workspace
from gfmp.training.job import Job

# The first steps allocate and choose kernels.
_WARM_STEPS = 3
_LEAST_STEPS = 24
_MANY_STEPS = 10_000_000
_SECONDS = 10.0
_PROGRAM = "import sys; from gfmp.cluster.calibrate import take_part; take_part(*sys.argv[1:])"


@dataclass(frozen=True)
class Asked:
    """A job whose steps are to be measured.

    Attributes:
        plan: What it would do.
        found: What it names.
        job_path: Where it was read.
        seconds: How long to train.
    """

    plan: Plan
    found: Survey
    job_path: Path
    seconds: float = _SECONDS


def calibrate(asked: Asked) -> Calibration:
    """Train for a few seconds and return what a step costs.

    Raises:
        MissingInputError: the corpus or a vocabulary is not built yet.
        TrainingError: a rank failed.
    """
    if not asked.plan.complete or asked.found.ensemble is None:
        raise MissingInputError(
            "the job cannot be measured before what it names is built",
            where=str(asked.job_path),
            why="its own batches are what is measured",
            fix="give `gfmp submit` for the job, or register its vocabularies, first",
        )
    with tempfile.TemporaryDirectory(prefix="gfmp-calibrate-") as folder:
        run = _scratch_run(asked, Workspace(Path(folder)))
        told = _measured(run, asked)
    return Calibration(
        machine=machine_name(),
        torch=torch_version(),
        setting=setting_of(asked.plan),
        date=time.strftime("%Y-%m-%d"),
        steps=int(told[0]["steps"]),
        flops_per_second=told[0]["flops"] / told[0]["seconds"],
        flops_per_cpu_second=told[0]["flops"] / sum(rank["cpu_seconds"] for rank in told),
        peak_bytes=int(max(rank["peak_bytes"] for rank in told)),
    )


def _scratch_run(asked: Asked, workspace: Workspace) -> Run:
    ensemble, corpus = asked.found.ensemble, Corpus.open(asked.found.corpus.path)
    assert ensemble is not None, "checked before"
    # A job of few steps is measured over as many as any other.
    plan = replace(asked.plan, what=replace(asked.plan.what, steps=_MANY_STEPS))
    return RunStore(workspace).create(
        NewRun(
            name=plan.name,
            kind="pretrain",
            seed=plan.what.feed.seed,
            what_fingerprint=plan.what.fingerprint,
            spec=asked.job_path.read_bytes(),
            plan=plan.to_json(),
            command_line=(),
        ),
        lambda folder: RunInputs.save(folder, corpus, ensemble, asked.job_path),
    )


def _measured(run: Run, asked: Asked) -> list[dict[str, float]]:
    """Run all ranks at once and return what each tells, by rank.

    Raises:
        TrainingError: one failed.
    """
    world = asked.plan.where.workers
    ranks = [_started(run.path, rank, world, asked.seconds) for rank in range(world)]
    said = [process.communicate() for process in ranks]
    for rank, (process, (_, noise)) in enumerate(zip(ranks, said, strict=True)):
        if process.returncode:
            lines = noise.strip().splitlines() or [f"exit status {process.returncode}"]
            raise TrainingError(
                f"rank {rank} of {world} could not take the job's steps: {lines[-1]}",
                where=str(asked.job_path),
                why="a plan is measured with as many ranks as it has, on this machine",
                fix="plan fewer workers (--set compute.workers=1), or plan without --calibrate",
            )
    return [json.loads(out.splitlines()[-1]) for out, _ in said]


def _started(folder: Path, rank: int, world: int, seconds: float) -> subprocess.Popen[str]:
    threads = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    place = {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _PROGRAM, str(folder), str(seconds)],
        env=os.environ | threads | place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def take_part(folder: str, seconds: str) -> None:
    """Be one rank of a measurement, and print what it took as one line of JSON."""
    import ray.train  # noqa: F401 - a rank of a run has it in memory too
    import torch
    import torch.distributed as dist

    from gfmp.training.hardware import flushed_denormals

    path = Path(folder)
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    inputs = RunInputs.open(path)
    torch.set_num_threads(inputs.plan.where.threads_per_worker)
    backend = "nccl" if inputs.plan.where.use_gpu else "gloo"
    meeting = f"file://{path}/meeting"
    dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=world)
    share = Share(rank, world, inputs.plan.where.accumulation)
    with flushed_denormals():
        told = _stepped(inputs, path, share, float(seconds))
    sys.stdout.write(json.dumps(told) + "\n")
    dist.destroy_process_group()


def _stepped(inputs: RunInputs, folder: Path, share: Share, seconds: float) -> dict[str, float]:
    """Take steps until the time is over and return what those after the first few took."""
    from gfmp.training.hardware import peak_memory_bytes
    from gfmp.training.session import Session

    session = Session.open(_job(inputs, folder, share))
    batches, clock, flops = session.batches(), _Clock(seconds), 0
    while True:
        own = session.expect(batches)
        agreed = session.agree(own, clock.over)
        if agreed.stop:
            break
        session.step(own, agreed)
        flops += session.flops(agreed) if clock.steps >= 0 else 0
        clock.tick()
    batches.close()
    return {
        "steps": clock.steps,
        "seconds": time.perf_counter() - clock.began,
        "cpu_seconds": time.process_time() - clock.used,
        "flops": flops,
        "peak_bytes": peak_memory_bytes(session.group.device),
    }


def _job(inputs: RunInputs, folder: Path, share: Share) -> Job:
    return Job(
        plan=inputs.plan,
        ensemble=inputs.ensemble,
        source=OwnStepSource(folder, share),
        heldout=inputs.heldout(),
        corpus=inputs.corpus,
        checkpoints=folder / "checkpoints",
        record=lambda kind, fields: None,
        should_stop=lambda: False,
    )


@dataclass
class _Clock:
    """Counts steps and time after the warm-up.

    Attributes:
        limit_seconds: How long to measure.
        steps: Steps since the warm-up, which are below 0.
        began: When it ended, by the wall clock.
        used: CPU seconds of the process then.
    """

    limit_seconds: float
    steps: int = -_WARM_STEPS
    began: float = 0.0
    used: float = 0.0

    def tick(self) -> None:
        """Count a step."""
        self.steps += 1
        if self.steps == 0:
            self.began, self.used = time.perf_counter(), time.process_time()

    def over(self) -> bool:
        """Return True when enough was measured."""
        return self.steps >= _LEAST_STEPS and time.perf_counter() > self.began + self.limit_seconds
