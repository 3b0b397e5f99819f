"""gfmp: pretrain, compare and trust DNA foundation models with ensemble vocabularies.

Working with a trained model takes one name, `gfmp.load`; importing gfmp loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gfmp.inference.predicting import Predictions
    from gfmp.inference.trained import TrainedModel, load

__version__ = "0.1.0"
__all__ = ["Predictions", "TrainedModel", "__version__", "load"]
_HOMES = {
    "Predictions": "gfmp.inference.predicting",
    "TrainedModel": "gfmp.inference.trained",
    "load": "gfmp.inference.trained",
}


def __getattr__(name: str) -> object:
    """Import what is asked for by name; torch comes with it."""
    if name in _HOMES:
        return vars(import_module(_HOMES[name]))[name]
    raise AttributeError(f"module 'gfmp' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted({*globals(), *__all__})
