"""A run, a kept model or a foreign folder is found, and foreign logits survive the way and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from export_oracle import Oracle
from inference_samples import CPU, World, random_dna
from safetensors.torch import load_file, save_file
from torch import Tensor

from gfmp.errors import DataError, MissingInputError, UsageError
from gfmp.inference.export import write_folder
from gfmp.inference.exportable import load_foreign, of_masked
from gfmp.inference.masked import Masked
from gfmp.inference.model_card import Lineage
from gfmp.inference.origins import Asked, find_trained
from gfmp.inference.texts import split_tokens
from gfmp.learners.interop import from_folder
from gfmp.ledger.store import RunStore

LAYERS, WIDTH, HEADS, INNER, ROWS = 2, 24, 6, 20, 90
SPECIALS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
SEQUENCES = [random_dna(90, 1), "TTGA", random_dna(33, 2)]
CONFIG = {
    "num_hidden_layers": LAYERS,
    "hidden_size": WIDTH,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER,
    "layer_norm_eps": 1e-12,
    "vocab_size": ROWS,
}
Weights = dict[str, Tensor]


def public_weights() -> Weights:
    """A whole BertForMaskedLM by the names and shapes of the public code."""
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (ROWS, WIDTH),
        "bert.embeddings.token_type_embeddings.weight": (2, WIDTH),
        "bert.embeddings.LayerNorm.weight": (WIDTH,),
        "bert.embeddings.LayerNorm.bias": (WIDTH,),
        "cls.predictions.transform.dense.weight": (WIDTH, WIDTH),
        "cls.predictions.transform.dense.bias": (WIDTH,),
        "cls.predictions.transform.LayerNorm.weight": (WIDTH,),
        "cls.predictions.transform.LayerNorm.bias": (WIDTH,),
        "cls.predictions.decoder.bias": (ROWS,),
    }
    for layer in range(LAYERS):
        block = f"bert.encoder.layer.{layer}."
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
    weights = {n: 0.2 * torch.randn(shape, generator=generator) for n, shape in shapes.items()}
    # As DNABERT-2 is saved: the decoder's matrix, tied, stands beside the words.
    table = weights["bert.embeddings.word_embeddings.weight"]
    return weights | {"cls.predictions.decoder.weight": table.clone()}


@pytest.fixture(scope="module")
def tokenizer_text() -> str:
    """A tokenizer.json as DNABERT-2 has it: specials first, [PAD] not at 0."""
    trained = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="[UNK]"))
    trained.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=80, special_tokens=SPECIALS, show_progress=False
    )
    trained.train_from_iterator((random_dna(200, seed) for seed in range(50)), trainer)
    return str(trained.to_str())


@pytest.fixture
def foreign(tmp_path: Path, tokenizer_text: str) -> Path:
    place = tmp_path / "dnabert2"
    place.mkdir()
    (place / "config.json").write_text(json.dumps(CONFIG))
    (place / "tokenizer.json").write_text(tokenizer_text)
    torch.save(public_weights(), place / "pytorch_model.bin")
    return place


def our_scores(model: Masked) -> list[Tensor]:
    """Logits of every token over the words of the vocabulary, by our own code."""
    reader = model.reader(model.initial.ensemble.vocabularies[0].name)
    encoded = reader.tokenizer.encode([sequence.encode() for sequence in SEQUENCES])
    packed = reader.packer.pack(split_tokens(encoded), np.arange(len(SEQUENCES)), CPU.device)
    rows = torch.from_numpy(model.softmax.rows[0])
    with torch.inference_mode():
        states = model.model.encoder(packed.ids_T, packed.packing)
        table = model.model.encoder.embedding.weight
        (scores,) = model.model.head(states, table, [rows], [len(states)])
    return list(scores.split(packed.packing.lengths))


def public_scores(folder: Path, weights: Weights) -> list[Tensor]:
    """The same by the description of the public code and the folder's own tokenizer."""
    text = (folder / "tokenizer.json").read_text()
    number, read = json.loads(text)["model"]["vocab"], tokenizers.Tokenizer.from_str(text)
    words = [row for word, row in sorted(number.items(), key=lambda one: one[1]) if "[" not in word]
    oracle, scores = Oracle(folder, weights), []
    for sequence in SEQUENCES:
        ids = [number["[CLS]"], *read.encode(sequence).ids, number["[SEP]"]]
        scores.append(oracle.scores(ids)[:, words].float())
    return scores


def agree(found: list[Tensor], expected: list[Tensor]) -> None:
    """Within 1e-5, absolutely."""
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0.0)


def test_foreign_logits_are_those_of_the_public_code(foreign: Path) -> None:
    agree(our_scores(load_foreign(foreign, CPU)), public_scores(foreign, public_weights()))


