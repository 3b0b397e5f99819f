"""What a person asks of a task (specs/tasks/*.yaml): source, target, metric, split, provenance."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gfmp.spec.base import Closed, Fraction
from gfmp.spec.corpus import FileSpec, RegionSpec
from gfmp.spec.derive import AnyDerivedSource, DerivedSource
from gfmp.storage.documents import did_you_mean

TargetKind = Literal["binary", "multiclass", "multilabel", "regression"]
Column = Annotated[str, Field(min_length=1)]

CLASS_METRICS = ("mcc", "accuracy", "macro_f1", "auroc", "auprc")
VALUE_METRICS = ("pearson_r", "spearman_r", "r2_determination", "r2_pearson")


def fitting_metrics(kind: TargetKind) -> tuple[str, ...]:
    """Return the metrics that can score a target of this kind."""
    return VALUE_METRICS if kind == "regression" else CLASS_METRICS


class TargetSpec(Closed):
    """What is predicted.

    Attributes:
        kind: `binary` and `multiclass` choose one class per row, `multilabel` says yes or no
            to each label, `regression` predicts one or several values.
        names: Class names in the order of their numbers (default `0`, `1` for binary, and the
            classes of the rule for derived rows); names of labels or values, when they differ
            from their columns.
        columns: Columns of a table: one for classes (default `label`), one per label or value.
        positive_weight: Weight of positive examples in the loss (binary, multilabel).
    """

    kind: TargetKind
    columns: Annotated[tuple[Column, ...], Field(validate_default=True)] = ()
    names: Annotated[tuple[Column, ...], Field(validate_default=True)] = ()
    positive_weight: Annotated[float, Field(gt=0.0)] = 1.0

    @field_validator("columns")
    @classmethod
    def _columns_fit(cls, columns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("kind") in ("binary", "multiclass"):
            if len(columns) > 1:
                raise ValueError(f"{info.data['kind']} has one column of classes")
            return columns or ("label",)
        if len(set(columns)) < len(columns):
            raise ValueError("a column stands twice")
        return columns

    @field_validator("names")
    @classmethod
    def _names_fit(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        kind, columns = info.data.get("kind"), info.data.get("columns", ())
        if kind in ("multilabel", "regression"):
            names = names or columns
        if len(set(names)) < len(names):
            raise ValueError("a name stands twice")
        _check_number(kind, names, columns)
        return names

    @field_validator("positive_weight")
    @classmethod
    def _weight_fits(cls, weight: float, info: ValidationInfo) -> float:
        if weight != 1.0 and info.data.get("kind") in ("multiclass", "regression"):
            raise ValueError(f"{info.data['kind']} has no positive class to weigh")
        return weight


def _check_number(kind: object, names: tuple[str, ...], columns: tuple[str, ...]) -> None:
    if kind == "binary" and len(names) not in (0, 2):
        raise ValueError("binary has two classes: the negative one, then the positive one")
    if kind == "multiclass" and len(names) == 1:
        raise ValueError("multiclass has at least two classes")
    if kind in ("multilabel", "regression") and not names:
        raise ValueError(f"{kind} lists its columns")
    if kind in ("multilabel", "regression") and columns and len(names) != len(columns):
        raise ValueError(f"{len(names)} names for {len(columns)} columns")


class SplitFiles(Closed):
    """Files of a source: `all` in one, or one for each split.

    Attributes:
        all: Rows of every split.
        train: Rows to learn from.
        valid: Rows that choose epochs and penalties; without it some of train are taken.
        test: Rows that are only scored.
    """

    all: FileSpec | None = None
    train: FileSpec | None = None
    valid: FileSpec | None = None
    test: FileSpec | None = None

    @model_validator(mode="after")
    def _either(self) -> SplitFiles:
        if self.all is not None and (self.train or self.valid or self.test):
            raise ValueError("give `all`, or `train` and `test` (and `valid`), not both")
        if self.all is None and not (self.train and self.test):
            raise ValueError("give `all`, or both `train` and `test`")
        return self

    def given(self) -> tuple[tuple[str, FileSpec], ...]:
        """Return (key, file) for every file that is named."""
        files = (("all", self.all), ("train", self.train), ("valid", self.valid))
        return tuple((k, f) for k, f in (*files, ("test", self.test)) if f is not None)


class TableSource(Closed):
    """Tables with a header line; .gz is told by content. An empty column name means none.

    Attributes:
        group_column: What a split must not tear apart, such as a gene.
        contig_column: Chromosome or record, for `split: {by: contig}`.
        id_column: Name of a row; without it `file:line`.
        split_column: Holds train, valid (or dev, val) and test, for `split: {by: given}`.
    """

    format: Literal["csv", "tsv", "parquet"]
    files: SplitFiles
    sequence_column: Column = "sequence"
    group_column: str = ""
    contig_column: str = ""
    id_column: str = ""
    split_column: str = ""


class FastaSource(Closed):
    """Sequences in FASTA, and a table (.tsv, or .csv) of their labels.

    Attributes:
        files: FASTA files.
        table: One table for all of them; its rows are joined by record name.
        id_column: The column with the record names.
    """

    format: Literal["fasta"]
    files: SplitFiles
    table: FileSpec
    id_column: Column = "id"
    group_column: str = ""
    contig_column: str = ""
    split_column: str = ""


class FolderSource(Closed):
    """A folder in the layout of GUE: train.csv, dev.csv and test.csv, .gz or not.

    Attributes:
        path: The folder; without train.csv, dev.csv is learned from.
    """

    format: Literal["folder"]
    path: Annotated[str, Field(min_length=1)]
    sequence_column: Column = "sequence"


FileSource = TableSource | FastaSource | FolderSource
AnySource = FileSource | AnyDerivedSource
SourceChoice = Annotated[FileSource | DerivedSource, Field(discriminator="format")]


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
    seed: Annotated[int, Field(ge=0)] = 0

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
        if isinstance(source, (TableSource, FastaSource, FolderSource)):
            names = target.names or (("0", "1") if target.kind == "binary" else ())
            if not target.columns or not names:
                raise ValueError(f"{target.kind} lists its {'names' if names == () else 'columns'}")
            return target.model_copy(update={"names": names})
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
    if isinstance(source, (TableSource, FastaSource)):
        one_file, columns = source.files.all is not None, source
        if by == "given" and one_file and not columns.split_column:
            raise ValueError("one file for all rows needs a split_column, or another split")
        if by != "given" and not one_file:
            raise ValueError("files for each split are split already: by must be given")
        if by == "contig" and not columns.contig_column:
            raise ValueError("split by contig needs source.contig_column")
        if by == "group" and not columns.group_column:
            raise ValueError("split by group needs source.group_column")
    elif isinstance(source, FolderSource):
        if by != "given":
            raise ValueError("a folder has train, dev and test: by must be given")
    elif by == "given":
        raise ValueError("rows derived from annotation have no split yet: name contigs or regions")
