"""An exported DNA model for `transformers`: load it with `trust_remote_code=True`.

The network itself is in `gfmp_network.py`, which also reads this folder without transformers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.modeling_outputs import (
    BaseModelOutput,
    MaskedLMOutput,
    SequenceClassifierOutput,
)

from .configuration_gfmp import GfmpConfig
from .gfmp_network import Bert, MaskedHead, RowHead

IGNORED = -100


class GfmpPreTrainedModel(PreTrainedModel):
    """What the three models share."""

    config_class = GfmpConfig
    base_model_prefix = "bert"
    _supports_sdpa = True

    def get_input_embeddings(self) -> nn.Module:
        """Return the embedding of words."""
        words: nn.Module = self.bert.embeddings.word_embeddings
        return words

    def _init_weights(self, module: nn.Module) -> None:
        """Leave every weight: all are in the file."""

    def _states(self, ids_BL: Tensor, real_BL: Tensor | None) -> tuple[Tensor, ...]:
        real_BL = torch.ones_like(ids_BL) if real_BL is None else real_BL
        states: tuple[Tensor, ...] = self.bert(ids_BL, real_BL)
        return states


class GfmpModel(GfmpPreTrainedModel):
    """Token ids to states."""

    _keys_to_ignore_on_load_unexpected = (r"^cls\.", r"^rows\.")

    def __init__(self, config: GfmpConfig) -> None:
        super().__init__(config)
        self.bert = Bert(config.to_dict())
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,  # noqa: ANN401 - transformers passes more than is needed
    ) -> BaseModelOutput:
        """Return states, shape (B, L, D); with `output_hidden_states` of every block."""
        every = self._states(input_ids, attention_mask)
        return BaseModelOutput(
            last_hidden_state=every[-1], hidden_states=every if output_hidden_states else None
        )


class GfmpForMaskedLM(GfmpPreTrainedModel):
    """Scores of every row of the table at every token.

    In pretraining, probabilities run over the words of the row's own vocabulary: take the logits
    at the ids of its tokenizer.json before a softmax.
    """

    def __init__(self, config: GfmpConfig) -> None:
        super().__init__(config)
        self.bert = Bert(config.to_dict())
        self.cls = MaskedHead(config.to_dict())
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,  # noqa: ANN401 - transformers passes more than is needed
    ) -> MaskedLMOutput:
        """Return logits, shape (B, L, V), and the loss of labels other than -100."""
        every = self._states(input_ids, attention_mask)
        logits = self.cls(every[-1], self.bert.embeddings.word_embeddings.weight)
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED
            )
        return MaskedLMOutput(
            loss=loss, logits=logits, hidden_states=every if output_hidden_states else None
        )


class GfmpForSequenceClassification(GfmpPreTrainedModel):
    """Outputs of whole sequences: logits of classes or labels, or values.

    A model that reads V vocabularies takes ids of shape (B, V, L), in the order of
    `config.vocabularies`.
    """

    def __init__(self, config: GfmpConfig) -> None:
        super().__init__(config)
        self.bert = Bert(config.to_dict())
        self.rows = RowHead(config.to_dict())
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **_: Any,  # noqa: ANN401 - transformers passes more than is needed
    ) -> SequenceClassifierOutput:
        """Return logits, shape (B, O), and the loss of labels."""
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        ids_BVL = input_ids if input_ids.ndim == 3 else input_ids[:, None]
        real_BVL = real if real.ndim == 3 else real[:, None]
        masks = real_BVL.unbind(1)
        pairs = zip(ids_BVL.unbind(1), masks, strict=True)
        logits = self.rows([self._states(*pair)[-1] for pair in pairs], masks)
        loss = None if labels is None else self._loss(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _loss(self, logits_BO: Tensor, labels: Tensor) -> Tensor:
        kind = self.config.target_kind
        if kind == "regression":
            return functional.mse_loss(logits_BO, labels.view_as(logits_BO))
        if kind == "multilabel":
            return functional.binary_cross_entropy_with_logits(logits_BO, labels)
        return functional.cross_entropy(logits_BO, labels)
