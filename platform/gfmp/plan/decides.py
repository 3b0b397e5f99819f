"""Which numbers of a pretraining plan a key of the job decides, for `gfmp explain`.

A test changes each key and sees these rows of the plan change. Rows about one vocabulary or engine
go without its name: `tokens_per_sequence` stands for `tokens_per_sequence.bpe4096`.
"""

from __future__ import annotations

from collections.abc import Mapping

_SPEED = ("flops_per_step", "estimated_time")
_MEMORY = ("activations_per_rank", "memory_per_rank")
_BATCH = ("tokens_per_step", "micro_batch_tokens", "accumulation", "total_tokens", "epochs")

DECIDES: Mapping[str, tuple[str, ...]] = {
    "steps": ("steps", "total_tokens", "epochs", "estimated_time", "learning_rate"),
    "precision": ("model_states_per_rank", *_MEMORY, "estimated_time"),
    "mixture": ("share_of_rows", "share_of_bases", *_BATCH),
    "sampling.global_batch_sequences": ("global_batch_sequences", *_BATCH, *_MEMORY),
    "sampling.max_tokens": ("tokens_per_sequence", "tokens_per_step", *_MEMORY, *_SPEED),
    "masking.fraction": ("masked_token_fraction", "targets_per_sequence", *_SPEED),
    "masking.law": ("masked_token_fraction", "targets_per_sequence", *_SPEED),
    "masking.scope": _SPEED,
    "optimiser.learning_rate": ("learning_rate",),
    "optimiser.schedule": ("learning_rate",),
    "optimiser.warmup_steps": ("warmup_steps", "learning_rate"),
    "optimiser.final_fraction": ("learning_rate",),
    "evaluation.every_steps": ("evaluation_windows",),
    "evaluation.windows": ("evaluation_windows",),
    "evaluation.final_hidden_bases": ("final_evaluation_windows",),
    "evaluation.fraction": ("final_evaluation_windows",),
    "checkpoint.every_steps": ("checkpoints_kept", "checkpoint_size"),
    "checkpoint.keep_last": ("checkpoints_kept",),
    "checkpoint.keep_best": ("checkpoints_kept",),
    "compute.workers": ("model_states_per_rank", *_MEMORY, "accumulation", "tokens_per_step"),
    "compute.zero_stage": ("engine", "model_states_per_rank", "memory_per_rank"),
    "compute.micro_batch_tokens": ("micro_batch_tokens", "accumulation", *_MEMORY),
    "compute.feed": ("feed",),
}


def decided_by(path: str) -> tuple[str, ...]:
    """Return the rows of the plan that the field `path` decides; none for other kinds of jobs.

    Args:
        path: Kind and keys with dots between, such as `pretrain.optimiser.learning_rate`.
    """
    kind, _, key = path.partition(".")
    return DECIDES.get(key, ()) if kind == "pretrain" else ()


def stem(row: str) -> str:
    """Return the name of a row of the plan without the vocabulary or engine it is about."""
    return row.partition(".")[0]
