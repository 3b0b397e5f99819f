from __future__ import annotations

import pytest
import torch
from model_samples import CPU, TINY

from gfmp.model.alibi import BiasCache, slopes
from gfmp.model.encoder import Encoder


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        (1, (2**-8,)),
        (4, (2**-2, 2**-4, 2**-6, 2**-8)),
        (8, tuple(2.0**-i for i in range(1, 9))),
        # The next power of two gives every other slope of 8 heads: 2**-1, 2**-3.
        (6, (2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3)),
    ],
)
def test_slopes_are_those_of_the_paper(heads: int, expected: tuple[float, ...]) -> None:
    assert slopes(heads) == pytest.approx(expected)


@pytest.mark.parametrize("heads", range(1, 20))
def test_every_head_has_a_slope_of_its_own(heads: int) -> None:
    values = slopes(heads)
    assert len(values) == len(set(values)) == heads
    assert all(0 < value < 1 for value in values)


def test_bias_equals_the_naive_double_loop() -> None:
    bias = BiasCache(6).bias_HLL(9, CPU)
    for head, slope in enumerate(slopes(6)):
        for i in range(9):
            for j in range(9):
                assert bias[head, i, j] == pytest.approx(-slope * abs(i - j))


def test_bias_grows_and_a_shorter_one_is_a_corner_of_it() -> None:
    cache = BiasCache(4)
    short = cache.bias_HLL(5, CPU).clone()
    long = cache.bias_HLL(1024, CPU)
    assert long.shape == (4, 1024, 1024)
    assert torch.equal(long[:, :5, :5], short)
    assert cache.bias_HLL(5, CPU).data_ptr() == long.data_ptr()


def test_no_length_enters_the_model_state() -> None:
    encoder = Encoder(TINY, 50)
    before = {name: value.shape for name, value in encoder.state_dict().items()}
    encoder._modules["blocks"][0]._attention.bias.bias_HLL(777, CPU)  # type: ignore[index,union-attr]
    assert {name: value.shape for name, value in encoder.state_dict().items()} == before
    assert not list(encoder.buffers())
