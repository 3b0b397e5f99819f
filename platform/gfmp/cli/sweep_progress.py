"""What a person sees while a sweep runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gfmp.cli.progress import RunConsole, logged
from gfmp.cli.render.sweeps import outcome_lines, progress_line
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.ledger.sweep import SweepBook
from gfmp.plan.cells import Cell
from gfmp.storage.workspace import Workspace

# Without a terminal a line is written this often, so that a log file stays readable.
_PLAIN_SECONDS = 10.0
_LIVE_PER_SECOND = 2.0


class SweepConsole(RunConsole):
    """Draws the cells of a sweep by model, and how long the rest will take."""

    def __init__(self, stream: TextIO, log_path: str) -> None:
        super().__init__(stream, log_path)
        self._last_line = 0.0
        self._book = SweepBook(())
        self._live = Live(
            console=self._rich,
            refresh_per_second=_LIVE_PER_SECOND,
            transient=True,
            get_renderable=self._drawn,
        )

    def planned(self, cells: Sequence[Cell]) -> None:
        """Begin to count the cells of a sweep."""
        self._book = SweepBook(cells)
        if self._rich.is_terminal:
            self._live.start()

    def event(self, event: Event) -> None:
        """Take note of what happened in the sweep."""
        self._book.add((event,))
        if event.kind == "tokenised":
            self.say(f"tokenised {event.fields['task']} with {event.fields['vocabulary']}")
        elif event.kind == "search_started":
            self.say(f"trying {event.fields['samples']} settings for {event.fields['name']}")
        elif event.kind == "searched":
            self.say(f"chose {_settings(event)} for {event.fields['name']}: {event.fields['why']}")
        elif event.kind == "cell_failed":
            self.say(f"a cell failed: {event.fields['error']}")
        elif not self._rich.is_terminal and event.kind in ("cell", "started"):
            self._plain()

    def _plain(self) -> None:
        now = time.monotonic()
        counts = self._book.progress().counts
        if now - self._last_line >= _PLAIN_SECONDS or counts.done == counts.total:
            self._last_line = now
            self.say(progress_line(self._book, time.time()))

    def _drawn(self) -> Group:
        table = Table(box=None, pad_edge=False)
        table.add_column("MODEL", overflow="fold")
        for heading in ("CELLS", "DONE", "RUNNING", "FAILED"):
            table.add_column(heading, justify="right")
        for model, counts in self._book.progress().models.items():
            states = (counts.total, counts.done, counts.running, counts.failed)
            table.add_row(Text(model), *(f"{count:,}" if count else "" for count in states))
        return Group(table, Text(progress_line(self._book, time.time())))

    def finished(self, run: Run) -> None:
        """Show how the sweep ended and what to do next."""
        self._end(outcome_lines(run))

    def close(self) -> None:
        """Take the live table down; may be called twice."""
        self._live.stop()


def _settings(event: Event) -> str:
    settings = event.fields["settings"]
    assert isinstance(settings, dict), "the sweep writes a mapping"
    return ", ".join(f"{name} {value}" for name, value in settings.items())


@contextlib.contextmanager
def shown(workspace: Workspace) -> Iterator[SweepConsole]:
    """Redirect the libraries' output to a log of the workspace and yield the console."""
    with (
        logged(workspace) as (stream, log_path),
        contextlib.closing(SweepConsole(stream, log_path)) as console,
    ):
        yield console
