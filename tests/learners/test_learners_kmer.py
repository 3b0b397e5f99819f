"""The k-mer baseline: its counts are scikit-learn's, its features the subset's, its test unseen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MaxAbsScaler

from gfmp.errors import SpecError
from gfmp.learners.kmer import LONGEST_K, KmerTrial, Scaling
from gfmp.learners.kmer_counts import Lengths, count
from gfmp.ledger.cells import CellResult
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import KmerBaseline, LearnerSpec
from gfmp.spec.load import load_spec
from gfmp.tasks.task import Rows, Target, TargetKind, Task

DNA = st.binary(min_size=0, max_size=40).map(lambda b: bytes(b"ACGTN"[x % 5] for x in b))
LEARNER = KmerBaseline(kind="kmer", shortest=1, longest=3, penalties=(0.1, 1.0))
NAMES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c")}
METRIC = {"binary": "mcc", "multiclass": "mcc", "multilabel": "auroc", "regression": "pearson_r"}


def _rows(kind: TargetKind, num_rows: int, seed: int) -> Rows:
    """Random DNA whose share of G and C is the value, the label or the class."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0, 1, num_rows)
    sequences = []
    for gc in share:
        letters = rng.choice(list(b"CGAT"), 60, p=[gc / 2, gc / 2, (1 - gc) / 2, (1 - gc) / 2])
        sequences.append(letters.astype(np.uint8).tobytes())
    num_classes = len(NAMES.get(kind, ()))
    if num_classes:
        targets = np.minimum(share * num_classes, num_classes - 1).astype(np.int64)[:, None]
    elif kind == "multilabel":
        targets = np.stack([share > 0.5, share < 0.3], axis=1)
    else:
        targets = np.stack([3.0 * share + 7.0, -share], axis=1)
    empty = ("",) * num_rows
    return Rows(tuple(sequences), targets.astype(np.float32), empty, empty)


def _task(kind: TargetKind) -> Task:
    target = Target(kind, NAMES.get(kind, ("x", "y")))
    splits = (_rows(kind, 120, 1), _rows(kind, 60, 2), _rows(kind, 80, 3))
    return Task("gc", target, METRIC[kind], (), *splits, fingerprint="f" * 64)


def _cell(learner: KmerBaseline = LEARNER) -> Cell:
    nothing = Ingredient()
    return Cell(Ingredient("gc", "f" * 64), nothing, nothing, learner, 100.0, 0, "s" * 64, 120)


def _run(task: Task, rows: NDArray[np.int64]) -> CellResult:
    return KmerTrial(task).run(_cell(), rows)


@given(st.lists(DNA, max_size=6), st.integers(1, 3), st.integers(0, 2))
@settings(deadline=None, max_examples=60)
def test_counts_are_those_of_every_window_without_an_n(
    sequences: list[bytes], shortest: int, more: int
) -> None:
    lengths = Lengths(shortest, shortest + more)
    counts = count(sequences, lengths)
    assert counts.shape == (len(sequences), lengths.num_kmers) and counts.dtype == np.float32
    for row, sequence in enumerate(sequences):
        text = sequence.decode()
        for column, kmer in enumerate(lengths.kmers()):
            starts = range(len(text) - len(kmer) + 1)
            assert counts[row, column] == sum(text.startswith(kmer, i) for i in starts)


def test_counts_equal_those_of_scikit_learn_over_many_blocks() -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), n)) for n in rng.integers(20, 90, 500)]
    lengths = Lengths(3, 6)
    theirs = CountVectorizer(analyzer="char", ngram_range=(3, 6), lowercase=False)
    expected = theirs.fit_transform(texts)
    ours = count([text.encode() for text in texts], lengths)
    column = {kmer: i for i, kmer in enumerate(lengths.kmers())}
    chosen = [column[kmer] for kmer in theirs.get_feature_names_out()]
    assert (ours[:, chosen] != expected).nnz == 0 and ours.sum() == expected.sum()


def test_features_are_the_most_frequent_kmers_scaled_to_one() -> None:
    counts = count([b"AAAACC", b"AACG"], Lengths(1, 1))
    scaling = Scaling.of(counts, 2)
    assert scaling.columns.tolist() == [0, 1]
    assert scaling.apply(counts).toarray().tolist() == [[1.0, 1.0], [0.5, 0.5]]
    everything = Scaling.of(counts, 4)
    assert everything.columns.tolist() == [0, 1, 2], "T stands nowhere"


