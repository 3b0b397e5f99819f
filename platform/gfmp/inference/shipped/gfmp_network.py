"""An exported DNA model in plain torch: weights, words and predictions; needs no other program.

The folder this file lies in holds `config.json`, `model.safetensors` and one `tokenizer.json` for
each vocabulary. In Python:

    import gfmp_network
    model = gfmp_network.load(".")
    model.predict(["ACGTTGCA..."])       # of a fine-tuned model: one row per sequence
    model.embed(["ACGTTGCA..."])         # of any model: mean state of a sequence's words

It needs torch, safetensors and tokenizers. The encoder is a MosaicBERT (Portes et al. 2023):
post-LN blocks, GEGLU, symmetric ALiBi; its weights have the names of that public code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

# The pooled state of a row is the mean over each third of its words.
NUM_THIRDS = 3
# Sequences that are read at a time; those of like length together, for less padding.
ROWS_AT_A_TIME = 32
STOPS = ("TAA", "TAG", "TGA")
Config = Mapping[str, Any]


def slopes(num_heads: int) -> list[float]:
    """Return ALiBi's slope of each head (Press et al. 2022, with the numbers of its code)."""

    def _series(count: int) -> list[float]:
        return [2.0 ** (-8.0 * (head + 1) / count) for head in range(count)]

    power = 2 ** math.floor(math.log2(num_heads))
    return _series(power) + _series(2 * power)[0::2][: num_heads - power]


class Embeddings(nn.Module):
    """Words and token types, normalised."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], width)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], width)
        self.LayerNorm = nn.LayerNorm(width, eps=config["layer_norm_eps"])

    def forward(self, ids_BL: Tensor) -> Tensor:
        """Return the states of tokens, shape (B, L, D)."""
        states = self.word_embeddings(ids_BL) + self.token_type_embeddings.weight[0]
        normed: Tensor = self.LayerNorm(states)
        return normed


class Block(nn.Module):
    """Attention and a gated feed-forward, each with a residual and LayerNorm behind it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, inner = config["hidden_size"], config["intermediate_size"]
        epsilon = config["layer_norm_eps"]
        own = nn.ModuleDict({"Wqkv": nn.Linear(width, 3 * width)})
        output = nn.ModuleDict(
            {"dense": nn.Linear(width, width), "LayerNorm": nn.LayerNorm(width, eps=epsilon)}
        )
        self.attention = nn.ModuleDict({"self": own, "output": output})
        self.mlp = nn.ModuleDict(
            {
                "gated_layers": nn.Linear(width, 2 * inner, bias=False),
                "wo": nn.Linear(inner, width),
                "layernorm": nn.LayerNorm(width, eps=epsilon),
            }
        )
        self.num_heads = config["num_attention_heads"]

    def forward(self, states_BLD: Tensor, bias_BHLL: Tensor) -> Tensor:
        """Transform the states of tokens, shape (B, L, D) to the same."""
        # Any: torch types what a ModuleDict holds as bare modules.
        own: Any = self.attention["self"]
        output: Any = self.attention["output"]
        qkv = own["Wqkv"](states_BLD).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias_BHLL)
        mixed = output["dense"](mixed.transpose(1, 2).flatten(2))
        states_BLD = output["LayerNorm"](states_BLD + mixed)
        gate, inner = self.mlp["gated_layers"](states_BLD).chunk(2, dim=-1)
        fed = self.mlp["wo"](functional.gelu(gate) * inner)
        out: Tensor = self.mlp["layernorm"](states_BLD + fed)
        return out


class Bert(nn.Module):
    """Token ids to states; any length, for there is no table of positions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        blocks = nn.ModuleList(Block(config) for _ in range(config["num_hidden_layers"]))
        self.encoder = nn.ModuleDict({"layer": blocks})
        self.slopes = slopes(config["num_attention_heads"])

    def forward(self, ids_BL: Tensor, real_BL: Tensor) -> tuple[Tensor, ...]:
        """Return the states of the embedding and of each block, shape (B, L, D) each.

        Args:
            ids_BL: Token ids.
            real_BL: 1 for tokens, 0 for padding.
        """
        states = self.embeddings(ids_BL)
        bias = self._bias(real_BL, states)
        every = [states]
        blocks: Any = self.encoder["layer"]
        for block in blocks:
            every.append(block(every[-1], bias))
        return tuple(every)

    def _bias(self, real_BL: Tensor, states: Tensor) -> Tensor:
        places = torch.arange(real_BL.shape[1], device=states.device, dtype=torch.float32)
        distance_LL = (places[:, None] - places[None, :]).abs()
        steep = torch.tensor(self.slopes, device=states.device, dtype=torch.float32)
        bias_HLL = -steep[:, None, None] * distance_LL
        padding = ~real_BL.bool()[:, None, None, :]
        return bias_HLL[None].masked_fill(padding, -torch.inf).to(states.dtype)


class Decoder(nn.Module):
    """A number for each row of the table; its matrix is the table itself."""

    def __init__(self, num_rows: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_rows))

    def forward(self, states_BLD: Tensor, table_VD: Tensor) -> Tensor:
        """Return logits, shape (B, L, V)."""
        return functional.linear(states_BLD, table_VD, self.bias)


class MaskedHead(nn.Module):
    """Scores of every row of the embedding table at every token; weights are tied."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, epsilon = config["hidden_size"], config["layer_norm_eps"]
        decoder = Decoder(config["vocab_size"])
        transform = nn.ModuleDict(
            {"dense": nn.Linear(width, width), "LayerNorm": nn.LayerNorm(width, eps=epsilon)}
        )
        self.predictions = nn.ModuleDict({"transform": transform, "decoder": decoder})

    def forward(self, states_BLD: Tensor, table_VD: Tensor) -> Tensor:
        """Return logits, shape (B, L, V)."""
        transform: Any = self.predictions["transform"]
        states_BLD = transform["LayerNorm"](functional.gelu(transform["dense"](states_BLD)))
        logits: Tensor = self.predictions["decoder"](states_BLD, table_VD)
        return logits


