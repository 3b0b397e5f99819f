"""Tiny models and packed batches for the tests of the room."""

from __future__ import annotations

import torch
from torch import Tensor

from gfmp.model.masked import MaskedLanguageModel, build
from gfmp.model.tokens import Packing, TokenTensors
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Precision

TINY = Architecture(layers=2, width=24, heads=3, intermediate=40)
NUM_ROWS = 50
CPU = torch.device("cpu")


def softmax_rows() -> tuple[Tensor, Tensor]:
    """Rows of two vocabularies that share some words."""
    return torch.arange(7, 30), torch.cat((torch.arange(20, 25), torch.arange(30, NUM_ROWS)))


def tiny_model(precision: Precision = "fp32", seed: int = 0) -> MaskedLanguageModel:
    """Build a model whose scores are far from uniform."""
    model = build(TINY, NUM_ROWS, softmax_rows(), precision, seed)
    with torch.no_grad():
        model.encoder.embedding.weight.mul_(20.0)
        for block in model.encoder.blocks:
            block.get_submodule("qkv").get_parameter("weight").mul_(20.0)
        model.head.bias.normal_(generator=torch.Generator().manual_seed(1))
    return model


def tokens(
    lengths: tuple[int, ...], counts: tuple[int, int] = (5, 4), seed: int = 0
) -> TokenTensors:
    """Draw packed ids and targets."""
    generator = torch.Generator().manual_seed(seed)
    total, targets = sum(lengths), sum(counts)
    labels = torch.randint(0, 20, (targets,), generator=generator)
    return TokenTensors(
        ids_T=torch.randint(0, NUM_ROWS, (total,), generator=generator),
        packing=Packing.of(lengths, CPU),
        positions_M=torch.randperm(total, generator=generator)[:targets],
        labels_M=labels,
        counts=counts,
    )
