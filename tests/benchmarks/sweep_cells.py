"""Cells of a sweep that share their work, against one process per cell.

Usage: python tests/benchmarks/sweep_cells.py [--rounds N]

On yeast_coding_vs_intergenic (needs `gfmp[demo]`), at the label percents and seeds and with the
learners of specs/label_efficiency_full.yaml, in CPU seconds of this process or of the child, so
that a busy machine does not matter much:

* the probe cells of one trial, against fine-tuning the same cells with a process each;
* the probe cells of one trial, against the same probe cells with a process each;
* full fine-tuning cells of one trial as in specs/label_efficiency.yaml (1 % of the labels, two
  epochs), against the same cells with a process each.

A process per cell imports torch, opens the task, tokenises it and loads the weights, which is what
a Ray Tune trial per cell has to do. Weights are random: the time of a step does not depend on
them. Outputs of a cell are asserted equal in both ways. At one seed every percent is fine-tuned
in a process of its own: a quarter of an hour per round.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median

# As Ray gives a worker of one core; libraries read it when they are loaded, children inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from figure import Figure

SEED = 0
GRID = Path("specs/label_efficiency_full.yaml")
SHORT_PERCENT, SHORT_SEEDS = 1.0, range(6)
TASK = "yeast_coding_vs_intergenic"
PROBE, SHORT = "probe cell", "full cell of 1 % of the labels"
TUNED = "the probe cells fine-tuned, process each"


@dataclass(frozen=True)
class Question:
    """One cell: which learner, how many labels, which seed."""

    kind: str
    percent: float
    seed: int


def trial(folder: Path):  # noqa: ANN201 - imported late, so that start-up is part of the time
    """Open the task, tokenise it and load the weights."""
    from gfmp.learners.encoder_trial import EncoderTrial
    from gfmp.learners.initial import scratch
    from gfmp.learners.tokens import TaskTokens
    from gfmp.spec.model import Architecture
    from gfmp.storage.workspace import Workspace
    from gfmp.tasks.catalogue import find_task
    from gfmp.tasks.store import TaskStore
    from gfmp.vocabulary.registry import FamilyRegistry
    from gfmp.vocabulary.store import VocabularyStore

    workspace = Workspace(folder)
    task = TaskStore(workspace).prepare(find_task(TASK, Path.cwd()))
    vocabulary = VocabularyStore(workspace.vocabularies).get("bpe1024")
    tokens = TaskTokens.encode(task, FamilyRegistry.discover().tokenizer(vocabulary))
    shape = Architecture(layers=4, width=128, heads=4, intermediate=256)
    drawn = scratch(shape, vocabulary)
    # Probes share embeddings where the weights do not depend on the seed of the cell.
    initial = replace(drawn, state=drawn.encoder(SEED).state_dict())
    return task, EncoderTrial(task, (tokens,), initial)


def rows_of(task, question: Question) -> np.ndarray:  # noqa: ANN001 - imported late
    """Return the labelled rows of a cell."""
    from gfmp.tasks.subsets import choose

    return choose(task, question.percent, question.seed).rows


def learner(kind: str):  # noqa: ANN201 - imported late
    """Return the settings of a cell: a preset by its name, or the short fine-tuning."""
    from gfmp.spec.learner import Finetuning
    from gfmp.tasks.presets import load_learner

    if kind == "short":
        return Finetuning(kind="finetune", learning_rate=1e-3, batch_rows=8, epochs=2)
    return load_learner(Path("specs/learners") / f"{kind}.yaml").learner


def answer(task, running, question: Question) -> np.ndarray:  # noqa: ANN001 - imported late
    """Run one cell and return its predictions on the test rows."""
    from gfmp.plan.cells import Cell, Ingredient
    from gfmp.tasks.subsets import choose

    chosen = choose(task, question.percent, question.seed)
    setting = running._setting
    cell = Cell(
        task=Ingredient(task.name, task.fingerprint),
        vocabulary=setting.views.vocabulary,
        initial=Ingredient("drawn", setting.initial.fingerprint),
        learner=learner(question.kind),
        label_percent=question.percent,
        seed=question.seed,
        subset=chosen.fingerprint,
        num_rows=len(chosen.rows),
    )
    return running.run(cell, chosen.rows).test_predictions


def cpu_seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def shared(folder: Path, questions: list[Question]) -> tuple[float, np.ndarray]:
    """Return the CPU seconds per cell of one trial, its start included, and the last answer."""
    before = cpu_seconds(resource.RUSAGE_SELF)
    task, running = trial(folder)
    # As a sweep does: the rows of all its probe cells are known before the first.
    running.prepare(np.concatenate([rows_of(task, question) for question in questions]))
    for question in questions:
        last = answer(task, running, question)
    return (cpu_seconds(resource.RUSAGE_SELF) - before) / len(questions), last


def alone(folder: Path, question: Question) -> tuple[float, np.ndarray]:
    """Return the CPU seconds of a process for one cell, and its answer."""
    before = cpu_seconds(resource.RUSAGE_CHILDREN)
    out = folder / "alone.npy"
    words = (question.kind, str(question.percent), str(question.seed), str(folder), str(out))
    subprocess.run([sys.executable, __file__, "--alone", *words], check=True)
    return cpu_seconds(resource.RUSAGE_CHILDREN) - before, np.load(out)


def prepare(folder: Path) -> None:
    """Prepare the task and learn a vocabulary on it, neither of which is timed."""
    from gfmp.storage.workspace import Workspace
    from gfmp.tasks.catalogue import find_task
    from gfmp.tasks.store import TaskStore
    from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
    from gfmp.vocabulary.store import VocabularyStore

    workspace = Workspace(folder)
    task = TaskStore(workspace).prepare(find_task(TASK, Path.cwd()))
    families = FamilyRegistry.discover()
    recipe = find_recipe("bpe1024", families, families.recipe_folders)
    vocabulary = families.get(recipe.family).build(recipe, list(task.train.sequences))
    VocabularyStore(workspace.vocabularies).register(vocabulary, recipe)


def grid() -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return the label percents and the seeds of the sweep that has both probes and fine-tuning."""
    from gfmp.spec.load import load_spec
    from gfmp.spec.sweep import SweepSpec

    spec, _ = load_spec(GRID, {"sweep": SweepSpec})
    return spec.label_percents, spec.seeds


