"""Bidirectional ALiBi attention over packed sequences, by the fastest kernel there is.

Three kernels, one meaning: softmax(q k / sqrt(K) - slope |i - j|) v inside each sequence. Which
one is decided once per device and dtype, at the first forward pass.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gfmp.model.alibi import BiasCache
from gfmp.model.tokens import Packing

log = logging.getLogger(__name__)
Kernel = Callable[[Tensor, Packing], Tensor]


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
            self._kernels[key] = choose_kernel(*key, self.bias)
        return self._kernels[key](qkv_T3HK, packing)


def choose_kernel(device_type: str, dtype: torch.dtype, bias: BiasCache) -> Kernel:
    """Return the kernel for a device and dtype.

    CPU: per sequence, because its fused kernel takes an additive bias and padding costs more
    than the loop. CUDA: flash-attn when it is installed and the dtype is 16 bits wide, because
    it computes the bias itself; else padded rows with a materialised bias.
    """
    if device_type == "cpu":
        return PerSequence(bias)
    if dtype in (torch.bfloat16, torch.float16) and importlib.util.find_spec("flash_attn"):
        return FlashVarlen(bias)
    log.warning("flash-attn is not usable for %s on %s; attention is padded", dtype, device_type)
    return Padded(bias)


class PerSequence:
    """One fused call per sequence, in fp32.

    The fused CPU kernel is faster in fp32 than in bf16 at head widths of 32 to 64 (measured:
    70 against 117 ms for 5,460 tokens, 4 heads of 32), so 16-bit inputs are widened.
    """

    def __init__(self, bias: BiasCache) -> None:
        self._bias = bias

    def __call__(self, qkv_T3HK: Tensor, packing: Packing) -> Tensor:
        """Attend; see `Attention.__call__`."""
        num_tokens, _, num_heads, head_width = qkv_T3HK.shape
        # One copy that makes each head's rows contiguous is cheaper than strided gemms.
        qkv_3HTK = qkv_T3HK.float().permute(1, 2, 0, 3).contiguous()
        mixed = []
        for part in qkv_3HTK.split(packing.lengths, dim=2):
            bias = self._bias.bias_HLL(part.shape[2], part.device)
            query, key, value = part[:, None].unbind(0)
            mixed.append(
                functional.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])[0]
            )
        out = torch.cat(mixed, dim=1).transpose(0, 1)
        return out.reshape(num_tokens, num_heads * head_width).to(qkv_T3HK.dtype)


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
