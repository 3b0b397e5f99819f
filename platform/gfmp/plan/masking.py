"""How much the masking law hides: targets per token, bases that no visible token shows."""

from __future__ import annotations

import numpy as np

from gfmp.plan.facts import VocabularyFacts
from gfmp.spec.pretrain import Masking

# Tokens of the simulated sequence; two runs of 100,000 differ by less than 0.3 %.
_ORACLE_TOKENS = 100_000
_ORACLE_SEED = 0


def start_probability(masking: Masking, facts: VocabularyFacts) -> float:
    """Return the probability that a token starts a span.

    Law `centres`: the fraction divided by the words that show one base, 0.15 / 6 for 6-mers and
    0.15 for BPE (examples/srun_pretrain.py of the released Genomics-FM). Law `spans`: whole
    spans without overlap, so the fraction divided by the span.
    """
    if masking.law == "centres":
        return masking.fraction / facts.words_per_base
    return masking.fraction / facts.mask_span_tokens


def target_fraction(masking: Masking, facts: VocabularyFacts) -> float:
    """Return the expected share of tokens (specials apart) that are targets.

    Law `centres` merges spans: a token stays visible only if none of the `mask_span_tokens`
    places that reach it starts one. 14 places at 0.15 / 6 hide 29.8 %.
    """
    if masking.law == "spans":
        return masking.fraction
    visible: float = (1.0 - start_probability(masking, facts)) ** facts.mask_span_tokens
    return 1.0 - visible


def hidden_bases_per_span(facts: VocabularyFacts) -> float:
    """Return the bases no visible token shows when one span is masked.

    The neighbours of a span still show its outer bases: six overlapping 6-mers hide one base,
    fourteen hide nine. Words that do not overlap hide all their bases.
    """
    if not facts.overlapping:
        return facts.mask_span_tokens * facts.bp_per_token
    shared_bp = facts.word_bp - facts.bp_per_token
    return max(0.0, facts.mask_span_tokens * facts.bp_per_token - shared_bp)


def hidden_base_fraction(masking: Masking, facts: VocabularyFacts) -> float:
    """Return the expected share of bases that no visible token shows.

    A run of masked tokens hides one base per token, less those its neighbours still show; so the
    share follows from how many tokens are masked and how many runs they form. With law `centres`
    a run begins where a span starts and no earlier one reaches the token before.
    """
    if not facts.overlapping:
        return target_fraction(masking, facts)
    assert hidden_bases_per_span(facts) > 0, f"a span of {facts.name} hides a base"
    masked = target_fraction(masking, facts)
    runs = start_probability(masking, facts)
    if masking.law == "centres":
        runs *= 1.0 - masked
    return masked - runs * (facts.words_per_base - 1.0)


def readable_fraction(masking: Masking, facts: VocabularyFacts) -> float:
    """Return the share of targets that can be copied from visible tokens, without any model.

    Spans are drawn at random places of a long sequence; a target is readable when visible tokens
    show every one of its bases (the copy oracle of `vocabulary.masking`). Single
    6-mers masked at 15 % leave nearly all of them readable.
    """
    if not facts.overlapping:
        return 0.0
    stride, span = round(facts.bp_per_token), facts.mask_span_tokens
    generator = np.random.default_rng(_ORACLE_SEED)
    starts = np.flatnonzero(generator.random(_ORACLE_TOKENS) < start_probability(masking, facts))
    # How many spans cover each token, then how many visible tokens show each base.
    spans = np.zeros(_ORACLE_TOKENS + span + 1, dtype=np.int64)
    np.add.at(spans, starts, 1)
    np.add.at(spans, starts + span, -1)
    masked = np.cumsum(spans)[:_ORACLE_TOKENS] > 0
    first_bp = np.arange(_ORACLE_TOKENS) * stride
    shows = np.zeros(_ORACLE_TOKENS * stride + facts.word_bp + 1, dtype=np.int64)
    np.add.at(shows, first_bp[~masked], 1)
    np.add.at(shows, first_bp[~masked] + facts.word_bp, -1)
    unseen = np.concatenate(([0], np.cumsum(np.cumsum(shows) == 0)))
    readable = unseen[first_bp + facts.word_bp] == unseen[first_bp]
    return float(readable[masked].mean()) if masked.any() else 0.0
