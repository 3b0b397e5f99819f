"""What a person sees while variants are scored: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TextIO

from gfmp.cli.progress import RunConsole, logged
from gfmp.cli.rate_bar import RateBar
from gfmp.cli.render.variants import effect_lines, scoring_line, surveyed_line
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.storage.workspace import Workspace


class VariantConsole(RunConsole):
    """Draws how many records of a VCF are done, and how fast."""

    def __init__(self, stream: TextIO, log_path: str) -> None:
        super().__init__(stream, log_path)
        self._bar = RateBar(self._rich)

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
        self._end(effect_lines(run))

    def close(self) -> None:
        """Take the bar down; may be called twice."""
        self._bar.close()


@contextlib.contextmanager
def shown(workspace: Workspace) -> Iterator[VariantConsole]:
    """Redirect the libraries' output to a log of the workspace and yield the console."""
    with (
        logged(workspace) as (stream, log_path),
        contextlib.closing(VariantConsole(stream, log_path)) as console,
    ):
        yield console