class RowHead(nn.Module):
    """The pooled states of a row in V vocabularies to its outputs.

    Attributes:
        gate: Logits of the weights of the vocabularies; absent where states stand side by side.
        classifier: The last layer.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.num_leading = int(config["num_leading"])
        num_vocabularies = len(config["vocabularies"])
        pooled = NUM_THIRDS * config["hidden_size"]
        self.gate: nn.Linear | None = None
        inputs = num_vocabularies * pooled
        if config["join"] == "gated":
            self.gate = nn.Linear(inputs, num_vocabularies)
            inputs = pooled
        self.classifier = nn.Linear(inputs, len(config["target_names"]))

    def forward(self, states: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
        """Return the outputs of B rows, shape (B, O).

        Args:
            states: Last states in each vocabulary, shape (B, L, D) each.
            real: 1 for tokens, 0 for padding, shape (B, L) each.
        """
        parts = [thirds(s, r, self.num_leading) for s, r in zip(states, real, strict=True)]
        pooled_BVP = torch.stack(parts, dim=1)
        inputs = pooled_BVP.flatten(1)
        if self.gate is not None:
            weights_BV = self.gate(inputs).softmax(dim=1)
            inputs = (weights_BV.unsqueeze(-1) * pooled_BVP).sum(dim=1)
        out: Tensor = self.classifier(inputs)
        return out


def thirds(states_BLD: Tensor, real_BL: Tensor, num_leading: int) -> Tensor:
    """Return the mean over each third of a row's words, shape (B, NUM_THIRDS * D).

    Words are all tokens but the `num_leading` first and the last; a third without words is zero.
    """
    real = real_BL.bool()
    counts_B = real.sum(dim=1) - num_leading - 1
    place_BL = real.cumsum(dim=1) - 1 - num_leading
    word_BL = real & (place_BL >= 0) & (place_BL < counts_B[:, None])
    means = []
    for third in range(NUM_THIRDS):
        first, end = (
            (2 * (third + more) * counts_B + NUM_THIRDS) // (2 * NUM_THIRDS) for more in (0, 1)
        )
        inside = word_BL & (place_BL >= first[:, None]) & (place_BL < end[:, None])
        total = (states_BLD.float() * inside.unsqueeze(-1)).sum(dim=1)
        means.append(total / (end - first).clamp(min=1).unsqueeze(-1))
    return torch.cat(means, dim=1)


class Network(nn.Module):
    """The encoder with the head its folder has weights for."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.bert = Bert(config)
        self.cls = MaskedHead(config) if config["head"] == "masked" else None
        self.rows = RowHead(config) if config["head"] == "rows" else None

    @property
    def table(self) -> Tensor:
        """The embedding table, shape (V, D)."""
        return self.bert.embeddings.word_embeddings.weight


def spaced(sequence: str, how: Mapping[str, Any]) -> str:
    """Return the text that a vocabulary's tokenizer.json reads for a sequence.

    Args:
        sequence: DNA; every letter but ACGT is read as N.
        how: The vocabulary's entry in config.json.

    Raises:
        ValueError: only gfmp knows how, or the sequence is too short.
    """
    bases = "".join(base if base in "ACGT" else "N" for base in sequence.upper())
    if len(bases) < how["shortest_bp"]:
        raise ValueError(f"{how['name']} reads at least {how['shortest_bp']} bases: {sequence!r}")
    if how["spacing"] == "none":
        return bases
    if how["spacing"] == "windows":
        return " ".join(_windows(bases, how["word_bp"], how["stride_bp"]))
    if how["spacing"] == "codons":
        return " ".join(_codons(bases))
    raise ValueError(f"only gfmp cuts sequences into the words of {how['name']}")


