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
# A kill from outside says nothing about the run: about half an hour of them.
_MOST_KILLS = 30
_LONGEST_DELAY_SECONDS = 60.0
_LEAST_MICRO_BATCH_TOKENS = 512


@dataclass(frozen=True)
class Budget:
    """Failures that are retried before a run gives up; a new checkpoint fills it again.

    Attributes:
        most: Failures in a row without a new checkpoint that are retried.
        committed: Newest committed step that was seen.
        failures: Failures since it was, kills apart.
        kills: Ranks that were killed from outside since.
    """

    most: int
    committed: int = 0
    failures: int = 0
    kills: int = 0

    def charge(self, failure: Failure, committed: int) -> Budget:
        """Return the budget after a failure; a machine that is taken away costs nothing."""
        before = replace(self, failures=0, kills=0) if committed > self.committed else self
        before = replace(before, committed=max(committed, self.committed))
        if failure.cause == "preempted":
            return before
        if failure.cause == "killed":
            return replace(before, kills=before.kills + 1)
        return replace(before, failures=before.failures + 1)

    def counted(self, failure: Failure) -> int:
        """Return how many failures of this kind came without a new checkpoint."""
        return self.kills if failure.cause == "killed" else self.failures

    def retries(self, failure: Failure) -> int:
        """Return how many of them are retried; a most of 0 forbids all."""
        if failure.cause == "killed":
            return max(self.most, _MOST_KILLS) if self.most else 0
        memory = failure.cause == "out of memory"
        return min(self.most, _MEMORY_RETRIES) if memory else self.most

    def spent(self, failure: Failure) -> bool:
        """Return True when this failure is not retried any more."""
        return self.counted(failure) > self.retries(failure)

    @property
    def delay_seconds(self) -> float:
        """How long to wait before the next start: 1, 2, 4 .. 60 s, nothing after a preemption."""
        since = self.failures + self.kills
        return min(_LONGEST_DELAY_SECONDS, 2.0 ** (since - 1)) if since else 0.0


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
        why=f"{budget.counted(failure)} failures without a new checkpoint in between,"
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
