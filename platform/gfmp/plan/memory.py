"""Bytes per rank: model states exactly, activations as an estimate, for every engine."""

from __future__ import annotations

from dataclasses import dataclass

from gfmp.plan.values import Engine
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Precision

ENGINES: tuple[Engine, ...] = ("ddp", "zero0", "zero1", "zero2", "zero3")
_FP32 = 4
_BF16 = 2
_MOMENTS = 2 * _FP32
# DeepSpeed reserves 5e8 elements (2 GB) for its gradient bucket unless told otherwise.
_BUCKET_ELEMENTS = 50_000_000
# Bytes kept for the backward pass per token and layer, in multiples of the width: input of the
# layer, q, k, v, attention output, its projection, inputs and outputs of two LayerNorms. bf16
# saves nothing here: residuals and LayerNorms stay fp32 and their bf16 copies are kept beside.
_BYTES_PER_WIDTH = 40
# The same in multiples of the inner size: gate, value, gelu(gate), product.
_BYTES_PER_INNER: dict[Precision, int] = {"fp32": 16, "bf16": 8}


@dataclass(frozen=True)
class ModelStates:
    """Bytes one rank holds for the model and its optimiser.

    Attributes:
        weights: fp32 weights the forward pass reads, plus their bf16 copies under autocast.
        gradients: fp32 gradients.
        optimiser: Both AdamW moments and, under ZeRO 1-3, DeepSpeed's own fp32 master copy.
        bucket: Buffer that gradients are reduced through.
    """

    weights: int
    gradients: int
    optimiser: int
    bucket: int

    @property
    def total(self) -> int:
        """All bytes."""
        return self.weights + self.gradients + self.optimiser + self.bucket


def bucket_elements(parameters: int) -> int:
    """Return the size of DeepSpeed's gradient bucket: the model, 50 M elements at most.

    It is even, because DeepSpeed asserts that.
    """
    return min(parameters + parameters % 2, _BUCKET_ELEMENTS)


def model_states(
    parameters: int, engine: Engine, workers: int, precision: Precision
) -> ModelStates:
    """Count the bytes of one rank.

    Stage 1 shards the optimiser, stage 2 the gradients too, stage 3 the weights too. Training
    is fp32; bf16 computes in bf16 over fp32 weights, never the other way round.
    """
    stage = int(engine.removeprefix("zero")) if engine != "ddp" else 0
    casts = _BF16 if precision == "bf16" else 0
    masters = _FP32 if stage else 0
    return ModelStates(
        weights=_shard(_FP32 * parameters, workers, stage >= 3) + casts * parameters,
        gradients=_shard(_FP32 * parameters, workers, stage >= 2),
        optimiser=_shard((_MOMENTS + masters) * parameters, workers, stage >= 1),
        bucket=_FP32 * bucket_elements(parameters) if stage else 0,
    )


def _shard(num_bytes: int, workers: int, sharded: bool) -> int:
    return -(-num_bytes // workers) if sharded else num_bytes


def activation_bytes(
    architecture: Architecture,
    num_tokens: int,
    num_targets: int,
    head_rows: int,
    precision: Precision,
) -> int:
    """Estimate what one micro-batch keeps for its backward pass.

    No L x L matrix is kept, and the head keeps logits and their gradient in fp32 at the targets
    only. Within 6 % of the tensors autograd saves on a CPU (tiny and base shapes, both
    precisions).

    Args:
        architecture: The encoder.
        num_tokens: Tokens of the micro-batch.
        num_targets: Masked positions among them.
        head_rows: Columns of the head's output.
        precision: bf16 halves what the matrix products keep.
    """
    d, inner = architecture.width, architecture.intermediate
    per_token = _BYTES_PER_WIDTH * d + _BYTES_PER_INNER[precision] * inner
    layers = architecture.layers * num_tokens * per_token
    head = num_targets * (2 * head_rows * _FP32 + 4 * d * _FP32)
    return layers + head


def checkpoint_bytes(parameters: int) -> int:
    """Return the size of one checkpoint: fp32 weights and both moments, 12 bytes each."""
    return (_FP32 + _MOMENTS) * parameters


def commit_bytes(parameters: int, workers: int) -> int:
    """Return the main memory of rank 0 that a commit takes while it is written beside the steps.

    It holds a copy of all weights and of its share of the moments; other ranks hold their share.
    """
    return _FP32 * parameters + _shard(_MOMENTS * parameters, workers, sharded=True)
