"""A fine-tuned run with a prepared task, beside the models of `inference_samples`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from inference_samples import CPU, World, finished, random_dna

from gfmp.inference.asking import RowSurvey
from gfmp.inference.attribution_rows import RowReader
from gfmp.learners.finetuned import Finetuned, save
from gfmp.learners.head import HeadShape, TaskModel
from gfmp.learners.initial import from_pretrained
from gfmp.learners.objective import Classes, Objective, Values
from gfmp.ledger.run import Run
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import Finetuning
from gfmp.tasks.prepare import Outline, assemble
from gfmp.tasks.store import TaskStore
from gfmp.tasks.task import Rows, Target, Task
from gfmp.training.pretrained import find_pretrained

OVERCONFIDENT = 2.5
NUM_VALID = 600


def sequences(count: int, seed: int, shortest: int = 20, longest: int = 60) -> tuple[bytes, ...]:
    """Draw sequences of like lengths."""
    lengths = np.random.default_rng(seed).integers(shortest, longest, count).tolist()
    return tuple(random_dna(n, 1_000 * seed + i).encode() for i, n in enumerate(lengths))


def _rows(texts: Sequence[bytes], targets: np.ndarray) -> Rows:
    names = tuple(f"row{i}" for i in range(len(texts)))
    return Rows(tuple(texts), targets.astype(np.float32), names, ("",) * len(texts))


def finetuned_calls(world: World, kind: str = "binary") -> Run:
    """Write a run named `calls` whose model is too sure by a known temperature.

    Its logits are right once they are divided by `OVERCONFIDENT`; values miss by one unit of
    Gaussian noise.
    """
    run = finished(world.workspace, "calls" if kind == "binary" else "levels", "finetune")
    initial = from_pretrained(find_pretrained("tiny", world.workspace))
    vocabulary = initial.ensemble.vocabularies[0]
    names = ("low", "high") if kind == "binary" else ("level",)
    model = TaskModel(initial.encoder(0), HeadShape(len(names)), CPU)
    model.draw_head(3)
    with torch.no_grad():
        model.head.weight.mul_(60.0)
    objective: Objective = Classes(torch.ones(2))
    if kind == "regression":
        objective = Values(torch.tensor([5.0]), torch.tensor([2.0]))
    target = Target("binary" if kind == "binary" else "regression", names)
    cell = Cell(
        task=Ingredient(run.header.name, "t" * 64),
        vocabulary=Ingredient(vocabulary.name, vocabulary.fingerprint),
        initial=Ingredient(initial.name, initial.fingerprint),
        learner=Finetuning(kind="finetune"),
        label_percent=100.0,
        seed=0,
        subset="s" * 64,
        num_rows=10,
    )
    made = Finetuned(model, objective, initial, vocabulary.name, target, cell)
    task = TaskStore(world.workspace).keep(_task(run.header.name, made))
    cell = replace(cell, task=Ingredient(task.name, task.fingerprint))
    save(run.path / "models" / cell.fingerprint[:16], replace(made, cell=cell))
    return run


def _task(name: str, made: Finetuned) -> Task:
    """Return a task whose validation rows are labelled by the model itself, less sure or noisy."""
    texts = sequences(NUM_VALID, 4)
    rows = RowReader(made).read(texts)
    generator = np.random.default_rng(11)
    with torch.inference_mode():
        outputs = made.model(rows.views.pack(np.arange(len(texts)), CPU.device))
    if made.target.classifies:
        chances = (outputs / OVERCONFIDENT).softmax(1)[:, 1].numpy()
        targets = (generator.random(len(texts)) < chances)[:, None]
    else:
        targets = made.objective.predictions(outputs) + generator.normal(size=(len(texts), 1))
    few = _rows(texts[:4], np.asarray(targets[:4]))
    splits = {"train": few, "valid": _rows(texts, np.asarray(targets)), "test": few}
    metric = "mcc" if made.target.classifies else "pearson_r"
    return assemble(Outline(name, made.target, metric, ()), splits, {})


def write_fasta(path: Path, texts: Sequence[bytes], width: int = 25) -> Path:
    """Write sequences under the names r0, r1 and so on, in lines of some letters."""
    path.write_text("".join(_record(i, text.decode(), width) for i, text in enumerate(texts)))
    return path


def _record(number: int, text: str, width: int) -> str:
    lines = (text[i : i + width] for i in range(0, len(text), width))
    return f">r{number} of a test\n" + "\n".join(lines) + "\n"


@dataclass
class Counting:
    """A watcher that counts, and raises after so many rows."""

    stop_after: int = 10**9
    survey: RowSurvey | None = None
    now: int = 0
    before: int = 0
    joined: bool = False
    seen: list[int] = field(default_factory=list)

    def surveyed(self, survey: RowSurvey) -> None:
        """Remember."""
        self.survey = survey

    def answered(self, count: int, *, before: bool) -> None:
        """Count, and stop as a signal would."""
        self.seen.append(count)
        if before:
            self.before += count
            return
        self.now += count
        if self.now >= self.stop_after:
            raise KeyboardInterrupt

    def joining(self) -> None:
        """Remember."""
        self.joined = True


def pieces(text: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Cut a text into blocks of these sizes, the last repeated."""
    start = place = 0
    while start < len(text):
        size = sizes[min(place, len(sizes) - 1)]
        yield text[start : start + size]
        start, place = start + size, place + 1
