"""What a person asks of a task (specs/tasks/*.yaml): source, target, metric, split, provenance."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
)

from gfmp.spec.base import Closed, Fraction, NotNegativeInt
from gfmp.spec.corpus import RegionSpec
from gfmp.spec.derive import AnyDerivedSource, DerivedSource
from gfmp.spec.task_context import ContextSpec, check_context
from gfmp.spec.task_formats import (
    AlignedFastaSource,
    ArraysSource,
    ClassFilesSource,
    GenesSource,
    IntervalsSource,
    LabelledFastaSource,
    MeasuredVariantsSource,
    PeaksSource,
)
from gfmp.spec.task_profiles import ProfilesSource
from gfmp.spec.task_public import PublicSpec
from gfmp.spec.task_sources import FastaSource, FileSource, FolderSource, SplitFiles, TableSource
from gfmp.spec.task_target import (
    CLASS_METRICS,
    VALUE_METRICS,
    TargetKind,
    TargetSpec,
    fitting_metrics,
)
from gfmp.storage.documents import did_you_mean

__all__ = [
    "CLASS_METRICS",
    "VALUE_METRICS",
    "ContextSpec",
    "FastaSource",
    "FileSource",
    "FolderSource",
    "PublicSpec",
    "SplitFiles",
    "SplitSpec",
    "TableSource",
    "TargetKind",
    "TargetSpec",
    "TaskSpec",
    "fitting_metrics",
]

AnyFileSource = (
    TableSource
    | FastaSource
    | FolderSource
    | ClassFilesSource
    | IntervalsSource
    | PeaksSource
    | ProfilesSource
    | AlignedFastaSource
    | LabelledFastaSource
    | ArraysSource
    | MeasuredVariantsSource
    | GenesSource
)
AnySource = AnyFileSource | AnyDerivedSource
SourceChoice = Annotated[AnyFileSource | DerivedSource, Field(discriminator="format")]


class SplitSpec(Closed):
    """Which rows train, choose and test.

    Attributes:
        by: `given` keeps the split of the files; `contig`, `group` and `region` hold out the
            members named in `test` and `valid`; `random` holds out `test_fraction` of the rows.
        test: Names of contigs or groups; for `region` blocks of contig, start, end.
        valid: As `test`. Without it `valid_fraction` of the training rows are taken.
        test_fraction: Used by `random`, and by `group` without names in `test`.
        valid_fraction: Share of train; whole groups together, classes in proportion.
        seed: Chooses the rows of both fractions.
    """

    by: Literal["given", "contig", "group", "region", "random"] = "given"
    test: tuple[str | RegionSpec, ...] = ()
    valid: tuple[str | RegionSpec, ...] = ()
    test_fraction: Annotated[Fraction, Field(gt=0.0, lt=1.0)] = 0.1
    valid_fraction: Annotated[Fraction, Field(gt=0.0, lt=1.0)] = 0.1
    seed: NotNegativeInt = 0

    @field_validator("test", "valid")
    @classmethod
    def _members_fit(
        cls, members: tuple[str | RegionSpec, ...], info: ValidationInfo
    ) -> tuple[str | RegionSpec, ...]:
        by = info.data.get("by")
        if members and by in ("given", "random"):
            raise ValueError(f"split by {by} names no members")
        if by in ("contig", "group") and not all(isinstance(m, str) for m in members):
            raise ValueError(f"split by {by} takes names; coordinates need `by: region`")
        if info.field_name == "test" and not members and by in ("contig", "region"):
            raise ValueError(f"split by {by} names what is held out for the test")
        return members


class TaskSpec(Closed):
    """A file in specs/tasks/: a labelled problem and where it comes from.

    Attributes:
        description: What a row is and what is asked of it.
        licence: Of the data.
        citation: Whom to cite.
        source: Where rows come from, chosen by `format`.
        target: What is predicted.
        metric: The one that decides.
        also: Metrics reported beside it.
        split: Which rows train, choose and test.
        context: Numbers beside the sequence, by the tissue or cell type of a row; without it
            the sequence is all that is read.
        public: Where its public files are, and what they should hold.
    """

    kind: Literal["task"]
    description: Annotated[str, Field(min_length=1)]
    licence: str = ""
    citation: str = ""
    source: SourceChoice
    target: TargetSpec
    metric: str
    also: tuple[str, ...] = ()
    split: Annotated[SplitSpec, Field(validate_default=True)] = SplitSpec()
    context: Annotated[ContextSpec | None, Field(validate_default=True)] = None
    public: PublicSpec | None = None

    @field_validator("metric")
    @classmethod
    def _metric_fits(cls, metric: str, info: ValidationInfo) -> str:
        _check_metric(metric, info)
        return metric

    @field_validator("also")
    @classmethod
    def _all_fit(cls, also: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for metric in also:
            _check_metric(metric, info)
        if len({*also, info.data.get("metric")}) <= len(also) and "metric" in info.data:
            raise ValueError("a metric stands twice")
        return also

    @field_validator("target")
    @classmethod
    def _target_fits(cls, target: TargetSpec, info: ValidationInfo) -> TargetSpec:
        if "source" not in info.data:
            return target
        source = info.data["source"]
        if isinstance(source, FileSource):
            return source.checked_target(target)
        names = source.class_names
        kind = "binary" if len(names) == 2 else "multiclass"
        if target.kind != kind or target.names not in ((), names):
            raise ValueError(f"the rule {source.rule} gives {kind}: {', '.join(names)}")
        return target.model_copy(update={"names": names})

    @field_validator("split")
    @classmethod
    def _split_fits(cls, split: SplitSpec, info: ValidationInfo) -> SplitSpec:
        if "source" in info.data:
            _check_split(split.by, info.data["source"])
        return split

    @field_validator("context")
    @classmethod
    def _every_row_has_one(
        cls, context: ContextSpec | None, info: ValidationInfo
    ) -> ContextSpec | None:
        if "source" in info.data and "target" in info.data:
            check_context(context, info.data["source"], info.data["target"])
        return context


def _check_metric(metric: str, info: ValidationInfo) -> None:
    target = info.data.get("target")
    if not isinstance(target, TargetSpec):
        return
    known = fitting_metrics(target.kind)
    if metric not in known:
        hint = did_you_mean(metric, known)
        raise ValueError(
            f"{metric} does not score {target.kind}; these do: {', '.join(known)}"
            + (f"; {hint}" if hint else "")
        )


def _check_split(by: str, source: AnySource) -> None:
    if isinstance(source, FileSource):
        source.check_split(by)
    elif by == "given":
        raise ValueError("rows derived from annotation have no split yet: name contigs or regions")
