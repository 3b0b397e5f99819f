"""What a person asks of a sweep (specs/*.yaml) and of one fine-tuning job (jobs/finetune.yaml)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gfmp.spec.base import Closed, Fraction, Name, NotNegativeInt, PositiveInt
from gfmp.spec.comparison import PaperFigure, Transfer
from gfmp.spec.learner import CnnBaseline, Finetuning, KmerBaseline, Learner
from gfmp.spec.model import Architecture
from gfmp.spec.vocabularies import Vocabularies, parts

SCRATCH = "scratch"
# A value of the vocabulary axis: the one the advisor picks for a task and an initial model.
AUTO = "auto"
Percent = Annotated[float, Field(gt=0.0, le=100.0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
# The ratios of the paper's supplement (Ye et al., Genomics-FM, label efficiency).
PAPER_PERCENTS = (1.0, 3.0, 10.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0)


class Values(Closed):
    """Values a search tries for one field of a learner: a list, or a range.

    Attributes:
        choices: Each is as likely as the other.
        low: Smallest value of a range.
        high: Largest value of a range.
        scale: `log` draws the logarithm evenly.
    """

    choices: tuple[int | float | str, ...] = ()
    low: float | None = None
    high: float | None = None
    scale: Literal["log", "linear"] = "log"

    @model_validator(mode="after")
    def _list_or_range(self) -> Values:
        ranged = self.low is not None and self.high is not None
        if bool(self.choices) == ranged or (self.low is None) != (self.high is None):
            raise ValueError("give either choices, or both low and high")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError(f"low {self.low} is not below high {self.high}")
            if self.scale == "log" and self.low <= 0:
                raise ValueError(f"low {self.low} has no logarithm")
        return self


class Search(Closed):
    """Hyper-parameters chosen on validation, for each task, model and label ratio on its own.

    Attributes:
        space: Field of the learner -> values to try.
        samples: Settings that are tried.
        searcher: Which of Ray Tune's searchers proposes them.
        halving: Asynchronous successive halving (ASHA) over epochs, among the settings of one
            task, model and label ratio; label ratios never compete with each other.
        reduction_factor: Share of settings that ASHA keeps at each rung is 1 / this.
    """

    space: Annotated[dict[str, Values], Field(min_length=1)]
    samples: PositiveInt = 8
    searcher: Literal["random"] = "random"
    halving: bool = True
    reduction_factor: Annotated[int, Field(ge=2)] = 3


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    """Check an axis of the grid: what stands twice would count twice in every mean."""
    doubled = sorted({str(value) for value in values if values.count(value) > 1})
    if doubled:
        raise ValueError(f"this stands twice: {', '.join(doubled)}")
    return values


class Arm(Closed):
    """One learner and what it is crossed with.

    Attributes:
        learner: Settings written out, or the name of a file in specs/learners/.
        vocabularies: Vocabularies whose prompt is active, one at a time; an item that is a list is
            read at once, each vocabulary on its own encoding of a row; `auto` is the one that is
            advised for the task and the initial model; none for baselines.
        initial: Initial models: the name or id of a pretraining run, a folder in the DNABERT-2
            or Genomics-FM layout (ending in /), or `scratch`; none for baselines.
        label_percents: Overrides those of the sweep.
        max_train_rows: Most rows of a subset; 0 is no limit.
        search: Hyper-parameters to choose first.
    """

    learner: Learner | str
    vocabularies: tuple[Vocabularies, ...] = ()
    initial: tuple[str, ...] = ()
    label_percents: tuple[Percent, ...] = ()
    max_train_rows: NotNegativeInt = 0
    search: Search | None = None

    @field_validator("vocabularies", "initial", "label_percents")
    @classmethod
    def _no_doubles(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        return _distinct(values)

    @model_validator(mode="after")
    def _crossed(self) -> Arm:
        if isinstance(self.learner, KmerBaseline | CnnBaseline) and self.initial:
            raise ValueError(f"a {self.learner.kind} baseline has no initial model")
        if bool(self.vocabularies) != bool(self.initial):
            raise ValueError("an encoder needs both vocabularies and initial; a baseline neither")
        if any(AUTO in parts(value) and value != AUTO for value in self.vocabularies):
            raise ValueError(f"{AUTO} is one vocabulary, and not read at once with others")
        return self


class SweepCompute(Closed):
    """Where a sweep runs; changes speed, not the numbers.

    Attributes:
        workers: Trials at once; 0 takes one per CPU core, or per share of a GPU.
        threads_per_worker: CPU threads of a trial.
        gpu_fraction: Share of a GPU for a trial when the machine has one; 0 uses CPUs only.
    """

    workers: NotNegativeInt = 0
    threads_per_worker: PositiveInt = 1
    gpu_fraction: Fraction = 0.25


class SweepSpec(Closed):
    """A grid of task x vocabulary x label ratio x seed x initial model.

    Attributes:
        name: Folder and experiment name of its runs.
        tasks: Names of files in specs/tasks/, paths to them, or folders in the GUE layout.
        label_percents: Nested label subsets, in percent of the training rows.
        seeds: Each draws its own subsets, heads and row order.
        scratch_model: Architecture of `scratch`; without it that of the first pretrained model.
        arms: Learners and what they are crossed with.
        allow_leaks: Names of tasks whose test rows may repeat rows that are learned from; the
            report says so.
        transfer: Scores models on the test rows of other tasks too.
        paper: Which part of the paper this does again, and with which data.
        compute: Where it runs.
        cluster: Name of a file in specs/clusters/, or a path to one; empty runs here, or where
            RAY_ADDRESS says.
    """

    kind: Literal["sweep"]
    name: Name
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    label_percents: Annotated[tuple[Percent, ...], Field(min_length=1)] = PAPER_PERCENTS
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    scratch_model: str | Architecture = ""
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    allow_leaks: tuple[str, ...] = ()
    transfer: Transfer | None = None
    paper: PaperFigure | None = None
    compute: SweepCompute = SweepCompute()
    cluster: str = ""

    @field_validator("tasks", "label_percents", "seeds", "allow_leaks")
    @classmethod
    def _no_doubles(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        return _distinct(values)


class FinetuneSpec(Closed):
    """One fine-tuning: a task, a vocabulary, an initial model.

    Attributes:
        name: Folder and experiment name of its runs.
        seed: Draws the subset of the labels, the head and the row order.
        task: Name of a file in specs/tasks/, a path to one, or a folder in the GUE layout.
        vocabulary: The one vocabulary whose prompt is active, a list of those read at once, or
            `auto` for the one that is advised.
        initial: Name or id of a pretraining run, a folder in the DNABERT-2 or Genomics-FM layout
            (ending in /), or `scratch`.
        learner: Settings written out, or the name of a file in specs/learners/.
        label_percent: Share of the training rows that is used.
        scratch_model: Architecture of `scratch`; without it that of the first pretrained model.
        allow_leaks: Names of tasks whose test rows may repeat rows that are learned from.
        compute: Where it runs.
        cluster: Name of a file in specs/clusters/, or a path to one; empty runs here, or where
            RAY_ADDRESS says.
    """

    kind: Literal["finetune"]
    name: Name
    seed: Seed = 0
    task: str
    vocabulary: Vocabularies
    initial: str
    learner: Finetuning | str
    label_percent: Percent = 100.0
    scratch_model: str | Architecture = ""
    allow_leaks: tuple[str, ...] = ()
    compute: SweepCompute = SweepCompute()
    cluster: str = ""

    def as_sweep(self) -> SweepSpec:
        """Return the sweep of the one cell this job is."""
        arm = Arm(learner=self.learner, vocabularies=(self.vocabulary,), initial=(self.initial,))
        return SweepSpec(
            kind="sweep",
            name=self.name,
            tasks=(self.task,),
            label_percents=(self.label_percent,),
            seeds=(self.seed,),
            scratch_model=self.scratch_model,
            arms=(arm,),
            allow_leaks=self.allow_leaks,
            compute=self.compute,
        )
