"""Metrics equal scikit-learn and scipy; resampled ones equal the metric of the drawn rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special, stats
from sklearn import metrics as sk

from gfmp.tasks.metrics import METRICS, resampled, score

Floats = NDArray[np.float32]
Case = tuple[Floats, Floats]

CLASSES = ("mcc", "accuracy", "macro_f1", "auroc", "auprc")
VALUES = ("pearson_r", "spearman_r", "r2_determination", "r2_pearson")
SHARES = ("r2_logit", "r2_pearson_logit")


def classes(num_rows: int, num_classes: int, seed: int, levels: int = 0) -> Case:
    """Class indices and probabilities; `levels` rounds them so that there are ties."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, num_classes, num_rows)
    logits = rng.standard_normal((num_rows, num_classes)) + 1.5 * np.eye(num_classes)[targets]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if levels:
        probabilities = np.round(probabilities * levels) / levels
    return targets[:, None].astype(np.float32), probabilities.astype(np.float32)


def values(num_rows: int, num_columns: int, seed: int, offset: float = 0.0) -> Case:
    rng = np.random.default_rng(seed)
    targets = rng.standard_normal((num_rows, num_columns)) + offset
    predictions = targets + 0.7 * rng.standard_normal((num_rows, num_columns))
    return targets.astype(np.float32), np.round(predictions, 1).astype(np.float32)


def one_against_rest(of: Callable[[Floats, Floats], float], case: Case) -> float:
    targets, guess = case[0][:, 0].astype(int), case[1].astype(np.float64)
    if guess.shape[1] == 2:
        return of(targets, guess[:, 1])
    return float(np.mean([of(targets == k, guess[:, k]) for k in range(guess.shape[1])]))


REFERENCE: dict[str, Callable[[Case], float]] = {
    "mcc": lambda c: sk.matthews_corrcoef(c[0][:, 0], c[1].argmax(axis=1)),
    "accuracy": lambda c: sk.accuracy_score(c[0][:, 0], c[1].argmax(axis=1)),
    "macro_f1": lambda c: sk.f1_score(c[0][:, 0], c[1].argmax(axis=1), average="macro"),
    "auroc": lambda c: one_against_rest(sk.roc_auc_score, c),
    "auprc": lambda c: one_against_rest(sk.average_precision_score, c),
    "pearson_r": lambda c: _columns(lambda t, p: stats.pearsonr(t, p).statistic, c),
    "spearman_r": lambda c: _columns(lambda t, p: stats.spearmanr(t, p).statistic, c),
    "r2_determination": lambda c: sk.r2_score(c[0].astype("f8"), c[1].astype("f8")),
    "r2_pearson": lambda c: _columns(lambda t, p: stats.pearsonr(t, p).statistic ** 2, c),
    "r2_logit": lambda c: _columns(lambda t, p: sk.r2_score(_odds(t), _odds(p)), c),
    "r2_pearson_logit": lambda c: _columns(
        lambda t, p: stats.pearsonr(_odds(t), _odds(p)).statistic ** 2, c
    ),
}


def _odds(shares: Floats) -> Floats:
    """Log odds of shares that are clipped to 1e-7 from 0 and from 1."""
    return np.asarray(special.logit(np.clip(shares, 1e-7, 1 - 1e-7)), dtype=np.float64)


def _columns(of: Callable[[Floats, Floats], float], case: Case) -> float:
    targets, guess = case[0].astype(np.float64), case[1].astype(np.float64)
    return float(np.mean([of(targets[:, k], guess[:, k]) for k in range(targets.shape[1])]))


def test_every_metric_has_a_reference() -> None:
    assert set(METRICS) == set(REFERENCE) == {*CLASSES, *VALUES, *SHARES}


@pytest.mark.parametrize("metric", CLASSES)
@pytest.mark.parametrize("num_classes", [2, 3, 9])
@pytest.mark.parametrize("levels", [0, 10])
def test_of_classes_equals_scikit_learn(metric: str, num_classes: int, levels: int) -> None:
    case = classes(400, num_classes, seed=num_classes, levels=levels)
    assert score(metric, *case) == pytest.approx(REFERENCE[metric](case), abs=1e-9)


@pytest.mark.parametrize("metric", VALUES)
@pytest.mark.parametrize(("num_columns", "offset"), [(1, 0.0), (3, 0.0), (2, 1000.0)])
def test_of_values_equals_scipy(metric: str, num_columns: int, offset: float) -> None:
    case = values(300, num_columns, seed=3, offset=offset)
    assert score(metric, *case) == pytest.approx(REFERENCE[metric](case), abs=1e-9)


