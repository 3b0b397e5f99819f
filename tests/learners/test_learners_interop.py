"""Foreign folders: the same hidden states as the public code, and what does not fit says so."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from gfmp.errors import DataError, GfmpError, MissingInputError, RefusedError, VocabularyError
from gfmp.learners.interop import from_folder
from gfmp.learners.packed import RowPacker
from gfmp.learners.tokens import SplitTokens, TaskTokens
from gfmp.model.tokens import Packing
from gfmp.vocabulary.registry import FamilyRegistry

LAYERS, WIDTH, HEADS, INNER = 2, 24, 6, 20
SPECIALS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
CONFIG = {
    "num_hidden_layers": LAYERS,
    "hidden_size": WIDTH,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER,
    "layer_norm_eps": 1e-12,
    "vocab_size": 96,
}
Weights = dict[str, Tensor]


def public_weights(num_rows: int, prefix: str = "bert.") -> Weights:
    """Random weights by the names of the public code."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (num_rows, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    for layer in range(LAYERS):
        block = f"encoder.layer.{layer}."
        shapes |= {
            f"{block}attention.self.Wqkv.weight": (3 * WIDTH, WIDTH),
            f"{block}attention.self.Wqkv.bias": (3 * WIDTH,),
            f"{block}attention.output.dense.weight": (WIDTH, WIDTH),
            f"{block}attention.output.dense.bias": (WIDTH,),
            f"{block}attention.output.LayerNorm.weight": (WIDTH,),
            f"{block}attention.output.LayerNorm.bias": (WIDTH,),
            f"{block}mlp.gated_layers.weight": (2 * INNER, WIDTH),
            f"{block}mlp.wo.weight": (WIDTH, INNER),
            f"{block}mlp.wo.bias": (WIDTH,),
            f"{block}mlp.layernorm.weight": (WIDTH,),
            f"{block}mlp.layernorm.bias": (WIDTH,),
        }
    generator = torch.Generator().manual_seed(0)
    weights = {
        prefix + name: 0.4 * torch.randn(shape, generator=generator)
        for name, shape in shapes.items()
    }
    head = {"cls.predictions.decoder.bias": torch.zeros(num_rows)}
    return weights | head | {"bert.pooler.dense.weight": torch.zeros(WIDTH, WIDTH)}


def public_slopes(num_heads: int) -> list[float]:
    """ALiBi's slopes as the paper's public code makes them."""

    def of_power(power: int) -> list[float]:
        start = 2 ** (-(2 ** -(math.log2(power) - 3)))
        return [start * start**i for i in range(power)]

    if math.log2(num_heads).is_integer():
        return of_power(num_heads)
    closest = 2 ** math.floor(math.log2(num_heads))
    return of_power(closest) + public_slopes(2 * closest)[0::2][: num_heads - closest]


def public_states(weights: Weights, ids_BL: Tensor, real_BL: Tensor) -> Tensor:
    """Hidden states of padded rows, written after the public description, in plain torch."""

    def get(name: str) -> Tensor:
        return weights["bert." + name]

    def normed(states: Tensor, name: str) -> Tensor:
        scale, shift = get(f"{name}.weight"), get(f"{name}.bias")
        return functional.layer_norm(states, (WIDTH,), scale, shift, 1e-12)

    def linear(states: Tensor, name: str) -> Tensor:
        return functional.linear(states, get(f"{name}.weight"), get(f"{name}.bias"))

    num_rows, length = ids_BL.shape
    kinds = torch.zeros_like(ids_BL)
    states = get("embeddings.word_embeddings.weight")[ids_BL]
    states = normed(
        states + get("embeddings.token_type_embeddings.weight")[kinds], "embeddings.LayerNorm"
    )
    places = torch.arange(length)
    distance = (places[None, :] - places[:, None]).abs()
    bias = torch.tensor(public_slopes(HEADS))[:, None, None] * -distance
    bias = bias[None] + (1.0 - real_BL[:, None, None, :].float()) * -10000.0
    for layer in range(LAYERS):
        block = f"encoder.layer.{layer}."
        qkv = linear(states, f"{block}attention.self.Wqkv")
        query, key, value = (
            part.view(num_rows, length, HEADS, WIDTH // HEADS).transpose(1, 2)
            for part in qkv.chunk(3, dim=-1)
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS) + bias
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(num_rows, length, WIDTH)
        mixed = linear(mixed, f"{block}attention.output.dense")
        states = normed(mixed + states, f"{block}attention.output.LayerNorm")
        both = states @ get(f"{block}mlp.gated_layers.weight").T
        erf = both[..., :INNER] / math.sqrt(2.0)
        gelu = both[..., :INNER] * 0.5 * (1.0 + torch.erf(erf))
        inner = linear(gelu * both[..., INNER:], f"{block}mlp.wo")
        states = normed(inner + states, f"{block}mlp.layernorm")
    return states


@pytest.fixture(scope="session")
def tokenizer_text() -> str:
    """A tokenizer.json as DNABERT-2 has it: specials first, [PAD] not at 0."""
    trained = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="[UNK]"))
    trained.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=80, special_tokens=SPECIALS, show_progress=False
    )
    rng = np.random.default_rng(0)
    texts = ("".join(rng.choice(list("ACGT"), 200, p=[0.4, 0.1, 0.2, 0.3])) for _ in range(50))
    trained.train_from_iterator(texts, trainer)
    return str(trained.to_str())


