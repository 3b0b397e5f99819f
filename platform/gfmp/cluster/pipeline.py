"""Ray Data as gfmp uses it: one task an item, results in order, faults as what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gfmp.errors import GfmpError


def rows_in_order(
    items: Sequence[Mapping[str, object]], task: Callable[..., object], num_cpus: float
) -> Iterator[dict[str, Any]]:
    """Yield the rows `task` makes of each item on the running Ray session.

    Args:
        items: Rows; a task gets a batch of one of them. At least one.
        task: A function from a batch to an Arrow table, or a generator of tables.
        num_cpus: Share of a core that a task books.

    Raises:
        GfmpError: what `task` raised, of its own class; Ray's wrapping hides it from people.
    """
    import ray.data
    from ray.exceptions import RayTaskError

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.raise_original_map_exception = True
    blocks = ray.data.from_items(list(items), override_num_blocks=len(items))
    try:
        yield from blocks.map_batches(task, batch_size=1, num_cpus=num_cpus).iter_rows()
    except RayTaskError as fault:
        if isinstance(fault.cause, GfmpError):
            raise fault.cause from fault
        raise