@pytest.mark.parametrize("metric", SHARES)
def test_of_shares_equals_scipy_where_shares_of_0_and_1_are_clipped(metric: str) -> None:
    rng = np.random.default_rng(8)
    shares = rng.beta(0.5, 0.5, (300, 2))
    guess = shares + 0.2 * rng.standard_normal((300, 2))  # beyond 0 and 1 too
    shares[:20], shares[20:40] = 0.0, 1.0
    case = shares.astype(np.float32), guess.astype(np.float32)
    assert score(metric, *case) == pytest.approx(REFERENCE[metric](case), abs=1e-9)
    assert score(metric, *case) != pytest.approx(REFERENCE["r2_determination"](case), abs=0.01)


def test_labels_are_averaged_over_known_rows() -> None:
    rng = np.random.default_rng(5)
    targets = rng.integers(0, 2, (200, 3)).astype(np.float32)
    guess = np.clip(0.3 * targets + 0.7 * rng.random((200, 3)), 0, 1).astype(np.float32)
    targets[:50, 1] = np.nan
    known = [np.isfinite(targets[:, k]) for k in range(3)]
    pairs = [(targets[rows, k], guess[rows, k]) for k, rows in enumerate(known)]
    expected = {
        "auroc": np.mean([sk.roc_auc_score(t, p) for t, p in pairs]),
        "auprc": np.mean([sk.average_precision_score(t, p) for t, p in pairs]),
        "mcc": np.mean([sk.matthews_corrcoef(t, p >= 0.5) for t, p in pairs]),
        "macro_f1": np.mean([sk.f1_score(t, p >= 0.5) for t, p in pairs]),
        "accuracy": np.mean([sk.accuracy_score(t, p >= 0.5) for t, p in pairs]),
    }
    for metric, value in expected.items():
        assert score(metric, targets, guess) == pytest.approx(value, abs=1e-9), metric


def test_a_label_without_positives_is_left_out_of_the_mean() -> None:
    targets, guess = values(60, 2, seed=1)
    targets = (targets > 0).astype(np.float32)
    alone = score("auroc", targets[:, :1], guess[:, :1])
    targets[:, 1] = 0.0
    assert score("auroc", targets, guess) == pytest.approx(alone)


def draws(num_rows: int, number: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, num_rows, (number, num_rows))
    return rows, np.stack([np.bincount(one, minlength=num_rows) for one in rows])


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_resampled_equals_the_metric_of_the_drawn_rows(metric: str) -> None:
    cases = [values(40, 2, seed=8)]
    if metric in CLASSES:
        cases = [classes(40, number, seed=number, levels=8) for number in (2, 3, 5)]
        labels = (np.random.default_rng(2).random((40, 3)) > 0.8).astype(np.float32)
        cases.append((labels, classes(40, 3, seed=4)[1]))
    for targets, guess in cases:
        rows, counts = draws(40, 25, seed=6)
        naive = [score(metric, targets[one], guess[one]) for one in rows]
        found = resampled(metric, targets, guess, counts)
        np.testing.assert_allclose(found, naive, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("metric", CLASSES)
def test_no_value_for_no_rows_or_broken_predictions(metric: str) -> None:
    targets, guess = classes(20, 3, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(score(metric, targets[:0], guess[:0]))
        guess[3, 0] = np.nan
        assert np.isnan(score(metric, targets, guess))
        assert np.isnan(resampled(metric, targets, guess, np.ones((4, 20)))).all()


@pytest.mark.parametrize("metric", VALUES)
def test_no_value_for_constant_or_single_rows(metric: str) -> None:
    targets, guess = values(20, 1, seed=1)
    constant = np.full_like(targets, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(score(metric, constant, guess))
        assert np.isnan(score(metric, targets[:0], guess[:0]))
        assert np.isnan(score(metric, targets[:1], guess[:1]))
        assert np.isnan(resampled(metric, targets, guess, np.eye(20)[:3] * 20)).all()
        if metric != "r2_determination":
            assert np.isnan(score(metric, targets, constant))


def test_constant_predictions_score_zero_and_single_classes_have_no_correlation() -> None:
    targets, guess = classes(30, 2, seed=2)
    constant = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (30, 1))
    assert score("mcc", targets, constant) == 0.0
    assert score("auroc", targets, constant) == 0.5
    assert np.isnan(score("mcc", np.zeros_like(targets), guess))
    assert np.isnan(score("auroc", np.zeros_like(targets), guess))
    assert np.isnan(score("auprc", np.zeros_like(targets), guess))


def test_r2_of_determination_is_not_the_square_of_a_correlation() -> None:
    targets, _ = values(50, 1, seed=4)
    assert score("r2_pearson", targets, -targets) == pytest.approx(1.0)
    assert score("r2_determination", targets, -targets) < 0.0
    assert score("r2_determination", targets, targets) == 1.0


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 5), st.integers(2, 60), st.integers(0, 10_000))
def test_perfect_predictions_score_one_and_order_of_rows_means_nothing(
    num_classes: int, num_rows: int, seed: int
) -> None:
    targets, guess = classes(num_rows, num_classes, seed)
    perfect = np.eye(num_classes, dtype=np.float32)[targets[:, 0].astype(int)]
    order = np.random.default_rng(seed).permutation(num_rows)
    for metric in CLASSES:
        best = score(metric, targets, perfect)
        assert np.isnan(best) or best == pytest.approx(1.0)
        moved = score(metric, targets[order], guess[order])
        assert moved == pytest.approx(score(metric, targets, guess), abs=1e-12, nan_ok=True)


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 60), st.integers(0, 10_000), st.floats(0.01, 100.0), st.floats(-50, 50))
def test_correlations_do_not_see_scale_and_offset(
    num_rows: int, seed: int, scale: float, offset: float
) -> None:
    targets, guess = (part.astype(np.float64) for part in values(num_rows, 1, seed))
    for metric in ("pearson_r", "r2_pearson"):
        plain = score(metric, targets, guess)  # type: ignore[arg-type]  # doubles: no rounding
        moved = score(metric, targets, guess * scale + offset)  # type: ignore[arg-type]
        assert moved == pytest.approx(plain, abs=1e-6, nan_ok=True)


