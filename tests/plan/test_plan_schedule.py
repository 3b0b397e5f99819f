from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_examples import BPE, KMER

from gfmp.plan.batching import row_law
from gfmp.plan.schedule import commits, final_windows, kept, rate_in_words, short_evaluations
from gfmp.spec.pretrain import Checkpointing, Evaluation, Masking, Optimiser


@settings(max_examples=50, deadline=None)
@given(steps=st.integers(1, 500), every=st.integers(1, 600))
def test_counts_agree_with_walking_the_steps(steps: int, every: int) -> None:
    due = [step for step in range(1, steps + 1) if step % every == 0]
    assert short_evaluations(steps, Evaluation(every_steps=every)) == len(set(due) - {steps})
    assert commits(steps, Checkpointing(every_steps=every)) == len({*due, steps})


def test_no_more_checkpoints_stay_than_were_written() -> None:
    keeping = Checkpointing(every_steps=100, keep_last=2, keep_best=1)
    assert [kept(steps, keeping) for steps in (50, 150, 250, 1000)] == [1, 2, 3, 3]


def test_final_windows_follow_from_the_hidden_bases_of_a_window() -> None:
    masking, asked = Masking(), Evaluation(final_hidden_bases=50_000)
    bpe = final_windows(asked, masking, BPE, row_law(BPE, 0.5, 512))
    kmer = final_windows(asked, masking, KMER, row_law(KMER, 0.5, 512))
    assert bpe == pytest.approx(50_000 / (1742.5 * 0.15), abs=1)
    assert kmer == pytest.approx(50_000 / (395 * 0.15 * 9 / 14), abs=1)


def test_the_rate_in_words() -> None:
    paper = Optimiser(learning_rate=1e-4, warmup_steps=10_000)
    assert rate_in_words(paper, 1_000_000) == (
        "0 -> 0.0001 over 10,000 steps, then linear to 0 at 1,000,000"
    )
    flat = Optimiser(learning_rate=1e-3, schedule="constant")
    assert rate_in_words(flat, 10) == "0.001 from the first step, then constant"
