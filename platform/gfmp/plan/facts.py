"""What the world offers to a plan: vocabularies, corpus, machine. Gathered by callers."""

from __future__ import annotations

from dataclasses import dataclass

from gfmp.plan.calibration import Calibration
from gfmp.plan.parent import Parent
from gfmp.spec.model import Architecture
from gfmp.vocabulary.growth import RowCounts
from gfmp.vocabulary.vocabulary import LengthLaw, Vocabulary


@dataclass(frozen=True)
class VocabularyFacts:
    """What a plan reads of one vocabulary, built or not.

    Attributes:
        name: As the spec calls it.
        rows_low: Fewest local ids it can have, specials included.
        rows_high: Most local ids; equal to `rows_low` when measured.
        bp_per_token: Mean bases a token advances; the stride where tokens overlap.
        window: Lengths of its pretraining windows.
        overlapping: True when neighbouring tokens share bases.
        mask_span_tokens: Consecutive tokens one masked span covers.
        built: True when it is registered, so that the numbers above are measured.
        how: The recipe in words when it is not built.
        word_bp: Length of its words when they overlap (6 for 6-mers); 0 when they do not.
    """

    name: str
    rows_low: int
    rows_high: int
    bp_per_token: float
    window: LengthLaw
    overlapping: bool
    mask_span_tokens: int
    built: bool
    how: str
    word_bp: int = 0

    def __post_init__(self) -> None:
        assert 0 < self.rows_low <= self.rows_high, f"{self.name}: row bounds out of order"
        assert self.bp_per_token > 0, f"{self.name}: bp_per_token must be positive"
        assert self.overlapping == (self.word_bp > 1), (
            f"{self.name}: word_bp is the word length of overlapping tokens, and only of those"
        )

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> VocabularyFacts:
        """Read the facts off a registered vocabulary."""
        overlapping = vocabulary.overlapping
        return cls(
            name=vocabulary.name,
            rows_low=vocabulary.size,
            rows_high=vocabulary.size,
            bp_per_token=float(vocabulary.stride_bp) if overlapping else vocabulary.bp_per_token,
            window=vocabulary.window,
            overlapping=overlapping,
            mask_span_tokens=vocabulary.mask_span_tokens,
            built=True,
            how="",
            word_bp=vocabulary.word_bp,
        )

    @property
    def words_per_base(self) -> float:
        """Number of words that show one base: k for k-mers of stride 1, 1 without overlap."""
        return self.word_bp / self.bp_per_token if self.overlapping else 1.0


@dataclass(frozen=True)
class CorpusFacts:
    """What a plan reads of a corpus.

    Attributes:
        name: As the spec calls it.
        content_hash: Hash of its content; empty while it is not built.
        train_bases: Bases that train; 0 while unknown.
        valid_bases: Bases held out; 0 while unknown.
        how: How it is built when it is not.
    """

    name: str
    content_hash: str
    train_bases: int
    valid_bases: int
    how: str

    @property
    def built(self) -> bool:
        """True when it exists."""
        return bool(self.content_hash)


@dataclass(frozen=True)
class Machine:
    """The machine or cluster a job is planned for.

    Attributes:
        cpu_cores: Cores over all nodes.
        memory_bytes: Main memory over all nodes.
        gpus: GPUs over all nodes.
        gpu_memory_bytes: Memory of the smallest GPU; 0 without one, or when it is not known.
    """

    cpu_cores: int
    memory_bytes: int
    gpus: int
    gpu_memory_bytes: int

    def __post_init__(self) -> None:
        assert self.cpu_cores >= 1 and self.memory_bytes >= 1, "a machine has cores and memory"

    def rank_bytes(self, workers: int, use_gpu: bool) -> int:
        """Return the memory of one rank: its GPU (0 when not known), or its share of the whole."""
        return self.gpu_memory_bytes if use_gpu else self.memory_bytes // workers


@dataclass(frozen=True)
class Known:
    """Everything outside the spec that a plan depends on.

    Attributes:
        architecture: The model, read from specs/models/ when the spec names it.
        corpus: The corpus, built or not.
        vocabularies: Facts of every vocabulary the spec names.
        ensemble_fingerprint: Identity of the union; empty while a vocabulary is not built.
        ensemble_rows: Fewest and most rows of the union; equal when it is measured.
        machine: Where the job would run.
        parent: The checkpoint the job begins with; None without `init_from`, or when the run it
            names is not there yet.
        growth: Rows kept, new and dropped; None without a parent, or while the union is not
            measured.
        calibrations: What steps were measured to cost on this machine.
    """

    architecture: Architecture
    corpus: CorpusFacts
    vocabularies: tuple[VocabularyFacts, ...]
    ensemble_fingerprint: str
    ensemble_rows: tuple[int, int]
    machine: Machine
    parent: Parent | None = None
    growth: RowCounts | None = None
    calibrations: tuple[Calibration, ...] = ()

    def __post_init__(self) -> None:
        assert 0 < self.ensemble_rows[0] <= self.ensemble_rows[1], "row bounds out of order"
        assert not self.ensemble_fingerprint or self.ensemble_rows[0] == self.ensemble_rows[1], (
            "a complete ensemble has one number of rows"
        )

    def facts_of(self, name: str) -> VocabularyFacts:
        """Return the facts of the vocabulary `name`, which the caller must have gathered."""
        found = [facts for facts in self.vocabularies if facts.name == name]
        assert len(found) == 1, f"{len(found)} facts about the vocabulary {name!r}, not one"
        return found[0]
