"""What a person asks of a variant-effect job (jobs/variant_effect.yaml).

Source: Ye et al., Genomics-FM, A.3.15 (distances between predicted profiles, a head on the
difference of features) and Tables S1-S5; the masked-token ratio and the distance of embeddings
come straight from a pretrained model.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from gfmp.spec.base import Closed, Fraction, Name, NotNegativeInt, PositiveInt
from gfmp.spec.sweep import Seed

Distance = Literal["euclidean", "manhattan", "cosine", "dot"]
DISTANCES: tuple[Distance, ...] = ("euclidean", "manhattan", "cosine", "dot")
_Distances = Annotated[tuple[Distance, ...], Field(min_length=1)]
_Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
_Text = Annotated[str, Field(min_length=1)]
# Part of the name of an INFO field.
_Column = Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,40})?$")]


class VcfSpec(Closed):
    """The variants.

    Attributes:
        path: The VCF (.gz too), relative to the YAML file, sorted.
        sha256: Pins its content.
        contigs: Name in the VCF to name in the reference, where they differ.
        unusable: Symbols, alleles with N, longer than half a window, off the reference or of
            another REF: `error` refuses them, `skip` passes over them and counts them.
    """

    path: _Text
    sha256: _Sha256 = ""
    contigs: Annotated[dict[str, str], Field(default_factory=dict)]
    unusable: Literal["error", "skip"] = "error"


class ReferenceSpec(Closed):
    """The sequence that the variants change.

    Attributes:
        path: A FASTA (.gz too), relative to the YAML file.
        sha256: Pins its content.
    """

    path: _Text
    sha256: _Sha256 = ""


def _path_alone(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


_Variants = Annotated[VcfSpec, BeforeValidator(_path_alone, json_schema_input_type=_Text | VcfSpec)]
_Reference = Annotated[
    ReferenceSpec, BeforeValidator(_path_alone, json_schema_input_type=_Text | ReferenceSpec)
]


class LikelihoodScorer(Closed):
    """Log-likelihood of the tokens that the alternate changes, less that of the reference.

    Both alleles are tokenised anew. The tokens in which they differ are masked all at once, each
    allele in its own text, and their log-probabilities summed (nats; negative: the alternate is
    the less likely). With overlapping words the sum is divided by the words that show a base.

    Attributes:
        model: Name or id of a pretraining run.
        vocabulary: One of its vocabularies.
        name: Column; empty for `llr_<vocabulary>`.
    """

    kind: Literal["likelihood"]
    model: _Text
    vocabulary: Name
    name: _Column = ""


class EmbeddingScorer(Closed):
    """Distance between the last hidden states of the two alleles, averaged over words.

    Attributes:
        model: Name or id of a pretraining run.
        vocabulary: One of its vocabularies.
        pool: `near` averages the words that touch the change or `near_bp` around it, `window` all
            of the window.
        near_bp: See `pool`.
        distances: One column each, `<name>_<distance>`.
        name: Beginning of the columns; empty for `embedding_<vocabulary>`.
    """

    kind: Literal["embedding"]
    model: _Text
    vocabulary: Name
    pool: Literal["near", "window"] = "near"
    near_bp: NotNegativeInt = 16
    distances: _Distances = DISTANCES
    name: _Column = ""


class ProfileScorer(Closed):
    """Distance between what a fine-tuned model predicts for the two alleles (Tables S1, S3-S5).

    Predictions of both strands are averaged first, as DeepSEA does (Zhou and Troyanskaya, 2015).

    Attributes:
        model: Name or id of a fine-tuning run.
        space: Distances between `predictions` (probabilities or values) or between their
            log-odds, `logits`, where the model gives probabilities.
        distances: One column each, `<name>_<distance>`.
        name: Beginning of the columns; empty for `profile`.
    """

    kind: Literal["profile"]
    model: _Text
    space: Literal["predictions", "logits"] = "predictions"
    distances: _Distances = DISTANCES
    name: _Column = ""


ScorerSpec = Annotated[
    LikelihoodScorer | EmbeddingScorer | ProfileScorer, Field(discriminator="kind")
]
AnyScorer = LikelihoodScorer | EmbeddingScorer | ProfileScorer


def scorer_name(scorer: AnyScorer) -> str:
    """Return the name of a scorer: given, or made of what it reads."""
    if scorer.name or isinstance(scorer, ProfileScorer):
        return scorer.name or "profile"
    stem = "llr" if isinstance(scorer, LikelihoodScorer) else "embedding"
    return f"{stem}_{scorer.vocabulary.replace('-', '_').replace('.', '_')}"


class Measured(Closed):
    """Effects that were measured, in the VCF itself.

    Attributes:
        field: INFO field with the effect, one for each alternate or one for all.
        group_by: `contig`, or the INFO field whose value says which element a variant is of.
        at_least: INFO field -> smallest value of variants that are compared, such as barcodes.
    """

    field: _Text
    group_by: _Text = "contig"
    at_least: Annotated[dict[str, float], Field(default_factory=dict)]


class DifferenceHead(Closed):
    """A ridge regression from the difference of features to the measured effect (Fig. S1).

    A variant is predicted by a head that did not see it: its group is cut into stretches of
    positions, one for each fold, so that alternates of one position are never on both sides.

    Attributes:
        scorer: Name of the embedding or profile scorer whose features are read.
        folds: Stretches of each group, or with `split: group` groups are left out one by one.
        split: `position` trains within each group, `group` on all other groups.
        penalties: Strengths of the L2 penalty; training rows choose by leave-one-out.
    """

    scorer: _Text
    folds: Annotated[int, Field(ge=2)] = 5
    split: Literal["position", "group"] = "position"
    penalties: Annotated[tuple[Annotated[float, Field(gt=0.0)], ...], Field(min_length=1)] = (
        *(0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0),
    )


class EffectCompute(Closed):
    """Where a job runs; changes speed, not the numbers.

    Attributes:
        threads: CPU threads; 0 takes all cores.
        device: `auto` takes a GPU where there is one.
        shard_records: Records of the VCF after which what was scored is committed.
    """

    threads: NotNegativeInt = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    shard_records: PositiveInt = 2_000


class VariantEffectSpec(Closed):
    """Scores for the variants of a VCF.

    Attributes:
        name: Folder and experiment name of its runs.
        seed: Recorded; nothing is drawn.
        variants: The VCF, or its path.
        reference: The FASTA, or its path.
        window_bp: Bases of the window around a substitution; longer alleles keep the flanks.
        strands: `both` scores each window on both strands and averages.
        scorers: What is computed.
        score_every: Scores every n-th record in full; all are parsed, checked and windowed.
        most_mismatches: With `unusable: skip`, the share of records whose REF may differ before
            the file counts as one of another assembly.
        measured: Effects to compare with.
        head: A head on the difference of features; needs `measured`.
        compute: Where it runs.
        cluster: Name of a file in specs/clusters/, or a path to one; empty runs here, or where
            RAY_ADDRESS says.
    """

    kind: Literal["variant_effect"]
    name: Name
    seed: Seed = 0
    variants: _Variants
    reference: _Reference
    window_bp: Annotated[int, Field(ge=16, le=1_000_000)] = 512
    strands: Literal["both", "forward"] = "both"
    scorers: Annotated[tuple[ScorerSpec, ...], Field(min_length=1)]
    score_every: PositiveInt = 1
    most_mismatches: Fraction = 0.1
    measured: Measured | None = None
    head: DifferenceHead | None = None
    compute: EffectCompute = EffectCompute()
    cluster: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> VariantEffectSpec:
        names = [scorer_name(scorer) for scorer in self.scorers]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two scorers are called {', '.join(doubled)}: give one a name")
        if self.head is None:
            return self
        if self.measured is None:
            raise ValueError("head learns measured effects: say where they are in `measured`")
        read = {scorer_name(s) for s in self.scorers if not isinstance(s, LikelihoodScorer)}
        if self.head.scorer not in read:
            known = ", ".join(sorted(read)) or "none"
            raise ValueError(f"head.scorer {self.head.scorer!r} has no features; known: {known}")
        return self
