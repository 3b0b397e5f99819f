"""What is left of a worker group tells why it ended, and whose fault it was."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

from gfmp.cluster.failures import (
    Evidence,
    Failure,
    PreemptedError,
    diagnose,
    final_fault,
    one_line,
)
from gfmp.cluster.witness import RankEnd
from gfmp.errors import DataError, StorageError

RESET = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1234")
NO_ENDS: tuple[RankEnd, ...] = ()


def stack(innermost: str, head: str = "Timeout (0:00:15)!") -> str:
    """Return what `faulthandler` writes: the training thread is not the first one."""
    return (
        f"{head}\n"
        "Thread 0x00007f0000000001 (most recent call first):\n"
        '  File "/python/threading.py", line 324 in wait\n'
        "\nThread 0x00007f0000000002 (most recent call first):\n"
        f"  {innermost}\n"
        '  File "/gfmp/training/loop.py", line 50 in _train\n'
        '  File "/gfmp/cluster/worker.py", line 77 in train_worker\n'
    )


SLEEPING = 'File "/anywhere/slow.py", line 7 in sleeps'
WAITING = 'File "/torch/distributed/distributed_c10d.py", line 3000 in all_reduce'


def died(words: str = "The worker died unexpectedly") -> WorkerHealthCheckFailedError:
    """Return what Ray says of a process that is gone."""
    return WorkerHealthCheckFailedError(
        "A worker health check failed.", RayActorError(error_msg=words)
    )


def evidence(told: Mapping[int, Exception], ends: tuple[RankEnd, ...] = NO_ENDS) -> Evidence:
    """Return the end of a group in which these ranks failed."""
    return Evidence.of(WorkerGroupError("ranks failed", dict(told)), ends)


def end(rank: int, vanished: int | None = None, peak: int = 0, text: str = "") -> RankEnd:
    """Return a rank as the driver saw it."""
    return RankEnd(rank, 100 + rank, "here", vanished, peak, text)


def test_the_rank_that_vanished_is_named_not_the_one_that_complains() -> None:
    found = diagnose(evidence({0: RESET, 1: died()}, (end(0), end(1, vanished=0))))
    assert found == Failure("killed", 1, 101, "SIGKILL", "its process ended by SIGKILL")
    assert found.subject == "rank 1 (pid 101)"


def test_the_first_of_two_that_vanished_is_named() -> None:
    ends = (end(0, vanished=1), end(1, vanished=0))
    assert diagnose(evidence({0: died(), 1: died()}, ends)).rank == 1


def test_a_death_that_only_the_driver_saw_is_found_behind_the_complaint() -> None:
    found = diagnose(evidence({0: RESET}, (end(0, vanished=1), end(1, vanished=0))))
    assert (found.cause, found.rank, found.signal) == ("killed", 1, "SIGKILL")


def test_a_death_elsewhere_is_found_by_what_ray_says() -> None:
    found = diagnose(evidence({0: RESET, 3: died("the node died")}))
    assert (found.cause, found.rank, found.pid) == ("killed", 3, 0)


def test_a_terminated_process_leaves_a_word() -> None:
    found = diagnose(evidence({1: died("The process receives a SIGTERM.")}))
    assert found.signal == "SIGTERM"


def test_an_exception_is_told_with_its_kind() -> None:
    found = diagnose(evidence({0: RESET, 1: ValueError("3 is no shape")}, (end(0), end(1))))
    assert found == Failure("raised", 1, 101, "", "ValueError: 3 is no shape")


def test_a_complaint_alone_is_told_as_it_is() -> None:
    found = diagnose(evidence({0: RESET}, (end(0), end(1))))
    assert (found.cause, found.rank) == ("raised", 0)
    assert "Connection closed" in found.detail


@pytest.mark.parametrize(
    ("fault", "signal"),
    [
        (died("killed due to the node running low on memory"), "SIGKILL"),
        (WorkerHealthCheckFailedError("failed", OutOfMemoryError("Memory was 0.96")), "SIGKILL"),
        (MemoryError(), ""),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), ""),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"), ""),
    ],
)
def test_memory_is_named_with_the_peak(fault: Exception, signal: str) -> None:
    found = diagnose(evidence({0: RESET, 1: fault}, (end(0), end(1, 0, peak=3 << 30))))
    assert (found.cause, found.rank, found.signal) == ("out of memory", 1, signal)
    assert found.peak_bytes == 3 << 30


def test_the_largest_of_many_that_were_ended_for_memory_is_named() -> None:
    words = "Task was killed due to the node running low on memory.\nMemory on the node was 9 GB."
    ends = (end(0, 0, peak=1 << 30), end(1, 1, peak=5 << 30), end(2, 2, peak=2 << 30))
    everyone = diagnose(evidence(dict.fromkeys(range(3), died(words)), ends))
    assert (everyone.rank, everyone.peak_bytes) == (1, 5 << 30)
    assert everyone.detail == "Memory on the node was 9 GB."
    # Ray ended its own controller with them, and tells of no rank.
    controller = diagnose(Evidence.of(OutOfMemoryError(words), ends))
    assert (controller.cause, controller.rank, controller.signal) == ("out of memory", 1, "SIGKILL")
    nobody = diagnose(Evidence.of(OutOfMemoryError(words), NO_ENDS))
    assert (nobody.cause, nobody.rank) == ("out of memory", None)


def test_the_rank_that_does_not_wait_is_the_one_that_stands_still() -> None:
    ends = (end(0, 0, text=stack(WAITING)), end(1, 1, text=stack(SLEEPING)))
    found = diagnose(evidence({0: died(), 1: died()}, ends))
    assert (found.cause, found.rank, found.signal) == ("stalled", 1, "SIGALRM")
    assert found.detail == "it stood in sleeps (/anywhere/slow.py:7)"


def test_among_many_the_rank_that_stands_elsewhere_is_named() -> None:
    # With NCCL a rank waits wherever it asks for a number, not in the collective.
    asking = 'File "/gfmp/training/step.py", line 80 in agree'
    places = (asking, asking, SLEEPING, asking)
    ends = tuple(end(rank, text=stack(place)) for rank, place in enumerate(places))
    assert diagnose(evidence({0: died()}, ends)).rank == 2


def test_a_rank_that_could_not_even_write_is_the_one_that_stands_still() -> None:
    found = diagnose(evidence({0: died()}, (end(0, 0, text=stack(WAITING)), end(1))))
    assert (found.cause, found.rank, found.signal) == ("stalled", 1, "SIGKILL")


def test_ranks_that_all_wait_are_told_as_such() -> None:
    ends = (end(0, text=stack(WAITING)), end(1, text=stack(WAITING)))
    assert diagnose(evidence({0: died()}, ends)).detail == "every rank waited for the others"


@pytest.mark.parametrize(
    ("words", "signal"),
    [("Segmentation fault", "SIGSEGV"), ("Bus error", "SIGBUS"), ("Aborted", "SIGABRT")],
)
def test_a_crash_is_told_with_its_place(words: str, signal: str) -> None:
    text = stack(SLEEPING, head=f"Fatal Python error: {words}\n")
    found = diagnose(evidence({0: RESET, 1: died()}, (end(0), end(1, 0, text=text))))
    assert (found.cause, found.rank, found.signal) == ("crashed", 1, signal)
    assert found.detail == f"{words} in sleeps (/anywhere/slow.py:7)"


def test_a_preemption_is_none_of_the_ranks_fault() -> None:
    found = diagnose(evidence({0: PreemptedError("committed at step 4"), 1: RESET}))
    assert found.cause == "preempted"
    taken = WorkerHealthCheckFailedError("failed", RayActorError(error_msg="gone", preempted=True))
    assert diagnose(evidence({0: RESET, 1: taken})).cause == "preempted"


def test_what_ray_itself_fails_with_names_no_rank() -> None:
    fault = ControllerError(RuntimeError("no resources\nfor 2 workers"))
    found = diagnose(Evidence.of(fault, NO_ENDS))
    assert (found.cause, found.rank, found.pid) == ("ray", None, None)
    assert found.detail == "for 2 workers"
    assert found.subject == "the worker group"


def test_a_fault_with_a_remedy_is_final_whoever_else_complains() -> None:
    full = StorageError("cannot write: no space", where="here")
    found = final_fault(evidence({0: RESET, 1: full}))
    assert found is full
    assert final_fault(evidence({0: RESET})) is None
    damaged = DataError("bad letter")
    assert final_fault(Evidence.of(damaged, NO_ENDS)) is damaged


def test_a_long_complaint_is_cut_to_its_last_line() -> None:
    assert one_line(ValueError("first\n\n" + "x" * 500 + "\n")) == "x" * 300
    assert one_line(KeyError()) == "KeyError"
