"""What `train_step.py` and `gpu.py` share: sequences of the paper's lengths and BERT as a peer."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gfmp.model.alibi import BiasCache
from gfmp.model.encoder import Block
from gfmp.model.masked import MaskedLanguageModel
from gfmp.model.tokens import Packing, TokenTensors
from gfmp.plan.flops import training_flops
from gfmp.spec.model import Architecture

# 4,096 words of 6 bases, after the seven special tokens and before two prompts.
NUM_WORDS, FIRST_WORD, NUM_ROWS = 4096, 7, 4105
MAX_TOKENS, MIN_TOKENS = 512, 7
MASKED_FRACTION = 0.15
IGNORED = -100
CLIP_NORM = 1.0


@dataclass(frozen=True)
class Work:
    """The same sequences packed, for us, and as padded rows, for the peer.

    Attributes:
        tokens: Packed ids and targets.
        ids_BL: The ids, padded with 0.
        real_BL: 1 where a token stands.
        labels_BL: The true row of each target, `IGNORED` elsewhere.
        squared_lengths: Sum of L * L.
    """

    tokens: TokenTensors
    ids_BL: Tensor
    real_BL: Tensor
    labels_BL: Tensor
    squared_lengths: int

    @property
    def num_tokens(self) -> int:
        """Real tokens."""
        return len(self.tokens.ids_T)

    def flops(self, architecture: Architecture) -> int:
        """Return the operations of one training step on it, no padding, masked head."""
        targets = len(self.tokens.positions_M)
        return training_flops(
            architecture, self.num_tokens, self.squared_lengths, targets, NUM_WORDS
        )


def draw(rng: np.random.Generator, num_sequences: int, device: torch.device) -> Work:
    """Draw sequences: half of the longest length, half of any (Ye et al., Genomics-FM, A.1.3)."""
    short = rng.integers(MIN_TOKENS, MAX_TOKENS + 1, num_sequences)
    lengths = np.where(rng.random(num_sequences) < 0.5, MAX_TOKENS, short)
    total = int(lengths.sum())
    true = torch.from_numpy(rng.integers(0, NUM_WORDS, total))
    positions = torch.from_numpy(np.sort(rng.permutation(total)[: int(total * MASKED_FRACTION)]))
    ids = true + FIRST_WORD
    labels = torch.full((total,), IGNORED)
    labels[positions] = ids[positions]
    ids[positions] = 1
    parts = lengths.tolist()
    padded = [
        torch.nn.utils.rnn.pad_sequence(list(flat.split(parts)), True, empty).to(device)
        for flat, empty in ((ids, 0), (torch.ones_like(ids), 0), (labels, IGNORED))
    ]
    tokens = TokenTensors(
        ids_T=ids.to(device),
        packing=Packing.of(tuple(parts), device),
        positions_M=positions.to(device),
        labels_M=true[positions].to(device),
        counts=(len(positions),),
    )
    return Work(tokens, padded[0], padded[1], padded[2], int(np.square(lengths).sum()))


def word_rows() -> tuple[Tensor, ...]:
    """Return the rows our softmax runs over."""
    return (torch.arange(FIRST_WORD, FIRST_WORD + NUM_WORDS),)


def padded_loss(model: MaskedLanguageModel, work: Work) -> float:
    """Compute the mean loss as plain formulas on padded rows, in fp32: the reference.

    All positions go through head and softmax; the bias is written out for every row and head.
    """
    encoder, head = model.encoder, model.head
    blocks = cast(list[Block], list(encoder.blocks))
    num_heads = blocks[0]._num_heads
    bias = BiasCache(num_heads).bias_HLL(work.ids_BL.shape[1], work.ids_BL.device)
    mask = bias[None].masked_fill(work.real_BL[:, None, None, :] == 0, float("-inf"))
    with torch.no_grad():
        hidden = encoder.norm(encoder.embedding(work.ids_BL))
        for block in blocks:
            hidden = _padded_block(block, hidden, mask, num_heads)
        hidden = head.norm(functional.gelu(head.dense(hidden)))
        words = slice(FIRST_WORD, FIRST_WORD + NUM_WORDS)
        logits = hidden @ encoder.embedding.weight[words].T + head.bias[words]
        labels = torch.where(work.labels_BL == IGNORED, IGNORED, work.labels_BL - FIRST_WORD)
        loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    return float(loss)


def _padded_block(block: Block, hidden: Tensor, mask: Tensor, num_heads: int) -> Tensor:
    qkv = block.qkv(hidden).unflatten(2, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)
    scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5 + mask
    mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
    hidden = block.attention_norm(hidden + block.out(mixed))
    feed = block.feed_forward
    gate, up = functional.linear(hidden, feed.gated).chunk(2, dim=-1)
    fed = functional.linear(functional.gelu(gate) * up, feed.down, feed.bias)
    out: Tensor = block.output_norm(hidden + fed)
    return out


class Peer:
    """BertForMaskedLM with fused AdamW and clipping, as its own trainer runs it.

    Attributes:
        dtype: What it computes in; autocast where that is not fp32.
    """

    def __init__(
        self, shape: Architecture, dropout: float, dtype: torch.dtype, device: torch.device
    ) -> None:
        """Build the model; its plain feed-forward is widened to do as many multiply-adds as ours.

        Raises:
            ImportError: transformers is not installed.
        """
        library: Any = importlib.import_module("transformers")
        config = library.BertConfig(
            vocab_size=NUM_ROWS,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.intermediate * 3 // 2,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
        self.dtype = dtype
        self._model = library.BertForMaskedLM(config).to(device).train()
        self._optimizer = torch.optim.AdamW(self._model.parameters(), lr=1e-4, fused=True)

    def step(self, work: Work) -> Tensor:
        """Take one optimiser step and return the loss."""
        kind = work.ids_BL.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self.dtype != torch.float32):
            loss: Tensor = self._model(
                input_ids=work.ids_BL, attention_mask=work.real_BL, labels=work.labels_BL
            ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), CLIP_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.detach()
