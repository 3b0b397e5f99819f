"""The head: it learns what there is, and predicts nothing that it saw."""

from __future__ import annotations

import numpy as np
import pytest

from gfmp.inference.difference_head import HeadRows, predicted
from gfmp.spec.variant_effect import DifferenceHead

RNG = np.random.default_rng(3)
NUM, WIDTH = 120, 6


def rows(noise: float = 0.1, unmeasured: int = 0) -> HeadRows:
    features = RNG.normal(size=(NUM, WIDTH)).astype(np.float32)
    effects = features @ np.arange(WIDTH) + noise * RNG.normal(size=NUM)
    effects[:unmeasured] = np.nan
    groups = ["a"] * (NUM // 2) + ["b"] * (NUM // 2)
    positions = np.repeat(np.arange(NUM // 3), 3)
    return HeadRows(features, effects, groups, positions)


def head(**changes: object) -> DifferenceHead:
    return DifferenceHead(scorer="x", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("split", ["position", "group"])
def test_a_linear_effect_is_found(split: str) -> None:
    data = rows()
    found = predicted(data, head(split=split))
    assert np.corrcoef(found, data.effects)[0, 1] > 0.98


def test_no_variant_teaches_its_own_prediction() -> None:
    data = rows()
    before = predicted(data, head(folds=4, penalties=(1.0,)))
    same = np.flatnonzero(data.positions == 7)
    effects = data.effects.copy()
    effects[same] += 100.0
    after = predicted(
        HeadRows(data.features, effects, data.groups, data.positions),
        head(folds=4, penalties=(1.0,)),
    )
    np.testing.assert_array_equal(before[same], after[same])
    assert (np.delete(before, same)[:50] != np.delete(after, same)[:50]).any()


def test_leaving_groups_out_uses_all_others_only() -> None:
    data = rows()
    effects = data.effects.copy()
    effects[: NUM // 2] = RNG.permutation(effects[: NUM // 2])
    changed = HeadRows(data.features, effects, data.groups, data.positions)
    settings = head(split="group", penalties=(1.0,))
    np.testing.assert_array_equal(
        predicted(data, settings)[: NUM // 2], predicted(changed, settings)[: NUM // 2]
    )


def test_what_was_not_measured_is_predicted_by_all_of_its_group() -> None:
    data = rows(unmeasured=5)
    assert np.isfinite(predicted(data, head())).all()


def test_too_few_or_constant_effects_teach_nothing() -> None:
    few = HeadRows(np.ones((8, 2), np.float32), np.arange(8.0), ["a"] * 8, np.arange(8))
    assert np.isnan(predicted(few, head())).all()
    flat = rows()
    constant = HeadRows(flat.features, np.ones(NUM), flat.groups, flat.positions)
    assert np.isnan(predicted(constant, head())).all()
