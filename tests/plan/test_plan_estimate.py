from __future__ import annotations

import pytest
from plan_examples import GIB, LAPTOP, NODE

from gfmp.plan.estimate import (
    A100,
    CPU_CORE,
    H200,
    SMALL_GPU,
    Device,
    expected_rate,
    gpu_of,
    in_words,
)


def test_two_cores_reach_55_percent_of_70_gflops_each() -> None:
    rate = expected_rate(LAPTOP, 2, 1, False, "fp32")
    assert rate.flops_per_second == pytest.approx(2 * 70e9 * 0.55)
    assert "2 x CPU core at 0.07 TFLOP/s fp32 x 55%" in rate.reason


def test_more_threads_than_cores_add_nothing() -> None:
    fitting = expected_rate(LAPTOP, 2, 1, False, "fp32")
    assert expected_rate(LAPTOP, 8, 4, False, "fp32") == fitting


def test_gpus_count_by_rank_whatever_the_threads() -> None:
    rate = expected_rate(NODE, 4, 16, True, "bf16")
    assert rate.flops_per_second == pytest.approx(4 * 790e12 * 0.45)
    assert "4 x H200" in rate.reason


@pytest.mark.parametrize(
    ("gigabytes", "device"), [(139, H200), (80, A100), (40, A100), (16, SMALL_GPU), (0, A100)]
)
def test_the_gpu_is_guessed_from_its_memory(gigabytes: int, device: Device) -> None:
    assert gpu_of(gigabytes * GIB) is device


@pytest.mark.parametrize("device", [H200, A100, SMALL_GPU])
def test_bf16_is_faster_on_gpus(device: Device) -> None:
    assert device.reached("bf16") > device.reached("fp32")
    assert device.source


def test_bf16_is_slower_on_cpus() -> None:
    assert CPU_CORE.reached("bf16") < CPU_CORE.reached("fp32")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 seconds"),
        (89.0, "89 seconds"),
        (300.0, "5.0 minutes"),
        (7200.0, "2.0 hours"),
        (200_000.0, "2.3 days"),
        (1e9, "31.7 years"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
