"""Sources of labelled rows that are tables: delimited text, Parquet, FASTA with labels, folders."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from gfmp.spec.base import Closed, PositiveInt
from gfmp.spec.corpus import FileSpec
from gfmp.spec.task_target import Column, TargetSpec
from gfmp.storage.documents import Key

Part = tuple[str, Key, FileSpec]


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

    def parts(self, field: str = "files", prefix: str = "") -> tuple[Part, ...]:
        """Return (role, key in the document, file) for every file that is named."""
        return tuple((prefix + key, ("source", field, key), file) for key, file in self.given())


class FileSource(Closed):
    """What every source of files answers, so that nobody asks which kind it is.

    Attributes:
        FILES: Fields that only say where files lie; their content identifies the task instead.
        FOLDER: True when `path` names a folder whose files are found on disk.
    """

    FILES: ClassVar[frozenset[str]] = frozenset({"files", "table", "path"})
    FOLDER: ClassVar[bool] = False

    def parts(self) -> tuple[Part, ...]:
        """Return (role, key in the document, file) for every file the source names."""
        return ()

    def described(self) -> str:
        """Return the files in a few words."""
        return ", ".join(file.path for _, _, file in self.parts())

    def context_column_of_rows(self) -> str:
        """Return the column that holds the context of each row; empty text without one."""
        return ""

    def checked_target(self, target: TargetSpec) -> TargetSpec:
        """Return the target with its names filled in.

        Raises:
            ValueError: the source cannot give such a target.
        """
        names = target.names or (("0", "1") if target.kind == "binary" else ())
        if not target.columns or not names:
            raise ValueError(f"{target.kind} lists its {'names' if target.columns else 'columns'}")
        return target.model_copy(update={"names": names})

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""


def check_files(files: SplitFiles, by: str, named: bool, members: dict[str, str]) -> None:
    """Check a split against files: one for all rows, or one for each split.

    Args:
        files: What the source names.
        by: `split.by`.
        named: Whether the rows of one file say themselves which split they are in.
        members: Split by this noun needs the column of that name; empty when there is none.

    Raises:
        ValueError: they do not go together.
    """
    one_file = files.all is not None
    if by == "given" and one_file and not named:
        raise ValueError("one file for all rows needs a split_column, or another split")
    if by != "given" and not one_file:
        raise ValueError("files for each split are split already: by must be given")
    if by in members and not members[by]:
        raise ValueError(f"split by {by} needs source.{by}_column")


class RowFilter(Closed):
    """Rows that count: those whose cell in `column` says so.

    Attributes:
        column: A column of the table.
        any_of: The cell is one of these texts.
        at_least: The cell is a number, and not below this; an empty cell is below.
        at_most: The cell is a number, and not above this.
    """

    column: Column
    any_of: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _asks(self) -> RowFilter:
        if not self.any_of and self.at_least is None and self.at_most is None:
            raise ValueError("a filter gives any_of, at_least or at_most")
        return self


class HeldOutSpec(Closed):
    """The best measured rows of every stratum are the test (Sample et al. 2019).

    In each set and each stratum `within`, the `rows` rows with the most `most` are held out; of
    several with as many, those that stand first. Held-out rows of the set `test` are the test,
    rows of the set `train` that are not held out are learned from, and all others are left out:
    whichever set is tested, the same rows are learned from.

    Attributes:
        most: Column of numbers, such as the reads behind a measurement.
        within: Column whose values are the strata, such as the length.
        rows: Rows that are held out of each set and stratum.
        sets: Column with the set of a row.
        train: The set that is learned from.
        test: The set that is tested on.
    """

    most: Column
    within: Column
    rows: PositiveInt
    sets: Column
    train: Column
    test: Column


class TableSource(FileSource):
    """Tables with a header line; .gz is told by content. An empty column name means none.

    In delimited text `#2` is the second column, whatever the header calls it.

    Attributes:
        files: Tables of `format`, with a header line.
        sequence_column: Holds the letters.
        group_column: What a split must not tear apart, such as a gene.
        contig_column: Chromosome or record, for `split: {by: contig}`.
        id_column: Name of a row; without it `file:line`.
        context_column: Tissue or cell type of a row, for features of `context`.
        split_column: Holds train, valid (or dev, val) and test, for `split: {by: given}`.
        keep: Only rows that pass all of these are read; the others are counted.
        incomplete: What becomes of a row with an empty target: `error`, or `drop` it, counted.
        held_out: Splits one file by how well rows were measured, for `split: {by: given}`.
    """

    format: Literal["csv", "tsv", "parquet"]
    files: SplitFiles
    sequence_column: Column = "sequence"
    group_column: str = ""
    contig_column: str = ""
    id_column: str = ""
    context_column: str = ""
    split_column: str = ""
    keep: tuple[RowFilter, ...] = ()
    incomplete: Literal["error", "drop"] = "error"
    held_out: HeldOutSpec | None = None

    @model_validator(mode="after")
    def _one_way_to_split(self) -> TableSource:
        if self.held_out and (self.split_column or self.files.all is None):
            raise ValueError("held_out splits one file for all rows, without a split_column")
        return self

    def parts(self) -> tuple[Part, ...]:
        """Return the tables."""
        return self.files.parts()

    def context_column_of_rows(self) -> str:
        """Return the column that holds the context of each row; empty text without one."""
        return self.context_column

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        named = bool(self.split_column or self.held_out)
        members = {"contig": self.contig_column, "group": self.group_column}
        check_files(self.files, by, named, members)
        if self.held_out and by != "given":
            raise ValueError("held_out says which rows are tested: by must be given")

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what is not asked for: a table without it keeps its fingerprint."""
        fields: dict[str, object] = write(self)
        plain: dict[str, tuple[object, ...]] = {
            "keep": ([], ()),
            "incomplete": ("error",),
            "held_out": (None,),
            "context_column": ("",),
        }
        return {name: v for name, v in fields.items() if v not in plain.get(name, ())}


class FastaSource(FileSource):
    """Sequences in FASTA, and a table (.tsv, or .csv) of their labels.

    Attributes:
        files: FASTA files.
        table: One table for all of them; its rows are joined by record name.
        id_column: The column with the record names.
        group_column: What a split must not tear apart, such as a gene.
        contig_column: Chromosome or record, for `split: {by: contig}`.
        split_column: Holds train, valid (or dev, val) and test, for `split: {by: given}`.
    """

    format: Literal["fasta"]
    files: SplitFiles
    table: FileSpec
    id_column: Column = "id"
    group_column: str = ""
    contig_column: str = ""
    split_column: str = ""

    def parts(self) -> tuple[Part, ...]:
        """Return the FASTA files and the table."""
        return (*self.files.parts(), ("table", ("source", "table"), self.table))

    def described(self) -> str:
        """Return the FASTA files in a few words."""
        return ", ".join(file.path for _, _, file in self.files.parts())

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        members = {"contig": self.contig_column, "group": self.group_column}
        check_files(self.files, by, bool(self.split_column), members)


class FolderSource(FileSource):
    """A folder in the layout of GUE: train.csv, dev.csv and test.csv, .gz or not.

    Attributes:
        path: The folder; without train.csv, dev.csv is learned from.
        sequence_column: Holds the letters.
    """

    FOLDER: ClassVar[bool] = True

    format: Literal["folder"]
    path: Annotated[str, Field(min_length=1)]
    sequence_column: Column = "sequence"

    def described(self) -> str:
        """Return the folder."""
        return self.path

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        if by != "given":
            raise ValueError("a folder has train, dev and test: by must be given")
