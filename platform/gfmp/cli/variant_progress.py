"""What a person sees while variants are scored: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gfmp.cli.progress import logged
from gfmp.cli.render.variants import effect_lines, scoring_line, surveyed_line
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.storage.workspace import Workspace

# Without a terminal a line is written this often, so that a log file stays readable.
_PLAIN_SECONDS = 10.0


class VariantConsole:
    """Draws how many records of a VCF are done, and how fast."""

    def __init__(self, stream: TextIO, log_path: str) -> None:
        self._rich = RichConsole(file=stream, highlight=False)
        self._began = time.monotonic()
        self._last_line = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeRemainingColumn(),
            console=self._rich,
            disable=not self._rich.is_terminal,
        )
        self._task: TaskID | None = None
        self.say(f"libraries log to {log_path}")

    def say(self, line: str) -> None:
        """Show one line that stays, with the seconds since the start."""
        text = f"[{time.monotonic() - self._began:6.1f} s] {line}"
        self._rich.print(text, markup=False, soft_wrap=True)

    def event(self, event: Event) -> None:
        """Show an event of the run."""
        if event.kind == "surveyed":
            self.say(surveyed_line(event.fields))

    def scored(self, records: int, total: int, rate: float) -> None:
        """Show records that are done, of how many, and alternates scored a second."""
        if self._rich.is_terminal:
            if self._task is None:
                self._bar.start()
                self._task = self._bar.add_task("", total=total)
            self._bar.update(self._task, completed=records, description=f"{rate:,.1f} /s")
            return
        now = time.monotonic()
        if now - self._last_line >= _PLAIN_SECONDS:
            self._last_line = now
            self.say(scoring_line(records, total, rate))

    def finished(self, run: Run) -> None:
        """Show how the job ended and what to do next."""
        self.close()
        for line in effect_lines(run):
            self._rich.print(line, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar down; may be called twice."""
        if self._task is not None:
            self._bar.stop()


@contextlib.contextmanager
def shown(workspace: Workspace) -> Iterator[VariantConsole]:
    """Redirect the libraries' output to a log of the workspace and yield the console."""
    with logged(workspace) as (stream, log_path):
        console = VariantConsole(stream, log_path)
        try:
            yield console
        finally:
            console.close()
