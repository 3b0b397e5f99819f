"""Why a worker group ended, from what is left of it.

Ray tells which ranks have failed, their own clocks and crashes leave stacks, and the driver has
seen who went first. The rules below read these in the order in which they can be trusted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gfmp.cluster.witness import RankEnd
from gfmp.errors import GfmpError

_SHOWN_CHARACTERS = 300
_TIMEOUT_WORD = "Timeout ("
_MEMORY_WORDS = re.compile(
    r"running low on memory|memory usage threshold|memory monitor|out of memory"
    r"|can't allocate memory|OutOfMemory",
    re.IGNORECASE,
)
# What a rank says when another one is gone: true, and not the reason.
_COLLATERAL_WORDS = re.compile(
    r"connection (closed|reset|refused)|broken pipe|by peer|remote process exited|ncclRemote"
    r"|socket closed|no longer alive",
    re.IGNORECASE,
)
_FATAL = re.compile(r"Fatal Python error: (.+)")
_SIGNALS: Mapping[str, str] = {
    "Segmentation fault": "SIGSEGV",
    "Aborted": "SIGABRT",
    "Bus error": "SIGBUS",
    "Illegal instruction": "SIGILL",
    "Floating point exception": "SIGFPE",
    "Floating-point exception": "SIGFPE",
}
_FRAME = re.compile(r'File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<name>.*)')
# Where a rank stands that waits for the others, and where backward hides such a wait.
_WAITING = re.compile(r"torch/distributed/|deepspeed/comm/|autograd/graph\.py")
_OUR_THREAD = "in train_worker"


class PreemptedError(Exception):
    """A rank left after a commit, because its machine will be taken away."""


@dataclass(frozen=True)
class Failure:
    """How a worker group ended.

    Attributes:
        cause: `preempted`, `out of memory`, `stalled`, `crashed`, `killed`, `raised` or `ray`.
        rank: Whose fault it was; None when Ray could not start or lost the whole group.
        pid: Its process, None with `rank`.
        signal: What ended that process; SIGKILL is what is left when it had no last word.
        detail: One line for people.
        peak_bytes: Most memory seen of that rank, 0 when nobody looked.
    """

    cause: str
    rank: int | None = None
    pid: int | None = None
    signal: str = ""
    detail: str = ""
    peak_bytes: int = 0

    @property
    def subject(self) -> str:
        """The rank and its process in words."""
        return "the worker group" if self.rank is None else f"rank {self.rank} (pid {self.pid})"


@dataclass(frozen=True)
class Evidence:
    """What is known of the end of a worker group.

    Attributes:
        fault: What Ray raised.
        told: What Ray says of each rank that failed.
        ends: What the driver saw, by rank.
    """

    fault: BaseException
    told: Mapping[int, BaseException]
    ends: Mapping[int, RankEnd]

    @classmethod
    def of(cls, fault: BaseException, ends: Sequence[RankEnd]) -> Evidence:
        """Take the faults of the ranks out of what Ray raised."""
        from ray.train import WorkerGroupError

        told = fault.worker_failures if isinstance(fault, WorkerGroupError) else {}
        return cls(fault, dict(told), {end.rank: end for end in ends})

    def failure(self, cause: str, rank: int, signal: str = "", detail: str = "") -> Failure:
        """Name a rank as the one whose fault it was."""
        end = self.ends.get(rank, RankEnd(rank, 0, ""))
        said = detail or one_line(self.told.get(rank, self.fault))
        return Failure(cause, rank, end.pid, signal, said, end.peak_bytes)


def final_fault(evidence: Evidence) -> GfmpError | None:
    """Return the fault with a remedy that some rank raised; repeating cannot mend it."""
    faults = [evidence.fault, *(evidence.told[rank] for rank in sorted(evidence.told))]
    return next((fault for fault in faults if isinstance(fault, GfmpError)), None)


def diagnose(evidence: Evidence) -> Failure:
    """Return why a worker group ended."""
    for rule in _RULES:
        found = rule(evidence)
        if found is not None:
            return found
    return Failure("ray", detail=one_line(evidence.fault))


def _preempted(evidence: Evidence) -> Failure | None:
    from ray.exceptions import RayActorError
    from ray.train.v2.api.exceptions import PreemptionError

    for rank, fault in sorted(evidence.told.items()):
        inner = _inner(fault)
        taken = isinstance(inner, RayActorError) and inner.preempted
        if taken or isinstance(fault, PreemptedError):
            return evidence.failure("preempted", rank, detail="its machine is taken away")
    if isinstance(evidence.fault, PreemptionError):
        return Failure("preempted", detail=one_line(evidence.fault))
    return None


def _memory(evidence: Evidence) -> Failure | None:
    """Find memory: Ray ends every worker of an owner at once, so the largest rank is named."""
    told = {rank: fault for rank, fault in evidence.told.items() if _of_memory(fault)}
    if not told and not (evidence.told == {} and _of_memory(evidence.fault)):
        return None
    suspects = [evidence.ends.get(rank, RankEnd(rank, 0, "")) for rank in sorted(told)]
    suspects = suspects or list(evidence.ends.values())
    fault = next(iter(told.values()), evidence.fault)
    detail = _memory_line(fault)
    if not suspects:
        return Failure("out of memory", detail=detail)
    largest = max(suspects, key=lambda end: end.peak_bytes)
    own = told.get(largest.rank, fault)
    signal = "" if own in told.values() and _inner(own) is own else "SIGKILL"
    return evidence.failure("out of memory", largest.rank, signal, detail)


def _of_memory(fault: BaseException) -> bool:
    inner = _inner(fault)
    return isinstance(inner, MemoryError) or bool(_MEMORY_WORDS.search(f"{type(inner)} {inner}"))


def _memory_line(fault: BaseException) -> str:
    """Return the line that tells the numbers, the first about memory, or the last."""
    lines = [line.strip() for line in str(fault).splitlines()]
    told = [line for line in lines if _MEMORY_WORDS.search(line)]
    numbers = [line for line in lines if "Memory on the node" in line]
    return (*numbers, *told, one_line(fault))[0][:_SHOWN_CHARACTERS]


def _stalled(evidence: Evidence) -> Failure | None:
    stacks = {rank: end.stack for rank, end in evidence.ends.items() if _TIMEOUT_WORD in end.stack}
    if not stacks:
        return None
    frames = {rank: _frames(stack) for rank, stack in stacks.items()}
    busy = {r: f for r, f in frames.items() if f and not _WAITING.search(f[0])}
    silent = [rank for rank in evidence.ends if rank not in stacks]
    if busy:
        common = Counter(found[0] for found in busy.values())
        rank = min(busy, key=lambda r: (common[busy[r][0]], r))
        return evidence.failure("stalled", rank, "SIGALRM", f"it stood in {busy[rank][0]}")
    if silent:
        detail = "all others waited, and it could not even write where it stood"
        return evidence.failure("stalled", silent[0], "SIGKILL", detail)
    return evidence.failure("stalled", min(stacks), "SIGALRM", "every rank waited for the others")


def _crashed(evidence: Evidence) -> Failure | None:
    for rank, end in sorted(evidence.ends.items()):
        found = _FATAL.search(end.stack)
        if found:
            at = (_frames(end.stack[found.start() :]) or ("C code",))[0]
            signal = _SIGNALS.get(found[1].strip(), "")
            return evidence.failure("crashed", rank, signal, f"{found[1].strip()} in {at}")
    return None


def _killed(evidence: Evidence) -> Failure | None:
    died = {rank for rank, fault in evidence.told.items() if fault is not _inner(fault)}
    raised = [fault for rank, fault in evidence.told.items() if rank not in died]
    order = sorted(
        (end.vanished, rank) for rank, end in evidence.ends.items() if end.vanished is not None
    )
    gone = [rank for _, rank in order]
    if not died and raised and all(_COLLATERAL_WORDS.search(str(fault)) for fault in raised):
        died = set(gone)  # Ray saw the survivors first
    first = next((rank for rank in gone if rank in died), min(died, default=None))
    if first is None:
        return None
    # Ray's own handler of SIGTERM leaves a word; nothing but SIGKILL (or `_exit`) leaves none.
    signal = "SIGTERM" if "SIGTERM" in str(evidence.told.get(first)) else "SIGKILL"
    return evidence.failure("killed", first, signal, f"its process ended by {signal}")


def _raised(evidence: Evidence) -> Failure | None:
    faults = sorted(evidence.told.items())
    own = [(rank, f) for rank, f in faults if not _COLLATERAL_WORDS.search(str(f))]
    for rank, fault in own or faults:
        return evidence.failure("raised", rank, detail=f"{type(fault).__name__}: {one_line(fault)}")
    return None


_RULES: Sequence[Callable[[Evidence], Failure | None]] = (
    _preempted,
    _memory,
    _stalled,
    _crashed,
    _killed,
    _raised,
)


def _inner(fault: BaseException) -> BaseException:
    """Return what Ray met when it asked a rank for its health; the fault itself otherwise."""
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

    if isinstance(fault, WorkerHealthCheckFailedError):
        inner = fault.health_check_failure
        assert isinstance(inner, BaseException), "Ray wraps what it met"
        return inner
    return fault


def _frames(stack: str) -> tuple[str, ...]:
    """Return the frames of the training thread, the innermost first."""
    threads = re.split(r"\n(?=(?:Current thread|Thread) 0x)", stack)
    ours = next((text for text in threads if _OUR_THREAD in text), threads[0])
    return tuple(f"{m['name'].strip()} ({m['file']}:{m['line']})" for m in _FRAME.finditer(ours))


def one_line(fault: BaseException) -> str:
    """Return the last line of what a fault says, cut to what fits a console."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return (lines[-1] if lines else type(fault).__name__)[:_SHOWN_CHARACTERS]
