"""Every alternate of a VCF scored by one loaded model, as a table in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from rich.progress import Progress as RichProgress
from rich.progress import TaskID

from gfmp.errors import MissingInputError
from gfmp.genome.locations import LocalFile, digest
from gfmp.inference.effects import Job, Named, Progress, open_variants, shards_of
from gfmp.inference.embedding import Embedding
from gfmp.inference.likelihood import Likelihood
from gfmp.inference.loaded import Loaded
from gfmp.inference.profiles import Profile
from gfmp.inference.scorer import Scorer
from gfmp.inference.shards import FEATURES
from gfmp.inference.survey import Survey
from gfmp.plan.cells import Ingredient
from gfmp.plan.variant_effect import (
    EffectFacts,
    EffectPlan,
    FileFacts,
    ModelFacts,
    ScorerPlan,
    resolve_effects,
)
from gfmp.spec.variant_effect import (
    AnyScorer,
    EmbeddingScorer,
    LikelihoodScorer,
    ProfileScorer,
    ReferenceSpec,
    VariantEffectSpec,
    VcfSpec,
)

# Of measured effects; a table of scores has none.
_MEASURED = ("record", "number", "group", "effect", "compared")


@dataclass(frozen=True)
class VariantWindows:
    """What of a VCF is scored.

    Attributes:
        variants: The VCF.
        reference: The FASTA it stands on.
        window_bp: Bases around a substitution.
        skip_unusable: Whether alternates that cannot be scored are passed over.
    """

    variants: Path
    reference: Path
    window_bp: int
    skip_unusable: bool


def score_table(loaded: Loaded, windows: VariantWindows, *, shown: bool) -> pa.Table:
    """Return one row for each alternate; see `TrainedModel.score_variants`.

    Raises:
        MissingInputError: there is no such file.
        DataError: the VCF is damaged or does not fit the reference.
    """
    plan = _plan(loaded, windows)
    file = open_variants(plan, loaded.found.workspace)
    survey = file.survey(lambda records, seconds: None)
    scorers = [Named(one, _scorer(loaded, one)) for one in plan.what.scorers]
    with tempfile.TemporaryDirectory(prefix="gfmp-variants-") as folder, _Shown(shown) as watcher:
        shards = shards_of(plan, Path(folder))
        Job(plan, file, shards).run(scorers, survey, watcher)
        tables = [table.replace_schema_metadata(None) for table in shards.tables()]
    joined = pa.concat_tables(tables)
    unasked = [name for name in (*_MEASURED, FEATURES) if name in joined.column_names]
    return joined.drop_columns(unasked)


def _plan(loaded: Loaded, windows: VariantWindows) -> EffectPlan:
    found = loaded.found
    scorers = tuple(_specs(loaded))
    spec = VariantEffectSpec(
        kind="variant_effect",
        name="scores",
        variants=VcfSpec(
            path=str(windows.variants),
            contigs={},
            unusable="skip" if windows.skip_unusable else "error",
        ),
        reference=ReferenceSpec(path=str(windows.reference)),
        window_bp=windows.window_bp,
        scorers=scorers,
    )
    known = found.vocabularies
    model = ModelFacts(
        run=found.model,
        vocabularies=tuple(Ingredient(v.name, v.fingerprint) for v in known),
        shortest_bp=tuple(v.shortest_bp for v in known),
        outputs=found.target.num_outputs if found.target else 0,
        probabilities=found.target is None or found.target.kind != "regression",
    )
    facts = EffectFacts(
        variants=_file(windows.variants),
        reference=_file(windows.reference),
        models={(scorer.kind, scorer.model): model for scorer in scorers},
        cpu_cores=loaded.compute.threads,
    )
    return resolve_effects(spec, facts)


def _specs(loaded: Loaded) -> Iterator[AnyScorer]:
    name = loaded.found.model.name
    if loaded.made is not None:
        yield ProfileScorer(kind="profile", model=name)
        return
    for one in loaded.found.vocabularies:
        yield LikelihoodScorer(kind="likelihood", model=name, vocabulary=one.name)
        yield EmbeddingScorer(kind="embedding", model=name, vocabulary=one.name)


def _scorer(loaded: Loaded, planned: ScorerPlan) -> Scorer:
    settings = planned.settings
    if isinstance(settings, ProfileScorer):
        return Profile(loaded.head(), settings, loaded.compute)
    assert loaded.masked is not None, "only pretrained models are asked for these"
    if isinstance(settings, LikelihoodScorer):
        return Likelihood(loaded.masked, settings.vocabulary)
    return Embedding(loaded.masked, settings)


def _file(path: Path) -> FileFacts:
    whole = path.expanduser().resolve()
    if not whole.is_file():
        raise MissingInputError(
            f"there is no file {path}",
            where=str(whole),
            why="paths are relative to the current folder",
            fix="correct the path",
        )
    return FileFacts(str(whole), digest(LocalFile(str(whole))))


class _Shown:
    """Watches a job: a bar, or nothing; never stops it."""

    def __init__(self, shown: bool) -> None:
        self._bar = RichProgress(disable=not shown)
        self._task: TaskID | None = None

    def __enter__(self) -> _Shown:
        self._bar.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._bar.stop()

    def surveyed(self, survey: Survey) -> None:
        """Pass over what is known already."""

    def progressed(self, progress: Progress) -> None:
        """Show how far it is."""
        if self._task is None:
            self._task = self._bar.add_task("scoring", total=progress.total)
        self._bar.update(self._task, completed=progress.records)

    def committed(self, number: int, num_bytes: int, progress: Progress) -> None:
        """Show how far it is."""
        self.progressed(progress)

    def stopping(self) -> bool:
        """Go on."""
        return False
