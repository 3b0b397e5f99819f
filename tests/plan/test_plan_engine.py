from __future__ import annotations

import pytest
from plan_examples import GIB, known, spec

from gfmp.plan.engine import ZeroStage, choose_engine, deepspeed_config
from gfmp.plan.resolve import resolve

BILLION = 10**9


@pytest.mark.parametrize(
    ("parameters", "workers", "gigabytes", "engine"),
    [
        (BILLION // 10, 1, 80, "ddp"),
        (BILLION // 10, 8, 80, "zero1"),
        (BILLION - 1, 2, 1, "zero1"),
        (7 * BILLION, 64, 80, "zero2"),
        (7 * BILLION, 64, 0, "zero2"),
        (70 * BILLION, 64, 80, "zero3"),
    ],
)
def test_auto_chooses_by_size(parameters: int, workers: int, gigabytes: int, engine: str) -> None:
    chosen, reason = choose_engine("auto", parameters, workers, "fp32", gigabytes * GIB)
    assert chosen == engine
    assert reason


@pytest.mark.parametrize(("asked", "engine"), [("ddp", "ddp"), (0, "zero0"), (3, "zero3")])
def test_what_the_job_says_is_taken(asked: ZeroStage, engine: str) -> None:
    chosen, reason = choose_engine(asked, 10, 2, "fp32", GIB)
    assert chosen == engine
    assert "the job says" in reason


def test_the_deepspeed_dictionary_follows_from_the_plan() -> None:
    job = spec(
        compute={"workers": 2, "zero_stage": 2, "micro_batch_tokens": 2048},
        optimiser={"learning_rate": 1e-3, "clip_norm": 0.5},
    )
    plan = resolve(job, known())
    config = deepspeed_config(plan)
    assert config["gradient_accumulation_steps"] == plan.where.accumulation == 3
    assert config["train_micro_batch_size_per_gpu"] == 1
    assert config["gradient_clipping"] == 0.5
    assert config["zero_optimization"] == {
        "stage": 2,
        "overlap_comm": False,
        "reduce_bucket_size": 2_007_522,
        "allgather_bucket_size": 2_007_522,
    }
    assert config["zero_allow_untested_optimizer"] is True
    assert config["zero_force_ds_cpu_optimizer"] is False
    assert config["wall_clock_breakdown"] is False


def test_weights_stay_fp32_under_bf16() -> None:
    config = deepspeed_config(resolve(spec(precision="bf16"), known()))
    assert not {"fp16", "bf16", "torch_autocast"} & set(config)


def test_plain_ddp_has_no_deepspeed_dictionary() -> None:
    plan = resolve(spec(compute={"workers": 2, "zero_stage": "ddp"}), known())
    with pytest.raises(AssertionError, match="DDP"):
        deepspeed_config(plan)