# -- plain loops as references, and what must not matter ----------------------------------------


def slow_mcc(truth: NDArray[np.int64], said: NDArray[np.int64], num_classes: int) -> float:
    """Gorodkin's R_K as the correlation of one-hot matrices."""
    x, y = np.eye(num_classes)[truth], np.eye(num_classes)[said]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    if not (x**2).sum():
        return float("nan")
    return float((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())) if (y**2).sum() else 0.0


def slow_auroc(truth: Floats, guess: Floats) -> float:
    """Count every pair of a positive and a negative row."""
    pairs = [(p, n) for p in guess[truth > 0.5] for n in guess[truth <= 0.5]]
    return float(np.mean([(p > n) + 0.5 * (p == n) for p, n in pairs])) if pairs else float("nan")


def slow_auprc(truth: Floats, guess: Floats) -> float:
    """Walk the thresholds downwards."""
    positives, reached, area = int((truth > 0.5).sum()), 0.0, 0.0
    for threshold in sorted(set(guess.tolist()), reverse=True):
        right = int(((guess >= threshold) & (truth > 0.5)).sum())
        area += (
            (right / positives - reached) * right / (guess >= threshold).sum() if positives else 0
        )
        reached = right / max(positives, 1)
    return float(area) if positives else float("nan")


def slow_r2(truth: Floats, guess: Floats) -> float:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((truth - guess) ** 2).sum()) / spread if spread else float("nan")


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 4), st.integers(1, 25), st.integers(0, 10_000))
def test_decisions_equal_plain_counting(num_classes: int, num_rows: int, seed: int) -> None:
    targets, guess = classes(num_rows, num_classes, seed)
    truth, said = targets[:, 0].astype(np.int64), guess.argmax(axis=1)
    assert score("accuracy", targets, guess) == pytest.approx(np.mean(truth == said))
    expected = slow_mcc(truth, said, num_classes)
    assert score("mcc", targets, guess) == pytest.approx(expected, abs=1e-9, nan_ok=True)
    f1 = []
    for k in sorted({*truth.tolist(), *said.tolist()}):
        right = np.sum((truth == k) & (said == k))
        f1.append(2 * right / (np.sum(truth == k) + np.sum(said == k)))
    assert score("macro_f1", targets, guess) == pytest.approx(np.mean(f1))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 25), st.integers(0, 10_000), st.sampled_from([0, 2, 5]))
