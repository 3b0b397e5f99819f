"""The k-mer baseline on benchmark files in the layout of GUE, against the plain recipe.

The recipe is scikit-learn alone: CountVectorizer over 3- to 6-mers, MaxAbsScaler, logistic
regression at C = 0.02, at most 6,000 training rows, dev as train where there is no train. Both
are fitted in this run; the baseline keeps validation rows apart, so it may learn from fewer rows.

    python tests/benchmarks/benchmark_files.py FOLDER
"""

from __future__ import annotations

import argparse
import csv
import gzip
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from gfmp.learners.kmer import KmerTrial
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import KmerBaseline
from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import find_task
from gfmp.tasks.store import TaskStore
from gfmp.tasks.subsets import choose

MAX_ROWS = 6_000


@dataclass(frozen=True)
class Measured:
    """One model on one task; seconds from sequences in memory to the test score."""

    num_rows: int
    mcc: float
    seconds: float


def read(folder: Path, split: str) -> tuple[list[str], NDArray[np.int64]]:
    """Read a split as the recipe does."""
    path = next(folder.glob(f"{split}.csv*"))
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    rows = list(csv.DictReader(text.splitlines()))
    return [row["sequence"] for row in rows], np.array([int(row["label"]) for row in rows])


def recipe(folder: Path) -> Measured:
    """Fit and score the recipe."""
    sequences, labels = read(folder, "train" if any(folder.glob("train.csv*")) else "dev")
    test_sequences, test_labels = read(folder, "test")
    begin = time.perf_counter()
    keep = np.random.default_rng(0).permutation(len(sequences))[:MAX_ROWS]
    model = make_pipeline(
        CountVectorizer(
            analyzer="char",
            ngram_range=(3, 6),
            lowercase=False,
            dtype=np.float32,
            max_features=6_000,
        ),
        MaxAbsScaler(),
        LogisticRegression(max_iter=100, C=0.02),
    ).fit([sequences[i] for i in keep], labels[keep])
    mcc = float(matthews_corrcoef(test_labels, model.predict(test_sequences)))
    return Measured(len(keep), mcc, time.perf_counter() - begin)


def baseline(folder: Path, workspace: Workspace) -> Measured:
    """Run one cell of the baseline, as a sweep would."""
    task = TaskStore(workspace).prepare(find_task(str(folder), Path.cwd()))
    subset = choose(task, 100, 0, MAX_ROWS)
    learner = KmerBaseline(kind="kmer")
    cell = Cell(
        task=Ingredient(task.name, task.fingerprint),
        vocabulary=Ingredient(),
        initial=Ingredient(),
        learner=learner,
        label_percent=100.0,
        seed=0,
        subset=subset.fingerprint,
        num_rows=len(subset.rows),
    )
    begin = time.perf_counter()
    result = KmerTrial(task).run(cell, subset.rows)
    return Measured(len(subset.rows), result.metrics["test/mcc"], time.perf_counter() - begin)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with tasks in it, at any depth")
    top = parser.parse_args().folder.resolve()
    folders = sorted({path.parent for path in top.rglob("test.csv*")})
    if not folders:
        parser.error(f"no test.csv or test.csv.gz in {top}")
    print(f"{'task':28} {'rows':>6} {'ours':>6} {'recipe':>6} {'diff':>6} {'s':>6} {'recipe s':>8}")
    ours = theirs = 0.0
    with tempfile.TemporaryDirectory() as place:
        for folder in folders:
            mine, plain = baseline(folder, Workspace(Path(place))), recipe(folder)
            ours, theirs = ours + mine.seconds, theirs + plain.seconds
            numbers = f"{mine.mcc:6.3f} {plain.mcc:6.3f} {mine.mcc - plain.mcc:+6.3f}"
            times = f"{mine.seconds:6.2f} {plain.seconds:8.2f}"
            print(f"{folder.relative_to(top)!s:28} {mine.num_rows:6,} {numbers} {times}")
    print(f"time of the recipe over ours (two penalties, validation): ratio {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