def test_foreign_weights_come_back_under_their_names(foreign: Path, tmp_path: Path) -> None:
    model = load_foreign(foreign, CPU, "theirs")
    write_folder(of_masked(model), Lineage("dnabert2", ()), tmp_path / "back")
    back, before = load_file(tmp_path / "back" / "model.safetensors"), public_weights()
    number = json.loads((foreign / "tokenizer.json").read_text())["model"]["vocab"]
    tokens = model.initial.ensemble.tokens
    rows = torch.tensor([number.get(token, number["[PAD]"]) for token in tokens])
    tables = {"bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.bias"}
    for name, weight in back.items():
        expected = before[name][rows] if name in tables else before[name]
        if name == "bert.embeddings.token_type_embeddings.weight":
            weight, expected = weight[0], expected[0]
        torch.testing.assert_close(weight, expected, atol=1e-7, rtol=0.0)
    assert before.keys() - back.keys() == {"cls.predictions.decoder.weight"}, "it is tied"


def test_the_way_and_back_and_in_again_keeps_the_logits(foreign: Path, tmp_path: Path) -> None:
    first = load_foreign(foreign, CPU)
    write_folder(of_masked(first), Lineage("dnabert2", ()), tmp_path / "back")
    again = load_foreign(tmp_path / "back", CPU)
    assert again.initial.ensemble == first.initial.ensemble and not again.initial.prompted
    agree(our_scores(again), our_scores(first))
    oracle = Oracle(tmp_path / "back")
    read = tokenizers.Tokenizer.from_file(str(tmp_path / "back" / "tokenizer.json"))
    rows = torch.from_numpy(first.softmax.rows[0])
    scores = [oracle.scores(read.encode(one).ids)[:, rows].float() for one in SEQUENCES]
    agree(scores, public_scores(foreign, public_weights()))


def test_our_own_folder_is_an_initial_model_with_all_its_vocabularies(
    world: World, tmp_path: Path
) -> None:
    found = find_trained(Asked("tiny"), world.workspace, CPU)
    write_folder(found.model, found.lineage, tmp_path / "out")
    initial = from_folder(tmp_path / "out")
    assert initial.prompted and initial.ensemble == found.model.initial.ensemble
    assert initial.state is not None
    before = found.model.weights["bert.embeddings.word_embeddings.weight"]
    assert torch.equal(initial.state["embedding.weight"], before)
    weights = load_file(tmp_path / "out" / "model.safetensors")
    for name in ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.bias"):
        weights[name] = weights[name][:-1].contiguous()
    save_file(weights, tmp_path / "out" / "model.safetensors")
    with pytest.raises(DataError, match="rows, the weights have"):
        from_folder(tmp_path / "out")


def test_a_checkpoint_without_its_head_is_refused(foreign: Path) -> None:
    encoder = {n: w for n, w in public_weights().items() if not n.startswith("cls.")}
    torch.save(encoder, foreign / "pytorch_model.bin")
    assert from_folder(foreign).state is not None
    with pytest.raises(DataError, match=r"transform\.dense\.weight is missing") as caught:
        load_foreign(foreign, CPU)
    assert len(caught.value.problems) == 5
    wrong = public_weights() | {"cls.predictions.transform.dense.bias": torch.zeros(3)}
    torch.save(wrong, foreign / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"is of shape \(3,\), not \(24,\)"):
        load_foreign(foreign, CPU)


def test_a_name_an_id_and_a_folder_are_found(world: World, foreign: Path) -> None:
    workspace = world.workspace
    tiny = find_trained(Asked("tiny"), workspace, CPU)
    assert tiny.lineage.commands == (f"gfmp reproduce {tiny.lineage.origin}",)
    again = find_trained(Asked(tiny.lineage.origin[:12]), workspace, CPU)
    assert again.lineage.origin == tiny.lineage.origin and again.model.head == "masked"
    (kept,) = (RunStore(workspace).get("marks").path / "models").iterdir()
    for wanted in ("marks", str(kept)):
        found = find_trained(Asked(wanted), workspace, CPU)
        assert found.model.head == "rows" and found.model.target is not None
    theirs = find_trained(Asked(str(foreign)), workspace, CPU)
    assert theirs.name == "dnabert2" and theirs.model.head == "masked"
    assert theirs.lineage.steps[0][1][0][0] == "sha256 of pytorch_model.bin"


def test_what_is_not_meant_says_so(world: World, tmp_path: Path) -> None:
    workspace = world.workspace
    with pytest.raises(MissingInputError, match="no such folder"):
        find_trained(Asked("./nothing"), workspace, CPU)
    with pytest.raises(MissingInputError, match="there is no run 'nothing'"):
        find_trained(Asked("nothing"), workspace, CPU)
    run = RunStore(workspace).get("marks")
    (kept,) = (run.path / "models").iterdir()
    shutil.copytree(kept, kept.with_name("0" * 12))
    with pytest.raises(UsageError, match="kept 2 models, 2 of them begin with ''"):
        find_trained(Asked("marks"), workspace, CPU)
    with pytest.raises(UsageError, match="0 of them begin with 'x'"):
        find_trained(Asked("marks", "x"), workspace, CPU)
    assert find_trained(Asked("marks", kept.name[:5]), workspace, CPU).model.head == "rows"
    shutil.rmtree(run.path / "models")
    with pytest.raises(MissingInputError, match="kept no model"):
        find_trained(Asked("marks"), workspace, CPU)
