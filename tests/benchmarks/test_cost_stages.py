"""What a stage needs, worked out by hand, and how it grows with batch and ranks."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from cost_stages import (
    CORPUS_GROUPS,
    GPU_CORES,
    GRADIENTS,
    LINK,
    NODE_GPUS,
    NODE_LINK,
    STORAGE,
    TASK_STEPS,
    Place,
    Rates,
    Step,
    compute_seconds,
    computing,
    dealt,
    least_sequences,
    slowest,
    stages,
)

from gfmp.cluster.feed import TASKS_PER_BURST
from gfmp.genome.shards import ROW_GROUP_BP

# A step of two GPUs takes 10 s: 200 / (2 x 10).
STEP = Step(
    sequences=100,
    tokens=4_000.0,
    targets=500.0,
    bases=20_000.0,
    flops=200.0,
    gradient_bytes=9e12,
    commit_bytes=4e11,
    commit_steps=50,
)
PAIR = Place(2, 10.0, True)
RATES = Rates(
    ingest_bp=2.0,
    bits=4.0,
    decode_bp=1e6,
    feed_tokens=25.0,
    core_tokens=1.0,
    gpu_tokens=1.0,
    group_bytes=400.0,
)
GROUPS = (3.0, 5.0)


def test_what_two_gpus_need_is_worked_out_by_hand() -> None:
    found = {name: (one.needs, one.can) for name, one in stages(STEP, PAIR, RATES, GROUPS).items()}
    assert compute_seconds(STEP, PAIR) == 10.0
    # 20,000 bases and 4,000 tokens over 2 ranks and 10 s.
    assert found["ingest, Mbp"] == (1_000.0, GPU_CORES * 2.0)
    assert found["feed, Mtoken"] == (200.0, TASKS_PER_BURST * 25.0)
    # 5 and 3 row groups of 2 Mbp in 10 s; half a byte a base.
    assert ROW_GROUP_BP == 2_000_000
    assert found["node reads, MB"] == (500_000.0, STORAGE)
    assert found["decode, Mbp"] == (600_000.0, TASKS_PER_BURST * 1e6)
    # An id a token, a place and a label a target, 4 bytes each: 4 x 5,000 / 20.
    assert found["to the GPU, MB"][0] == 1_000.0
    assert found["compute, TFLOP"] == (10.0, 10.0)
    # Around a ring of two each sends half of the bytes twice.
    assert found[GRADIENTS] == (9e11, NODE_LINK)
    # 400 GB every 50 steps of 10 s.
    assert found["checkpoint, MB"] == (8e8, STORAGE)
    assert found["manifests, GB"][0] == (TASKS_PER_BURST + 1) * 400.0 * CORPUS_GROUPS


def test_the_largest_share_binds_and_gradients_stop_the_compute() -> None:
    found = stages(STEP, PAIR, RATES, GROUPS)
    # Ingest needs 1,000 of 28, but is done before; gradients are 2 x the compute, feeding too.
    assert slowest(found) == "ingest, Mbp"
    assert found[GRADIENTS].share == found["feed, Mtoken"].share == 2.0
    assert computing(found) == pytest.approx(1 / 3)
    hungry = stages(STEP, PAIR, replace(RATES, feed_tokens=10.0), GROUPS)
    assert computing(hungry) == pytest.approx(1 / 5)


def test_one_core_sends_nothing_and_waits_for_nothing_it_has_in_plenty() -> None:
    core = Place(1, 1e-3, False)
    found = stages(STEP, core, RATES, (0.0, 0.0))
    assert found[GRADIENTS].needs == found["to the GPU, MB"].needs == 0.0
    assert slowest(found) == "compute, TFLOP"
    assert computing(found) == 1.0
    assert (core.name, PAIR.name, replace(PAIR, ranks=1).name) == ("1 core", "2 GPUs", "1 GPU")


def test_a_node_is_left_by_the_slower_link() -> None:
    assert replace(PAIR, ranks=NODE_GPUS).link == NODE_LINK
    assert replace(PAIR, ranks=NODE_GPUS + 1).link == LINK


def test_a_rate_nobody_measured_leaves_its_stage_out() -> None:
    whole = stages(STEP, PAIR, RATES, GROUPS)
    for name, lost in (("ingest_bp", "ingest, Mbp"), ("bits", "node reads, MB")):
        found = stages(STEP, PAIR, replace(RATES, **{name: math.nan}), GROUPS)
        assert list(found) == [one for one in whole if one != lost]
        assert math.isfinite(computing(found))


@given(times=st.integers(2, 64), ranks=st.integers(2, 1024))
@settings(deadline=None, max_examples=30)
def test_a_larger_batch_lifts_gradients_and_commits_and_nothing_else(
    times: int, ranks: int
) -> None:
    place = replace(PAIR, ranks=ranks)
    before = stages(STEP, place, RATES, GROUPS)
    larger = stages(STEP.of(times * STEP.sequences), place, RATES, (times * 3.0, times * 5.0))
    for name, stage in larger.items():
        fewer = times if name in (GRADIENTS, "checkpoint, MB") else 1
        assert stage.share == pytest.approx(before[name].share / fewer)


@given(ranks=st.integers(NODE_GPUS + 1, 1024))
@settings(deadline=None, max_examples=30)
def test_twice_the_gpus_at_one_batch_double_what_gradients_take(ranks: int) -> None:
    share, twice = (
        stages(STEP, replace(PAIR, ranks=count), RATES, GROUPS)[GRADIENTS].share
        for count in (ranks, 2 * ranks)
    )
    ring = (2 * ranks - 1) / (2 * ranks - 2)
    assert twice == pytest.approx(2 * share * ring)


@given(ranks=st.integers(2, 1024), share=st.floats(0.01, 2.0))
@settings(deadline=None, max_examples=50)
def test_the_least_batch_reaches_the_share_and_a_smaller_one_does_not(
    ranks: int, share: float
) -> None:
    place = replace(PAIR, ranks=ranks)
    least = least_sequences(STEP, place, share)

    def _share(sequences: int) -> float:
        return stages(STEP.of(sequences), place, RATES, GROUPS)[GRADIENTS].share

    assert _share(least) <= share * (1 + 1e-9)
    assert _share(least - 1) >= share * (1 - 1e-9)


def test_a_lone_rank_decodes_each_group_of_the_buffers_that_a_task_meets() -> None:
    # As many bases a step that a task, from the middle of a buffer on, ends in the middle of the
    # next: 2 buffers of 16 groups.
    step = replace(STEP, sequences=2_000, bases=16 * ROW_GROUP_BP / TASK_STEPS)
    assert dealt(step, 1, 16) == (2 * 16 / TASK_STEPS,) * 2


def test_of_many_ranks_each_decodes_less_than_its_node_reads() -> None:
    step = replace(STEP, sequences=1_536, bases=16 * ROW_GROUP_BP / TASK_STEPS)
    few, many = dealt(step, 8, 16), dealt(step, 256, 16)
    assert few == (2 * 16 / TASK_STEPS,) * 2
    assert many[0] < many[1] <= few[1]
