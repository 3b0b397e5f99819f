from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_examples import BASE, TINY

from gfmp.plan.memory import (
    ENGINES,
    activation_bytes,
    bucket_elements,
    checkpoint_bytes,
    commit_bytes,
    model_states,
)
from gfmp.plan.values import Engine
from gfmp.spec.pretrain import Precision

MILLION = 1_000_000


def test_plain_training_holds_sixteen_bytes_a_parameter() -> None:
    states = model_states(MILLION, "ddp", 8, "fp32")
    assert (states.weights, states.gradients, states.optimiser) == (
        4 * MILLION,
        4 * MILLION,
        8 * MILLION,
    )
    assert states == model_states(MILLION, "zero0", 1, "fp32")


@pytest.mark.parametrize(
    ("engine", "weights", "gradients"), [("zero1", 4, 4), ("zero2", 4, 1), ("zero3", 1, 1)]
)
def test_each_stage_shards_one_thing_more(engine: Engine, weights: int, gradients: int) -> None:
    states = model_states(4 * MILLION, engine, 4, "fp32")
    assert states.weights == weights * 4 * MILLION
    assert states.gradients == gradients * 4 * MILLION
    # Moments and DeepSpeed's own master copy, a quarter of each.
    assert states.optimiser == 12 * MILLION
    assert states.bucket == 4 * bucket_elements(4 * MILLION)


@settings(max_examples=50, deadline=None)
@given(
    parameters=st.integers(1, 10**10),
    workers=st.integers(2, 512),
    precision=st.sampled_from(["fp32", "bf16"]),
)
def test_higher_stages_and_more_workers_never_need_more(
    parameters: int, workers: int, precision: Precision
) -> None:
    def total(engine: Engine, ranks: int) -> int:
        states = model_states(parameters, engine, ranks, precision)
        return states.total - states.bucket

    for lower, higher in itertools.pairwise(ENGINES[2:]):
        assert total(higher, workers) <= total(lower, workers)
    for engine in ENGINES:
        assert total(engine, 2 * workers) <= total(engine, workers)
        shared = total(engine, workers) * workers
        assert shared >= 16 * parameters


def test_bf16_adds_a_copy_of_the_weights_and_keeps_fp32_states() -> None:
    full, half = (model_states(MILLION, "zero1", 2, p) for p in ("fp32", "bf16"))
    assert half.weights - full.weights == 2 * MILLION
    assert (half.gradients, half.optimiser) == (full.gradients, full.optimiser)


def test_the_bucket_is_no_larger_than_the_model() -> None:
    assert bucket_elements(1000) == bucket_elements(999) == 1000
    assert bucket_elements(10**9) == 50 * MILLION


def test_activations_grow_with_tokens_and_shrink_with_bf16() -> None:
    small = activation_bytes(BASE, 1000, 150, 4096, "fp32")
    assert activation_bytes(BASE, 2000, 300, 4096, "fp32") == 2 * small
    assert activation_bytes(BASE, 1000, 150, 4096, "bf16") < small
    assert activation_bytes(TINY, 1000, 150, 4096, "fp32") < small
    assert activation_bytes(TINY, 0, 1, 4096, "fp32") == 2 * 4096 * 4 + 4 * 128 * 4


def test_a_checkpoint_is_twelve_bytes_a_parameter() -> None:
    assert checkpoint_bytes(119_510_370) == 1_434_124_440


def test_a_commit_holds_the_weights_and_a_share_of_the_moments() -> None:
    assert commit_bytes(1_000, 1) == checkpoint_bytes(1_000)
    assert commit_bytes(1_000, 8) == 4_000 + 1_000
    assert commit_bytes(1_000, 3) == 4_000 + 2_667
