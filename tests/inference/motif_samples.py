"""Rows with planted motifs, and small models that learned to tell them; made once per session."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from gfmp.inference.attribution_rows import ReadRows, RowReader
from gfmp.learners.compute import Compute
from gfmp.learners.finetune import Setting, best_attempt
from gfmp.learners.finetuned import Finetuned
from gfmp.learners.initial import scratch
from gfmp.learners.tokens import TaskTokens
from gfmp.learners.views import TaskViews
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import Finetuning
from gfmp.spec.model import Architecture
from gfmp.tasks.task import Rows, Target, Task
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.vocabulary import Vocabulary

CPU = Compute.of("cpu", 1)
# Ten bases that differ from their reverse complement, so that a strand can be wrong.
PLANTED = b"GATTACAGGC"
ROW_BP = 80
SMALL = Architecture(layers=2, width=32, heads=2, intermediate=64)
LEARNER = {"kind": "finetune", "learning_rate": 2e-3, "batch_rows": 32, "attempts": 1}


def random_rows(num_rows: int, row_bp: int, seed: int) -> NDArray[np.uint8]:
    """Return random letters, shape (rows, bases)."""
    generator = np.random.default_rng(seed)
    return generator.choice(np.frombuffer(b"ACGT", dtype=np.uint8), (num_rows, row_bp))


def texts(letters: NDArray[np.uint8]) -> list[bytes]:
    """Return rows of letters as sequences."""
    return [row.tobytes() for row in letters]


def planted_rows(num_rows: int, seed: int, motif: bytes = PLANTED) -> tuple[Rows, list[int]]:
    """Return rows of which every second has the motif, and where it begins in each row."""
    letters = random_rows(num_rows, ROW_BP, seed)
    starts = np.random.default_rng(seed + 1).integers(0, ROW_BP - len(motif) + 1, num_rows)
    labels = np.arange(num_rows) % 2
    for row in np.flatnonzero(labels):
        letters[row, starts[row] : starts[row] + len(motif)] = list(motif)
    origins = tuple(f"made{seed}:{row}-{row + 1}:+" for row in range(num_rows))
    targets = labels[:, None].astype(np.float32)
    rows = Rows(tuple(texts(letters)), targets, origins, ("",) * num_rows)
    return rows, starts.tolist()


@cache
def planted_task() -> Task:
    """Return two classes that a motif tells apart."""
    target = Target("binary", ("background", "bound"))
    parts = [planted_rows(n, seed)[0] for n, seed in ((1_000, 11), (200, 12), (240, 13))]
    return Task("planted", target, "mcc", (), *parts, fingerprint="f" * 64)


def planted_starts() -> list[int]:
    """Return where the motif begins in each test row."""
    return planted_rows(240, 13)[1]


@cache
def kmers(k: int) -> Vocabulary:
    """Return all overlapping k-mers."""
    settings = {"k": k, "stride_bp": 1, "mask_span_tokens": 2 * k}
    return FamilyRegistry.discover().get("kmer").build(Recipe(f"kmer{k}", "kmer", settings), ())


@cache
def pairs(size: int = 128) -> Vocabulary:
    """Return byte pairs learnt from the training rows."""
    sample = planted_task().train.sequences
    recipe = Recipe("bpe", "bpe", {"size": size}, sample_bp=sum(map(len, sample)))
    return FamilyRegistry.discover().get("bpe").build(recipe, sample)


def vocabularies(name: str) -> tuple[Vocabulary, ...]:
    """Return the vocabularies of a sample model: `kmer4`, `kmer6`, `bpe` or `both`."""
    if name == "both":
        return pairs(), kmers(4)
    return (pairs(),) if name == "bpe" else (kmers(int(name.removeprefix("kmer"))),)


def trained(
    task: Task, words: tuple[Vocabulary, ...], epochs: int, architecture: Architecture = SMALL
) -> Finetuned:
    """Return a model that was fine-tuned from nothing."""
    initial = scratch(architecture, *words)
    registry = FamilyRegistry.discover()
    tokens = [TaskTokens.encode(task, registry.tokenizer(one)) for one in words]
    views = TaskViews.of(initial, tokens)
    learner = Finetuning.model_validate({**LEARNER, "epochs": epochs, "patience": epochs})
    rows = np.arange(len(task.train), dtype=np.int64)
    with CPU.engaged():
        attempt, _ = best_attempt(Setting(task, views, initial, CPU), learner, rows, 0)
    cell = Cell(
        Ingredient(task.name, task.fingerprint),
        views.vocabulary,
        Ingredient(initial.name, initial.fingerprint),
        learner,
        100.0,
        0,
        "s" * 64,
        len(task.train),
    )
    return Finetuned(
        attempt.model, attempt.objective, initial, views.vocabulary.name, task.target, cell
    )


@cache
def model(name: str) -> Finetuned:
    """Return a model that tells rows with the planted motif from rows without."""
    return trained(planted_task(), vocabularies(name), 6)


@cache
def untrained(name: str) -> Finetuned:
    """Return a model of the same shape after one epoch, which is quick."""
    task = planted_task()
    few = np.arange(32, dtype=np.int64)
    little = Task(
        task.name, task.target, task.metric, (), *(p.take(few) for p in (task.train,) * 3), "e" * 64
    )
    return trained(little, vocabularies(name), 1)


def reading(made: Finetuned, *sequences: bytes) -> ReadRows:
    """Return sequences as a model reads them."""
    return RowReader(made).read(sequences)
