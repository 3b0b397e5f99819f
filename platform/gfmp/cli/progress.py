"""What a person sees while a job runs: gfmp's own lines; the libraries' noise goes to a file."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from typing import TextIO

from rich.console import Console as RichConsole

from gfmp.cli.rate_bar import RateBar
from gfmp.cli.render.runs import event_line, show_outcome, step_line
from gfmp.cli.render.startup import startup_lines
from gfmp.cluster.noise import redirected
from gfmp.cluster.supervise import LOG_VARIABLE
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.storage.atomic import storage_faults
from gfmp.storage.workspace import Workspace


class RunConsole:
    """Shows lines of a run that stay; consoles of each kind of run draw beside them."""

    def __init__(self, stream: TextIO, log_path: str) -> None:
        self._rich = RichConsole(file=stream, highlight=False)
        self._began = time.monotonic()
        self.say(f"libraries log to {log_path}")

    def say(self, line: str) -> None:
        """Show one line that stays, with the seconds since the start."""
        text = f"[{time.monotonic() - self._began:6.1f} s] {line}"
        self._rich.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take down what is drawn; may be called twice."""

    def _end(self, lines: Iterable[str]) -> None:
        """Take down what is drawn and show how the run ended."""
        self.close()
        for line in lines:
            self._rich.print(line, markup=False, soft_wrap=True)


class LiveConsole(RunConsole):
    """Draws a progress bar on a terminal and plain lines elsewhere."""

    def __init__(
        self, stream: TextIO, total_steps: int, log_path: str, profile_startup: bool = False
    ) -> None:
        super().__init__(stream, log_path)
        self._total = total_steps
        # What the start has told so far, while somebody wants to see it.
        self._start: list[Event] | None = [] if profile_startup else None
        self._bar = RateBar(self._rich)

    def event(self, event: Event) -> None:
        """Show an event of the run in the form that suits its kind."""
        if self._start is not None:
            self._profile([*self._start, event])
        if event.kind == "step":
            self._step(event)
        else:
            line = event_line(event)
            if line:
                self.say(line)

    def _step(self, event: Event) -> None:
        text = step_line(event)
        if self._bar.show(event.step, self._total, text, last=event.step == self._total):
            self.say(f"step {event.step}/{self._total}  {text}")

    def _profile(self, events: list[Event]) -> None:
        lines = list(startup_lines(events))
        self._start = None if lines else events
        for line in lines:
            self.say(line)

    def finished(self, run: Run) -> None:
        """Show the held-out report and what to do next."""
        self.close()
        show_outcome(run, self._rich)

    def close(self) -> None:
        """Take the progress bar down; may be called twice."""
        self._bar.close()


@contextlib.contextmanager
def shown(
    workspace: Workspace, total_steps: int = 0, profile_startup: bool = False
) -> Iterator[LiveConsole]:
    """Redirect the libraries' output to a log of the workspace and yield the console."""
    with logged(workspace) as (stream, log_path):
        console = LiveConsole(stream, total_steps, log_path, profile_startup)
        with contextlib.closing(console):
            yield console


@contextlib.contextmanager
def logged(workspace: Workspace) -> Iterator[tuple[TextIO, str]]:
    """Redirect the libraries' output to a log of the workspace; yield the console and its path.

    All drivers of one command write to the one log that their supervisor named.

    Raises:
        RefusedError: the workspace may not be written to.
        StorageError: the disk refused.
    """
    name = os.environ.get(LOG_VARIABLE) or f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.log"
    log_path = workspace.logs / name
    with storage_faults(log_path):
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.touch()
    with redirected(log_path) as stream:
        yield stream, str(log_path)
