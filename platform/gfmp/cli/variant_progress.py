"""What a person sees while variants are scored: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console as RichConsole

from gfmp.cli.progress import logged
from gfmp.cli.rate_bar import RateBar
from gfmp.cli.render.variants import effect_lines, scoring_line, surveyed_line
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.storage.workspace import Workspace


class VariantConsole:
    """Draws how many records of a VCF are done, and how fast."""

    def __init__(self, stream: TextIO, log_path: str) -> None:
        self._rich = RichConsole(file=stream, highlight=False)
        self._began = time.monotonic()
        self._bar = RateBar(self._rich)
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
        if self._bar.show(records, total, f"{rate:,.1f} /s"):
            self.say(scoring_line(records, total, rate))

    def finished(self, run: Run) -> None:
        """Show how the job ended and what to do next."""
        self.close()
        for line in effect_lines(run):
            self._rich.print(line, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar down; may be called twice."""
        self._bar.close()


@contextlib.contextmanager
def shown(workspace: Workspace) -> Iterator[VariantConsole]:
    """Redirect the libraries' output to a log of the workspace and yield the console."""
    with logged(workspace) as (stream, log_path):
        console = VariantConsole(stream, log_path)
        try:
            yield console
        finally:
            console.close()
