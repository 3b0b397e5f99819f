"""What a person asks of a learner: fine-tuning, a frozen probe, or a baseline."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from gfmp.spec.base import Closed, Fraction, PositiveInt

Rate = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Join = Literal["concat", "gated"]
CONCAT: Final = "concat"


class Finetuning(Closed):
    """The encoder with a task head, trained on the labels with AdamW.

    Attributes:
        method: `full` trains every weight, `lora` adapters of low rank and the head.
        learning_rate: Peak rate, after a linear warm-up; then it falls linearly to 0.
        batch_rows: Rows per optimiser step.
        epochs: Passes over the training rows, at most.
        warmup_fraction: Share of the steps that the warm-up takes.
        weight_decay: Decoupled decay, not of biases and LayerNorm.
        head_dropout: Dropout before the head.
        patience: Epochs without a better validation score after which training ends; the best
            epoch is kept in any case.
        class_weights: `balanced` weighs a class by the inverse of its share.
        lora_rank: Rank of the adapters.
        lora_alpha: Adapters are scaled by alpha / rank.
        attempts: How often a collapsed run (constant output, NaN) is tried with another seed.
        join: How the states of several vocabularies become the input of one head: `concat` lays
            them side by side, `gated` mixes them by a softmax that is learned.
    """

    kind: Literal["finetune"]
    method: Literal["full", "lora"] = "full"
    learning_rate: Rate = 3e-5
    batch_rows: PositiveInt = 32
    epochs: PositiveInt = 3
    warmup_fraction: Fraction = 0.1
    weight_decay: NotNegative = 0.01
    head_dropout: Fraction = 0.1
    patience: PositiveInt = 3
    class_weights: Literal["none", "balanced"] = "none"
    lora_rank: PositiveInt = 8
    lora_alpha: Rate = 16.0
    attempts: PositiveInt = 2
    join: Join = CONCAT

    @model_serializer(mode="wrap")
    def _without_the_usual_join(self, written: SerializerFunctionWrapHandler) -> dict[str, object]:
        # Cells are named by what is written here: those from before `join` keep their names.
        values: dict[str, object] = written(self)
        if self.join == CONCAT:
            values.pop("join", None)
        return values


class Probe(Closed):
    """A linear model on pooled states of the frozen encoder.

    Attributes:
        penalties: Inverse strengths of the L2 penalty; validation chooses one.
        join: States of several vocabularies lie side by side; there is no other way, so it is
            never written.
    """

    kind: Literal["probe"]
    penalties: Annotated[tuple[Rate, ...], Field(min_length=1)] = (0.01, 0.1, 1.0, 10.0)
    join: Annotated[Literal["concat"], Field(exclude=True)] = CONCAT

    @field_validator("join", mode="before")
    @classmethod
    def _nothing_to_train(cls, value: object) -> object:
        if value != CONCAT:
            raise ValueError(
                "a probe is a linear model on states side by side (concat): a gate would have to"
                " be trained with the head, which kind: finetune does"
            )
        return value


class KmerBaseline(Closed):
    """Counts of k-mers and a linear model: the floor every model must beat.

    Attributes:
        shortest: Smallest k.
        longest: Largest k.
        max_features: Most frequent k-mers that are counted.
        penalties: Inverse strengths of the L2 penalty; validation chooses one.
    """

    kind: Literal["kmer"]
    shortest: PositiveInt = 3
    longest: PositiveInt = 6
    max_features: PositiveInt = 6000
    penalties: Annotated[tuple[Rate, ...], Field(min_length=1)] = (0.02, 0.2)

    @model_validator(mode="after")
    def _ordered(self) -> KmerBaseline:
        if self.longest < self.shortest:
            raise ValueError(f"longest {self.longest} is below shortest {self.shortest}")
        return self


class CnnBaseline(Closed):
    """The small convolutional network of Genomic Benchmarks (Gresova et al., 2023).

    Attributes:
        learning_rate: Rate of Adam, constant.
        batch_rows: Rows per step.
        epochs: Passes over the training rows, at most.
        patience: As in `Finetuning`.
        attempts: As in `Finetuning`.
    """

    kind: Literal["cnn"]
    learning_rate: Rate = 1e-3
    batch_rows: PositiveInt = 32
    epochs: PositiveInt = 10
    patience: PositiveInt = 3
    attempts: PositiveInt = 2


Learner = Annotated[Finetuning | Probe | KmerBaseline | CnnBaseline, Field(discriminator="kind")]
AnyLearner = Finetuning | Probe | KmerBaseline | CnnBaseline


class TaskOverride(Closed):
    """Settings of a learner for the tasks whose names match a pattern.

    Attributes:
        tasks: Shell pattern, such as `prom_*_tata`.
        set: Fields of the learner and their values there.
    """

    tasks: Annotated[str, Field(min_length=1)]
    set: dict[str, int | float | str]


class LearnerSpec(Closed):
    """A file in specs/learners/: a preset with its exceptions per task; the last match wins.

    Attributes:
        description: What it is for.
        learner: Its settings.
        per_task: Other settings for some tasks.
    """

    kind: Literal["learner"]
    description: str
    learner: Learner
    per_task: tuple[TaskOverride, ...] = ()
