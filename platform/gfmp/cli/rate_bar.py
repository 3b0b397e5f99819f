"""How far something is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

# Without a terminal a line is written this often, so that a log file stays readable.
_PLAIN_SECONDS = 10.0


class RateBar:
    """Draws on a console, or says when it is time for a plain line.

    Args:
        rich: The console.
    """

    def __init__(self, rich: RichConsole) -> None:
        self._terminal = rich.is_terminal
        self._last_line = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeRemainingColumn(),
            console=rich,
            disable=not rich.is_terminal,
        )
        self._task: TaskID | None = None

    def begin(self) -> None:
        """Let the first plain line wait as long as every other."""
        self._last_line = time.monotonic()

    def show(self, done: int, total: int, text: str, *, last: bool = False) -> bool:
        """Show how far it is; True when the caller shall write a line instead.

        Args:
            done: How many are done.
            total: Of how many.
            text: What stands before the bar.
            last: Whether a line is due in any case.
        """
        if self._terminal:
            if self._task is None:
                self._bar.start()
                self._task = self._bar.add_task("", total=total)
            self._bar.update(self._task, completed=done, description=text)
            return False
        now = time.monotonic()
        if not last and now - self._last_line < _PLAIN_SECONDS:
            return False
        self._last_line = now
        return True

    def close(self) -> None:
        """Take the bar down; may be called twice."""
        if self._task is not None:
            self._bar.stop()
            self._task = None
