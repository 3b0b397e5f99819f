"""The plan: what will happen (its identity) and where (which may change at a resume)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from gfmp.errors import CorruptArtefactError
from gfmp.spec.base import SPARSE
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import (
    Adaptation,
    Checkpointing,
    Evaluation,
    Masking,
    Numbers,
    Optimiser,
    Precision,
)
from gfmp.storage.hashes import canonical_json, fingerprint

FORMAT_VERSION = 1
Engine = Literal["ddp", "zero0", "zero1", "zero2", "zero3"]
FeedMaker = Literal["worker", "tasks"]


@dataclass(frozen=True)
class SpanLaw:
    """Masked spans of one vocabulary over a run.

    Attributes:
        tokens: Spans, ascending; in stage n, counted from 1, a row draws one of the first n.
        stage_steps: Steps of a stage; the last one lasts to the end of the run.
    """

    tokens: tuple[int, ...]
    stage_steps: int


@dataclass(frozen=True)
class FeedSettings:
    """Everything that decides which tokens a step sees; nothing about ranks.

    Attributes:
        seed: Run seed; every random draw is a function of (seed, epoch, sample).
        weights: Share of rows of each vocabulary, summing to 1, in ensemble order; with
            `adaptation` those of the first steps.
        global_batch_sequences: Sequences per optimiser step.
        max_tokens: Longest sequence, special tokens included.
        reverse_complement_fraction: Probability of reading the other strand.
        buffer_row_groups: Row groups that windows are shuffled across.
        masking: The masking law.
        spans: Law of each vocabulary's spans, in ensemble order; empty while every vocabulary
            has the span it was registered with. Held-out windows always have that.
        adaptation: How the weights move after each evaluation; None while they stay.
    """

    seed: int
    weights: tuple[float, ...]
    global_batch_sequences: int
    max_tokens: int
    reverse_complement_fraction: float
    buffer_row_groups: int
    masking: Masking
    spans: tuple[SpanLaw, ...] = ()
    adaptation: Adaptation | None = None


@dataclass(frozen=True)
class Init:
    """The state a grown run begins with instead of random weights.

    Attributes:
        weights: sha256 of the weights of the parent's checkpoint; empty while it is not trained.
        ensemble: Fingerprint of the parent's ensemble; empty with `weights`.
        updates: AdamW updates its moments have seen, those of its own parents included.
    """

    weights: str
    ensemble: str
    updates: int


@dataclass(frozen=True)
class What:
    """The identity of the result: two runs with equal `What` train the same model.

    Attributes:
        corpus: Content hash of the corpus; empty while it is not built.
        ensemble: Fingerprint of the ensemble; empty while a vocabulary is not built.
        vocabulary_rows: Rows V of the embedding table; an upper bound while `ensemble` is empty.
        init: What it was grown from; None, and no part of the identity, for a run from scratch.
    """

    corpus: str
    ensemble: str
    vocabulary_rows: int
    architecture: Architecture
    feed: Annotated[FeedSettings, SPARSE]
    steps: int
    optimiser: Optimiser
    precision: Precision
    evaluation: Evaluation
    init: Annotated[Init | None, Field(exclude_if=lambda init: init is None)] = None

    @property
    def updates_before(self) -> int:
        """AdamW updates that the state of step 0 has seen."""
        return self.init.updates if self.init else 0

    @property
    def fingerprint(self) -> str:
        """sha256 of the canonical JSON of these fields."""
        return fingerprint(TypeAdapter(What).dump_python(self, mode="json"))


@dataclass(frozen=True)
class Where:
    """Placement and care: changes speed and memory, and no number of a run that stays sound.

    Attributes:
        workers: Data-parallel ranks.
        use_gpu: One GPU per rank.
        engine: Plain DDP or a DeepSpeed ZeRO stage.
        accumulation: Micro-batches per rank and step.
        threads_per_worker: CPU threads per rank.
        max_failures: Worker failures without a new checkpoint in between that are retried.
        checkpoint: Commit interval and retention.
        stall_seconds: Longest time without a step before a rank counts as hung.
        numbers: What happens to a step whose numbers are not sound.
        feed: Who makes the batches of a rank; plans that do not say were made for `tasks`.
    """

    workers: int
    use_gpu: bool
    engine: Engine
    accumulation: int
    threads_per_worker: int
    max_failures: int
    checkpoint: Checkpointing
    stall_seconds: int = 600
    numbers: Numbers = field(default_factory=Numbers)
    feed: FeedMaker = "tasks"


@dataclass(frozen=True)
class Derived:
    """One number of the plan and the sentence that explains it."""

    name: str
    value: int | float | str
    unit: str
    reason: str


@dataclass(frozen=True)
class ToBuild:
    """Something the job needs that is not there: a corpus, a vocabulary, or the run it grows."""

    noun: Literal["corpus", "vocabulary", "run"]
    name: str
    how: str


@dataclass(frozen=True)
class Plan:
    """What `gfmp plan` prints and `gfmp submit` carries out."""

    name: str
    what: What
    where: Where
    derived: tuple[Derived, ...]
    to_build: tuple[ToBuild, ...]

    @property
    def complete(self) -> bool:
        """True when everything it names is built, so that it can run."""
        return not self.to_build

    def to_json(self) -> dict[str, object]:
        """Return the plan as JSON values, with its format version and fingerprint."""
        value = TypeAdapter(Plan).dump_python(self, mode="json")
        return {
            "format_version": FORMAT_VERSION,
            "what_fingerprint": self.what.fingerprint,
            **value,
        }

    @classmethod
    def from_json(cls, value: dict[str, object]) -> Plan:
        """Rebuild a plan written by `to_json`.

        Raises:
            CorruptArtefactError: another format version, or the identity does not hash to the
                stored fingerprint.
        """
        body = dict(value)
        version, stored = body.pop("format_version", 0), body.pop("what_fingerprint", "")
        if version != FORMAT_VERSION:
            raise CorruptArtefactError(
                f"plan has format version {version!r}",
                why=f"this gfmp reads version {FORMAT_VERSION}",
                fix="use the gfmp version that wrote the run",
            )
        plan = TypeAdapter(cls).validate_json(canonical_json(body))
        if plan.what.fingerprint != stored:
            raise CorruptArtefactError(
                f"plan hashes to {plan.what.fingerprint[:12]}, not to {str(stored)[:12]}",
                why="the plan was changed after the run started, or written by another version",
                fix="restore plan.json, or start a new run",
            )
        return plan
