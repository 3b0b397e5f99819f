"""Bidirectional ALiBi attention over packed sequences, by the fastest kernel there is.

Four kernels, one meaning: softmax(q k / sqrt(K) - slope |i - j|) v inside each sequence. Which
one is decided once per device and dtype, at the first forward pass.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gfmp.model.alibi import BiasCache
from gfmp.model.choice import Kernel, fastest
from gfmp.model.tokens import Packing

# What `scaled_dot_product_attention` runs on a CPU when its bias needs no gradient.
_CPU_FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_CPU_FLASH_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


class Attention:
    """The attention of every block of an encoder; holds no parameters.

    Attributes:
        bias: The ALiBi bias shared by all blocks.
    """

    def __init__(self, num_heads: int) -> None:
        self.bias = BiasCache(num_heads)
        self._kernels: dict[tuple[str, torch.dtype], Kernel] = {}

    def __call__(self, qkv_T3HK: Tensor, packing: Packing) -> Tensor:
        """Attend inside each sequence.

        Args:
            qkv_T3HK: Queries, keys and values, shape (T, 3, H, K).
            packing: Where the sequences stand.

        Returns:
            Values mixed by attention, shape (T, H * K), in the dtype of the input.
        """
        key = (qkv_T3HK.device.type, qkv_T3HK.dtype)
        if key not in self._kernels:
            self._kernels[key] = choose_kernel(qkv_T3HK, packing, self.bias)
        return self._kernels[key](qkv_T3HK, packing)


def choose_kernel(qkv_T3HK: Tensor, packing: Packing, bias: BiasCache) -> Kernel:
    """Return the kernel for the device and dtype of this input.

    CPU: per sequence, because its fused kernel takes an additive bias and padding costs more
    than the loop. CUDA: the fastest of the fused ones that agrees with padded rows here.
    """
    if qkv_T3HK.device.type == "cpu":
        return PerSequence(bias)
    return fastest(fused_kernels(qkv_T3HK.dtype, bias), Padded(bias), qkv_T3HK, packing)


def fused_kernels(dtype: torch.dtype, bias: BiasCache) -> dict[str, Kernel]:
    """Return the kernels that build the bias themselves, the preferred first."""
    # Imported where a GPU is: it brings the compiler along.
    from gfmp.model.flex import FlexDocuments

    found: dict[str, Kernel] = {"flex": FlexDocuments(bias)}
    if dtype in (torch.bfloat16, torch.float16) and importlib.util.find_spec("flash_attn"):
        found["flash-attn"] = FlashVarlen(bias)
    return found


class PerSequence:
    """One fused call for each run of sequences of one length, in fp32.

    The fused CPU kernel is faster in fp32 than in bf16 at head widths of 32 to 64 (measured:
    70 against 117 ms for 5,460 tokens, 4 heads of 32), so 16-bit inputs are widened.
    """

    def __init__(self, bias: BiasCache) -> None:
        self._bias = bias

    def __call__(self, qkv_T3HK: Tensor, packing: Packing) -> Tensor:
        """Attend; see `Attention.__call__`."""
        bias = self._bias.bias_HLL(packing.longest, qkv_T3HK.device)
        mixed: Tensor = _Sequences.apply(qkv_T3HK.float(), packing.lengths, bias)
        return mixed.flatten(1).to(qkv_T3HK.dtype)


class _Sequences(torch.autograd.Function):
    """The loop over sequences as one node of the graph: its parts are written where they belong.

    As single calls, autograd pads, stacks and concatenates the gradients of every sequence.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch types no context with saved tensors
        qkv_T3HK: Tensor,
        lengths: tuple[int, ...],
        bias_HLL: Tensor,
    ) -> Tensor:
        """Attend inside each sequence, shape (T, H, K)."""
        # The kernel takes strides: a copy with contiguous heads cost more than it saved.
        qkv_3HTK = qkv_T3HK.permute(1, 2, 0, 3)
        out_THK = torch.empty_like(qkv_T3HK[:, 0])
        sums = []
        for rows, count, bias in _parts(lengths, bias_HLL):
            query, key, value = _by_sequence(qkv_3HTK[:, :, rows], count)
            mixed_BHLK, log_sums = _CPU_FLASH(query, key, value, attn_mask=bias)
            out_THK[rows] = mixed_BHLK.transpose(1, 2).flatten(0, 1)
            sums.append(log_sums)
        ctx.save_for_backward(qkv_3HTK, out_THK, bias_HLL, *sums)
        ctx.lengths = lengths
        return out_THK

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401 - as above
        grad_THK: Tensor,
    ) -> tuple[Tensor, None, None]:
        """Return the gradient of the queries, keys and values."""
        qkv_3HTK, out_THK, bias_HLL, *sums = ctx.saved_tensors
        grad_T3HK = grad_THK.new_empty(len(grad_THK), 3, *grad_THK.shape[1:])
        parts = _parts(ctx.lengths, bias_HLL)
        for (rows, count, bias), log_sums in zip(parts, sums, strict=True):
            query, key, value = _by_sequence(qkv_3HTK[:, :, rows], count)
            (grad,), (out,) = (
                _by_sequence(tensor_THK[rows].transpose(0, 1)[None], count)
                for tensor_THK in (grad_THK, out_THK)
            )
            grads = _CPU_FLASH_BACKWARD(
                grad, query, key, value, out, log_sums, 0.0, False, attn_mask=bias
            )
            for place, part_BHLK in enumerate(grads):
                grad_T3HK[rows, place] = part_BHLK.transpose(1, 2).flatten(0, 1)
        return grad_T3HK, None, None


