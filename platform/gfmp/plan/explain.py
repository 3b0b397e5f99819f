"""The numbers of a plan as rows: name, value, unit and the sentence that explains each."""

from __future__ import annotations

from collections.abc import Iterator

from gfmp.plan.explain_cost import cost_numbers, measured_memory
from gfmp.plan.explain_feed import maker_number, mixture_numbers, span_numbers, span_words
from gfmp.plan.lineage import lineage_numbers
from gfmp.plan.memory import ENGINES, checkpoint_bytes, commit_bytes, model_states
from gfmp.plan.parameters import parameter_parts
from gfmp.plan.schedule import commits, final_windows, kept, rate_in_words, short_evaluations
from gfmp.plan.sizes import Sizes
from gfmp.plan.values import Derived


def explain(sizes: Sizes) -> tuple[Derived, ...]:
    """Return every derived number of a job in the order a person reads them.

    Rows about one vocabulary or engine carry its name after a dot: `targets_per_sequence.bpe4096`.
    """
    return (
        *lineage_numbers(sizes),
        *_model(sizes),
        *_rows(sizes),
        *span_numbers(sizes),
        *mixture_numbers(sizes),
        *_batch(sizes),
        *maker_number(sizes),
        *_length(sizes),
        *_optimisation(sizes),
        *_memory(sizes),
        *measured_memory(sizes),
        *cost_numbers(sizes),
        *_evaluation(sizes),
        *_checkpoints(sizes),
    )


def _model(sizes: Sizes) -> Iterator[Derived]:
    low, high = sizes.known.ensemble_rows
    names = " + ".join(facts.name for facts in sizes.facts)
    reason = f"5 specials, one prompt per vocabulary and every word of {names}, each once"
    if not sizes.known.ensemble_fingerprint:
        waiting = ", ".join(facts.name for facts in sizes.facts if not facts.built)
        reason += f"; between {low:,} and {high:,} until {waiting or 'the union'} is built"
    yield Derived("union_tokens", high, "tokens", reason)
    parts = parameter_parts(sizes.known.architecture, high)
    yield Derived(
        "parameters",
        parts.total,
        "parameters",
        f"embedding {parts.embedding:,} + attention {parts.attention:,}"
        f" + feed-forward {parts.feed_forward:,} + head {parts.head:,}",
    )


def _rows(sizes: Sizes) -> Iterator[Derived]:
    for index, (facts, row) in enumerate(zip(sizes.facts, sizes.rows, strict=True)):
        law = facts.window
        cut = f"; {row.cut_fraction:.1%} are cut there" if row.cut_fraction else ""
        yield Derived(
            f"tokens_per_sequence.{facts.name}",
            round(row.mean_tokens, 1),
            "tokens",
            f"windows of {law.min_bp:,}-{law.max_bp:,} bases, {law.full_fraction:.0%} of them"
            f" {law.max_bp:,}; {facts.bp_per_token:.2f} bases a token; 3 special tokens;"
            f" at most {sizes.spec.sampling.max_tokens:,}{cut}",
        )
        yield Derived(
            f"targets_per_sequence.{facts.name}",
            round(sizes.targets(index), 1),
            "tokens",
            _masked_in_words(sizes, index),
        )


def _masked_in_words(sizes: Sizes, index: int) -> str:
    masking, stages = sizes.spec.masking, sizes.stages[index]
    if len(stages) == 1:
        masked = stages[0].masked_fraction(masking)
        return f"{masked:.1%} of the tokens: law {masking.law}, {span_words(sizes, stages[0])}"
    parts = ", ".join(f"{stage.masked_fraction(masking):.1%}" for stage in stages)
    return f"{parts} of the tokens in {len(stages)} stages; the mean over the run"


def _batch(sizes: Sizes) -> Iterator[Derived]:
    step, sampling = sizes.batch, sizes.spec.sampling
    if sampling.global_batch_tokens is None:
        reason = "the job says so"
    else:
        reason = (
            f"{sampling.global_batch_tokens:,} tokens / {step.mean_tokens:.1f} expected tokens of"
            " a sequence, rounded down"
        )
    yield Derived("global_batch_sequences", step.num_sequences, "sequences", reason)
    yield Derived("tokens_per_step", step.num_tokens, "tokens", step.equation)
    yield Derived(
        "micro_batch_tokens",
        step.micro_batch_tokens,
        "tokens",
        "expected tokens of one forward pass of a worker",
    )
    yield Derived(
        "accumulation",
        step.accumulation,
        "micro-batches",
        f"{step.most_tokens / step.workers:,.0f} tokens of a rank{_most(sizes)}"
        f" / {sizes.spec.compute.micro_batch_tokens:,} tokens of a micro-batch, rounded up",
    )


def _most(sizes: Sizes) -> str:
    shifts = sizes.spec.mixture == "adaptive"
    return " when the mixture has shifted to the longest rows" if shifts else ""


