"""Weights in the MosaicBERT layout (DNABERT-2, Genomics-FM) as weights of our encoder.

The two encoders compute the same function: post-LN blocks, one projection to queries, keys and
values, exact GELU on the first half of the gated product, ALiBi with the same slopes. What differs
is names, and a token-type embedding that is added to every token: its row 0 joins the words. The
masked-token head there scores against the words without it; `UnfoldedHead` takes it off again.

Source: the public bert_layers.py of MosaicBERT (Portes et al., 2023), as DNABERT-2 (Zhou et al.,
2023) and Genomics-FM (Ye et al., A.1.1) use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gfmp.model.encoder import Encoder
from gfmp.model.head import MaskedHead
from gfmp.spec.model import Architecture

PREFIX = "bert."
WORDS = "embeddings.word_embeddings.weight"
TYPES = "embeddings.token_type_embeddings.weight"
POSITIONS = "embeddings.position_embeddings.weight"
_PARTS = ("embeddings.", "encoder.")
# Tables of numbers that follow from the settings, saved by some versions.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_OUTSIDE = {"norm.weight": "embeddings.LayerNorm.weight", "norm.bias": "embeddings.LayerNorm.bias"}
_INSIDE = {
    "qkv.weight": "attention.self.Wqkv.weight",
    "qkv.bias": "attention.self.Wqkv.bias",
    "out.weight": "attention.output.dense.weight",
    "out.bias": "attention.output.dense.bias",
    "attention_norm.weight": "attention.output.LayerNorm.weight",
    "attention_norm.bias": "attention.output.LayerNorm.bias",
    "feed_forward.gated": "mlp.gated_layers.weight",
    "feed_forward.down": "mlp.wo.weight",
    "feed_forward.bias": "mlp.wo.bias",
    "output_norm.weight": "mlp.layernorm.weight",
    "output_norm.bias": "mlp.layernorm.bias",
}


_HEAD = {
    "dense.weight": "cls.predictions.transform.dense.weight",
    "dense.bias": "cls.predictions.transform.dense.bias",
    "norm.weight": "cls.predictions.transform.LayerNorm.weight",
    "norm.bias": "cls.predictions.transform.LayerNorm.bias",
}
_HEAD_BIASES = ("cls.predictions.decoder.bias", "cls.predictions.bias")
# The second row is what BERT calls the other sentence; nothing of ours has one.
NUM_TYPES = 2


class UnfoldedHead(MaskedHead):
    """A masked-token head over words from which what every token was given is taken off again.

    Args:
        width: Hidden size D.
        num_rows: Ensemble size V.
        types_D: Row 0 of the token-type embedding, which the embedding table holds with the words.
    """

    def __init__(self, width: int, num_rows: int, types_D: Tensor) -> None:
        super().__init__(width, num_rows)
        self.types_D: Tensor
        self.register_buffer("types_D", types_D, persistent=False)

    def forward(
        self, hidden_MD: Tensor, embedding_VD: Tensor, rows: Sequence[Tensor], counts: Sequence[int]
    ) -> tuple[Tensor, ...]:
        """Score the targets; see `MaskedHead.forward`."""
        return super().forward(hidden_MD, embedding_VD - self.types_D, rows, counts)


def encoder_part(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of embeddings and blocks, without the prefix of a model with a head."""
    plain = {name.removeprefix(PREFIX): weight for name, weight in weights.items()}
    return {
        name: weight
        for name, weight in plain.items()
        if name.startswith(_PARTS) and name not in _BUFFERS
    }


