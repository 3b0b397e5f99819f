"""What makes a job impossible, all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gfmp.errors import Problem
from gfmp.plan.batching import SPECIAL_TOKENS
from gfmp.plan.facts import VocabularyFacts
from gfmp.plan.masking import readable_fraction
from gfmp.plan.mixture import least_share
from gfmp.plan.sizes import Sizes
from gfmp.storage.documents import Key

Locate = Callable[[Key], str]


def dotted(key: Key) -> str:
    """Return a key path as `compute.workers`, for callers without a document."""
    return ".".join(str(part) for part in key)


@dataclass(frozen=True)
class _Reporter:
    locate: Locate

    def __call__(self, key: Key, message: str, why: str, fix: str) -> Problem:
        return Problem(message, self.locate(key), why, fix)


def problems(sizes: Sizes, locate: Locate = dotted) -> tuple[Problem, ...]:
    """Return everything that is impossible about a job; empty when it can be planned.

    Args:
        sizes: The numbers of the job.
        locate: Key path of the spec to the place a person should look at
            (`Document.where` gives file:line:col).
    """
    report = _Reporter(locate)
    return (
        *_devices(sizes, report),
        *_batches(sizes, report),
        *_vocabularies(sizes, report),
        *_mixture(sizes, report),
        *_optimiser(sizes, report),
        *_corpus(sizes, report),
    )


def _devices(sizes: Sizes, report: _Reporter) -> Iterator[Problem]:
    compute, machine = sizes.spec.compute, sizes.known.machine
    if compute.device == "gpu" and machine.gpus < compute.workers:
        yield report(
            ("compute", "device"),
            f"device is gpu, but there are {machine.gpus} GPUs for {compute.workers} workers",
            "a worker on GPUs has one of its own",
            "set compute.workers to the number of GPUs, or compute.device to auto or cpu",
        )


def _batches(sizes: Sizes, report: _Reporter) -> Iterator[Problem]:
    step, compute, sampling = sizes.batch, sizes.spec.compute, sizes.spec.sampling
    if step.workers > step.num_sequences:
        yield report(
            ("compute", "workers"),
            f"{step.workers} workers for {step.num_sequences} sequences a step",
            "every worker gets at least one sequence of every step",
            f"use {step.num_sequences} workers at most, or a larger batch",
        )
    elif not step.fits:
        yield report(
            ("compute", "micro_batch_tokens"),
            f"{step.num_sequences} sequences cannot fill {step.workers} workers"
            f" x {step.accumulation} micro-batches",
            "every micro-batch holds at least one sequence",
            f"raise compute.micro_batch_tokens above {compute.micro_batch_tokens:,}",
        )
    if sampling.max_tokens > compute.micro_batch_tokens:
        yield report(
            ("compute", "micro_batch_tokens"),
            f"micro_batch_tokens {compute.micro_batch_tokens:,} is less than"
            f" max_tokens {sampling.max_tokens:,}",
            "a sequence is never divided between micro-batches",
            f"use at least {sampling.max_tokens:,}",
        )


def _vocabularies(sizes: Sizes, report: _Reporter) -> Iterator[Problem]:
    for i, facts in enumerate(sizes.facts):
        shortest_bp = facts.word_bp if facts.overlapping else facts.bp_per_token
        if facts.window.min_bp < shortest_bp:
            yield report(
                ("vocabularies", i),
                f"windows of {facts.name} begin at {facts.window.min_bp} bases",
                f"one token needs {shortest_bp:g}",
                "raise window.min_bp of the vocabulary",
            )
        yield from _span(sizes, facts, ("vocabularies", i), report)
        yield from _other_spans(sizes, i, report)


def _span(sizes: Sizes, facts: VocabularyFacts, key: Key, report: _Reporter) -> Iterator[Problem]:
    room = sizes.spec.sampling.max_tokens - SPECIAL_TOKENS
    if facts.mask_span_tokens > room:
        yield report(
            ("sampling", "max_tokens"),
            f"a masked span of {facts.name} has {facts.mask_span_tokens} tokens,"
            f" a sequence has room for {room}",
            "a sequence holds a whole span beside its special tokens",
            f"use max_tokens of at least {facts.mask_span_tokens + SPECIAL_TOKENS}",
        )
    if _leaks(facts):
        yield report(
            key,
            f"a masked span of {facts.name} has {facts.mask_span_tokens} tokens and hides no base",
            "targets readable from neighbours: "
            f"{readable_fraction(sizes.spec.masking, facts):.1%}; the {facts.word_bp} bases of a"
            " word stand in its visible neighbours too (Ye et al., Genomics-FM, A.1.3)",
            f"use a mask span of at least {_least_span(facts)} tokens",
        )


def _other_spans(sizes: Sizes, index: int, report: _Reporter) -> Iterator[Problem]:
    """Judge the spans that the job sets; held-out windows have the vocabulary's own."""
    use, steps = sizes.spec.vocabularies[index], sizes.spec.steps
    name = "mask_span_curriculum" if use.mask_span_curriculum else "mask_span_tokens"
    stages = sizes.stages[index]
    if len(stages) > steps:
        yield report(
            ("vocabularies", index, name),
            f"a curriculum of {len(stages)} spans for {steps} steps",
            "every stage has at least one step",
            f"use {steps} spans at most, or more steps",
        )
    for facts in stages[-1].choices:
        if facts != sizes.facts[index]:
            yield from _span(sizes, facts, ("vocabularies", index, name), report)


