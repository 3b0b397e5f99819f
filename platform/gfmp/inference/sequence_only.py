"""Where only sequences are known, a model that reads features beside them is not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from gfmp.errors import RefusedError


def features_of(described: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of the features that a fine-tuned model reads, by its description.

    Raises:
        ValidationError: they are no names.
    """
    return TypeAdapter(tuple[str, ...]).validate_python(described.get("features", ()))


def check_sequence_only(features: Sequence[str], folder: Path) -> None:
    """Check that a fine-tuned model predicts from the sequence alone.

    Args:
        features: What it reads beside the sequence.
        folder: Of the model.

    Raises:
        RefusedError: it reads features.
    """
    if features:
        raise RefusedError(
            f"the model reads {len(features):,} features beside the sequence, such as"
            f" {features[0]!r}",
            where=str(folder),
            why="here only sequences are known, and no tissue or cell type",
            fix="name a model of a task without `context`; the hidden states of this one can be had"
            " (gfmp embed)",
        )
