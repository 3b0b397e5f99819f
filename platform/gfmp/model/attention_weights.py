"""Attention weights, computed eagerly: what the fused kernels use and never keep.

softmax(q k / sqrt(K) - slope |i - j|) inside each sequence, from the queries and keys of the model
and its ALiBi bias, in fp32 whatever precision they come in. The fused kernels of
`gfmp.model.attention` return mixed values only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

from torch import Tensor

from gfmp.model.alibi import BiasCache
from gfmp.model.encoder import Block, Encoder
from gfmp.model.tokens import Packing


def attention_weights(qkv_T3HK: Tensor, packing: Packing, bias: BiasCache) -> tuple[Tensor, ...]:
    """Return the weights of each sequence, fp32, shape (H, L, L); rows are queries and sum to 1.

    Args:
        qkv_T3HK: Queries, keys and values, shape (T, 3, H, K).
        packing: Where the sequences stand.
        bias: The ALiBi bias of as many heads.
    """
    found = []
    for own_L3HK in qkv_T3HK.float().split(packing.lengths):
        query_HLK, key_HLK, _ = own_L3HK.permute(1, 2, 0, 3).unbind(0)
        scores_HLL = query_HLK @ key_HLK.transpose(1, 2) / math.sqrt(query_HLK.shape[-1])
        found.append((scores_HLL + bias.bias_HLL(len(own_L3HK), qkv_T3HK.device)).softmax(-1))
    return tuple(found)


def encoder_weights(
    encoder: Encoder, ids_T: Tensor, packing: Packing
) -> Iterator[tuple[Tensor, ...]]:
    """Yield for each block, from the first on, the weights of each sequence, shape (H, L, L).

    The states between blocks are those of the encoder itself, fused kernels included.

    Args:
        encoder: The encoder.
        ids_T: Packed ids, int64.
        packing: Where the sequences stand.
    """
    hidden_TD: Tensor = encoder.norm(encoder.embedding(ids_T))
    bias: BiasCache | None = None
    for module in encoder.blocks:
        block = cast(Block, module)
        qkv_T3HK = block.projected(hidden_TD)
        bias = bias or BiasCache(qkv_T3HK.shape[2])
        yield attention_weights(qkv_T3HK, packing, bias)
        hidden_TD = block(hidden_TD, packing)
