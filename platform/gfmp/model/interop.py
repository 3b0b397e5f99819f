"""Weights in the MosaicBERT layout (DNABERT-2, Genomics-FM) as weights of our encoder.

The two encoders compute the same function: post-LN blocks, one projection to queries, keys and
values, exact GELU on the first half of the gated product, ALiBi with the same slopes. What differs
is names, and a token-type embedding that is added to every token: its row 0 joins the words.

Source: the public bert_layers.py of MosaicBERT (Portes et al., 2023), as DNABERT-2 (Zhou et al.,
2023) and Genomics-FM (Ye et al., A.1.1) use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gfmp.model.encoder import Encoder
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