def _windows(bases: str, word_bp: int, stride_bp: int) -> list[str]:
    starts = range(0, len(bases) - word_bp + 1, stride_bp)
    covered = starts[-1] + word_bp if len(starts) else 0
    return [bases[start : start + word_bp] for start in starts] + list(bases[covered:])


def _codons(bases: str) -> list[str]:
    def _longest(frame: int) -> int:
        best = row = 0
        for at in range(frame, len(bases) - 2, 3):
            codon = bases[at : at + 3]
            row = 0 if codon in STOPS or "N" in codon else row + 1
            best = max(best, row)
        return best

    frame = max(range(3), key=lambda one: (_longest(one), -one))
    words = list(bases[:frame])
    end = frame + (max(0, len(bases) - frame) // 3) * 3
    for at in range(frame, end, 3):
        codon = bases[at : at + 3]
        words += list(codon) if "N" in codon else [codon]
    return words + list(bases[end:])


class Model:
    """An exported model with its vocabularies.

    Attributes:
        config: The content of config.json.
        network: The network, in evaluation mode.
    """

    def __init__(self, folder: Path) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.network = Network(self.config).eval()
        state = load_file(folder / "model.safetensors")
        self.network.load_state_dict(state, strict=True)
        self._vocabularies = {entry["name"]: entry for entry in self.config["vocabularies"]}
        self._tokenizers = {
            name: Tokenizer.from_file(str(folder / entry["tokenizer"]))
            for name, entry in self._vocabularies.items()
        }

    def tokens(self, sequences: Sequence[str], vocabulary: str) -> tuple[Tensor, Tensor]:
        """Return ids and 1 for tokens, 0 for padding, shape (B, L) each.

        Raises:
            ValueError: a sequence is too short, or only gfmp reads this vocabulary.
        """
        how = self._vocabularies[vocabulary]
        texts = [spaced(sequence, how) for sequence in sequences]
        rows = [encoding.ids for encoding in self._tokenizers[vocabulary].encode_batch(texts)]
        longest = max(map(len, rows), default=0)
        pad = self.config["pad_token_id"]
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], dtype=torch.int64)
        real = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        return ids, real

    @torch.inference_mode()
    def logits(self, sequences: Sequence[str], vocabulary: str = "") -> Tensor:
        """Return logits: of a fine-tuned model (B, O), of a pretrained one (B, L, V).

        Args:
            sequences: DNA.
            vocabulary: Of a pretrained model the one that reads; empty for the first.
        """
        if self.network.rows is not None:
            pairs = [self.tokens(sequences, name) for name in self._vocabularies]
            states = [self.network.bert(ids, real)[-1] for ids, real in pairs]
            out: Tensor = self.network.rows(states, [real for _, real in pairs])
            return out
        ids, real = self.tokens(sequences, vocabulary or next(iter(self._vocabularies)))
        if self.network.cls is None:
            raise ValueError("this folder holds an encoder without a head")
        scores: Tensor = self.network.cls(self.network.bert(ids, real)[-1], self.network.table)
        return scores

    def predict(self, sequences: Sequence[str]) -> Tensor:
        """Return probabilities of classes or labels, or values, shape (B, O).

        Raises:
            ValueError: the model was not fine-tuned.
        """
        if self.network.rows is None:
            raise ValueError("a pretrained model predicts no labels; ask it to embed")
        logits, kind = _by_parts(self.logits, sequences), self.config["target_kind"]
        if kind == "multilabel":
            return logits.double().sigmoid().float()
        return logits if kind == "regression" else logits.double().softmax(dim=1).float()

    def embed(self, sequences: Sequence[str], vocabulary: str = "") -> Tensor:
        """Return the mean last state of each sequence's words, shape (B, D)."""
        return _by_parts(lambda part: self._embedded(part, vocabulary), sequences)

    @torch.inference_mode()
    def _embedded(self, sequences: Sequence[str], vocabulary: str) -> Tensor:
        ids, real = self.tokens(sequences, vocabulary or next(iter(self._vocabularies)))
        states: Tensor = self.network.bert(ids, real)[-1]
        place = real.cumsum(dim=1)
        words = (place > self.config["num_leading"]) & (place < real.sum(dim=1, keepdim=True))
        words &= real.bool()
        return (states * words.unsqueeze(-1)).sum(dim=1) / words.sum(dim=1, keepdim=True)


def _by_parts(ask: Callable[[Sequence[str]], Tensor], sequences: Sequence[str]) -> Tensor:
    """Return what `ask` says of sequences, one row each, in their order."""
    order = sorted(range(len(sequences)), key=lambda place: len(sequences[place]))
    said = [
        ask([sequences[place] for place in order[first : first + ROWS_AT_A_TIME]])
        for first in range(0, len(order), ROWS_AT_A_TIME)
    ]
    if not said:
        raise ValueError("there is no sequence")
    rows = torch.cat(said)
    return rows[torch.tensor(order).argsort()]


def load(folder: str | Path) -> Model:
    """Return the model of an exported folder, on the CPU."""
    return Model(Path(folder))
