"""What a person sees while motifs are sought: plain lines, few of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console as RichConsole

from gfmp.cli.progress import logged
from gfmp.cli.render.motifs import motif_lines
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.storage.workspace import Workspace

_SECONDS = 10.0


class MotifConsole:
    """Says how many rows were read and what was found."""

    def __init__(self, stream: TextIO, log_path: str) -> None:
        self._rich = RichConsole(file=stream, highlight=False)
        self._began = self._last_line = time.monotonic()
        self.say(f"libraries log to {log_path}")

    def say(self, line: str) -> None:
        """Show one line that stays, with the seconds since the start."""
        text = f"[{time.monotonic() - self._began:6.1f} s] {line}"
        self._rich.print(text, markup=False, soft_wrap=True)

    def event(self, event: Event) -> None:
        """Show an event of the run; of the rows that are read only some."""
        if event.kind != "maps":
            return
        now, fields = time.monotonic(), event.fields
        if fields["rows"] == fields["total"] or now - self._last_line >= _SECONDS:
            self._last_line = now
            self.say(f"{fields['rows']:,} of {fields['total']:,} rows read")

    def finished(self, run: Run) -> None:
        """Show what was found and what to do next."""
        for line in motif_lines(run):
            self._rich.print(line, markup=False, soft_wrap=True)


@contextlib.contextmanager
def shown(workspace: Workspace) -> Iterator[MotifConsole]:
    """Redirect the libraries' output to a log of the workspace and yield the console."""
    with logged(workspace) as (stream, log_path):
        yield MotifConsole(stream, log_path)