def test_rankings_equal_plain_counting(num_rows: int, seed: int, levels: int) -> None:
    targets, guess = classes(num_rows, 2, seed, levels)
    for metric, slow in (("auroc", slow_auroc), ("auprc", slow_auprc)):
        expected = slow(targets[:, 0], guess[:, 1])
        found = score(metric, targets, guess)
        assert found == pytest.approx(expected, abs=1e-9, nan_ok=True), metric


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 25), st.integers(0, 10_000), st.floats(-100, 100))
def test_determination_equals_its_definition(num_rows: int, seed: int, offset: float) -> None:
    targets, guess = values(num_rows, 1, seed)
    targets, guess = targets + np.float32(offset), guess + np.float32(offset)
    wide = targets.astype(np.float64)[:, 0], guess.astype(np.float64)[:, 0]
    assert score("r2_determination", targets, guess) == pytest.approx(slow_r2(*wide), rel=1e-6)  # type: ignore[arg-type]  # doubles: no rounding


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(METRICS)), st.integers(0, 10_000), st.integers(2, 4))
def test_rows_counted_zero_times_are_not_there_and_equal_copies_change_nothing(
    metric: str, seed: int, times: int
) -> None:
    case = classes(18, 3, seed, levels=4) if metric in CLASSES else values(18, 2, seed)
    kept = np.random.default_rng(seed).random(18) < 0.7
    counts = np.stack([kept.astype(np.int64), times * kept.astype(np.int64)])
    once, often = resampled(metric, *case, counts)
    without = score(metric, case[0][kept], case[1][kept])
    assert once == pytest.approx(without, abs=1e-9, nan_ok=True)
    assert often == pytest.approx(without, abs=1e-9, nan_ok=True)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 30), st.integers(0, 10_000))
def test_rankings_see_the_order_only(num_rows: int, seed: int) -> None:
    targets, guess = classes(num_rows, 2, seed, levels=6)
    bent = guess**3
    for metric in ("auroc", "auprc"):
        plain = score(metric, targets, guess)
        assert score(metric, targets, bent) == pytest.approx(plain, nan_ok=True)
    turned = score("auroc", targets, guess[:, ::-1])
    assert turned == pytest.approx(1.0 - score("auroc", targets, guess), nan_ok=True)
    truth, said = values(num_rows, 1, seed)
    rank = score("spearman_r", truth, said)
    assert score("spearman_r", truth, np.exp(said)) == pytest.approx(rank, nan_ok=True)
    assert score("spearman_r", truth, -said) == pytest.approx(-rank, nan_ok=True)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 5), st.integers(2, 40), st.integers(0, 10_000))
def test_names_of_classes_mean_nothing(num_classes: int, num_rows: int, seed: int) -> None:
    targets, guess = classes(num_rows, num_classes, seed)
    order = np.random.default_rng(seed).permutation(num_classes)
    renamed = np.argsort(order)[targets.astype(int)].astype(np.float32)
    for metric in ("mcc", "accuracy", "macro_f1"):
        plain = score(metric, targets, guess)
        moved = score(metric, renamed, guess[:, order])
        assert moved == pytest.approx(plain, abs=1e-12, nan_ok=True), metric


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(METRICS)), st.integers(1, 30), st.integers(0, 10_000))
def test_scores_stay_in_their_range(metric: str, num_rows: int, seed: int) -> None:
    case = classes(num_rows, 3, seed) if metric in CLASSES else values(num_rows, 2, seed)
    _, counts = draws(num_rows, 8, seed)
    found = resampled(metric, *case, counts)
    assert found.shape == (8,)
    signed = metric in ("mcc", "pearson_r", "spearman_r")
    lowest = -np.inf if metric in ("r2_determination", "r2_logit") else -1.0 if signed else 0.0
    defined = found[np.isfinite(found)]
    assert ((defined >= lowest - 1e-12) & (defined <= 1.0 + 1e-12)).all()


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_several_columns_are_the_mean_of_each_alone(metric: str) -> None:
    targets, guess = values(50, 3, seed=9)
    if metric in CLASSES:
        targets = (targets > 0.3).astype(np.float32)
    alone = [score(metric, targets[:, [k]], guess[:, [k]]) for k in range(3)]
    assert score(metric, targets, guess) == pytest.approx(np.mean(alone))


def test_a_class_that_predictions_have_no_column_for_is_wrong_not_lost() -> None:
    targets = np.array([[0], [1], [2], [2]], dtype=np.float32)
    guess = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], dtype=np.float32)
    assert score("accuracy", targets, guess) == 0.5
    assert score("macro_f1", targets, guess) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_unequal_lengths_are_our_own_mistake() -> None:
    targets, guess = classes(10, 2, seed=1)
    with pytest.raises(AssertionError, match="one prediction for each row"):
        score("mcc", targets, guess[:-1])
    with pytest.raises(KeyError):
        score("f2", targets, guess)


def test_titles_tell_the_two_r2_apart() -> None:
    titles = [metric.title for metric in METRICS.values()]
    assert len(set(titles)) == len(titles)
    assert all(m.definition.endswith(".") and m.definition.isascii() for m in METRICS.values())
