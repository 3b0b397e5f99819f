"""Logistic regression over penalties: the optimum of scikit-learn, for far fewer passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from gfmp.learners.logistic import LabelledRows, Logits

pytestmark = pytest.mark.ci

PENALTIES = (0.001, 0.1, 10.0)


def rows(num_rows: int, num_features: int, num_classes: int, seed: int) -> LabelledRows:
    """Return rows whose classes follow from features that are alike, as pooled states are."""
    generator = np.random.default_rng(seed)
    hidden = generator.normal(size=(num_rows, 4))
    mixed = hidden @ generator.normal(size=(4, num_features))
    features = mixed + 0.1 * generator.normal(size=(num_rows, num_features))
    features = (features - features.mean(0)) / np.maximum(features.std(0), 1e-9)
    logits = 2.0 * hidden @ generator.normal(size=(4, num_classes))
    classes = (logits + generator.gumbel(size=logits.shape)).argmax(1)
    classes[:num_classes] = np.arange(num_classes)
    weights = np.where(classes == 1, 3.0, 1.0)
    return LabelledRows(features, classes, weights)


def loss(given_rows: LabelledRows, penalty: float, logits: Logits) -> float:
    """Return C times the weighted cross entropies plus half the squared weights."""
    found = given_rows.features @ logits.weights + logits.bias
    if found.shape[1] == 1:
        found = np.concatenate([np.zeros_like(found), found], axis=1)
    own = log_softmax(found, axis=1)[np.arange(len(found)), given_rows.classes]
    data = -penalty * float((given_rows.weights * own).sum())
    return data + 0.5 * float((logits.weights**2).sum())


def scikit_learn(given_rows: LabelledRows, penalty: float) -> LogisticRegression:
    model = LogisticRegression(C=penalty, tol=1e-10, solver="newton-cholesky")
    return model.fit(given_rows.features, given_rows.classes, given_rows.weights)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(8, 120), st.integers(1, 60), st.sampled_from((2, 3, 5)), st.integers(0, 1_000_000)
)
def test_the_optimum_is_scikit_learn_s(
    num_rows: int, num_features: int, num_classes: int, seed: int
) -> None:
    made = rows(num_rows, num_features, num_classes, seed)
    path = made.path(PENALTIES)
    for penalty in PENALTIES:
        model = scikit_learn(made, penalty)
        reference = Logits(model.coef_.T, model.intercept_, True)
        least = loss(made, penalty, reference)
        assert loss(made, penalty, path[penalty]) <= least * (1 + 1e-5)
        expected = model.predict_proba(made.features)
        assert np.abs(path[penalty].probabilities(made.features) - expected).max() < 0.02
        assert path[penalty].converged


def test_the_order_of_penalties_changes_nothing() -> None:
    made = rows(50, 20, 3, 0)
    forwards, backwards = made.path(PENALTIES), made.path(PENALTIES[::-1])
    for penalty in PENALTIES:
        assert np.array_equal(forwards[penalty].weights, backwards[penalty].weights)


@pytest.mark.parametrize("num_rows", [2, 40])
def test_features_without_spread_leave_the_shares_of_the_classes(num_rows: int) -> None:
    classes = np.arange(num_rows) % 2
    made = LabelledRows(np.zeros((num_rows, 7)), classes, np.where(classes == 1, 3.0, 1.0))
    found = made.path((1.0,))[1.0].probabilities(np.zeros((1, 7)))
    assert np.allclose(found, [[0.25, 0.75]], atol=1e-3)


def test_probabilities_of_far_rows_are_finite() -> None:
    made = rows(30, 5, 2, 3)
    found = made.path((1e4,))[1e4].probabilities(1e6 * made.features)
    assert np.isfinite(found).all()
    assert np.allclose(found.sum(axis=1), 1.0)
