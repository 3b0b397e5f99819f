"""An exported folder gives our numbers to programs that know nothing of gfmp."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from export_oracle import Oracle
from inference_samples import CPU, World, finetuned_run, pretrained_run, random_dna
from safetensors.torch import load_file
from torch import Tensor

from gfmp.errors import ExistsError, VocabularyError
from gfmp.inference import export as export_module
from gfmp.inference.export import write_folder
from gfmp.inference.exportable import of_finetuned
from gfmp.inference.masked import Masked, packer
from gfmp.inference.model_card import Lineage
from gfmp.inference.origins import Asked, find_trained
from gfmp.inference.shipped import gfmp_network
from gfmp.inference.texts import split_tokens
from gfmp.learners.finetuned import Finetuned, load
from gfmp.learners.head import HeadShape, TaskModel
from gfmp.learners.initial import from_pretrained
from gfmp.learners.objective import Classes, Labels, Objective, Values
from gfmp.learners.views import SplitViews
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import Finetuning, Join
from gfmp.spec.vocabularies import joined
from gfmp.storage.workspace import Workspace
from gfmp.tasks.task import Target, TargetKind
from gfmp.training.pretrained import find_pretrained
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.stock import Stock

SEQUENCES = [random_dna(120, 1), "ttgaNNNacg", random_dna(64, 2), "ACG", random_dna(7, 3)]
NOTHING = Lineage("nowhere", ())
WITHIN = 1e-5
ALONE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import gfmp_network
model = gfmp_network.load(sys.argv[1])
said = {name: model.logits(sys.argv[2:], name).tolist() for name in model._vocabularies}
assert not [name for name in sys.modules if name.split(".")[0] == "gfmp"]
print(json.dumps(said))
"""


def agree(found: Tensor, expected: Tensor) -> None:
    """Within 1e-5, absolutely: fp32 through layers in another order."""
    torch.testing.assert_close(found.float(), expected.float(), atol=WITHIN, rtol=0.0)


