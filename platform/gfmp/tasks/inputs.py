"""The files a task is read from: where they lie, and that they are the pinned ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import DataError, MissingInputError
from gfmp.spec.corpus import FileSpec
from gfmp.spec.derive import AnyDerivedSource, GenomeSpec
from gfmp.spec.task import ContextSpec, FileSource, FolderSource, TaskSpec
from gfmp.spec.task_formats import ClassFilesSource
from gfmp.storage.documents import Key
from gfmp.storage.hashes import fingerprint, sha256_file

_LAYOUT = (("train", ("train",)), ("valid", ("dev", "valid")), ("test", ("test",)))
_SUFFIXES = (".csv", ".csv.gz")
# Role of the files of one class: `class train enhancer`.
CLASS_ROLE = "class "


@dataclass(frozen=True)
class InputFile:
    """One file of a task.

    Attributes:
        role: `all`, `train`, `valid`, `test`, or what else the source calls it, such as `table`
            (the labels of FASTA records), `reference` or `class train enhancer`.
        path: Absolute path; a folder where a class has one file for each sequence.
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
    if not isinstance(source, FileSource):
        return ()
    files = tuple(_input(role, file, base) for role, _, file in source.parts())
    if isinstance(source, ClassFilesSource):
        folder = (base / source.path).resolve()
        return (*files, *class_files(folder, spec.target.names))
    return files


def context_file(context: ContextSpec, base: Path) -> InputFile:
    """Return the table of features by context; it is no part of the source."""
    return _input("context", context.table, base)


def named_files(spec: TaskSpec, base: Path) -> Iterator[tuple[Key, Path]]:
    """Yield (key in the document, path) of every path a task names."""
    source = spec.source
    if spec.context is not None:
        yield ("context", "table", "path"), context_file(spec.context, base).path
    if isinstance(source, FileSource):
        if isinstance(source, (FolderSource, ClassFilesSource)):
            yield ("source", "path"), (base / source.path).resolve()
        for _, key, file in source.parts():
            yield (*key, "path"), (base / file.path).resolve()
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


def class_files(folder: Path, names: tuple[str, ...]) -> tuple[InputFile, ...]:
    """Return the file or the folder of every class in every split of a folder.

    Args:
        folder: Holds `train` and `test`, and perhaps `valid` (or `dev`).
        names: The classes.

    Raises:
        MissingInputError: a split or a class is not there.
    """
    found: list[InputFile] = []
    for split, stems in _LAYOUT:
        there = next((folder / stem for stem in stems if (folder / stem).is_dir()), None)
        if there is None and split == "valid":
            continue
        for name in names:
            place = (there or folder / split) / name
            whole = place if place.is_dir() else _first(place.parent, (name,))
            if whole is None:
                raise MissingInputError(
                    f"the class {name!r} has no files for {split}",
                    where=str(place.parent),
                    why=f"they are {name}/*.txt, {name}.csv or {name}.csv.gz there",
                    fix="name the right folder, or the classes in target.names",
                )
            found.append(InputFile(f"{CLASS_ROLE}{split} {name}", whole))
    return tuple(found)


def file_digest(file: InputFile) -> str:
    """Return the sha256 of a file, compared with its pin; of a folder, that of all its texts.

    Raises:
        MissingInputError: there is no such file.
        DataError: the file is pinned and its bytes differ.
    """
    if file.path.is_dir():
        texts = sorted(file.path.glob("*.txt"))
        return fingerprint([[path.name, sha256_file(path)] for path in texts])
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