def _mixture(sizes: Sizes, report: _Reporter) -> Iterator[Problem]:
    spec, num = sizes.spec, len(sizes.rows)
    if spec.mixture != "adaptive":
        return
    if num == 1 or spec.evaluation.every_steps >= spec.steps:
        lacking = "one vocabulary" if num == 1 else "no evaluation before the last step"
        yield report(
            ("mixture",),
            f"an adaptive mixture with {lacking}",
            "shares move between vocabularies after each evaluation, for the steps that follow",
            "use mixture: fixed, or evaluation.every_steps below steps and several vocabularies",
        )
    least = least_share(spec.adaptation, num)
    for i, row in enumerate(sizes.rows):
        if row.share < least:
            yield report(
                ("vocabularies", i),
                f"{row.name} begins with {row.share:.3g} of the rows",
                f"adaptation.least keeps every share at {least:.3g} or more",
                "raise its weight or lower adaptation.least",
            )


def _leaks(facts: VocabularyFacts) -> bool:
    return facts.overlapping and facts.mask_span_tokens < _least_span(facts)


def _least_span(facts: VocabularyFacts) -> int:
    """Fewest overlapping tokens whose visible neighbours leave a base unseen."""
    return int((facts.word_bp - facts.bp_per_token) // facts.bp_per_token) + 1


def _optimiser(sizes: Sizes, report: _Reporter) -> Iterator[Problem]:
    spec, optimiser = sizes.spec, sizes.spec.optimiser
    if optimiser.learning_rate > 1.0:
        yield report(
            ("optimiser", "learning_rate"),
            f"the learning rate is {optimiser.learning_rate:g}",
            "AdamW moves every weight by up to the learning rate in one step; 1e-5 to 1e-2 train",
            "1e-4 is the paper's",
        )
    if optimiser.schedule != "constant" and optimiser.warmup_steps >= spec.steps:
        yield report(
            ("optimiser", "warmup_steps"),
            f"warmup_steps {optimiser.warmup_steps:,} leaves nothing of {spec.steps:,} steps",
            f"a {optimiser.schedule} schedule decays after the warm-up",
            "shorten the warm-up, or use schedule: constant",
        )
    if max(optimiser.betas) >= 1.0:
        yield report(
            ("optimiser", "betas"),
            f"betas are {optimiser.betas[0]:g} and {optimiser.betas[1]:g}",
            "a moment with decay 1 never sees a gradient",
            "use values below 1; the paper's are 0.9 and 0.98",
        )


def _corpus(sizes: Sizes, report: _Reporter) -> Iterator[Problem]:
    corpus = sizes.known.corpus
    longest_bp = max(facts.window.max_bp for facts in sizes.facts)
    for bases, use in ((corpus.train_bases, "training"), (corpus.valid_bases, "evaluation")):
        if corpus.built and bases < longest_bp:
            yield report(
                ("corpus",),
                f"the corpus {corpus.name} has {bases:,} bases for {use}",
                f"a window has up to {longest_bp:,}",
                f"give it more sequence for {use}",
            )
