"""What each vocabulary gets of the rows and bases, and what its masked spans hide."""

from __future__ import annotations

from collections.abc import Iterator

from gfmp.plan.masking import start_probability
from gfmp.plan.mixture import base_shares, least_share
from gfmp.plan.sizes import Sizes
from gfmp.plan.spans import SpanStage
from gfmp.plan.values import Derived, FeedMaker

_MAKERS: dict[FeedMaker, str] = {
    "worker": "each worker makes its own in a thread beside its steps",
    "tasks": "Ray Data tasks make them in processes of their own",
}


def maker_number(sizes: Sizes) -> Iterator[Derived]:
    """Yield who makes the batches, and why."""
    maker, asked = sizes.feed_maker, sizes.spec.compute.feed
    why = "the job says so"
    if asked == "auto":
        why = "a core of a worker with a GPU launches kernels and does little else"
        if maker == "worker":
            why = "on a CPU, tasks would take the cores that train, and more of them"
    yield Derived("feed", maker, "", f"{_MAKERS[maker]}: {why}")


def mixture_numbers(sizes: Sizes) -> Iterator[Derived]:
    """Yield each vocabulary's share of the rows and of the bases that are read."""
    bases = base_shares(sizes.rows)
    for index, (row, share) in enumerate(zip(sizes.rows, bases, strict=True)):
        yield Derived(
            f"share_of_rows.{row.name}",
            round(row.share, 4),
            "of the rows",
            f"mixture {sizes.spec.mixture}: {_shared_out(sizes, index)}",
        )
        yield Derived(
            f"share_of_bases.{row.name}",
            round(share, 4),
            "of the bases",
            f"a row reads {row.read_bp:,.0f} bases",
        )


def _shared_out(sizes: Sizes, index: int) -> str:
    spec, row = sizes.spec, sizes.rows[index]
    weight = f"weight {spec.vocabularies[index].weight:g}"
    if spec.mixture == "by_bases":
        return f"{weight} / {row.read_bp:,.0f} bases of a row, scaled to sum to 1"
    scaled = f"{weight} of {sum(use.weight for use in spec.vocabularies):g}"
    if spec.mixture == "fixed":
        return scaled
    least = least_share(spec.adaptation, len(sizes.rows))
    return (
        f"{scaled} until step {spec.evaluation.every_steps:,}; after each evaluation"
        f" x exp({spec.adaptation.rate:g} x bits per base above base composition),"
        f" never below {least:.4g}"
    )


def span_numbers(sizes: Sizes) -> Iterator[Derived]:
    """Yield, per vocabulary and stage, the tokens that are masked and the bases that hides."""
    for facts, stages in zip(sizes.facts, sizes.stages, strict=True):
        first = 0
        for number, stage in enumerate(stages, start=1):
            several = len(stages) > 1
            name = f"{facts.name}.stage{number}" if several else facts.name
            when = f"steps {first + 1:,}-{first + stage.steps:,}: " if several else ""
            first += stage.steps
            yield from _stage_numbers(sizes, stage, name, when)


def _stage_numbers(sizes: Sizes, stage: SpanStage, name: str, when: str) -> Iterator[Derived]:
    masking = sizes.spec.masking
    yield Derived(
        f"masked_token_fraction.{name}",
        round(stage.masked_fraction(masking), 4),
        "of the tokens",
        f"{when}law {masking.law}, {span_words(sizes, stage)}",
    )
    yield Derived(
        f"hidden_bases_per_span.{name}",
        round(stage.hidden_bases, 2),
        "bases",
        f"{when}bases of a masked span that no visible token shows",
    )


def span_words(sizes: Sizes, stage: SpanStage) -> str:
    """Say how long the spans of a stage are and how often one starts."""
    starts = [start_probability(sizes.spec.masking, facts) for facts in stage.choices]
    chances = list(dict.fromkeys(f"{start:.4g}" for start in starts))
    spans = " or ".join(map(str, stage.spans))
    return f"a span of {spans} starts with probability {' or '.join(chances)}"