def _parts(lengths: tuple[int, ...], bias_HLL: Tensor) -> Iterator[tuple[slice, int, Tensor]]:
    """Yield the rows of each run of sequences of one length, how many, and the bias of one.

    The bias has shape (1, H, L, L).
    """
    first = 0
    for length, run in groupby(lengths):
        count = len(list(run))
        last = first + count * length
        yield slice(first, last), count, bias_HLL[None, :, :length, :length]
        first = last


def _by_sequence(tensor_PHTK: Tensor, count: int) -> tuple[Tensor, ...]:
    """Return P views of shape (B, H, L, K) of what B sequences of one length have in a row."""
    return tensor_PHTK.unflatten(2, (count, -1)).transpose(1, 2).unbind(0)


class Padded:
    """All sequences in one call, padded to the longest; padding keys get -inf."""

    def __init__(self, bias: BiasCache) -> None:
        self._bias = bias

    def __call__(self, qkv_T3HK: Tensor, packing: Packing) -> Tensor:
        """Attend; see `Attention.__call__`."""
        num_tokens, _, num_heads, head_width = qkv_T3HK.shape
        padded = torch.nn.utils.rnn.pad_sequence(
            list(qkv_T3HK.split(packing.lengths)), batch_first=True
        )
        query, key, value = padded.permute(2, 0, 3, 1, 4).unbind(0)
        mask, real = self._mask(packing, qkv_T3HK)
        out = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return out.transpose(1, 2)[real].reshape(num_tokens, num_heads * head_width)

    def _mask(self, packing: Packing, like: Tensor) -> tuple[Tensor, Tensor]:
        lengths = packing.cu_seqlens.diff()
        places = torch.arange(packing.longest, device=like.device)
        real = places[None, :] < lengths[:, None]
        bias = self._bias.bias_HLL(packing.longest, like.device)
        mask = bias[None].masked_fill(~real[:, None, None, :], float("-inf"))
        return mask.to(like.dtype), real


class FlashVarlen:
    """flash-attn's variable-length kernel, which adds -slope |i - j| by itself."""

    def __init__(self, bias: BiasCache) -> None:
        self._bias = bias
        module: Any = importlib.import_module("flash_attn")
        self._attend = module.flash_attn_varlen_qkvpacked_func
        self._slopes: Tensor | None = None

    def __call__(self, qkv_T3HK: Tensor, packing: Packing) -> Tensor:
        """Attend; see `Attention.__call__`."""
        if self._slopes is None:
            self._slopes = self._bias.slopes_H(qkv_T3HK.device)
        # The backward pass sums in a fixed order: the same job twice gives the same weights.
        out: Tensor = self._attend(
            qkv_T3HK,
            packing.cu_seqlens,
            packing.longest,
            alibi_slopes=self._slopes,
            deterministic=True,
        )
        return out.flatten(1)
