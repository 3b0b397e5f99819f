"""Whether a worker group is started again, when, and what a run says that gives up."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gfmp.cluster.failures import Failure
from gfmp.errors import TrainingError
from gfmp.ledger.run import Run
from gfmp.plan.values import Plan, Where

# A leak that gets to a new checkpoint each time still ends; one that does not will not.
_MEMORY_RETRIES = 2
_LONGEST_DELAY_SECONDS = 60.0
_LEAST_MICRO_BATCH_TOKENS = 512


@dataclass(frozen=True)
class Budget:
    """Failures that are retried before a run gives up; a new checkpoint fills it again.

    Attributes:
        most: Failures in a row without a new checkpoint that are retried.
        committed: Newest committed step that was seen.
        failures: Failures since it was.
    """

    most: int
    committed: int = 0
    failures: int = 0

    def charge(self, failure: Failure, committed: int) -> Budget:
        """Return the budget after a failure; a machine that is taken away costs nothing."""
        before = 0 if committed > self.committed else self.failures
        cost = int(failure.cause != "preempted")
        return replace(self, committed=max(committed, self.committed), failures=before + cost)

    def retries(self, failure: Failure) -> int:
        """Return how often a failure of this kind is retried without a new checkpoint."""
        memory = failure.cause == "out of memory"
        return min(self.most, _MEMORY_RETRIES) if memory else self.most

    def spent(self, failure: Failure) -> bool:
        """Return True when this failure is not retried any more."""
        return self.failures > self.retries(failure)

    @property
    def delay_seconds(self) -> float:
        """How long to wait before the next start: 1, 2, 4 .. 60 s, nothing after a preemption."""
        return min(_LONGEST_DELAY_SECONDS, 2.0 ** (self.failures - 1)) if self.failures else 0.0


def committed_step(run: Run) -> int:
    """Return the newest step that a checkpoint of the run was committed at, 0 before the first."""
    return max((event.step for event in run.checkpoints()), default=0)


def given_up(run: Run, where: Where, failure: Failure, budget: Budget) -> TrainingError:
    """Return the error that ends a run whose failures are not retried any more."""
    step = run.last_step()
    what = f"{failure.subject} failed ({failure.cause}) after step {step}"
    fix = f"read the logs, then `{run.resume_command}`"
    if failure.cause == "out of memory":
        what = f"{failure.subject} ran out of memory after step {step}{_peak(failure)}"
        fix = _smaller(run, where)
    return TrainingError(
        f"{what}: {failure.detail}",
        where=str(run.logs_path),
        why=f"{budget.failures} failures without a new checkpoint in between,"
        f" {budget.retries(failure)} are retried",
        fix=fix,
    )


def _peak(failure: Failure) -> str:
    return f" with a peak of {failure.peak_bytes / 2**30:.2f} GiB" if failure.peak_bytes else ""


def _smaller(run: Run, where: Where) -> str:
    """Say how much a forward pass holds now, and how to make that less."""
    plan = run.plan()
    passes = where.workers * where.accumulation
    sequences = math.ceil(plan.what.feed.global_batch_sequences / passes)
    tokens = math.ceil(_tokens_per_step(plan) / passes)
    now = f"a forward pass holds {sequences:,} sequences ({tokens:,} tokens)"
    half = tokens // 2
    if sequences > 1 and half >= _LEAST_MICRO_BATCH_TOKENS:
        return f"{now}: `{run.resume_command} --set compute.micro_batch_tokens={half}`"
    return f"{now}, which is small: fewer workers on this machine, or zero_stage 3, or more memory"


def _tokens_per_step(plan: Plan) -> float:
    found = [number.value for number in plan.derived if number.name == "tokens_per_step"]
    assert found and isinstance(found[0], (int, float)), "every plan tells its tokens per step"
    return float(found[0])