def misfits(architecture: Architecture, part: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return in words what keeps weights from being those of this architecture; empty if nothing.

    Args:
        architecture: The shape they should have.
        part: Result of `encoder_part`.
    """
    names = _names(architecture)
    wanted = {theirs: tuple(shape) for theirs, shape in _shapes(architecture, names).items()}
    found = {name: tuple(weight.shape) for name, weight in part.items()}
    tables = {name: found.pop(name, ()) for name in (WORDS, TYPES)}
    found.pop(POSITIONS, None)
    lost = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    more = [f"{name} has no place" for name in sorted(found.keys() - wanted.keys())]
    other = [
        f"{name} has the shape {found[name]}, not {wanted[name]}"
        for name in sorted(wanted.keys() & found.keys())
        if wanted[name] != found[name]
    ]
    flat = [
        f"{name} is no table of rows of {architecture.width}"
        for name, shape in tables.items()
        if len(shape) != 2 or shape[1] != architecture.width or not shape[0]
    ]
    return (*flat, *lost, *more, *other)


def encoder_state(
    architecture: Architecture, part: Mapping[str, Tensor], rows: Sequence[int]
) -> dict[str, Tensor]:
    """Return the weights of `Encoder` by our names, fp32.

    Args:
        architecture: Their shape.
        part: Weights without misfits.
        rows: For each row of our table the row of theirs.
    """
    words = part[WORDS].float()[torch.tensor(rows, dtype=torch.int64)]
    state = {"embedding.weight": words + part[TYPES][0].float()}
    for ours, theirs in _names(architecture).items():
        state[ours] = part[theirs].float().contiguous()
    return state


def head_misfits(width: int, weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return in words what keeps weights from being those of a masked-token head of this width.

    Args:
        width: Hidden size D.
        weights: All weights of a file, by the names in it.
    """
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    wanted = {
        name: (width, width) if "dense.weight" in name else (width,) for name in _HEAD.values()
    }
    wrong = [
        f"{name} is {f'of shape {found[name]}, not {shape}' if name in found else 'missing'}"
        for name, shape in wanted.items()
        if found.get(name) != shape
    ]
    if _head_bias(weights) is None:
        wrong.append(f"{_HEAD_BIASES[0]} is missing")
    return tuple(wrong)


def head_state(weights: Mapping[str, Tensor], rows: Sequence[int]) -> dict[str, Tensor]:
    """Return the weights of `MaskedHead` by our names, fp32.

    Args:
        weights: Weights without misfits.
        rows: For each row of our table the row of theirs.
    """
    bias = _head_bias(weights)
    assert bias is not None, "misfits are refused before"
    state = {ours: weights[theirs].float().contiguous() for ours, theirs in _HEAD.items()}
    return {**state, "bias": bias.float()[torch.tensor(rows, dtype=torch.int64)]}


def _head_bias(weights: Mapping[str, Tensor]) -> Tensor | None:
    return next((weights[name] for name in _HEAD_BIASES if name in weights), None)


def public_encoder(
    architecture: Architecture, state: Mapping[str, Tensor], types_D: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the weights of an encoder under the names of the public code, fp32.

    Args:
        architecture: Its shape.
        state: Weights of `Encoder` by our names.
        types_D: What the table holds of a token-type embedding; None for nothing.
    """
    types = torch.zeros(architecture.width) if types_D is None else types_D.float()
    found = {
        PREFIX + WORDS: state["embedding.weight"].float() - types,
        PREFIX + TYPES: torch.stack([types, *[torch.zeros_like(types)] * (NUM_TYPES - 1)]),
    }
    for ours, theirs in _names(architecture).items():
        found[PREFIX + theirs] = state[ours].float().contiguous()
    return found


def public_head(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of `MaskedHead` under the names of the public code, fp32."""
    named = {theirs: state[ours].float().contiguous() for ours, theirs in _HEAD.items()}
    return {**named, _HEAD_BIASES[0]: state["bias"].float().contiguous()}


def _names(architecture: Architecture) -> dict[str, str]:
    """Return our name -> theirs, the embedding table apart."""
    blocks = {
        f"blocks.{layer}.{ours}": f"encoder.layer.{layer}.{theirs}"
        for layer in range(architecture.layers)
        for ours, theirs in _INSIDE.items()
    }
    return {**_OUTSIDE, **blocks}


def _shapes(architecture: Architecture, names: Mapping[str, str]) -> dict[str, torch.Size]:
    with torch.device("meta"):
        parameters = dict(Encoder(architecture, 1).named_parameters())
    return {theirs: parameters[ours].shape for ours, theirs in names.items()}
