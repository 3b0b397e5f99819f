"""What every rank of a training job runs, from its first line to its last."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gfmp.cluster.failures import PreemptedError
from gfmp.cluster.heartbeat import Pulse, PulsedSource, stack_path
from gfmp.cluster.noise import capture_forever
from gfmp.cluster.startup import ClockedSource, StartClock, process_began
from gfmp.ledger.run import Run
from gfmp.ledger.startup import KIND as STARTUP
from gfmp.storage.atomic import write_json

Recorder = Callable[[str, Mapping[str, object]], object]


@dataclass(frozen=True)
class Member:
    """A rank among those of its group.

    Attributes:
        folder: Folder of the run, seen by every node.
        rank: Number of the rank, from 0.
        world: Number of ranks.
    """

    folder: Path
    rank: int
    world: int


def train_worker(config: Mapping[str, str]) -> None:
    """Take part in the run in `config["run_folder"]` as the rank Ray Train gave this process.

    Raises:
        GfmpError: what repeating cannot mend (bad data, a full disk, numbers that are not finite);
            the driver starts no other group after it.
        PreemptedError: the machine of a rank will be taken away; the state is committed.
    """
    import ray.train

    clock = StartClock(process_began())
    clock.ended("rank 0 starts and joins the others")
    context = ray.train.get_context()
    folder = Path(config["run_folder"])
    member = Member(folder, context.get_world_rank(), context.get_world_size())
    capture_forever(folder / "logs" / f"rank{member.rank}.log")
    # Who to look at (or to kill, in a test of recovery): processes are never found by name.
    write_json(
        folder / "workers" / f"rank{member.rank}.json",
        {"pid": os.getpid(), "host": socket.gethostname()},
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _limit_threads(int(config["threads"]))
    try:
        with Pulse(stack_path(folder, member.rank)) as pulse:
            _train(member, pulse, clock)
    except Exception:
        logging.exception("rank %d gives up", member.rank)
        raise


def _train(member: Member, pulse: Pulse, clock: StartClock) -> None:
    from gfmp.cluster.feed import Share, step_source
    from gfmp.cluster.inputs import RunInputs
    from gfmp.training.history import newest_commit
    from gfmp.training.loop import Job, train

    clock.ended("rank 0 imports what trains")
    inputs, run = RunInputs.open(member.folder), Run.open(member.folder)
    plan = inputs.plan
    share = Share(member.rank, member.world, plan.where.accumulation)
    feed = ClockedSource(step_source(plan.where.feed, member.folder, share), clock)
    clock.ended("rank 0 opens the plan, the corpus and the vocabularies")
    source = PulsedSource(feed, pulse, plan.where.stall_seconds, plan.what.steps)
    with _recorder(run, member.rank, source, clock) as record:
        outcome = train(
            Job(
                plan=plan,
                ensemble=inputs.ensemble,
                source=source,
                heldout=inputs.heldout(),
                corpus=inputs.corpus,
                checkpoints=run.checkpoints_path,
                record=record,
                should_stop=lambda: run.stop_requested() or preempted(),
                committed_step=newest_commit(run),
            )
        )
        if outcome.status == "interrupted" and not run.stop_requested():
            raise PreemptedError(f"committed at step {outcome.step}")
        record("outcome", outcome.to_json())


def preempted() -> bool:
    """Return True when Ray has told this rank that a machine of the group will be taken away.

    Every rank is told. Ray's public question is a barrier of all ranks, too dear for every step
    (ray 2.60, `get_preemption_info`); this reads what it would compare.
    """
    from ray.train.v2._internal.execution.context import get_train_context

    return get_train_context().preemption_context.preemption_info is not None


@contextlib.contextmanager
def _recorder(run: Run, rank: int, source: PulsedSource, clock: StartClock) -> Iterator[Recorder]:
    """Yield what writes into the ledger; only rank 0 has a file there."""
    if rank > 0:
        yield lambda kind, fields: None
        return
    with run.open_writer("rank0") as writer:

        def _record(kind: str, fields: Mapping[str, object]) -> None:
            if kind == "step" and not clock.stopped:
                clock.ended("rank 0 takes its first step")
                writer.append(STARTUP, clock.fields())
                clock.stopped = True
            waited = {"feed_seconds": source.feed_seconds} if kind == "step" else {}
            writer.append(kind, {**fields, **waited})

        yield _record


def _limit_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
