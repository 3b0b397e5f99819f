"""A progress bar for a call from Python: in a terminal, in a notebook, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.progress import Progress

from gfmp.inference.states import Tick, no_tick


@contextlib.contextmanager
def bar(label: str, total: int, *, shown: bool) -> Iterator[Tick]:
    """Show a bar for the duration of the block.

    Args:
        label: What is under way.
        total: How many there are.
        shown: False shows nothing.

    Yields:
        What is told how many more are done.
    """
    if not shown:
        yield no_tick
        return
    with Progress() as progress:
        task = progress.add_task(label, total=total)
        yield lambda count: progress.advance(task, count)