def test_a_binary_cell_equals_the_recipe_at_its_penalty() -> None:
    task = _task("binary")
    learner = LEARNER.model_copy(update={"penalties": (0.05,)})
    result = KmerTrial(task).run(_cell(learner), np.arange(120))
    texts, test = ([s.decode() for s in r.sequences] for r in (task.train, task.test))
    vectors = CountVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False)
    scaler, model = MaxAbsScaler(), LogisticRegression(C=0.05)
    model.fit(scaler.fit_transform(vectors.fit_transform(texts)), task.train.targets[:, 0])
    expected = model.predict_proba(scaler.transform(vectors.transform(test)))
    assert np.allclose(result.test_predictions, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_every_kind_of_target_is_learnt(kind: TargetKind) -> None:
    task = _task(kind)
    result = _run(task, np.arange(120))
    metric = task.metric
    assert result.metrics[f"test/{metric}"] > 0.6 and f"valid/{metric}" in result.metrics
    assert result.test_predictions.shape == (80, task.target.num_outputs)
    assert result.test_predictions.dtype == np.float32
    if task.target.classifies:
        assert np.allclose(result.test_predictions.sum(axis=1), 1.0, atol=1e-5)
    if kind == "regression":
        assert 6.5 < result.test_predictions[:, 0].mean() < 10.5, "in the units of the targets"


def test_the_penalty_is_the_one_that_validation_prefers() -> None:
    result = _run(_task("binary"), np.arange(120))
    best = max(result.history, key=lambda point: (point["valid/mcc"], -point["penalty"]))
    assert result.facts["penalty"] == best["penalty"]
    assert result.metrics["valid/mcc"] == best["valid/mcc"]
    assert [point["penalty"] for point in result.history] == [0.1, 1.0]


def test_the_result_depends_on_the_labelled_rows_and_not_on_the_labels_of_test() -> None:
    task = _task("binary")
    few, again = (_run(task, np.arange(40)) for _ in range(2))
    assert few.metrics == again.metrics and few.history == again.history
    assert np.array_equal(few.test_predictions, again.test_predictions)
    assert not np.allclose(few.test_predictions, _run(task, np.arange(120)).test_predictions)
    blind = replace(task, test=replace(task.test, targets=1 - task.test.targets))
    assert np.array_equal(few.test_predictions, _run(blind, np.arange(40)).test_predictions)


def test_counts_are_made_once_for_all_cells_of_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counting(sequences: tuple[bytes, ...], lengths: Lengths) -> object:
        calls.append(len(sequences))
        return count(sequences, lengths)

    monkeypatch.setattr("gfmp.learners.kmer.count", counting)
    trial = KmerTrial(_task("binary"))
    for rows in (40, 80, 120):
        trial.run(_cell(), np.arange(rows))
    assert calls == [120, 60, 80]


def test_unknown_labels_are_left_out_and_lone_labels_are_constant() -> None:
    task = _task("multilabel")
    targets = task.train.targets.copy()
    targets[:30, 0], targets[:, 1] = np.nan, 1.0
    partly = replace(task, train=replace(task.train, targets=targets))
    result = _run(partly, np.arange(120))
    without = _run(partly, np.arange(30, 120))
    assert set(result.test_predictions[:, 1]) == {1.0}
    assert np.isfinite(result.test_predictions).all()
    correlation = np.corrcoef(result.test_predictions[:, 0], without.test_predictions[:, 0])
    assert correlation[0, 1] > 0.99


def test_a_weight_of_positives_raises_their_probability() -> None:
    task = _task("binary")
    heavy = replace(task, target=replace(task.target, positive_weight=5.0))
    light, heavier = _run(task, np.arange(120)), _run(heavy, np.arange(120))
    assert heavier.test_predictions[:, 1].mean() > light.test_predictions[:, 1].mean() + 0.05


def test_a_metric_without_a_value_is_noted() -> None:
    task = _task("binary")
    alone = replace(task, test=replace(task.test, targets=np.zeros_like(task.test.targets)))
    result = _run(alone, np.arange(120))
    assert "test/mcc" not in result.metrics and result.facts["test/undefined"] == "mcc"


def test_kmers_that_are_too_long_are_refused() -> None:
    learner = LEARNER.model_copy(update={"longest": LONGEST_K + 1})
    with pytest.raises(SpecError, match=f"longest is {LONGEST_K + 1}"):
        KmerTrial(_task("binary")).run(_cell(learner), np.arange(120))


def test_the_preset_in_specs_is_the_default() -> None:
    path = Path(__file__).parents[2] / "specs" / "learners" / "kmer.yaml"
    spec, _ = load_spec(path, {"learner": LearnerSpec})
    assert spec.learner == KmerBaseline(kind="kmer")
