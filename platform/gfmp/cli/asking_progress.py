"""What a person sees while sequences are answered: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console

from gfmp.cli.rate_bar import RateBar
from gfmp.cli.render.asking import row_line, survey_line
from gfmp.inference.asking import RowSurvey


class AskConsole:
    """Draws how many sequences are done, and how fast; on stderr."""

    def __init__(self) -> None:
        self._rich = Console(stderr=True, highlight=False)
        self._bar = RateBar(self._rich)
        self._total = self._done = self._now = 0
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        """Show one line that stays."""
        self._rich.print(line, markup=False, soft_wrap=True)

    def surveyed(self, survey: RowSurvey) -> None:
        """Show what the file holds."""
        self.say(survey_line(survey))
        self._total = survey.rows
        self._bar.begin()

    def answered(self, count: int, *, before: bool) -> None:
        """Show rows that are done, and the rate of this start."""
        if not before and not self._now:
            if self._done:
                self.say(f"{self._done:,} rows are done already")
            self._began = time.monotonic()
            self._bar.begin()
        self._done += count
        self._now += 0 if before else count
        rate = self._now / max(time.monotonic() - self._began, 1e-3)
        if self._bar.show(self._done, self._total, f"{rate:,.1f} /s"):
            self.say(row_line(self._done, self._total, rate))

    def joining(self) -> None:
        """Take the bar down and say what comes."""
        self.close()
        self.say("joining the shards")

    def close(self) -> None:
        """Take the bar down; may be called twice."""
        self._bar.close()


@contextlib.contextmanager
def shown() -> Iterator[AskConsole]:
    """Yield a console, and take its bar down in the end."""
    console = AskConsole()
    try:
        yield console
    finally:
        console.close()