def our_scores(model: Masked, name: str, sequences: list[str]) -> list[Tensor]:
    """Logits of each row's words over its own vocabulary, by our own code."""
    reader = model.reader(name)
    encoded = reader.tokenizer.encode([sequence.encode() for sequence in sequences])
    packed = reader.packer.pack(split_tokens(encoded), np.arange(len(sequences)), CPU.device)
    network, rows = model.model, torch.from_numpy(model.softmax.rows[reader.index])
    with torch.inference_mode():
        states = network.encoder(packed.ids_T, packed.packing)
        table = network.encoder.embedding.weight
        (scores,) = network.head(states, table, [rows], [len(states)])
    return list(scores.split(packed.packing.lengths))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Both runs, on weights of the size that training gives: larger ones magnify rounding."""
    world = World(tmp_path_factory.mktemp("calm"), {})
    pretrained_run(world.workspace, scale=1.0)
    finetuned_run(world.workspace)
    return world


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    found = find_trained(Asked("tiny"), world.workspace, CPU)
    write_folder(found.model, found.lineage, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def ours(world: World) -> Masked:
    return Masked.load(find_pretrained("tiny", world.workspace), CPU)


def rows_of(ours: Masked, name: str) -> Tensor:
    return torch.from_numpy(ours.softmax.rows[ours.reader(name).index])


@pytest.mark.parametrize("name", ["kmer3", "pairs"])
def test_logits_are_ours_in_plain_torch(name: str, folder: Path, ours: Masked) -> None:
    oracle = Oracle(folder)
    stock = tokenizers.Tokenizer.from_file(str(folder / f"vocabularies/{name}/tokenizer.json"))
    for sequence, scores in zip(SEQUENCES, our_scores(ours, name, SEQUENCES), strict=True):
        words = [sequence[i : i + 3] for i in range(len(sequence) - 2)]
        text = " ".join(words) if name == "kmer3" else sequence
        found = oracle.scores(stock.encode(text).ids)[:, rows_of(ours, name)]
        agree(found, scores)


def test_the_folders_own_code_needs_no_gfmp(folder: Path, ours: Masked, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(folder), *SEQUENCES],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    said = json.loads(done.stdout)
    for name in ("kmer3", "pairs"):
        rows = rows_of(ours, name)
        pairs = zip(said[name], our_scores(ours, name, SEQUENCES), strict=True)
        for found, scores in pairs:
            whole = torch.tensor(found)[: len(scores)][:, rows]
            agree(whole, scores)


def test_embeddings_are_means_of_words_in_the_order_given(folder: Path, ours: Masked) -> None:
    many = [random_dna(20 + 3 * i % 41, i) for i in range(70)]
    found = gfmp_network.load(folder).embed(many, "pairs")
    reader = ours.reader("pairs")
    encoded = reader.tokenizer.encode([sequence.encode() for sequence in many])
    packed = reader.packer.pack(split_tokens(encoded), np.arange(len(many)), CPU.device)
    with torch.inference_mode():
        states = ours.model.encoder(packed.ids_T, packed.packing)
    means = torch.stack([row[2:-1].mean(0) for row in states.split(packed.packing.lengths)])
    agree(found, means)
    with pytest.raises(ValueError, match="predicts no labels"):
        gfmp_network.load(folder).predict(many)
    with pytest.raises(ValueError, match="no sequence"):
        gfmp_network.load(folder).embed([])


def made(
    workspace: Workspace, kind: TargetKind, names: tuple[str, ...], join: Join = "concat"
) -> Finetuned:
    """A model of some kind on some vocabularies, its head drawn."""
    initial = from_pretrained(find_pretrained("tiny", workspace))
    target = Target(kind, ("no", "yes") if kind == "binary" else ("a", "b", "c"))
    model = TaskModel(initial.encoder(0), HeadShape(target.num_outputs, len(names), join), CPU)
    model.draw_head(3)
    with torch.no_grad():
        model.head.weight.mul_(8.0)
        if join == "gated":
            model.join.gate.weight.normal_(generator=torch.Generator().manual_seed(1))
    outputs = target.num_outputs
    shift = torch.arange(outputs).float() * 30.0 - 10.0
    objectives: dict[str, Objective] = {
        "multilabel": Labels(torch.ones(outputs)),
        "regression": Values(shift, torch.full((outputs,), 4.0)),
    }
    known = {v.name: v.fingerprint for v in initial.ensemble.vocabularies}
    together = Ingredient.together([Ingredient(name, known[name]) for name in names])
    start = Ingredient(initial.name, initial.fingerprint)
    learner = Finetuning(kind="finetune", join=join)
    cell = Cell(Ingredient("t", "t" * 64), together, start, learner, 100.0, 0, "s" * 64, 10)
    objective = objectives.get(kind, Classes(torch.ones(outputs)))
    return Finetuned(model, objective, initial, joined(names), target, cell)


def our_predictions(model: Finetuned) -> Tensor:
    known = {v.name: v for v in model.initial.ensemble.vocabularies}
    families = FamilyRegistry.discover()
    parts = []
    for name in model.cell.vocabularies:
        encoded = families.tokenizer(known[name]).encode([s.encode() for s in SEQUENCES])
        parts.append((split_tokens(encoded), packer(model.initial, known[name])))
    with torch.inference_mode():
        rows = SplitViews(tuple(parts)).pack(np.arange(len(SEQUENCES)), CPU.device)
        return torch.from_numpy(model.objective.predictions(model.model(rows)))


CASES: list[tuple[TargetKind, tuple[str, ...], Join]] = [
    ("binary", ("kmer3",), "concat"),
    ("multiclass", ("pairs",), "concat"),
    ("multilabel", ("kmer3", "pairs"), "concat"),
    ("binary", ("kmer3", "pairs"), "gated"),
    ("regression", ("pairs",), "concat"),
]


@pytest.mark.parametrize(("kind", "names", "join"), CASES)
def test_predictions_are_ours(
    kind: TargetKind, names: tuple[str, ...], join: Join, world: World, tmp_path: Path
) -> None:
    model = made(world.workspace, kind, names, join)
    write_folder(of_finetuned(model, "x"), NOTHING, tmp_path / "out")
    reader, expected = gfmp_network.load(tmp_path / "out"), our_predictions(model)
    agree(reader.predict(SEQUENCES), expected)
    oracle, logits = Oracle(tmp_path / "out"), reader.logits(SEQUENCES)
    for place, sequence in enumerate(SEQUENCES):
        ids = [reader.tokens([sequence], name)[0][0].tolist() for name in model.cell.vocabularies]
        agree(oracle.outputs(ids), logits[place])
    said = json.loads((tmp_path / "out" / "config.json").read_text())
    assert said["target_kind"] == kind and said["id2label"]["0"] == model.target.names[0]


def test_a_run_and_its_folder_predict_alike(world: World, tmp_path: Path) -> None:
    found = find_trained(Asked("marks"), world.workspace, CPU)
    write_folder(found.model, found.lineage, tmp_path / "out")
    (kept,) = (world.workspace.runs / found.lineage.origin / "models").iterdir()
    model = load(kept, CPU)
    agree(gfmp_network.load(tmp_path / "out").predict(SEQUENCES), our_predictions(model))


def test_weights_have_the_names_and_shapes_of_the_public_code(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    rows, width, inner = shapes["bert.embeddings.word_embeddings.weight"][0], 16, 24
    layer = "bert.encoder.layer.1."
    expected = {
        "bert.embeddings.word_embeddings.weight": (rows, width),
        "bert.embeddings.token_type_embeddings.weight": (2, width),
        "bert.embeddings.LayerNorm.bias": (width,),
        f"{layer}attention.self.Wqkv.weight": (3 * width, width),
        f"{layer}attention.output.dense.bias": (width,),
        f"{layer}attention.output.LayerNorm.weight": (width,),
        f"{layer}mlp.gated_layers.weight": (2 * inner, width),
        f"{layer}mlp.wo.weight": (width, inner),
        f"{layer}mlp.layernorm.bias": (width,),
        "cls.predictions.transform.dense.weight": (width, width),
        "cls.predictions.transform.LayerNorm.bias": (width,),
        "cls.predictions.decoder.bias": (rows,),
    }
    assert expected.items() <= shapes.items()
    assert len(shapes) == 4 + 2 * 11 + 5


@pytest.mark.parametrize("wanted", ["tiny", "marks"])
def test_the_code_of_the_model_card_runs(wanted: str, world: World, tmp_path: Path) -> None:
    found = find_trained(Asked(wanted), world.workspace, CPU)
    write_folder(found.model, found.lineage, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(blocks) == 2
    place = f"FOLDER, SEQUENCE = {str(tmp_path / 'out')!r}, {SEQUENCES[0]!r}\n"
    for block in blocks if _has_transformers() else blocks[:1]:
        done = subprocess.run(
            [sys.executable, "-c", place + block],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
        )
        assert done.returncode == 0, done.stderr
        assert "tensor(" in done.stdout


def _has_transformers() -> bool:
    import importlib.util

    return importlib.util.find_spec("transformers") is not None


def test_the_card_tells_the_way_from_the_run(world: World, tmp_path: Path) -> None:
    found = find_trained(Asked("marks"), world.workspace, CPU)
    write_folder(found.model, found.lineage, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    start = find_pretrained("tiny", world.workspace)
    assert card.index("### Pretraining") < card.index("### Fine-tuning")
    assert start.run_id in card and found.lineage.origin in card
    assert "| task | marks `tttttttttttttttt` |" in card and "`mark0`" in card


def test_what_is_there_stays(folder: Path, world: World) -> None:
    before = (folder / "config.json").stat().st_mtime_ns
    found = find_trained(Asked("tiny"), world.workspace, CPU)
    with pytest.raises(ExistsError, match="something already"):
        write_folder(found.model, found.lineage, folder)
    assert (folder / "config.json").stat().st_mtime_ns == before


def test_a_tokenizer_that_reads_otherwise_is_not_published(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_trained(Asked("tiny"), world.workspace, CPU)
    monkeypatch.setattr(export_module, "stock_of", lambda *_: Stock("WordLevel", ("[ACGTN]",)))
    with pytest.raises(VocabularyError, match="otherwise"):
        write_folder(found.model, found.lineage, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


def test_a_family_that_does_not_say_is_written_as_words(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_trained(Asked("tiny"), world.workspace, CPU)
    monkeypatch.setattr(export_module, "stock_of", lambda *_: Stock("WordLevel", spacing="words"))
    write_folder(found.model, found.lineage, tmp_path / "out")
    assert "Only gfmp cuts sequences" in (tmp_path / "out" / "README.md").read_text()
    stock = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    tokens = found.model.initial.ensemble.tokens
    words = [tokens[row] for row in stock.encode("ACG NNN TTT").ids]
    assert words == ["[CLS]", "[PROMPT:kmer3]", "ACG", "[UNK]", "TTT", "[SEP]"]


def test_transformers_loads_it(folder: Path, world: World, ours: Masked, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    kind = transformers.AutoModelForMaskedLM
    model = kind.from_pretrained(str(folder), trust_remote_code=True).eval()
    for name in ("kmer3", "pairs"):
        place = str(folder / "vocabularies" / name)
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=True)
        batch = tokenizer(SEQUENCES, return_tensors="pt", padding=True)
        with torch.inference_mode():
            found = model(**batch).logits[:, :, rows_of(ours, name)]
        for row, scores in zip(found, our_scores(ours, name, SEQUENCES), strict=True):
            agree(row[: len(scores)], scores)
    marks = find_trained(Asked("marks"), world.workspace, CPU)
    write_folder(marks.model, marks.lineage, tmp_path / "marks")
    kind = transformers.AutoModelForSequenceClassification
    head = kind.from_pretrained(str(tmp_path / "marks"), trust_remote_code=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        str(tmp_path / "marks"), trust_remote_code=True
    )
    batch = tokenizer(SEQUENCES, return_tensors="pt", padding=True)
    with torch.inference_mode():
        logits = head(**batch).logits
    expected = gfmp_network.load(tmp_path / "marks").logits(SEQUENCES)
    agree(logits, expected)
