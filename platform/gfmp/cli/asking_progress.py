"""What a person sees while sequences are answered: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gfmp.cli.render.asking import row_line, survey_line
from gfmp.inference.asking import RowSurvey

# Without a terminal a line is written this often, so that a log file stays readable.
_PLAIN_SECONDS = 10.0


class AskConsole:
    """Draws how many sequences are done, and how fast; on stderr."""

    def __init__(self) -> None:
        self._rich = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeRemainingColumn(),
            console=self._rich,
            disable=not self._rich.is_terminal,
        )
        self._task: TaskID | None = None
        self._total = self._done = self._now = 0
        self._began = self._last_line = time.monotonic()

    def say(self, line: str) -> None:
        """Show one line that stays."""
        self._rich.print(line, markup=False, soft_wrap=True)

    def surveyed(self, survey: RowSurvey) -> None:
        """Show what the file holds."""
        self.say(survey_line(survey))
        self._total = survey.rows

    def answered(self, count: int, *, before: bool) -> None:
        """Show rows that are done, and the rate of this start."""
        if not before and not self._now:
            if self._done:
                self.say(f"{self._done:,} rows are done already")
            self._began = self._last_line = time.monotonic()
        self._done += count
        self._now += 0 if before else count
        now = time.monotonic()
        rate = self._now / max(now - self._began, 1e-3)
        if self._rich.is_terminal:
            if self._task is None:
                self._bar.start()
                self._task = self._bar.add_task("", total=self._total)
            self._bar.update(self._task, completed=self._done, description=f"{rate:,.1f} /s")
        elif now - self._last_line >= _PLAIN_SECONDS:
            self._last_line = now
            self.say(row_line(self._done, self._total, rate))

    def joining(self) -> None:
        """Take the bar down and say what comes."""
        self.close()
        self.say("joining the shards")

    def close(self) -> None:
        """Take the bar down; may be called twice."""
        if self._task is not None:
            self._bar.stop()
            self._task = None


@contextlib.contextmanager
def shown() -> Iterator[AskConsole]:
    """Yield a console, and take its bar down in the end."""
    console = AskConsole()
    try:
        yield console
    finally:
        console.close()