@pytest.fixture
def folder(tmp_path: Path, tokenizer_text: str) -> Path:
    """A whole folder; its weights have more rows than its tokenizer has ids."""
    place = tmp_path / "DNABERT-2 tiny"
    place.mkdir()
    (place / "config.json").write_text(json.dumps(CONFIG))
    (place / "tokenizer.json").write_text(tokenizer_text)
    torch.save(public_weights(96), place / "pytorch_model.bin")
    return place


def test_hidden_states_are_those_of_the_public_code(folder: Path) -> None:
    texts = ["ACGTTGACCATTTGACA" * 4, "TTGA", "ACCATGN" * 9]
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    initial = from_folder(folder, "dnabert2")
    vocabulary = initial.ensemble.vocabularies[0]
    encoded = FamilyRegistry.discover().tokenizer(vocabulary).encode([t.encode() for t in texts])
    split = SplitTokens(encoded.ids, encoded.cu_tokens.astype(np.int64))
    tokens = TaskTokens(vocabulary.name, vocabulary.fingerprint, split, split, split)
    packed = RowPacker(initial, tokens).pack(split, np.arange(3), torch.device("cpu"))
    with torch.inference_mode():
        ours = initial.encoder(seed=0)(packed.ids_T, packed.packing).split(packed.packing.lengths)
    number = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    rows = [[number["[CLS]"], *theirs.encode(text).ids, number["[SEP]"]] for text in texts]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [number["[PAD]"]] * (longest - len(row)) for row in rows])
    real = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    expected = public_states(public_weights(96), ids, real)
    for n, row in enumerate(rows):
        assert len(ours[n]) == len(row)
        assert torch.allclose(ours[n], expected[n, : len(row)], atol=1e-5)
    assert not initial.prompted


def test_words_become_the_ids_of_the_folder(folder: Path) -> None:
    initial = from_folder(folder)
    number = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    weights = public_weights(96)
    table = weights["bert.embeddings.word_embeddings.weight"]
    folded = table + weights["bert.embeddings.token_type_embeddings.weight"][0]
    assert initial.state is not None
    ours = initial.state["embedding.weight"]
    assert initial.ensemble.vocabularies[0].name == "dnabert-2-tiny"
    assert ours.shape == (81, WIDTH) and initial.name == "DNABERT-2 tiny"
    for row, token in enumerate(initial.ensemble.tokens):
        if not token.startswith("[PROMPT"):
            assert torch.equal(ours[row], folded[number[token]]), token


def test_safetensors_half_precision_and_bare_names_load_alike(folder: Path) -> None:
    first = from_folder(folder)
    bare = {name.removeprefix("bert."): w for name, w in public_weights(96).items()}
    save_file(bare, folder / "model.safetensors")
    again = from_folder(folder)
    assert first.state is not None and again.state is not None
    for name, weight in first.state.items():
        assert torch.equal(weight, again.state[name])
    assert first.fingerprint != again.fingerprint, "the file is another one"
    save_file({name: w.half() for name, w in bare.items()}, folder / "model.safetensors")
    half = from_folder(folder)
    assert half.state is not None
    assert all(w.dtype == torch.float32 for w in half.state.values())


def test_a_header_whose_length_begins_like_a_pickle_is_read(folder: Path) -> None:
    path, lengths = folder / "model.safetensors", set()
    for padding in range(0, 256, 8):
        save_file(public_weights(96), path, {"note": "x" * padding})
        lengths.add(path.read_bytes()[0])
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80, lengths
    assert from_folder(folder).state is not None


def test_the_fingerprint_is_of_the_content(folder: Path) -> None:
    first = from_folder(folder, "a")
    assert first.fingerprint == from_folder(folder, "a").fingerprint
    weights = public_weights(96)
    weights["bert.embeddings.LayerNorm.bias"] += 1
    torch.save(weights, folder / "pytorch_model.bin")
    assert first.fingerprint != from_folder(folder, "a").fingerprint


