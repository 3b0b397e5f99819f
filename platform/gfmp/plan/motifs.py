"""What a motif job will do: the model by its weights, the rows by their task, every setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from pydantic import TypeAdapter

from gfmp.errors import DataError, Problem, SpecError
from gfmp.plan.cells import Ingredient
from gfmp.plan.checks import Locate, dotted
from gfmp.plan.stored import StoredPlan
from gfmp.plan.values import Derived
from gfmp.spec.motifs import MapName, MotifsSpec, RegionLaw, SearchLaw
from gfmp.storage.hashes import fingerprint
from gfmp.tasks.task import Split

# Goes up when a change of gfmp changes the findings of a job.
NUMERICS_VERSION = 1
KIND = "motifs"
RESULTS_FOLDER = "report"
# Fewer rows of a side can hardly tell chance from a motif.
LEAST_ROWS = 10
_NUM_OTHER_BASES = 3


@dataclass(frozen=True)
class ModelFacts:
    """A fine-tuned model.

    Attributes:
        model: Run id or folder name, and the hash of its weights.
        folder: Where it lies.
        task: The task it was trained on.
        vocabularies: Those it reads.
        output: Name of the output that is explained.
        output_index: Its place.
        kind: Kind of the model's target.
    """

    model: Ingredient
    folder: str
    task: Ingredient
    vocabularies: tuple[Ingredient, ...]
    output: str
    output_index: int
    kind: str


@dataclass(frozen=True)
class RowFacts:
    """The rows that are on either side.

    Attributes:
        positives: Rows of the positive side in the split.
        negatives: Rows of the negative side.
        mean_bp: Mean length.
    """

    positives: int
    negatives: int
    mean_bp: float


@dataclass(frozen=True)
class MotifFacts:
    """Everything outside the spec that a plan depends on.

    Attributes:
        model: The model.
        rows: Its rows.
        library: The library of known motifs and the hash of its content; empty for none.
        num_known: Motifs in it.
        cpu_cores: Of this machine.
    """

    model: ModelFacts
    rows: RowFacts
    library: Ingredient
    num_known: int
    cpu_cores: int


@dataclass(frozen=True)
class MotifWhat:
    """Everything that decides the findings; settings as in `spec.motifs.MotifsSpec`.

    Attributes:
        model: Hash of the weights.
        task: Fingerprint of the task.
        output: Place of the output that is explained.
        library: Hash of the known motifs; empty for none.
    """

    model: str
    task: str
    output: int
    library: str
    seed: int
    split: Split
    max_rows: int
    map: MapName
    regions: RegionLaw
    search: SearchLaw
    held_out_fraction: float
    matches: int
    rows_shown: int
    numerics: int = NUMERICS_VERSION

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over every field."""
        return fingerprint(TypeAdapter(MotifWhat).dump_python(self, mode="json"))


@dataclass(frozen=True)
class MotifWhere:
    """Where it runs, and where what it reads lies.

    Attributes:
        folder: The model.
        library: Name or whole path of the known motifs; empty for none.
        threads: CPU threads.
        device: `auto`, `cpu` or `cuda`.
    """

    folder: str
    library: str
    threads: int
    device: str


@dataclass(frozen=True)
class MotifPlan(StoredPlan):
    """What `gfmp plan` prints and `gfmp submit` carries out for a motif job.

    Attributes:
        name: Name of the job.
        facts: What it works with, for people.
        what: What decides its findings.
        where: Where it runs.
        derived: Numbers with their reasons.
    """

    KIND: ClassVar[str] = KIND
    JOB: ClassVar[str] = "a motif job"

    name: str
    facts: MotifFacts
    what: MotifWhat
    where: MotifWhere
    derived: tuple[Derived, ...]