def _length(sizes: Sizes) -> Iterator[Derived]:
    spec, corpus, step = sizes.spec, sizes.known.corpus, sizes.batch
    yield Derived("steps", spec.steps, "steps", "the job says so")
    yield Derived(
        "total_tokens",
        sizes.total_tokens,
        "tokens",
        f"{spec.steps:,} steps x {step.num_tokens:,} tokens",
    )
    if not corpus.train_bases:
        reason = f"known when the corpus {corpus.name} is built"
        yield Derived("samples_per_epoch", "unknown", "windows", reason)
        return
    epochs = spec.steps * step.num_sequences * step.mean_bp / corpus.train_bases
    yield Derived(
        "samples_per_epoch",
        sizes.samples_per_epoch,
        "windows",
        f"{corpus.train_bases:,} training bases / {step.mean_bp:,.0f} bases of a window",
    )
    yield Derived(
        "epochs",
        float(f"{epochs:.3g}"),
        "times the corpus",
        f"{spec.steps:,} steps x {step.num_sequences:,} windows x {step.mean_bp:,.0f} bases"
        f" / {corpus.train_bases:,}",
    )


def _optimisation(sizes: Sizes) -> Iterator[Derived]:
    optimiser, steps = sizes.spec.optimiser, sizes.spec.steps
    yield Derived(
        "warmup_steps",
        optimiser.warmup_steps,
        "steps",
        f"{optimiser.warmup_steps / steps:.1%} of {steps:,} steps",
    )
    yield Derived(
        "learning_rate",
        optimiser.learning_rate,
        "at the peak",
        rate_in_words(optimiser, steps),
    )


def _memory(sizes: Sizes) -> Iterator[Derived]:
    yield Derived("engine", sizes.engine, "", sizes.engine_reason)
    for engine in ENGINES:
        states = model_states(sizes.parameters, engine, sizes.batch.workers, sizes.spec.precision)
        yield Derived(
            f"model_states_per_rank.{engine}",
            states.total,
            "bytes",
            f"weights {_size(states.weights)} + gradients {_size(states.gradients)} + optimiser"
            f" {_size(states.optimiser)} + bucket {_size(states.bucket)}"
            f"{'; chosen' if engine == sizes.engine else ''}",
        )
    yield Derived(
        "activations_per_rank",
        sizes.activations,
        "bytes",
        f"an estimate for one micro-batch of {sizes.batch.most_micro_batch_tokens:,} tokens",
    )
    yield Derived(
        "memory_per_rank",
        _needed(sizes),
        "bytes",
        f"{sizes.engine} states + activations; {_room(sizes)}",
    )


def _room(sizes: Sizes) -> str:
    place = "GPU" if sizes.use_gpu else "main"
    if not sizes.rank_bytes:
        return f"the {place} memory of a rank is not known"
    verdict = "" if _needed(sizes) <= sizes.rank_bytes else ": TOO LITTLE"
    return f"a rank has {_size(sizes.rank_bytes)} of {place} memory{verdict}"


def _needed(sizes: Sizes) -> int:
    states = model_states(sizes.parameters, sizes.engine, sizes.batch.workers, sizes.spec.precision)
    return states.total + sizes.activations


def _evaluation(sizes: Sizes) -> Iterator[Derived]:
    evaluation, count = sizes.spec.evaluation, len(sizes.facts)
    yield Derived(
        "evaluation_windows",
        evaluation.windows * count,
        "windows",
        f"{evaluation.windows:,} held-out windows x {count} vocabularies, every"
        f" {evaluation.every_steps:,} steps: {short_evaluations(sizes.spec.steps, evaluation):,}"
        " times",
    )
    needed = [
        final_windows(evaluation, evaluation.masking(sizes.spec.masking), facts, row)
        for facts, row in zip(sizes.facts, sizes.rows, strict=True)
    ]
    parts = ", ".join(f"{f.name} {n:,}" for f, n in zip(sizes.facts, needed, strict=True))
    yield Derived(
        "final_evaluation_windows",
        sum(needed),
        "windows",
        f"for {evaluation.final_hidden_bases:,} hidden bases per vocabulary, at least {parts};"
        " the feed adds a margin for chance and unknown bases",
    )


def _checkpoints(sizes: Sizes) -> Iterator[Derived]:
    checkpoint, steps = sizes.spec.checkpoint, sizes.spec.steps
    yield Derived(
        "checkpoints_kept",
        kept(steps, checkpoint),
        "checkpoints",
        f"the last {checkpoint.keep_last} and the best {checkpoint.keep_best} of"
        f" {commits(steps, checkpoint):,}, one every {checkpoint.every_steps:,} steps",
    )
    each = checkpoint_bytes(sizes.parameters)
    yield Derived(
        "checkpoint_size",
        each,
        "bytes",
        f"12 bytes a parameter: fp32 weights and both moments; {_size(each)} each,"
        f" {_size(each * (kept(steps, checkpoint) + 1))} on disk while one is written",
    )
    yield Derived(
        "commit_memory",
        commit_bytes(sizes.parameters, sizes.batch.workers),
        "bytes",
        "main memory of rank 0, on top, while a checkpoint is written beside the steps",
    )


def _size(num_bytes: int) -> str:
    if num_bytes >= 1e9:
        return f"{num_bytes / 1e9:.2f} GB"
    return f"{num_bytes / 1e6:.1f} MB"
