from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.spec.pretrain import Optimiser
from gfmp.training.schedule import learning_rate


def optimiser(schedule: str, warmup: int, final: float = 0.0) -> Optimiser:
    return Optimiser.model_validate(
        {
            "learning_rate": 2.0,
            "schedule": schedule,
            "warmup_steps": warmup,
            "final_fraction": final,
        }
    )


def test_linear_by_hand() -> None:
    rates = [learning_rate(optimiser("linear", 2, 0.5), 6, step) for step in range(1, 7)]
    assert rates == pytest.approx([1.0, 2.0, 1.75, 1.5, 1.25, 1.0])


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@settings(deadline=None, max_examples=40)
@given(steps=st.integers(1, 60), data=st.data())
def test_borders_and_shape(schedule: str, steps: int, data: st.DataObject) -> None:
    warmup = data.draw(st.integers(0, steps))
    final = data.draw(st.floats(0.0, 1.0))
    law = optimiser(schedule, warmup, final)
    rates = [learning_rate(law, steps, step) for step in range(1, steps + 1)]
    assert all(0.0 <= rate <= 2.0 + 1e-12 for rate in rates)
    rise, fall = rates[:warmup], rates[warmup:]
    assert rise == sorted(rise)
    if warmup:
        assert rise[-1] == pytest.approx(2.0)
        assert rise[0] == pytest.approx(2.0 / warmup)
    if fall:
        assert fall == sorted(fall, reverse=True)
        assert fall[-1] == pytest.approx(2.0 if schedule == "constant" else 2.0 * final)


def test_cosine_is_half_way_down_in_the_middle() -> None:
    assert learning_rate(optimiser("cosine", 0), 10, 5) == pytest.approx(1.0)


@pytest.mark.parametrize("step", [0, 7])
def test_steps_outside_the_run_are_a_bug(step: int) -> None:
    with pytest.raises(AssertionError, match=r"not in 1\.\.6"):
        learning_rate(optimiser("linear", 0), 6, step)
