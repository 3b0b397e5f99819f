"""What a person asks of a pretraining job (jobs/pretrain*.yaml)."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from gfmp.spec.base import Closed, Fraction, Name, NotNegativeInt, PositiveInt
from gfmp.spec.model import Architecture

Precision = Literal["fp32", "bf16"]
Mixture = Literal["fixed", "by_bases", "adaptive"]


class VocabularyUse(Closed):
    """One vocabulary of the ensemble, its share of the rows and its masked spans.

    Attributes:
        name: Registered name, or one that a recipe can build.
        weight: Relative share of training rows (of bases with `mixture: by_bases`); shares are
            weight / sum of weights.
        mask_span_tokens: Tokens of a masked span in training instead of the vocabulary's own.
        mask_span_curriculum: Spans that come into play one after the other, in stages of equal
            length: in stage n every row draws one of the first n. The mask boundary grows over
            the training as in RandomMask (Liang et al. 2023, arXiv 2310.07644).
    """

    name: Name
    weight: Annotated[float, Field(gt=0.0)] = 1.0
    mask_span_tokens: PositiveInt | None = None
    mask_span_curriculum: tuple[PositiveInt, ...] = ()

    @model_validator(mode="after")
    def _one_law_of_spans(self) -> VocabularyUse:
        spans = self.mask_span_curriculum
        if spans and self.mask_span_tokens is not None:
            raise ValueError("give mask_span_tokens or mask_span_curriculum, not both")
        if any(after <= before for before, after in pairwise(spans)):
            raise ValueError(f"the spans of a curriculum grow: {list(spans)}")
        return self


class Adaptation(Closed):
    """How `mixture: adaptive` moves the shares of rows after each short evaluation.

    A share is multiplied by exp(rate * excess) and all are scaled to sum to 1: the exponentiated
    gradient of DoReMi (Xie et al. 2023, arXiv 2305.10429), there per step and against a trained
    reference model. The excess of a vocabulary is its held-out bits per base less those of base
    composition on the same bases. No share more than doubles at once.

    Attributes:
        rate: Exponent per bit of excess. DNA gives hundredths of a bit: at 5, a gap of 0.02 bits
            moves two equal shares to 52.5 and 47.5 %.
        least: Smallest share of a vocabulary, as a fraction of an equal share.
    """

    rate: Annotated[float, Field(gt=0.0, le=100.0)] = 5.0
    least: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5


def _use(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


# A vocabulary that joins an ensemble: its name, or its name and weight.
AddedVocabulary = Annotated[
    VocabularyUse, BeforeValidator(_use, json_schema_input_type=Name | VocabularyUse)
]


class Masking(Closed):
    """How tokens are hidden (Ye et al., A.1.3; span law of the released code).

    Attributes:
        fraction: With law `spans` the share of tokens that become targets. With law `centres`
            each token starts a span with probability fraction / (words that show one base):
            the fraction itself for BPE, fraction / 6 for overlapping 6-mers, as in the released
            code. One number thus serves both: at 0.15, spans of 14 6-mers hide 29.8 % of tokens.
        law: `spans` draws whole, non-overlapping spans; `centres` draws span starts
            independently and merges what overlaps, as the released code does.
        mask_fraction: Share of spans replaced by `[MASK]`.
        random_fraction: Share of spans replaced by random tokens; the rest stays visible.
        scope: `own` draws random tokens from, and normalises over, the row's own vocabulary;
            `union` uses all rows of the ensemble.
    """

    fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    law: Literal["spans", "centres"] = "spans"
    mask_fraction: Fraction = 0.8
    random_fraction: Fraction = 0.1
    scope: Literal["own", "union"] = "own"

    @model_validator(mode="after")
    def _shares_fit(self) -> Masking:
        if self.mask_fraction + self.random_fraction > 1.0:
            raise ValueError("mask_fraction + random_fraction exceed 1")
        return self


class Sampling(Closed):
    """Which windows a step sees.

    Exactly one of the two batch sizes is given; a token budget becomes a fixed number of
    sequences in the plan.

    Attributes:
        global_batch_sequences: Sequences per optimiser step over all workers.
        global_batch_tokens: The same as a budget of expected tokens.
        max_tokens: Longest sequence with its three special tokens.
        reverse_complement_fraction: Probability that a window is read from the other strand.
        buffer_row_groups: Permuted row groups that windows are shuffled across.
    """

    global_batch_sequences: PositiveInt | None = None
    global_batch_tokens: PositiveInt | None = None
    max_tokens: Annotated[int, Field(ge=16)] = 512
    reverse_complement_fraction: Fraction = 0.5
    buffer_row_groups: PositiveInt = 16

    @model_validator(mode="after")
    def _one_batch_size(self) -> Sampling:
        if (self.global_batch_sequences is None) == (self.global_batch_tokens is None):
            raise ValueError("give exactly one of global_batch_sequences and global_batch_tokens")
        return self


class Optimiser(Closed):
    """AdamW with a warm-up and a decay.

    Attributes:
        learning_rate: Peak rate, reached after `warmup_steps`.
        betas: Decay of the first and second moment.
        epsilon: Added to the root of the second moment.
        weight_decay: Decoupled decay; not applied to biases and LayerNorm.
        clip_norm: Largest global L2 norm of the gradient.
        schedule: Shape of the decay after the warm-up.
        warmup_steps: Linear rise from 0.
        final_fraction: Rate at the last step as a share of the peak.
    """

    learning_rate: Annotated[float, Field(gt=0.0)]
    betas: tuple[Fraction, Fraction] = (0.9, 0.98)
    epsilon: Annotated[float, Field(gt=0.0)] = 1e-6
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    clip_norm: Annotated[float, Field(gt=0.0)] = 1.0
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup_steps: NotNegativeInt = 0
    final_fraction: Fraction = 0.0


class Evaluation(Closed):
    """How the held-out contigs are scored.

    Attributes:
        every_steps: Steps between short evaluations; the last step is always scored in full.
        windows: Held-out windows per vocabulary in a short evaluation.
        final_hidden_bases: Hidden bases per vocabulary in the final one, at least.
        fraction: Share of tokens hidden in them, in whole spans and always by `[MASK]`, whatever
            the training hides, so that runs with other masking can be compared.
    """

    every_steps: PositiveInt = 1000
    windows: PositiveInt = 64
    final_hidden_bases: PositiveInt = 50_000
    fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15

    def masking(self, training: Masking) -> Masking:
        """Return the law of the held-out windows; its scope is that of `training`."""
        return Masking(
            fraction=self.fraction, mask_fraction=1.0, random_fraction=0.0, scope=training.scope
        )


class Checkpointing(Closed):
    """When state is committed and what is kept.

    Attributes:
        every_steps: Steps between commits; the last step always commits.
        keep_last: Newest checkpoints that stay.
        keep_best: Checkpoints with the lowest held-out loss that stay beside them.
    """

    every_steps: PositiveInt = 1000
    keep_last: PositiveInt = 2
    keep_best: NotNegativeInt = 1


class Compute(Closed):
    """Where it runs; may change at a resume without changing the result.

    Attributes:
        workers: Data-parallel processes.
        device: `auto` takes a GPU per worker when the machine has enough of them.
        zero_stage: DeepSpeed ZeRO stage 0-3; `ddp` is plain PyTorch; `auto` chooses by size.
        micro_batch_tokens: Most expected tokens of one forward pass per worker.
        threads_per_worker: CPU threads of a worker; 0 shares the machine's cores evenly.
        max_failures: Worker failures in a row, without a new checkpoint between them, after which
            the run gives up.
        stall_seconds: A rank that takes no step for so long is ended and its group started again.
        feed: Who cuts, tokenises and masks what a worker trains on: the `worker` itself, in a
            thread beside its steps, or Ray Data `tasks` in processes of their own; `auto` takes
            `tasks` for workers with a GPU. The batches are the same.
    """

    workers: PositiveInt = 1
    device: Literal["auto", "cpu", "gpu"] = "auto"
    zero_stage: Literal["auto", "ddp", 0, 1, 2, 3] = "auto"
    micro_batch_tokens: Annotated[int, Field(ge=512)] = 16_384
    threads_per_worker: NotNegativeInt = 0
    max_failures: NotNegativeInt = 3
    stall_seconds: Annotated[int, Field(ge=1, le=3600)] = 600
    feed: Literal["auto", "worker", "tasks"] = "auto"


class Numbers(Closed):
    """What happens to a step whose loss or gradient is not finite, or whose gradient jumps.

    No rank changes a weight in such a step, and what it was computed from is dumped for
    `gfmp replay`. May change at a resume: it does nothing to a run whose numbers are sound.

    Attributes:
        on_nonfinite: `abort` ends the run with status 70. `skip` leaves the batch out and goes on
            with the next. `rewind` goes back to the newest checkpoint at least `rewind_steps`
            before and leaves out the `skip_steps` batches from there on, as PaLM did after a
            spike (Chowdhery et al. 2022, arXiv 2204.02311, 5.1).
        spike_factor: A gradient norm of more than so many times the median of the last ones
            counts as not finite; without it no finite norm does.
        rewind_steps: Steps before the bad one at which `rewind` begins to leave out.
        skip_steps: Batches it leaves out.
        most_times: Steps that are skipped or rewound in a run; the next one ends it.
    """

    on_nonfinite: Literal["abort", "skip", "rewind"] = "abort"
    spike_factor: Annotated[float, Field(gt=1.0)] | None = None
    rewind_steps: PositiveInt = 100
    skip_steps: PositiveInt = 200
    most_times: PositiveInt = 10

    @model_validator(mode="after")
    def _the_bad_batch_is_left_out(self) -> Numbers:
        if self.skip_steps <= self.rewind_steps:
            raise ValueError(
                f"skip_steps {self.skip_steps} do not reach the bad batch,"
                f" {self.rewind_steps} steps after the first one left out"
            )
        return self


class PretrainSpec(Closed):
    """A pretraining job.

    Attributes:
        name: Folder and experiment name of its runs.
        seed: Decides initial weights, windows, strands, vocabularies of rows and masks.
        corpus: Name of a file in specs/corpora/ or a path to one.
        init_from: Name or id of a pretraining run whose newest checkpoint this one goes on from;
            empty starts from random weights.
        add_vocabularies: Join the ensemble of that run, after those it has.
        remove_vocabularies: Names that leave it.
        vocabularies: The ensemble, in the order of its prompts. With `init_from` it may be left
            out; when it is there it gives every vocabulary of the grown ensemble a weight.
        mixture: What their weights share out: rows (`fixed`), the bases that are read
            (`by_bases`), or the rows of the beginning only (`adaptive`: then the shares follow
            the held-out bits per base).
        adaptation: How they follow.
        model: Name of a file in specs/models/, a path, or an architecture written out. With
            `init_from` it may be left out; it is that run's.
        steps: Optimiser steps.
        precision: Numbers of the forward and backward pass; weights and moments stay fp32.
        sampling: Which windows a step sees.
        masking: How tokens are hidden.
        optimiser: AdamW and its schedule.
        evaluation: How the held-out contigs are scored.
        checkpoint: When state is committed.
        compute: Where it runs.
        numbers: What happens to a step whose numbers are not finite.
        cluster: Name of a file in specs/clusters/, or a path to one; empty runs here, or where
            RAY_ADDRESS says.
    """

    kind: Literal["pretrain"]
    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    corpus: str
    init_from: str = ""
    add_vocabularies: tuple[AddedVocabulary, ...] = ()
    remove_vocabularies: tuple[Name, ...] = ()
    vocabularies: Annotated[tuple[VocabularyUse, ...], Field(validate_default=True)] = ()
    model: Annotated[str | Architecture, Field(validate_default=True)] = ""
    mixture: Mixture = "fixed"
    adaptation: Adaptation = Adaptation()
    steps: PositiveInt
    precision: Precision = "fp32"
    sampling: Sampling
    masking: Masking = Masking()
    optimiser: Optimiser
    evaluation: Evaluation = Evaluation()
    checkpoint: Checkpointing = Checkpointing()
    compute: Compute = Compute()
    numbers: Numbers = Numbers()
    cluster: str = ""

    @field_validator("vocabularies", "model")
    @classmethod
    def _known_without_a_parent(cls, value: object, info: ValidationInfo) -> object:
        if not value and not info.data.get("init_from"):
            raise PydanticKnownError("missing")
        return value

    @model_validator(mode="after")
    def _grows_from_something(self) -> PretrainSpec:
        if (self.add_vocabularies or self.remove_vocabularies) and not self.init_from:
            raise ValueError("add_vocabularies and remove_vocabularies change the run in init_from")
        changed = [*(use.name for use in self.add_vocabularies), *self.remove_vocabularies]
        if len(set(changed)) != len(changed):
            raise ValueError(f"a vocabulary is added or removed twice: {sorted(changed)}")
        told = [use.name for use in self.add_vocabularies if use.model_fields_set != {"name"}]
        if told and self.vocabularies:
            raise ValueError(
                f"what {', '.join(told)} has beside a name belongs in `vocabularies`, with the rest"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> PretrainSpec:
        names = [use.name for use in self.vocabularies]
        if len(set(names)) != len(names):
            raise ValueError(f"a vocabulary stands twice: {sorted(names)}")
        if self.optimiser.warmup_steps > self.steps:
            raise ValueError(
                f"warmup_steps {self.optimiser.warmup_steps} exceed steps {self.steps}"
            )
        if self.mixture != "adaptive" and self.adaptation != Adaptation():
            raise ValueError(f"adaptation is for mixture: adaptive, not for {self.mixture}")
        return self