def resolve_motifs(spec: MotifsSpec, facts: MotifFacts, locate: Locate = dotted) -> MotifPlan:
    """Decide everything about a motif job; equal inputs give an equal plan.

    Args:
        spec: What a person asks.
        facts: What there is.
        locate: Key path of the spec to the place of a problem.

    Raises:
        SpecError: the search asks for more sites than there are rows.
        DataError: a side has too few rows.
    """
    if problem := _too_few(spec, facts, locate):
        raise DataError.of([problem])
    num_searched = _searched(min(spec.max_rows, facts.rows.positives), spec.held_out_fraction)
    if spec.search.min_sites > num_searched:
        raise SpecError(
            f"search.min_sites: {spec.search.min_sites} is more than the rows there are",
            where=locate(("search", "min_sites")),
            why=f"{num_searched:,} positive rows are searched, a motif has one site in each",
            fix="lower it, or read a larger split",
        )
    what = MotifWhat(
        model=facts.model.model.fingerprint,
        task=facts.model.task.fingerprint,
        output=facts.model.output_index,
        library=facts.library.fingerprint,
        seed=spec.seed,
        split=spec.split,
        max_rows=spec.max_rows,
        map=spec.map,
        regions=spec.regions,
        search=spec.search,
        held_out_fraction=spec.held_out_fraction,
        matches=spec.matches,
        rows_shown=spec.rows_shown,
    )
    where = MotifWhere(
        folder=facts.model.folder,
        library=facts.library.name,
        threads=spec.compute.threads or facts.cpu_cores,
        device=spec.compute.device,
    )
    return MotifPlan(spec.name, facts, what, where, tuple(_explained(spec, facts)))


def _searched(num_rows: int, held_out_fraction: float) -> int:
    return num_rows - round(num_rows * held_out_fraction)


def _too_few(spec: MotifsSpec, facts: MotifFacts, locate: Locate) -> Problem | None:
    sides = {"positive": facts.rows.positives, "negative": facts.rows.negatives}
    few = [f"{count} {side}" for side, count in sides.items() if count < LEAST_ROWS]
    if not few:
        return None
    return Problem(
        f"split {spec.split!r} of task {facts.model.task.name!r} has {' and '.join(few)} rows",
        locate(("split",)),
        f"either side of {facts.model.output!r} has at least {LEAST_ROWS} rows",
        "read another split, or explain another output",
    )


def _explained(spec: MotifsSpec, facts: MotifFacts) -> Iterator[Derived]:
    rows, words = facts.rows, ", ".join(one.name for one in facts.model.vocabularies)
    here, there = (min(spec.max_rows, count) for count in (rows.positives, rows.negatives))
    yield Derived("model", facts.model.model.name, "", f"reads {words}")
    yield Derived("explained", facts.model.output, "", f"an output of a {facts.model.kind} model")
    yield Derived("positive_rows", here, "rows", _chosen(here, rows.positives, spec))
    yield Derived("negative_rows", there, "rows", _chosen(there, rows.negatives, spec))
    yield Derived(
        "searched_rows",
        _searched(here, spec.held_out_fraction),
        "rows",
        f"positive; the others ({spec.held_out_fraction:.0%}) choose nothing and give the p-values",
    )
    yield Derived("map", spec.map, "", "read for every positive row")
    yield Derived("rows_read", _reads(spec, here, rows.mean_bp), "rows", _READS[spec.map])
    yield Derived("words", 4**spec.search.word_bp, "", f"of {spec.search.word_bp} bases")
    known = f"of {facts.num_known:,} known ones" if facts.num_known else "nothing to compare with"
    yield Derived("library", facts.library.name or "none", "", known)


def _chosen(taken: int, there_are: int, spec: MotifsSpec) -> str:
    every = f"all of this side in the {spec.split} rows"
    return every if taken == there_are else f"of {there_are:,}, chosen by seed and row"


_READS: Mapping[MapName, str] = {
    "rollout": "one pass of the model for each",
    "pooled": "one pass of the model for each",
    "cls": "one pass of the model for each",
    "integrated_gradients": "16 points of each path at least, with their gradients",
    "mutagenesis": "three mutants of each base",
}


def _reads(spec: MotifsSpec, num_rows: int, mean_bp: float) -> int:
    """Return about how many rows the model reads for the maps."""
    if spec.map == "mutagenesis":
        return round(num_rows * (1 + _NUM_OTHER_BASES * mean_bp))
    return num_rows * (16 if spec.map == "integrated_gradients" else 1)
