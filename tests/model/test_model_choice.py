from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest
import torch
from model_samples import CPU
from torch import Tensor

from gfmp.model.alibi import BiasCache
from gfmp.model.attention import Padded, PerSequence
from gfmp.model.choice import Kernel, Measure, fastest, kernel_seconds
from gfmp.model.tokens import Packing

HEADS = 2
PACKING = Packing.of((20, 30), CPU)
BIAS = BiasCache(HEADS)
EXACT, AGAIN, SURE = PerSequence(BIAS), PerSequence(BIAS), Padded(BIAS)
QKV = torch.randn(50, 3, HEADS, 8, generator=torch.Generator().manual_seed(0))


def clock(seconds: Mapping[Kernel, float]) -> Measure:
    """Return a measure that knows how long each kernel takes; others take no time."""
    return lambda kernel, _qkv, _packing: seconds.get(kernel, 0.0)


def louder(qkv: Tensor, packing: Packing) -> Tensor:
    """Attend, a hundredth too much."""
    return EXACT(qkv, packing) * 1.01


def flat(qkv: Tensor, packing: Packing) -> Tensor:
    """Attend with a gradient that is zero."""
    return EXACT(qkv, packing).detach() + 0.0 * qkv[:, 0].flatten(1)


def broken(qkv: Tensor, packing: Packing) -> Tensor:
    """Fail as a kernel does that is not made for the device."""
    raise NotImplementedError("no kernel for this device")


def test_the_faster_one_is_taken_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert fastest({"ours": EXACT}, SURE, QKV, PACKING, clock({EXACT: 0.1, SURE: 0.2})) is EXACT
    assert "ours 100.00 ms; taken: PerSequence" in caplog.text


def test_the_sure_one_is_taken_where_none_is_faster() -> None:
    assert fastest({"ours": EXACT}, SURE, QKV, PACKING, clock({EXACT: 0.3, SURE: 0.2})) is SURE
    assert fastest({}, SURE, QKV, PACKING) is SURE


@pytest.mark.parametrize("wrong", [louder, flat])
def test_one_that_disagrees_is_never_taken(wrong: Kernel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert fastest({"wrong": wrong}, SURE, QKV, PACKING, clock({SURE: 0.2})) is SURE
    assert "wrong 0.00 ms, but it disagrees" in caplog.text


def test_one_that_fails_here_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    found = fastest({"broken": broken, "ours": EXACT}, SURE, QKV, PACKING, clock({SURE: 0.2}))
    assert found is EXACT
    assert "broken fails (no kernel for this device)" in caplog.text


@pytest.mark.parametrize(("second", "taken"), [(0.095, EXACT), (0.085, AGAIN)])
def test_a_later_one_must_be_clearly_faster(second: float, taken: Kernel) -> None:
    kernels = {"first": EXACT, "second": AGAIN}
    known = clock({SURE: 0.2, EXACT: 0.1, AGAIN: second})
    assert fastest(kernels, SURE, QKV, PACKING, known) is taken


def test_choosing_leaves_no_trace_in_the_input() -> None:
    qkv = QKV.clone().requires_grad_()
    with torch.no_grad():
        fastest({"ours": EXACT}, SURE, qkv, PACKING)
    assert qkv.grad is None


def test_time_is_taken_of_both_passes() -> None:
    assert kernel_seconds(EXACT, QKV, PACKING) > 0
    with pytest.raises(NotImplementedError):
        kernel_seconds(broken, QKV, PACKING)
