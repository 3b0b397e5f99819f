"""When a run evaluates and commits, and how many windows and checkpoints that makes."""

from __future__ import annotations

import math

from gfmp.plan.batching import SPECIAL_TOKENS, RowLaw
from gfmp.plan.facts import VocabularyFacts
from gfmp.plan.masking import hidden_base_fraction
from gfmp.spec.pretrain import Checkpointing, Evaluation, Masking, Optimiser


def short_evaluations(steps: int, evaluation: Evaluation) -> int:
    """Count the short evaluations; the one at the last step is the full one instead."""
    return (steps - 1) // evaluation.every_steps


def final_windows(
    evaluation: Evaluation, masking: Masking, facts: VocabularyFacts, row: RowLaw
) -> int:
    """Return the fewest held-out windows expected to hide `final_hidden_bases` bases.

    The feed takes more of them: a margin for chance and for unknown bases.
    """
    shown_bp = (row.mean_tokens - SPECIAL_TOKENS) * facts.bp_per_token
    hidden = shown_bp * hidden_base_fraction(masking, facts)
    return math.ceil(evaluation.final_hidden_bases / hidden)


def commits(steps: int, checkpoint: Checkpointing) -> int:
    """Count the checkpoints a run writes; the last step always commits."""
    return math.ceil(steps / checkpoint.every_steps)


def kept(steps: int, checkpoint: Checkpointing) -> int:
    """Return the most checkpoints that stay."""
    return min(commits(steps, checkpoint), checkpoint.keep_last + checkpoint.keep_best)


def rate_in_words(optimiser: Optimiser, steps: int) -> str:
    """Describe the learning rate over the run."""
    peak, warmup = optimiser.learning_rate, optimiser.warmup_steps
    rise = f"0 -> {peak:g} over {warmup:,} steps" if warmup else f"{peak:g} from the first step"
    if optimiser.schedule == "constant":
        return f"{rise}, then constant"
    return f"{rise}, then {optimiser.schedule} to {peak * optimiser.final_fraction:g} at {steps:,}"
