from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler

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


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_decays_equal_those_of_torch(steps: int, final: float) -> None:
    def by_torch(make: Callable[[torch.optim.Optimizer], LRScheduler]) -> list[float]:
        engine = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
        scheduler, rates = make(engine), []
        for _ in range(steps):
            engine.step()
            scheduler.step()
            rates.append(scheduler.get_last_lr()[0])
        return rates

    makers: dict[str, Callable[[torch.optim.Optimizer], LRScheduler]] = {
        "linear": lambda o: LinearLR(o, 1.0, final, total_iters=steps),
        "cosine": lambda o: CosineAnnealingLR(o, T_max=steps, eta_min=2.0 * final),
        "constant": lambda o: LinearLR(o, 1.0, 1.0, total_iters=steps),
    }
    for schedule, make in makers.items():
        law = optimiser(schedule, 0, final)
        rates = [learning_rate(law, steps, step) for step in range(1, steps + 1)]
        assert rates == pytest.approx(by_torch(make), abs=1e-9), schedule


@settings(deadline=None, max_examples=40)
@given(warmup=st.integers(1, 30), more=st.integers(0, 30), data=st.data())
def test_the_warm_up_knows_neither_the_end_nor_the_decay(
    warmup: int, more: int, data: st.DataObject
) -> None:
    step = data.draw(st.integers(1, warmup))
    rates = {
        learning_rate(optimiser(schedule, warmup, final), warmup + extra, step)
        for schedule in ("linear", "cosine", "constant")
        for final in (0.0, 0.7)
        for extra in (0, more)
    }
    assert rates == {2.0 * step / warmup}
