"""A light parent that keeps a driver alive: forwards signals to it, starts it again when it dies.

The driver, which holds Ray, torch and MLflow, can be killed from outside or taken down by any of
them. The parent imports none of these. It knows a run only by what is on the disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

import psutil

from gfmp.cluster.litter import (
    RAY_FOLDER_VARIABLE,
    clear_sessions,
    clear_workspace,
    end_marked,
    ray_folder,
)
from gfmp.cluster.lives import Lives, died
from gfmp.errors import InterruptedRunError, TerminatedRunError, TrainingError
from gfmp.storage.owners import MARK_VARIABLE, TOKEN_VARIABLE
from gfmp.storage.workspace import ENVIRONMENT_VARIABLE, Workspace

if TYPE_CHECKING:
    from gfmp.ledger.run import Run

SUPERVISOR_VARIABLE = "GFMP_SUPERVISOR"
LOG_VARIABLE = "GFMP_LOG"
# Unix time at which the person gave the command, or at which the present driver was started.
BEGAN_VARIABLE = "GFMP_BEGAN"
PROGRAM = (sys.executable, "-P", "-m", "gfmp")
# After the second signal a driver has this long to leave by itself.
_PATIENCE_SECONDS = 8.0
# What a driver that ended by itself started is given to end by itself too.
_GRACE_SECONDS = 3.0
_SYNC_SECONDS = 60.0
_POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Command:
    """A command as a person gave it.

    Attributes:
        arguments: What followed `gfmp`.
        workspace: The workspace it works in.
        resumes: It continues a run, so that to give it again continues that run.
        say: Shows a line to the person.
        program: What takes these arguments.
        token: By which the run that it creates is found.
        began: When it was given, UTC.
    """

    arguments: tuple[str, ...]
    workspace: Workspace
    resumes: str | None
    say: Callable[[str], None]
    program: tuple[str, ...] = PROGRAM
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    began: str = field(default_factory=lambda: time.strftime("%Y%m%d-%H%M%S", time.gmtime()))

    @property
    def log_name(self) -> str:
        """The one file that the libraries of all its drivers print to."""
        return f"{self.began}-{self.token[:6]}.log"

    def run(self) -> Run | None:
        """Return the run that the command works on; None before it was created."""
        from gfmp.ledger.store import RunStore  # takes longer than to start a driver

        store = RunStore(self.workspace)
        return store.get(self.resumes) if self.resumes else store.submitted(self.token)

    def after(self, run: Run | None) -> tuple[str, ...]:
        """Return what continues the work: the command itself until there is a run to resume."""
        return self.arguments if self.resumes or run is None else run.resume_arguments


def become_driver() -> bool:
    """Return True when a supervisor started this process; ties its life to the supervisor's.

    A kill of the supervisor thus is a kill of the driver, and never leaves one that works unseen.
    """
    supervisor = os.environ.pop(SUPERVISOR_VARIABLE, "")
    if not supervisor:
        return False
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(supervisor):
        os._exit(128 + signal.SIGKILL)  # it died before the tie was made
    return True


def supervise(command: Command) -> int:
    """Run a command in a driver of its own to its end, whatever happens to the driver.

    Returns:
        The exit status of the last driver.

    Raises:
        TrainingError: the driver died again and again without a new checkpoint in between.
        InterruptedRunError: the driver was told to stop and had no time to say so itself.
    """
    clear_workspace(command.workspace)
    arguments, lives = command.arguments, Lives()
    began = float(psutil.Process().create_time())
    with _Signals() as signals:
        while True:
            status = _live(command, arguments, signals, began)
            if not died(status):
                return status
            run = command.run()
            if run is not None and _is_finished(run):
                return 0  # it died on its way out
            lives = lives.after(status, run)
            if lives.spent and not signals.last:
                raise _given_up(command, run, lives)
            if not signals.last:
                _announce(command, run, lives)
                signals.pause(lives.delay_seconds)
            if signals.last:
                raise _stopped(command, run, signals.last)
            arguments, began = command.after(run), time.time()


class _Signals:
    """While active, sends SIGINT and SIGTERM on to the driver; of a hangup it makes SIGTERM.

    The driver is in a session of its own, so that Ctrl-C reaches it once, through here.
    """

    def __init__(self) -> None:
        self.last = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> _Signals:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # else it was asked not to care
            numbers.append(signal.SIGHUP)
        for number in numbers:
            self._previous[number] = signal.signal(number, self._forward)
        self._previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave us

    @contextlib.contextmanager
    def to(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Send them to this driver during the block, also one that came just before."""
        self._process = process
        if self.last:
            process.send_signal(self.last)
        try:
            yield
        finally:
            self._process = None

    def pause(self, seconds: float) -> None:
        """Wait, but not after one of them came."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.last:
            time.sleep(_POLL_SECONDS)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        again, self.last = bool(self.last), _as_stop(number)
        if self._process is not None:
            self._process.send_signal(self.last)
            if again:
                signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS)

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._process is not None:
            self._process.kill()


def _as_stop(number: int) -> int:
    return signal.SIGTERM if number == signal.SIGHUP else number


def _live(command: Command, arguments: tuple[str, ...], signals: _Signals, began: float) -> int:
    """Run one driver to its end, and end whatever it left."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [*command.program, *arguments],
        env={**_environment(command, mark), BEGAN_VARIABLE: str(began)},
        start_new_session=True,
    )
    try:
        with signals.to(process):
            status = process.wait()
    finally:
        end_marked(mark, 0.0 if process.returncode is None else _grace(process.returncode))
        clear_sessions(ray_folder())
        # A trial or a rank that was killed has left what it wrote on, and nobody comes after it.
        clear_workspace(command.workspace)
    return status


