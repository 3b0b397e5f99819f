"""The files a task is read from: where they lie, and that they are the pinned ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import DataError, MissingInputError
from gfmp.spec.corpus import FileSpec
from gfmp.spec.derive import AnyDerivedSource, GenomeSpec
from gfmp.spec.task import FastaSource, FolderSource, TableSource, TaskSpec
from gfmp.storage.documents import Key
from gfmp.storage.hashes import sha256_file

_LAYOUT = (("train", ("train",)), ("valid", ("dev", "valid")), ("test", ("test",)))
_SUFFIXES = (".csv", ".csv.gz")


@dataclass(frozen=True)
class InputFile:
    """One file of a task.

    Attributes:
        role: `all`, `train`, `valid`, `test`, or `table` (the labels of FASTA records).
        path: Absolute path.
        sha256: Digest the file must have; empty when it is not pinned.
    """

    role: str
    path: Path
    sha256: str = ""


def input_files(spec: TaskSpec, base: Path) -> tuple[InputFile, ...]:
    """Return the files of a task's source; none for rows derived from annotation.

    Args:
        spec: The task as asked for.
        base: The folder that relative paths start from.

    Raises:
        MissingInputError: a folder lacks its test file or has nothing to learn from.
    """
    source = spec.source
    if isinstance(source, FolderSource):
        return folder_files((base / source.path).resolve())
    if isinstance(source, (TableSource, FastaSource)):
        named = [*source.files.given()]
        if isinstance(source, FastaSource):
            named.append(("table", source.table))
        return tuple(_input(role, file, base) for role, file in named)
    return ()


def named_files(spec: TaskSpec, base: Path) -> Iterator[tuple[Key, Path]]:
    """Yield (key in the document, path) of every path a task names."""
    source = spec.source
    if isinstance(source, FolderSource):
        yield ("source", "path"), (base / source.path).resolve()
    elif isinstance(source, (TableSource, FastaSource)):
        for file in input_files(spec, base):
            place = ("table",) if file.role == "table" else ("files", file.role)
            yield ("source", *place, "path"), file.path
    else:
        for i, genome in enumerate(anchored(source, base).genomes):
            for key, path in _genome_files(genome):
                yield ("source", "genomes", i, *key), path


def anchored(source: AnyDerivedSource, base: Path) -> AnyDerivedSource:
    """Return the source with the paths of files on disk made absolute."""
    genomes = tuple(_anchored(genome, base) for genome in source.genomes)
    return source.model_copy(update={"genomes": genomes})


def _anchored(genome: GenomeSpec, base: Path) -> GenomeSpec:
    if genome.package:
        return genome
    files = {
        name: tuple(f.model_copy(update={"path": str((base / f.path).resolve())}) for f in group)
        for name, group in (("files", genome.files), ("annotation", genome.annotation))
    }
    return genome.model_copy(update=files)


def _genome_files(genome: GenomeSpec) -> Iterator[tuple[Key, Path]]:
    groups = (("files", genome.files), ("annotation", genome.annotation))
    for name, files in () if genome.package else groups:
        yield from (((name, j, "path"), Path(file.path)) for j, file in enumerate(files))


def folder_files(folder: Path) -> tuple[InputFile, ...]:
    """Return train, valid and test of a folder in the layout of GUE.

    A folder without train.csv learns from dev.csv, and then has no valid file.

    Raises:
        MissingInputError: there is no test.csv, or neither train.csv nor dev.csv.
    """
    found = {split: path for split, stems in _LAYOUT if (path := _first(folder, stems))}
    if "train" not in found and "valid" in found:
        found["train"] = found.pop("valid")
    if not {"train", "test"} <= set(found):
        there = sorted(p.name for p in folder.iterdir())[:20] if folder.is_dir() else []
        raise MissingInputError(
            "this folder holds no task",
            where=str(folder),
            why="it needs test.csv, and train.csv or dev.csv (.gz or not); "
            f"it holds {', '.join(there) or 'nothing'}",
            fix="name the folder with those files, or write a task YAML that names yours",
        )
    roles = [role for role in ("train", "valid", "test") if role in found]
    return tuple(InputFile(role, found[role]) for role in roles)


def file_digest(file: InputFile) -> str:
    """Return the sha256 of a file, compared with its pin.

    Raises:
        MissingInputError: there is no such file.
        DataError: the file is pinned and its bytes differ.
    """
    if not file.path.is_file():
        raise MissingInputError(
            f"there is no file {file.path.name!r}",
            where=str(file.path),
            why="the source of the task names it",
            fix="correct the path; it is relative to the folder of the YAML file",
        )
    found = sha256_file(file.path)
    if file.sha256 and found != file.sha256:
        raise DataError(
            f"the file changed: sha256 is {found}",
            where=str(file.path),
            why=f"the task pins sha256 {file.sha256}",
            fix="restore the pinned file, or pin the new digest if the change is meant",
        )
    return found


def _input(role: str, file: FileSpec, base: Path) -> InputFile:
    return InputFile(role, (base / file.path).resolve(), file.sha256)


def _first(folder: Path, stems: tuple[str, ...]) -> Path | None:
    names = [stem + suffix for stem in stems for suffix in _SUFFIXES]
    return next((folder / name for name in names if (folder / name).is_file()), None)