def test_a_list_of_kmers_with_a_prompt_is_read(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    words = ["".join(letters) for letters in product("ACGT", repeat=3)]
    (folder / "vocab.txt").write_text("\n".join([*SPECIALS, "[KMER]", *words]) + "\n")
    initial = from_folder(folder)
    assert initial.prompted and initial.ensemble.vocabularies[0].stride_bp == 1
    weights = public_weights(96)
    table = weights["bert.embeddings.word_embeddings.weight"]
    folded = table + weights["bert.embeddings.token_type_embeddings.weight"][0]
    assert initial.state is not None
    ours = initial.state["embedding.weight"]
    assert torch.equal(ours[initial.ensemble.prompt(0)], folded[5])
    assert torch.equal(ours[initial.ensemble.tokens.index("TTT")], folded[69])
    assert torch.isfinite(
        initial.encoder(0)(torch.tensor([2, 5, 9, 3]), Packing.of((4,), torch.device("cpu")))
    ).all()


def _config(**changes: object) -> Callable[[Path], None]:
    return lambda place: (place / "config.json").write_text(json.dumps(CONFIG | changes)) and None


def _weights(change: Callable[[Weights], object]) -> Callable[[Path], None]:
    def save(place: Path) -> None:
        weights = public_weights(96)
        change(weights)
        torch.save(weights, place / "pytorch_model.bin")

    return save


def _union(place: Path) -> None:
    (place / "tokenizer.json").unlink()
    (place / "vocab.txt").write_text("\n".join([*SPECIALS, "A", "C", "G", "T", "AA", "ACG"]))


def _unmasked(place: Path) -> None:
    value: dict[str, Any] = json.loads((place / "tokenizer.json").read_text())
    del value["model"]["vocab"]["[MASK]"]
    value["added_tokens"] = []
    (place / "tokenizer.json").write_text(json.dumps(value))


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("evil"),))


TABLE = "bert.embeddings.word_embeddings.weight"
LAST = "bert.encoder.layer.1.mlp.wo.bias"
BROKEN: dict[str, tuple[Callable[[Path], object], type[GfmpError], str]] = {
    "config missing": (lambda p: (p / "config.json").unlink(), MissingInputError, "config.json"),
    "config cut": (lambda p: (p / "config.json").write_text("{"), DataError, "not a JSON"),
    "config field": (_config(hidden_size="24"), DataError, "hidden_size"),
    "config heads": (_config(num_attention_heads=5), DataError, "not a multiple"),
    "config eps": (_config(layer_norm_eps=1e-5), DataError, "layer_norm_eps is 1e-05"),
    "config layers": (_config(num_hidden_layers=1), DataError, "has no place"),
    "no weights": (lambda p: (p / "pytorch_model.bin").unlink(), MissingInputError, "no weights"),
    "weights cut": (
        lambda p: (p / "model.safetensors").write_bytes(b"\0\1"),
        DataError,
        "cannot be read",
    ),
    "weights run code": (
        lambda p: torch.save({"a": _Evil()}, p / "pytorch_model.bin"),
        RefusedError,
        "is not opened",
    ),
    "weights under another name": (
        lambda p: torch.save({"a": _Evil()}, p / "model.safetensors"),
        RefusedError,
        "is not opened",
    ),
    "weights of another program": (
        lambda p: (p / "pytorch_model.bin").rename(p / "mp_rank_00_model_states.pt"),
        RefusedError,
        "mp_rank_00_model_states.pt",
    ),
    "weights no state": (
        lambda p: torch.save([1, 2], p / "pytorch_model.bin"),
        DataError,
        "state of a model",
    ),
    "weight missing": (_weights(lambda w: w.pop(LAST)), DataError, "wo.bias is missing"),
    "weight shape": (
        _weights(lambda w: w.update({LAST: torch.zeros(3)})),
        DataError,
        "has the shape (3,), not (24,)",
    ),
    "no table": (_weights(lambda w: w.pop(TABLE)), DataError, "is no table"),
    "rows too few": (
        _weights(lambda w: w.update({TABLE: torch.zeros(60, WIDTH)})),
        DataError,
        "the weights have 60 rows",
    ),
    "no tokenizer": (lambda p: (p / "tokenizer.json").unlink(), MissingInputError, "no tokenizer"),
    "union of words": (_union, VocabularyError, "not a list of all words of one k"),
    "special missing": (_unmasked, VocabularyError, "[MASK] is missing"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_fit_says_so(
    case: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    change, error, message = BROKEN[case]
    change(folder)
    with pytest.raises(error) as caught:
        from_folder(folder)
    assert message in str(caught.value)
    problem = caught.value.problems[0]
    assert problem.where and problem.why and problem.fix
    assert not (tmp_path / "evil").exists(), "nothing of a folder is executed"


def test_positions_are_allowed_only_where_alibi_is_declared(folder: Path) -> None:
    name = "bert.embeddings.position_embeddings.weight"
    plain = from_folder(folder)
    _weights(lambda w: w.update({name: torch.ones(512, WIDTH)}))(folder)
    with pytest.raises(DataError, match="table of positions"):
        from_folder(folder)
    _config(use_alibi=True)(folder)
    declared = from_folder(folder)
    assert plain.state is not None and declared.state is not None
    assert all(torch.equal(plain.state[n], declared.state[n]) for n in plain.state)