def measure(folder: Path, rounds: int) -> None:
    percents, seeds = grid()
    probes = [Question("probe", percent, seed) for seed in seeds for percent in percents]
    short = [Question("short", SHORT_PERCENT, seed) for seed in SHORT_SEEDS]
    # The first trial of this process would carry the imports for all later ones.
    shared(folder, probes[:1])
    figures: dict[str, list[float]] = {}
    for _ in range(rounds):
        probe_cost, probe_answer = shared(folder, probes)
        short_cost, short_answer = shared(folder, short)
        probe_alone, same_probe = alone(folder, probes[-1])
        short_alone, same_short = alone(folder, short[-1])
        np.testing.assert_array_equal(short_answer, same_short)
        np.testing.assert_allclose(probe_answer, same_probe, atol=1e-4)
        tuned = []
        for percent in percents:
            tuned.append(alone(folder, Question("finetune_tiny", percent, SEED))[0])
            print(f"fine-tuned at {percent:g} %: {tuned[-1]:.1f} CPU s", flush=True)
        for name, value in {
            PROBE: probe_cost,
            f"{PROBE}, process each": probe_alone,
            TUNED: mean(tuned),
            SHORT: short_cost,
            f"{SHORT}, process each": short_alone,
        }.items():
            figures.setdefault(name, []).append(value)
    costs = {name: median(values) for name, values in figures.items()}
    for name, cost in costs.items():
        print(f"{name:<42} {cost:8.2f} CPU s")
    for work, peer, ours, goal in (
        (PROBE, TUNED, PROBE, "ratio >= 50"),
        (PROBE, f"{PROBE}, process each", PROBE, ""),
        (SHORT, f"{SHORT}, process each", SHORT, "ratio >= 2.5"),
    ):
        rates = 60.0 / costs[peer], 60.0 / costs[ours]
        Figure("9", work, peer, *rates, "cells per CPU minute", rates[1] / rates[0], goal).print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--alone", nargs=5, metavar=("KIND", "PERCENT", "SEED", "FOLDER", "OUT"))
    asked = parser.parse_args()
    if asked.alone:
        kind, percent, seed, folder, out = asked.alone
        task, running = trial(Path(folder))
        np.save(out, answer(task, running, Question(kind, float(percent), int(seed))))
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        measure(Path(folder), asked.rounds)


if __name__ == "__main__":
    main()
