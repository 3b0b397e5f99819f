"""Initial weights as a function of the seed, names and words, on every rank the same."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

# BERT's 0.02 at its width of 768; narrower models keep the size of their activations.
STANDARD_DEVIATION, AT_WIDTH = 0.02, 768
_BASES = "ACGT"
# Bases near the ends of a word decide how it joins its neighbours, so they count most.
_DECAY = 0.8
_OWN_FRACTION = 0.1


def initialise(model: nn.Module, seed: int, width: int) -> None:
    """Fill a model in place: matrices normal, LayerNorm 1 and 0, biases 0.

    The standard deviation is 0.02 * sqrt(768 / width). Each matrix has a generator of its own,
    keyed by (seed, name), so that adding a layer or building on another device changes no other
    matrix.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.fill_(1.0 if name.endswith("norm.weight") else 0.0)
            else:
                drawn = torch.empty(parameter.shape, dtype=torch.float32)
                drawn.normal_(0.0, deviation(width), generator=_generator(seed, name))
                parameter.copy_(drawn)


def deviation(width: int) -> float:
    """Return the standard deviation of initial matrices of a model of this width."""
    return STANDARD_DEVIATION * math.sqrt(AT_WIDTH / width)


def spell(embedding_VD: Tensor, tokens: Sequence[str], seed: int) -> None:
    """Let the embeddings of words begin as what they spell, in place.

    A word is the sum of one random vector per base and place, counted from its start and from
    its end, one per base whatever the place, and one per length; it keeps a tenth of its own
    random draw. Words over other letters (specials, prompts) stay as they are. So words that
    begin, end or are composed alike are near each other before the first step, in every
    vocabulary of the ensemble; see decision 0008 for what that is worth.

    Args:
        embedding_VD: Rows of the table, initialised.
        tokens: Token string of each row.
        seed: Run seed.
    """
    rows = [row for row, token in enumerate(tokens) if token.strip(_BASES) == ""]
    words = [tokens[row] for row in rows]
    if not words:
        return
    width = embedding_VD.shape[1]
    longest = max(map(len, words))
    generator = _generator(seed, "spelling")
    from_start = torch.randn(longest, len(_BASES), width, generator=generator)
    from_end = torch.randn(longest, len(_BASES), width, generator=generator)
    anywhere = torch.randn(len(_BASES), width, generator=generator)
    by_length = torch.randn(longest + 1, width, generator=generator)
    letters = torch.full((len(words), longest), len(_BASES))
    for row, word in enumerate(words):
        letters[row, : len(word)] = torch.tensor([_BASES.index(base) for base in word])
    lengths = torch.tensor([len(word) for word in words])
    spelled = 0.5 * by_length[lengths]
    for place in range(longest):
        inside = (place < lengths).nonzero().squeeze(1)
        base, behind = letters[inside, place], lengths[inside] - 1 - place
        fading = torch.pow(_DECAY, behind.float()).unsqueeze(1)
        share = lengths[inside].float().rsqrt().unsqueeze(1)
        spelled[inside] += _DECAY**place * from_start[place, base]
        spelled[inside] += fading * from_end[behind, base] + share * anywhere[base]
    spelled -= spelled.mean(dim=0)
    spelled *= deviation(width) / spelled.std()
    with torch.no_grad():
        embedding_VD[rows] = _OWN_FRACTION * embedding_VD[rows] + spelled.to(embedding_VD.dtype)


def _generator(seed: int, name: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
