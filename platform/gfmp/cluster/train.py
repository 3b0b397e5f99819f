"""One Ray Train job: a worker group that is restarted from the newest checkpoint when it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gfmp.cluster.worker import final_fault, train_worker
from gfmp.errors import TrainingError
from gfmp.plan.values import Where

# Start-up faults of Ray itself; without a limit it would try for ever.
_CONTROLLER_FAILURES = 20


@dataclass(frozen=True)
class TrainingJob:
    """What Ray Train is told.

    Attributes:
        run_folder: Folder of the run, seen by every node.
        run_id: Name of the run.
        where: Placement of the plan.
        segment: Which start of the run this is.
    """

    run_folder: Path
    run_id: str
    where: Where
    segment: int


def fit(job: TrainingJob, wait: Callable[[threading.Event], None]) -> None:
    """Run the worker group to its end while `wait` keeps the main thread.

    Args:
        job: What to run.
        wait: Called with an event that is set when the group has ended; it must return then.

    Raises:
        GfmpError: the fault a worker reported as final.
        TrainingError: the workers failed more often than the plan allows.
    """
    done = threading.Event()
    faults: list[BaseException] = []

    def _run() -> None:
        try:
            _trainer(job).fit()
        except BaseException as fault:  # handed to the main thread, which raises it
            faults.append(fault)
        finally:
            done.set()

    # Ray's own SIGINT handler aborts without a checkpoint; it is installed only when `fit` runs
    # in the main thread.
    thread = threading.Thread(target=_run, name="ray-train", daemon=True)
    thread.start()
    wait(done)
    thread.join()
    reported = final_fault(job.run_folder, str(job.segment))
    if reported is not None:
        raise reported
    if faults:
        raise TrainingError(
            f"the workers failed: {_first_line(faults[0])}",
            where=str(job.run_folder / "logs"),
            why=f"{job.where.max_failures} failures are retried, then the run gives up",
            fix=f"read the logs, then `gfmp submit --resume {job.run_id}`",
        ) from faults[0]


def _trainer(job: TrainingJob):  # type: ignore[no-untyped-def]  # noqa: ANN202 - Ray is untyped
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpu = job.where.use_gpu
    return TorchTrainer(
        train_worker,
        train_loop_config={
            "run_folder": str(job.run_folder),
            "segment": str(job.segment),
            "threads": str(job.where.threads_per_worker),
        },
        scaling_config=ScalingConfig(num_workers=job.where.workers, use_gpu=gpu),
        torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
        run_config=RunConfig(
            name=f"segment-{job.segment:03d}",
            storage_path=str(job.run_folder / "ray"),
            failure_config=FailureConfig(
                max_failures=job.where.max_failures,
                controller_failure_limit=_CONTROLLER_FAILURES,
            ),
        ),
    )


def _first_line(fault: BaseException) -> str:
    lines = [line for line in str(fault).splitlines() if line.strip()]
    return (lines[-1] if lines else type(fault).__name__)[:300]
