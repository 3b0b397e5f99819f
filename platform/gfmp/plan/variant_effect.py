"""What a variant-effect job will do: files by digest, scorers with their weights, every column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from pydantic import TypeAdapter

from gfmp.errors import Problem, SpecError
from gfmp.plan.cells import Ingredient
from gfmp.plan.checks import Locate, dotted
from gfmp.plan.stored import StoredPlan
from gfmp.plan.values import Derived
from gfmp.spec.variant_effect import (
    AnyScorer,
    DifferenceHead,
    LikelihoodScorer,
    Measured,
    ProfileScorer,
    VariantEffectSpec,
    scorer_name,
)
from gfmp.storage.hashes import fingerprint

# Goes up when a change of gfmp changes the numbers of a job.
NUMERICS_VERSION = 1
KIND = "variant_effect"
# In the folder of a run.
SHARDS_FOLDER, RESULTS_FOLDER = "shards", "variants"
HEAD_COLUMN = "head"
PREFIX = "GFMP_"


@dataclass(frozen=True)
class FileFacts:
    """A file as it lies there.

    Attributes:
        path: Absolute path.
        sha256: Digest of its bytes.
    """

    path: str
    sha256: str


@dataclass(frozen=True)
class ModelFacts:
    """A trained model that a scorer names.

    Attributes:
        run: Id of the run, and the hash of its weights.
        vocabularies: Those a scorer may read; for a fine-tuned model those it does read.
        shortest_bp: Shortest sequence that each of them encodes.
        outputs: Width of the predicted profile; 0 for a pretrained model.
        probabilities: Whether the profile holds probabilities.
    """

    run: Ingredient
    vocabularies: tuple[Ingredient, ...]
    shortest_bp: tuple[int, ...]
    outputs: int = 0
    probabilities: bool = False


@dataclass(frozen=True)
class EffectFacts:
    """Everything outside the spec that a plan depends on.

    Attributes:
        variants: The VCF.
        reference: The FASTA.
        models: By (kind of scorer, model as the spec names it).
        cpu_cores: Of this machine.
        missing: What the spec names and is not there; a plan without it is a preview.
    """

    variants: FileFacts
    reference: FileFacts
    models: Mapping[tuple[str, str], ModelFacts]
    cpu_cores: int
    missing: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class ScorerPlan:
    """One scorer with its weights.

    Attributes:
        name: Of the scorer.
        settings: What was asked.
        model: Run id and hash of the weights.
        vocabularies: The vocabularies it reads.
        shortest_bp: Shortest sequence that all of them encode.
        columns: Names of its scores.
    """

    name: str
    settings: AnyScorer
    model: Ingredient
    vocabularies: tuple[Ingredient, ...]
    shortest_bp: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class EffectWhat:
    """Everything that decides the scores.

    Attributes:
        variants: Digest of the VCF.
        reference: Digest of the FASTA.
        contigs: Name in the VCF -> name in the reference, sorted.
        unusable: As in the spec, like all below.
        shortest_bp: Windows that are shorter are not scored.
    """

    variants: str
    reference: str
    contigs: tuple[tuple[str, str], ...]
    unusable: str
    most_mismatches: float
    window_bp: int
    both_strands: bool
    score_every: int
    shortest_bp: int
    scorers: tuple[ScorerPlan, ...]
    measured: Measured | None
    head: DifferenceHead | None
    numerics: int = NUMERICS_VERSION

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over every field."""
        return fingerprint(TypeAdapter(EffectWhat).dump_python(self, mode="json"))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all scores, that of the head last."""
        scored = tuple(column for scorer in self.scorers for column in scorer.columns)
        return (*scored, HEAD_COLUMN) if self.head else scored


@dataclass(frozen=True)
class EffectWhere:
    """Where it runs; changes speed, not the numbers.

    Attributes:
        variants_path: The VCF.
        reference_path: The FASTA.
        threads: CPU threads.
        device: `auto`, `cpu` or `cuda`.
        shard_records: Records of a shard.
    """

    variants_path: str
    reference_path: str
    threads: int
    device: str
    shard_records: int


@dataclass(frozen=True)
class EffectPlan(StoredPlan):
    """What `gfmp plan` prints and `gfmp submit` carries out for a variant-effect job."""

    KIND: ClassVar[str] = KIND
    JOB: ClassVar[str] = "a variant-effect job"

    name: str
    what: EffectWhat
    where: EffectWhere
    derived: tuple[Derived, ...]


def resolve_effects(
    spec: VariantEffectSpec, facts: EffectFacts, locate: Locate = dotted
) -> EffectPlan:
    """Decide everything about a variant-effect job; equal inputs give an equal plan.

    Args:
        spec: What a person asks.
        facts: What there is.
        locate: Key path of the spec to the place of a problem.

    Raises:
        SpecError: a scorer cannot read its model; carries every reason at once.
    """
    if problems := list(_problems(spec, facts, locate)):
        raise SpecError.of(problems)
    scorers = tuple(_planned(scorer, facts) for scorer in spec.scorers)
    what = EffectWhat(
        variants=facts.variants.sha256,
        reference=facts.reference.sha256,
        contigs=tuple(sorted(spec.variants.contigs.items())),
        unusable=spec.variants.unusable,
        most_mismatches=spec.most_mismatches,
        window_bp=spec.window_bp,
        both_strands=spec.strands == "both",
        score_every=spec.score_every,
        shortest_bp=max(scorer.shortest_bp for scorer in scorers),
        scorers=scorers,
        measured=spec.measured,
        head=spec.head,
    )
    where = EffectWhere(
        variants_path=facts.variants.path,
        reference_path=facts.reference.path,
        threads=spec.compute.threads or facts.cpu_cores,
        device=spec.compute.device,
        shard_records=spec.compute.shard_records,
    )
    return EffectPlan(spec.name, what, where, tuple(_explained(what, where)))


def _problems(spec: VariantEffectSpec, facts: EffectFacts, locate: Locate) -> Iterator[Problem]:
    for index, scorer in enumerate(spec.scorers):
        found = facts.models[scorer.kind, scorer.model]
        known = [vocabulary.name for vocabulary in found.vocabularies]
        if not isinstance(scorer, ProfileScorer) and scorer.vocabulary not in known:
            yield Problem(
                f"scorers.{index}.vocabulary: {scorer.model!r} has no {scorer.vocabulary!r}",
                locate(("scorers", index, "vocabulary")),
                f"it was pretrained with {', '.join(known)}",
                "name one of these",
            )
        odds = isinstance(scorer, ProfileScorer) and scorer.space == "logits"
        if odds and not found.probabilities:
            yield Problem(
                f"scorers.{index}.space: {scorer.model!r} predicts values",
                locate(("scorers", index, "space")),
                "log-odds are of probabilities",
                "leave space out",
            )
        longest = max(found.shortest_bp, default=1)
        if longest > spec.window_bp:
            yield Problem(
                f"window_bp: {spec.window_bp} is shorter than what {scorer.model!r} reads",
                locate(("window_bp",)),
                f"its vocabularies encode sequences of at least {longest} bases",
                "widen the window",
            )


def _planned(scorer: AnyScorer, facts: EffectFacts) -> ScorerPlan:
    found, name = facts.models[scorer.kind, scorer.model], scorer_name(scorer)
    read = [
        (vocabulary, shortest)
        for vocabulary, shortest in zip(found.vocabularies, found.shortest_bp, strict=True)
        if isinstance(scorer, ProfileScorer) or vocabulary.name == scorer.vocabulary
    ]
    distances = () if isinstance(scorer, LikelihoodScorer) else scorer.distances
    return ScorerPlan(
        name=name,
        settings=scorer,
        model=found.run,
        vocabularies=tuple(vocabulary for vocabulary, _ in read),
        shortest_bp=max((shortest for _, shortest in read), default=1),
        columns=tuple(f"{name}_{distance}" for distance in distances) or (name,),
    )


def _explained(what: EffectWhat, where: EffectWhere) -> Iterator[Derived]:
    texts = 4 if what.both_strands else 2
    reason = "reference and alternate" + (", each on both strands" if what.both_strands else "")
    yield Derived("texts_per_allele", texts, "", f"{reason}; equal texts are read once")
    before, after = (what.window_bp - 1) // 2, what.window_bp // 2
    yield Derived(
        "flanks_bp",
        f"{before} and {after}",
        "",
        f"around a substitution of one base they make {what.window_bp}; longer alleles keep them,"
        " the end of a contig cuts them",
    )
    yield Derived("longest_allele_bp", what.window_bp // 2, "bp", "half a window")
    yield Derived("shortest_window_bp", what.shortest_bp, "bp", "what every vocabulary encodes")
    yield Derived("columns", len(what.columns), "", f"scores: {', '.join(what.columns)}")
    for scorer in what.scorers:
        names = ", ".join(vocabulary.name for vocabulary in scorer.vocabularies)
        weights = f"weights {scorer.model.fingerprint[:12] or 'not there yet'}"
        reason = f"{weights}, read with {names or 'its own vocabulary'}"
        yield Derived(f"{scorer.name}.model", scorer.model.name, "", reason)
    yield Derived("scored_share", f"1 of {what.score_every}", "", "records scored in full")
    yield Derived(
        "shard_records", where.shard_records, "", "committed together; a resume skips them"
    )
