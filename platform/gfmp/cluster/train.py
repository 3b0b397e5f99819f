"""Worker groups of Ray Train, one after another, until one comes to the end of the run.

Ray's own retries count all failures of a driver's life alike and start again at once. Here each
failure is diagnosed and recorded, waited after, and forgiven when a new checkpoint follows it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gfmp.cluster.failures import Evidence, Failure, diagnose, final_fault
from gfmp.cluster.retries import Budget, given_up
from gfmp.cluster.witness import Witness
from gfmp.cluster.worker import train_worker
from gfmp.ledger.run import Run
from gfmp.plan.values import Where

if TYPE_CHECKING:
    from gfmp.cluster.trainer import LeanTrainer

# Start-up faults of Ray itself; without a limit it would try for ever.
_CONTROLLER_FAILURES = 20
# Above every limit of a pulse, so that the rank that stands still is the one that is named.
_COLLECTIVE_SECONDS = 7200
_POLL_SECONDS = 0.2

Recorder = Callable[[str, Mapping[str, object]], object]


@dataclass(frozen=True)
class TrainingJob:
    """What Ray Train is told.

    Attributes:
        run_folder: Folder of the run, seen by every node.
        where: Placement of the plan.
        segment: Which start of the run this is.
        record: Writes into the driver's ledger.
    """

    run_folder: Path
    where: Where
    segment: int
    record: Recorder


def fit(job: TrainingJob, wait: Callable[[threading.Event], None]) -> None:
    """Run worker groups to the end of the run while `wait` keeps the main thread.

    Args:
        job: What to run.
        wait: Called with an event that is set when it is over; it must return then.

    Raises:
        GfmpError: a fault that a worker reported and that repeating cannot mend.
        TrainingError: the workers failed more often than the plan allows.
    """
    attempts = _Attempts(job)
    # Ray's own SIGINT handler aborts without a checkpoint; it is installed only when `fit` runs
    # in the main thread.
    thread = threading.Thread(target=attempts.run, name="ray-train", daemon=True)
    thread.start()
    try:
        wait(attempts.done)
    except BaseException:
        attempts.leave()
        raise
    thread.join()
    if attempts.faults:
        raise attempts.faults[0]


@dataclass
class _Attempts:
    """The worker groups of one driver, one after another, in a thread."""

    job: TrainingJob
    done: threading.Event = field(default_factory=threading.Event)
    faults: list[BaseException] = field(default_factory=list)
    _left: bool = False
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Start groups until one ends well, or nobody may start another."""
        try:
            run = Run.open(self.job.run_folder)
            budget: Budget | None = Budget(self.job.where.max_failures, run.committed_step())
            while budget is not None:
                budget = self._attempt(run, budget)
        except BaseException as fault:  # handed to the main thread, which raises it
            self.faults.append(fault)
        finally:
            self.done.set()

    def leave(self) -> None:
        """Write no more into the ledger: the main thread has the last word."""
        with self._writing:
            self._left = True

    def _attempt(self, run: Run, budget: Budget) -> Budget | None:
        """Run one group; return the budget for the next one, None when none is needed."""
        with Witness(run.path) as witness:
            fault = _fault_of(self.job)
        if fault is None:
            return None
        evidence = Evidence.of(fault, witness.ends())
        if (final := final_fault(evidence)) is not None:
            raise final from fault
        failure = diagnose(evidence)
        budget = budget.charge(failure, run.committed_step())
        if budget.spent(failure):
            raise given_up(run, self.job.where, failure, budget) from fault
        if not self._record(failure, run.last_step(), budget.delay_seconds):
            return None
        witness.clear()
        _pause(run, budget.delay_seconds)
        return budget

    def _record(self, failure: Failure, step: int, delay_seconds: float) -> bool:
        """Write a failure down; return False when nobody waits for another group any more."""
        fields = {
            "segment": self.job.segment,
            "cause": failure.cause,
            "rank": failure.rank,
            "pid": failure.pid,
            "signal": failure.signal,
            "step": step,
            "delay_seconds": delay_seconds,
            "detail": failure.detail,
        }
        with self._writing:
            if not self._left:
                self.job.record("restarted", fields)
            return not self._left


def _fault_of(job: TrainingJob) -> BaseException | None:
    """Run one worker group; return what ended it, None when it came to its end."""
    from gfmp.cluster.trainer import free_placements

    try:
        free_placements()
        _trainer(job).fit()
    except Exception as fault:  # of Ray, of a worker: diagnosed by the caller
        return fault
    return None


def _pause(run: Run, seconds: float) -> None:
    """Wait, but not while somebody asks the run to stop: the next group does that at once."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not run.stop_requested():
        time.sleep(_POLL_SECONDS)


def _trainer(job: TrainingJob) -> LeanTrainer:
    from ray.train import FailureConfig, RunConfig, ScalingConfig

    from gfmp.cluster.rendezvous import process_group
    from gfmp.cluster.trainer import LeanTrainer

    gpu = job.where.use_gpu
    return LeanTrainer(
        train_worker,
        train_loop_config={
            "run_folder": str(job.run_folder),
            "threads": str(job.where.threads_per_worker),
        },
        scaling_config=ScalingConfig(num_workers=job.where.workers, use_gpu=gpu),
        backend_config=process_group(gpu, _COLLECTIVE_SECONDS),
        run_config=RunConfig(
            name=f"segment-{job.segment:03d}",
            storage_path=str(job.run_folder / "ray"),
            failure_config=FailureConfig(
                max_failures=0,
                max_preemption_failures=0,
                controller_failure_limit=_CONTROLLER_FAILURES,
            ),
        ),
    )
