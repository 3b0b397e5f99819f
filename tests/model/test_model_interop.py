"""Foreign weights: every one has a place of ours, or is named."""

from __future__ import annotations

import torch
from torch import Tensor

from gfmp.model.encoder import Encoder
from gfmp.model.interop import TYPES, WORDS, encoder_part, encoder_state, misfits
from gfmp.spec.model import Architecture

SHAPE = Architecture(layers=2, width=8, heads=2, intermediate=6)
BLOCK = {
    "attention.self.Wqkv.weight": (24, 8),
    "attention.self.Wqkv.bias": (24,),
    "attention.output.dense.weight": (8, 8),
    "attention.output.dense.bias": (8,),
    "attention.output.LayerNorm.weight": (8,),
    "attention.output.LayerNorm.bias": (8,),
    "mlp.gated_layers.weight": (12, 8),
    "mlp.wo.weight": (8, 6),
    "mlp.wo.bias": (8,),
    "mlp.layernorm.weight": (8,),
    "mlp.layernorm.bias": (8,),
}


def _foreign() -> dict[str, Tensor]:
    shapes: dict[str, tuple[int, ...]] = {
        WORDS: (10, 8),
        TYPES: (2, 8),
        "embeddings.LayerNorm.weight": (8,),
        "embeddings.LayerNorm.bias": (8,),
    }
    for layer in range(2):
        shapes |= {f"encoder.layer.{layer}.{name}": shape for name, shape in BLOCK.items()}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def test_the_state_is_one_the_encoder_takes_whole() -> None:
    foreign = _foreign()
    assert misfits(SHAPE, foreign) == ()
    state = encoder_state(SHAPE, foreign, [3, 3, 9])
    encoder = Encoder(SHAPE, 3)
    encoder.load_state_dict(state, strict=True)
    table = foreign[WORDS][[3, 3, 9]] + foreign[TYPES][0]
    assert torch.equal(encoder.embedding.weight, table)
    named = dict(encoder.named_parameters())
    gated = foreign["encoder.layer.1.mlp.gated_layers.weight"]
    assert torch.equal(named["blocks.1.feed_forward.gated"], gated)


def test_the_prefix_goes_and_heads_and_buffers_stay_behind() -> None:
    foreign = {f"bert.{name}": weight for name, weight in _foreign().items()}
    extra = ("cls.predictions.bias", "bert.pooler.dense.weight", "bert.embeddings.position_ids")
    part = encoder_part(foreign | {name: torch.zeros(1) for name in extra})
    assert part.keys() == _foreign().keys()


def test_every_misfit_is_named() -> None:
    foreign = _foreign()
    del foreign["encoder.layer.0.mlp.wo.bias"]
    foreign["encoder.layer.2.mlp.wo.bias"] = torch.zeros(8)
    foreign["encoder.layer.1.mlp.wo.bias"] = torch.zeros(7)
    foreign[TYPES] = torch.zeros(0, 8)
    assert misfits(SHAPE, foreign) == (
        f"{TYPES} is no table of rows of 8",
        "encoder.layer.0.mlp.wo.bias is missing",
        "encoder.layer.2.mlp.wo.bias has no place",
        "encoder.layer.1.mlp.wo.bias has the shape (7,), not (8,)",
    )
