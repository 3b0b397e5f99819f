"""A reader of exported folders written after the description alone: safetensors, JSON, torch.

It shares no code with gfmp, nor with what lies in an exported folder.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor


def alibi(num_heads: int) -> list[float]:
    """ALiBi's slopes as its public code makes them."""

    def of_power(power: int) -> list[float]:
        start = 2 ** (-(2 ** -(math.log2(power) - 3)))
        return [start * start**i for i in range(power)]

    if math.log2(num_heads).is_integer():
        return of_power(num_heads)
    closest = 2 ** math.floor(math.log2(num_heads))
    return of_power(closest) + alibi(2 * closest)[0::2][: num_heads - closest]


class Oracle:
    """The weights and settings of a folder."""

    def __init__(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.weights = weights or load_file(folder / "model.safetensors")
        self.weights = {name: weight.double() for name, weight in self.weights.items()}

    def states(self, ids: Sequence[int]) -> Tensor:
        """Last states of one row, shape (L, D)."""
        heads, row = self.config["num_attention_heads"], torch.tensor(ids)
        table = self.weights["bert.embeddings.word_embeddings.weight"]
        kinds = self.weights["bert.embeddings.token_type_embeddings.weight"]
        states = self._normed(table[row] + kinds[0], "bert.embeddings.LayerNorm")
        places = torch.arange(len(ids))
        far = (places[:, None] - places[None, :]).abs().double()
        bias = -torch.tensor(alibi(heads)).double()[:, None, None] * far
        for layer in range(self.config["num_hidden_layers"]):
            states = self._block(states, bias, f"bert.encoder.layer.{layer}.")
        return states

    def scores(self, ids: Sequence[int]) -> Tensor:
        """Logits of the masked-token head, shape (L, V)."""
        states = self._linear(self.states(ids), "cls.predictions.transform.dense")
        states = self._normed(_gelu(states), "cls.predictions.transform.LayerNorm")
        table = self.weights["bert.embeddings.word_embeddings.weight"]
        return states @ table.T + self.weights["cls.predictions.decoder.bias"]

    def outputs(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Outputs of one sequence, given its ids in each vocabulary, shape (O,)."""
        pooled = torch.cat([self._thirds(self.states(ids)) for ids in rows])
        if self.config["join"] == "gated":
            weights = self._linear(pooled, "rows.gate").softmax(0)
            pooled = (weights[:, None] * pooled.view(len(rows), -1)).sum(0)
        return self._linear(pooled, "rows.classifier")

    def _thirds(self, states: Tensor) -> Tensor:
        words = states[self.config["num_leading"] : -1]
        borders = [int(len(words) * part / 3 + 0.5) for part in range(4)]
        means = []
        for first, end in itertools.pairwise(borders):
            part = words[first:end]
            means.append(part.mean(0) if len(part) else torch.zeros(states.shape[1]).double())
        return torch.cat(means)

    def _block(self, states: Tensor, bias: Tensor, block: str) -> Tensor:
        heads = self.config["num_attention_heads"]
        parts = self._linear(states, f"{block}attention.self.Wqkv").chunk(3, dim=-1)
        query, key, value = (part.view(len(states), heads, -1).transpose(0, 1) for part in parts)
        scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1]) + bias
        mixed = (scores.softmax(-1) @ value).transpose(0, 1).reshape(states.shape)
        mixed = self._linear(mixed, f"{block}attention.output.dense")
        states = self._normed(states + mixed, f"{block}attention.output.LayerNorm")
        both = states @ self.weights[f"{block}mlp.gated_layers.weight"].T
        inner = self.config["intermediate_size"]
        fed = self._linear(_gelu(both[:, :inner]) * both[:, inner:], f"{block}mlp.wo")
        return self._normed(states + fed, f"{block}mlp.layernorm")

    def _linear(self, states: Tensor, name: str) -> Tensor:
        return states @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _normed(self, states: Tensor, name: str) -> Tensor:
        centred = states - states.mean(-1, keepdim=True)
        scale = (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt()
        return centred / scale * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def _gelu(states: Tensor) -> Tensor:
    return states * 0.5 * (1.0 + torch.erf(states / math.sqrt(2.0)))
