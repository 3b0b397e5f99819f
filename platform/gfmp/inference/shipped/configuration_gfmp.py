"""The settings of an exported model, for `transformers`."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class GfmpConfig(PretrainedConfig):
    """Settings as they stand in config.json; see the model card beside it.

    Attributes:
        model_type: What config.json calls the architecture.
    """

    model_type = "gfmp"

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - what config.json holds
        settings.setdefault("tie_word_embeddings", False)
        super().__init__(**settings)
