"""Integrated gradients add up to what they explain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from motif_samples import CPU, PLANTED, model, planted_starts, planted_task, reading, untrained

from gfmp.inference import attribution_gradients
from gfmp.inference.attribution_gradients import (
    FIRST_STEPS,
    MOST_STEPS,
    Integrated,
    integrated_gradients,
    outputs_of,
)
from gfmp.inference.attribution_target import Explained, row_scores

NAMES = ("kmer4", "bpe", "both")


@pytest.mark.parametrize("name", NAMES)
def test_outputs_from_embedded_words_are_the_models(name: str) -> None:
    made = untrained(name)
    rows = reading(made, *planted_task().test.sequences[:3])
    packed = rows.views.pack(np.arange(3), CPU.device)
    embedded = [made.model.encoder.embedding(one.ids_T) for one in packed]
    with torch.inference_mode():
        found = outputs_of(made.model, embedded, packed, CPU)
        torch.testing.assert_close(found, made.model(packed))


@pytest.mark.parametrize("name", NAMES)
def test_attributions_are_complete(name: str) -> None:
    made = model(name) if name != "both" else untrained(name)
    rows = reading(made, *planted_task().test.sequences[:4])
    what = Explained(made.target, 1)
    scores = row_scores(made.model, rows, what, CPU)
    for row in range(4):
        found = integrated_gradients(made.model, rows, row, what, CPU)
        assert found.complete and FIRST_STEPS <= found.steps <= MOST_STEPS
        assert found.score == pytest.approx(scores[row], abs=1e-4)
        change = found.score - found.baseline
        assert found.per_base.sum() == pytest.approx(change, abs=0.011 * abs(change) + 1e-5)


def test_the_motif_carries_the_score() -> None:
    made, task = model("kmer4"), planted_task()
    rows, starts = reading(made, *task.test.sequences[:20]), planted_starts()
    what = Explained(made.target, 1)
    for row in range(1, 20, 2):
        per_base = integrated_gradients(made.model, rows, row, what, CPU).per_base
        inside = np.zeros(len(per_base), dtype=np.bool_)
        inside[starts[row] : starts[row] + len(PLANTED)] = True
        assert per_base[inside].mean() > 2.5 * abs(per_base[~inside].mean())


def test_the_explained_class_has_the_other_sign() -> None:
    made = model("kmer4")
    rows = reading(made, planted_task().test.sequences[1])
    one, other = (
        integrated_gradients(made.model, rows, 0, Explained(made.target, index), CPU)
        for index in (0, 1)
    )
    np.testing.assert_allclose(one.per_base, -other.per_base, atol=1e-3)


def test_too_few_steps_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution_gradients, "FIRST_STEPS", 1)
    monkeypatch.setattr(attribution_gradients, "MOST_STEPS", 1)
    made = model("kmer4")
    rows = reading(made, planted_task().test.sequences[1])
    found = integrated_gradients(made.model, rows, 0, Explained(made.target, 1), CPU)
    assert found.steps == 1 and not found.complete and found.error > 0.01


def test_the_gap_is_measured_against_the_change() -> None:
    found = Integrated(np.array([0.5, 0.4]), score=2.0, baseline=1.0, steps=16)
    assert found.gap == pytest.approx(-0.1) and found.error == pytest.approx(0.1)
    assert not found.complete and replace(found, score=1.9).complete


def test_weights_of_the_model_get_no_gradient() -> None:
    made = untrained("bpe")
    made.model.zero_grad(set_to_none=True)
    rows = reading(made, planted_task().test.sequences[0])
    integrated_gradients(made.model, rows, 0, Explained(made.target, 1), CPU)
    assert all(parameter.grad is None for parameter in made.model.parameters())
