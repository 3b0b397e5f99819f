"""Which engine trains, why, and the DeepSpeed dictionary that follows from the plan."""

from __future__ import annotations

from typing import Literal, cast

from gfmp.plan.memory import bucket_elements, model_states
from gfmp.plan.parameters import count_parameters
from gfmp.plan.values import Engine, Plan
from gfmp.spec.pretrain import Precision

ZeroStage = Literal["auto", "ddp", 0, 1, 2, 3]
# Below this, sharding gradients or weights saves little and stage 3 costs 1.5-2 x the step.
SMALL_MODEL_PARAMETERS = 1_000_000_000


def choose_engine(
    asked: ZeroStage, parameters: int, workers: int, precision: Precision, rank_bytes: int
) -> tuple[Engine, str]:
    """Return the engine and the sentence that explains it.

    `auto`: one worker has nothing to shard and takes plain PyTorch; below 1 B parameters ZeRO-1,
    which sends no more than DDP does; above, the lowest of 2 and 3 whose states fit in
    `rank_bytes` (2 when that is 0, not known).
    """
    if asked == "ddp":
        return "ddp", "the job says ddp: plain PyTorch, every rank holds everything"
    if asked != "auto":
        return cast(Engine, f"zero{asked}"), f"the job says ZeRO stage {asked}"
    if workers == 1:
        return "ddp", "one worker has nothing to shard, so DeepSpeed would only cost start-up"
    if parameters < SMALL_MODEL_PARAMETERS:
        return "zero1", (
            "below 1 B parameters ZeRO-1 shards the optimiser and sends no more than DDP"
        )
    needed = model_states(parameters, "zero2", workers, precision).total
    if not rank_bytes or needed <= rank_bytes:
        return "zero2", f"1 B parameters or more; ZeRO-2 needs {needed / 1e9:.1f} GB a rank"
    return "zero3", "ZeRO-2 does not fit the memory of a rank, so the weights are sharded too"


def deepspeed_config(plan: Plan) -> dict[str, object]:
    """Return the complete dictionary for `deepspeed.initialize`.

    * `train_micro_batch_size_per_gpu` 1: sequences differ in length and ranks in number of
      sequences, so a micro-batch is one packed buffer; DeepSpeed only multiplies these sizes.
    * `gradient_accumulation_steps`: micro-batches per rank, from the plan.
    * `gradient_clipping`: global L2 norm.
    * `zero_optimization`: the stage; buckets no larger than the model, where the default
      reserves 2 GB; reduction in order rather than overlapped, so that a run repeats exactly.
    * `zero_allow_untested_optimizer`: torch's fused AdamW is passed in, so no compiler is needed.
    * `zero_force_ds_cpu_optimizer` off: the same on CPUs.
    * `steps_per_print`, `wall_clock_breakdown`: DeepSpeed stays silent, the ledger speaks.

    No `fp16`, `bf16` or `torch_autocast` block: weights stay fp32 and the model computes in bf16
    inside its own forward pass, so that DDP and every ZeRO stage give the same numbers.

    Raises:
        AssertionError: the plan trains with plain DDP.
    """
    engine, what = plan.where.engine, plan.what
    assert engine != "ddp", "plain DDP has no DeepSpeed configuration"
    bucket = bucket_elements(count_parameters(what.architecture, what.vocabulary_rows))
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": plan.where.accumulation,
        "gradient_clipping": what.optimiser.clip_norm,
        "zero_optimization": {
            "stage": int(engine.removeprefix("zero")),
            "overlap_comm": False,
            "reduce_bucket_size": bucket,
            "allgather_bucket_size": bucket,
        },
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31 - 1,
        "wall_clock_breakdown": False,
    }