def _grace(status: int) -> float:
    return 0.0 if died(status) else _GRACE_SECONDS


def _environment(command: Command, mark: str) -> Mapping[str, str]:
    """Return the environment of a driver.

    A person's own folder for Ray is respected; so is a cluster, whose sessions are not ours.
    """
    ours = {
        SUPERVISOR_VARIABLE: str(os.getpid()),
        MARK_VARIABLE: mark,
        TOKEN_VARIABLE: command.token,
        ENVIRONMENT_VARIABLE: str(command.workspace.root),
        LOG_VARIABLE: command.log_name,
    }
    if os.environ.get("RAY_ADDRESS") in (None, "", "local"):
        ours[RAY_FOLDER_VARIABLE] = os.environ.get(RAY_FOLDER_VARIABLE) or str(ray_folder())
    return {**os.environ, **ours}


def _is_finished(run: Run) -> bool:
    from gfmp.ledger.status import Status

    return run.status() is Status.FINISHED


def _announce(command: Command, run: Run | None, lives: Lives) -> None:
    command.say(
        f"the driver died ({lives.cause}){_at(run)}; it starts again in {lives.delay_seconds:g} s"
    )


def _stopped(command: Command, run: Run | None, number: int) -> InterruptedRunError:
    """Return the error of a driver that was told to stop and had no time to tell it itself."""
    kind = TerminatedRunError if number == signal.SIGTERM else InterruptedRunError
    return kind(
        f"the driver was stopped ({signal.Signals(number).name}){_at(run)}",
        where=str(run.path if run else command.workspace.root),
        why="what was committed is kept",
        fix=run.resume_command if run else "give the same command again; no run was begun",
    )


def _given_up(command: Command, run: Run | None, lives: Lives) -> TrainingError:
    if run is not None:
        _tell_mlflow(command, run)
    return TrainingError(
        f"the driver died {lives.deaths} times without progress, the last time by {lives.cause}",
        where=str(run.path if run else command.workspace.logs),
        why="a driver that dies so often would die for ever",
        fix=f"read the newest file in {command.workspace.logs}, then "
        + (f"`{run.resume_command}`" if run else "give the same command again"),
    )


def _tell_mlflow(command: Command, run: Run) -> None:
    """Let MLflow know that nobody works on the run any more; it is tried once."""
    sync = [*command.program, "runs", "sync", run.id]
    workspace = {ENVIRONMENT_VARIABLE: str(command.workspace.root)}
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            sync,
            env={**os.environ, **workspace},
            stdout=subprocess.DEVNULL,
            timeout=_SYNC_SECONDS,
            check=False,
        )


def _at(run: Run | None) -> str:
    if run is None:
        return " before its run began"
    at = f"step {run.last_step()} of " if run.header.kind == "pretrain" else ""
    return f" at {at}run {run.id}"
