"""Which of Ray's own processes a session of one machine starts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

# By Ray's name of what starts it (ray 2.60, `ray._private.node.Node`), and why nobody misses it.
# Each costs half a second to a second of CPU to start, and ray.init waits for the second one.
_UNUSED = {
    "start_log_monitor": "it sends what workers print to drivers that asked for it; ours did not",
    "start_api_server": "without a dashboard it only reports usage, which is switched off",
    "start_monitor": "it adds nodes to a cluster; a session of one machine has one",
}


@contextlib.contextmanager
def only_needed() -> Iterator[None]:
    """Let a head node that starts during the block leave out what no session of ours uses."""
    from ray._private.node import Node

    kept = {name: vars(Node)[name] for name in _UNUSED if name in vars(Node)}
    for name in kept:
        setattr(Node, name, _nothing)
    try:
        yield
    finally:
        for name, method in kept.items():
            setattr(Node, name, method)


def _nothing(node: object, **settings: object) -> None:
    """Start nothing."""
