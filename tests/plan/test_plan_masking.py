from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_examples import BPE, KMER

from gfmp.plan.masking import (
    hidden_base_fraction,
    hidden_bases_per_span,
    start_probability,
    target_fraction,
)
from gfmp.spec.pretrain import Masking

SPANS, CENTRES = Masking(), Masking(law="centres")


def test_law_centres_is_the_released_codes() -> None:
    assert start_probability(CENTRES, BPE) == 0.15
    assert start_probability(CENTRES, KMER) == pytest.approx(0.025)
    assert target_fraction(CENTRES, BPE) == pytest.approx(0.15)
    assert target_fraction(CENTRES, KMER) == pytest.approx(0.298, abs=1e-3)
    # DNABERT's spans of six at the same rate.
    assert target_fraction(CENTRES, replace(KMER, mask_span_tokens=6)) == pytest.approx(
        0.141, abs=1e-3
    )


def test_law_spans_hides_exactly_the_fraction_of_tokens() -> None:
    assert target_fraction(SPANS, KMER) == target_fraction(SPANS, BPE) == 0.15
    assert start_probability(SPANS, KMER) == pytest.approx(0.15 / 14)


@pytest.mark.parametrize(("span", "hidden"), [(1, 0), (5, 0), (6, 1), (14, 9)])
def test_six_overlapping_6mers_hide_one_base_and_fourteen_hide_nine(span: int, hidden: int) -> None:
    assert hidden_bases_per_span(replace(KMER, mask_span_tokens=span)) == hidden


def test_words_that_do_not_overlap_hide_all_their_bases() -> None:
    assert hidden_bases_per_span(replace(BPE, mask_span_tokens=3)) == pytest.approx(3 * 5.2)
    assert hidden_base_fraction(CENTRES, BPE) == pytest.approx(0.15)
    assert hidden_base_fraction(SPANS, KMER) == pytest.approx(0.15 * 9 / 14)


@pytest.mark.parametrize("span", [6, 9, 14])
def test_the_closed_form_of_law_centres_agrees_with_drawing_it(span: int) -> None:
    facts = replace(KMER, mask_span_tokens=span)
    length = 400_000
    starts = np.random.default_rng(0).random(length) < start_probability(CENTRES, facts)
    cover = np.convolve(starts, np.ones(span))[:length] > 0
    whole = np.convolve(~cover, np.ones(6))[5:length] == 0
    assert cover.mean() == pytest.approx(target_fraction(CENTRES, facts), rel=0.03)
    assert whole.mean() == pytest.approx(hidden_base_fraction(CENTRES, facts), rel=0.05)


@settings(max_examples=50, deadline=None)
@given(
    fraction=st.floats(0.01, 0.9),
    span=st.integers(6, 40),
    law=st.sampled_from(["spans", "centres"]),
)
def test_fewer_bases_are_hidden_than_tokens_masked(fraction: float, span: int, law: str) -> None:
    masking = Masking.model_validate({"fraction": fraction, "law": law})
    facts = replace(KMER, mask_span_tokens=span)
    hidden = hidden_base_fraction(masking, facts)
    assert 0.0 < hidden < target_fraction(masking, facts) < 1.0


def test_a_span_shorter_than_the_words_over_a_base_has_no_closed_form() -> None:
    with pytest.raises(AssertionError, match="span"):
        hidden_base_fraction(CENTRES, replace(KMER, mask_span_tokens=5))
