"""Who looks on while a learner takes its epochs."""

from __future__ import annotations

from collections.abc import Callable

# Asked before every epoch but the first, so never about an epoch after which training ends
# anyway: (epochs that are done, validation score after the last of them, -inf where undefined).
# It returns to let training go on and raises to end it without a result.
Watcher = Callable[[int, float], None]


def nobody(epochs: int, score: float) -> None:
    """Let training go on."""
