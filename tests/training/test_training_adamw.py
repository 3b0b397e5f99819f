"""Our call of the fused kernel is torch's AdamW, bit for bit, and needs no compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from gfmp.training.adamw import LeanAdamW, ensure_state, nothing_compiled

SETTINGS = {"lr": 1e-2, "betas": (0.9, 0.98), "eps": 1e-6, "weight_decay": 0.1, "fused": True}


def weights(seed: int) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=draw).requires_grad_() for shape in ((7, 5), (5,), (3,))]


def groups(parameters: list[Tensor]) -> list[dict[str, object]]:
    return [{"params": parameters[:1]}, {"params": parameters[1:], "weight_decay": 0.0}]


@pytest.mark.parametrize("seed", range(3))
def test_its_steps_are_those_of_torch(seed: int) -> None:
    ours, theirs = weights(seed), weights(seed)
    lean = LeanAdamW(groups(ours), **SETTINGS)
    plain = torch.optim.AdamW(groups(theirs), **SETTINGS)
    draw = torch.Generator().manual_seed(100 + seed)
    for step in range(6):
        for a, b in zip(ours, theirs, strict=True):
            if step != 3 or a.ndim > 1:  # what has no gradient is passed over
                a.grad = torch.randn(a.shape, generator=draw)
                b.grad = a.grad.clone()
            else:
                a.grad = b.grad = None
        for optimiser in (lean, plain):
            optimiser.param_groups[1]["lr"] = 1e-2 / (step + 1)
            optimiser.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)
        assert lean.state[a].keys() == plain.state[b].keys()
        assert all(torch.equal(lean.state[a][k], plain.state[b][k]) for k in lean.state[a])


def test_a_state_is_made_once() -> None:
    (weight, *_) = weights(0)
    optimiser = LeanAdamW([weight], **SETTINGS)
    state = ensure_state(optimiser, weight)
    state["exp_avg"].fill_(2.0)
    assert ensure_state(optimiser, weight)["exp_avg"].eq(2.0).all()


def test_functions_stay_as_they_are_written_for_a_while() -> None:
    def double(value: int) -> int:
        return 2 * value

    before = torch.compile
    with nothing_compiled():
        assert torch.compile(double) is double
        assert torch.compile(dynamic=True)(double) is double
    assert torch.compile is before


@pytest.mark.parametrize("stage", ["ddp", "zero1"])
def test_no_rank_loads_the_compiler(stage: str) -> None:
    code = f"""
import sys, torch
from torch import nn
from gfmp.spec.pretrain import Optimiser
from gfmp.training.engine import make_adamw
from gfmp.training.processes import Group
from gfmp.training.zero import load_deepspeed
Group.join(False)
model = nn.Linear(4, 4)
optimiser = make_adamw(model, Optimiser(learning_rate=1e-3, warmup_steps=0))
if {stage!r} == "zero1":
    config = {{"train_micro_batch_size_per_gpu": 1, "zero_allow_untested_optimizer": True,
              "zero_optimization": {{"stage": 1}}, "zero_force_ds_cpu_optimizer": False}}
    engine, *_ = load_deepspeed("cpu").initialize(
        model=model, optimizer=optimiser, config=config, dist_init_required=False)
    engine.backward(engine(torch.ones(2, 4)).sum())
    engine.step()
else:
    model(torch.ones(2, 4)).sum().backward()
    optimiser.step()
print([name for name in ("torch._dynamo", "torch._inductor") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
