"""Whether the Ray session of this process still has its head: without it nothing goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

from gfmp.cluster.session import ray_session
from gfmp.cluster.watch import stoppable
from gfmp.errors import GfmpError, LostServiceError

_HEAD = frozenset({"gcs_server", "raylet"})


class Head:
    """The processes of Ray that this process started and that a session cannot live without.

    Ray notices the loss of its store after a minute and of its raylet by ending this process.
    """

    def __init__(self) -> None:
        """Look at the children of this process; none of them counts when it joined a cluster."""
        named = [(_name(child), child) for child in psutil.Process().children()]
        self._processes = [(name, child) for name, child in named if name in _HEAD]

    def lost(self) -> str:
        """Return the name of one that is gone; empty while all of them live."""
        return next((name for name, process in self._processes if _gone(process)), "")

    def check(self) -> None:
        """Make sure that the head lives.

        Raises:
            LostServiceError: a process of it is gone.
        """
        if name := self.lost():
            raise _lost_error(f"Ray's {name} is gone")

    @contextlib.contextmanager
    def blamed(self) -> Iterator[None]:
        """Tell a fault that follows from the loss of the head by its cause.

        Raises:
            LostServiceError: the block failed, and the head is gone.
        """
        try:
            yield
        except LostServiceError:
            raise
        except Exception as fault:
            if name := self.lost():
                raise _lost_error(f"Ray's {name} is gone") from fault
            raise


@contextlib.contextmanager
def session(workers: int) -> Iterator[Head]:
    """Start Ray and yield its head; a fault that comes from its loss is told as that.

    Args:
        workers: Workers that must fit at once.

    Raises:
        LostServiceError: Ray did not start, or its head died.
        InterruptedRunError: a signal came before somebody else took care of signals.
    """
    with contextlib.ExitStack() as held:
        held.enter_context(stoppable())
        with starting():
            held.enter_context(ray_session(workers))
        held.enter_context(stoppable())  # Ray brought handlers of its own
        head = Head()
        with head.blamed():
            yield head


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Tell a session that does not start for reasons of its own as one to be tried again.

    Raises:
        LostServiceError: Ray raised something that is not an error of gfmp.
    """
    try:
        yield
    except GfmpError:
        raise
    except Exception as fault:
        lines = str(fault).splitlines() or [type(fault).__name__]
        raise _lost_error(f"Ray did not start: {lines[0][:200]}") from fault


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        return str(process.name())
    return ""


def _gone(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True


def _lost_error(message: str) -> LostServiceError:
    return LostServiceError(
        message,
        where="this machine",
        why="its processes are killed from outside, or the machine is too busy to start them",
        fix="give the same command again: what was committed is kept",
    )
