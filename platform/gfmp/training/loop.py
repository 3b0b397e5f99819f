"""The training loop, from a plan to an outcome.

It needs neither Ray nor MLflow: batches come from any `StepSource`, numbers go to any
`Recorder`, and the ranks are those of the process group there is (torchrun, Ray Train, or one
process alone).
"""

from __future__ import annotations

from gfmp.training.hardware import flushed_denormals, keep_freed_memory
from gfmp.training.job import Job, Outcome, Recorder, StepSource
from gfmp.training.session import Session

__all__ = ["Job", "Outcome", "Recorder", "StepSource", "train"]


def train(job: Job) -> Outcome:
    """Train from the newest checkpoint, or from step 0 when there never was one, to the end.

    Raises:
        TrainingError: a number was not sound, and the plan does not leave it out; the last
            checkpoint stays.
        SpecError: the checkpoint belongs to another plan or ensemble.
        MissingInputError: checkpoints were committed, and none is whole or none is left.
        StorageError: a checkpoint could not be written.
    """
    if not job.plan.where.use_gpu:
        keep_freed_memory()
    with flushed_denormals():
        return _train(job)


def _train(job: Job) -> Outcome:
    session = Session.open(job)
    try:
        return _steps(session)
    except Exception:
        session.abandon()
        raise


def _steps(session: Session) -> Outcome:
    session.restore()
    batches = session.batches()
    while not session.finished:
        own = session.expect(batches)
        agreed = session.agree(own, session.job.should_stop)
        if agreed.written:
            session.settle()
        if agreed.stop:
            session.commit()
            return session.outcome("interrupted")
        if session.step(own, agreed):
            session.evaluate_if_due()
            session.commit_if_due()
    session.settle()
    session.report()
    return session.outcome("finished")
