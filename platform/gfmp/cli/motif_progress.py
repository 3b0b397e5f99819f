"""What a person sees while motifs are sought: plain lines, few of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TextIO

from gfmp.cli.progress import RunConsole, logged
from gfmp.cli.render.motifs import motif_lines
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.storage.workspace import Workspace

_SECONDS = 10.0


class MotifConsole(RunConsole):
    """Says how many rows were read and what was found."""

    def __init__(self, stream: TextIO, log_path: str) -> None:
        super().__init__(stream, log_path)
        self._last_line = self._began

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
        self._end(motif_lines(run))


@contextlib.contextmanager
def shown(workspace: Workspace) -> Iterator[MotifConsole]:
    """Redirect the libraries' output to a log of the workspace and yield the console."""
    with logged(workspace) as (stream, log_path):
        yield MotifConsole(stream, log_path)
