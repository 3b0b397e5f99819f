"""What travels to a cluster with a job: gfmp's own two packages, the job, and the specs it names.

Data stays where it is: paths of sequences and tables are looked up on the cluster.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import MissingInputError, RefusedError
from gfmp.storage.documents import load_document

_DISTRIBUTION = "gfmp"
_SPECS = "specs"
_YAML = (".yaml", ".yml")
_METADATA = ("METADATA", "entry_points.txt")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


@dataclass(frozen=True)
class Project:
    """A job file and the spec files it names, directly or through others.

    Attributes:
        job: Where the job is placed, relative to the folder that holds everything; empty where a
            run is resumed.
        files: What is placed there, by relative path; the job is one of them.
    """

    job: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Parcel:
    """A project and packages in a folder of their own.

    Attributes:
        project: Folder that becomes the working folder of the driver.
        modules: Folders whose parents come into the path of Python.
    """

    project: Path
    modules: tuple[Path, ...]


def project_of(job: Path) -> Project:
    """Collect a job and every file below the nearest `specs/` whose name a value of it is.

    A name may be meant otherwise, so rather a file too many travels than one too few.

    Raises:
        MissingInputError: the job is not there.
        RefusedError: a spec that is named by its path lies outside of the project.
        SpecError: one of them is no YAML.
    """
    job = job.resolve()
    root = _root(job)
    inside = job.is_relative_to(root)
    placed = job.relative_to(root).as_posix() if inside else f"jobs/{job.name}"
    known = sorted((root / _SPECS).glob("*/*.yaml"))
    files: dict[str, bytes] = {placed: _read(job)}
    waiting = [job]
    while waiting:
        here = waiting.pop()
        words = set(_words(load_document(here).value))
        found = [path for path in known if path.stem in words]
        found += [_named(word, job.parent, root) for word in words if _is_path(word, job.parent)]
        for path in found:
            name = path.relative_to(root).as_posix()
            if name not in files:
                files[name] = _read(path)
                waiting.append(path)
    return Project(placed, files)


def specs_near(folder: Path) -> Project:
    """Return all specs of the project that `folder` is in, and no job: a run has its own.

    Raises:
        MissingInputError: there is no `specs/` in it or above.
    """
    root = next((f for f in (folder, *folder.parents) if (f / _SPECS).is_dir()), None)
    if root is None:
        raise MissingInputError(
            "there is no specs/ here or above",
            where=str(folder),
            why="what the run names is looked up there",
            fix="give the command in the project of the run",
        )
    found = sorted((root / _SPECS).glob("*/*.yaml"))
    return Project("", {path.relative_to(root).as_posix(): _read(path) for path in found})


def _root(job: Path) -> Path:
    above = (folder for folder in job.parents if (folder / _SPECS).is_dir())
    found = next(above, None)
    if found is None and (Path.cwd() / _SPECS).is_dir():
        return Path.cwd().resolve()  # the job of a run: its names are looked up from here too
    return found or job.parent


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _words(part)
    elif isinstance(value, list):
        for part in value:
            yield from _words(part)


def _is_path(word: str, folder: Path) -> bool:
    return word.endswith(_YAML) and (folder / word).is_file()


def _named(word: str, folder: Path, root: Path) -> Path:
    path = (folder / word).resolve()
    if not path.is_relative_to(root):
        raise RefusedError(
            f"{word} lies outside of the project",
            where=str(path),
            why=f"only files below {root} travel to a cluster",
            fix="put it beside the job, or into specs/",
        )
    return path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise MissingInputError(
            f"{path.name} cannot be read: {fault.strerror}", where=str(path), fix="name a file"
        ) from fault


@contextlib.contextmanager
def packed(project: Project) -> Iterator[Parcel]:
    """Lay everything out in a temporary folder for the block.

    Files are copied without what Python compiled, so that equal packages have equal hashes and a
    cluster that has them is not sent them again.

    Raises:
        MissingInputError: gfmp is not installed as a distribution, so its vocabularies could not
            be found on the cluster.
    """
    with tempfile.TemporaryDirectory(prefix="gfmp-parcel-") as name:
        folder = Path(name)
        for relative, data in project.files.items():
            target = folder / "project" / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        yield Parcel(folder / "project", tuple(_modules(folder / "modules")))


def _modules(folder: Path) -> Iterator[Path]:
    """Copy gfmp, the packages of its own entry points, and what says which those are."""
    try:
        distribution = importlib.metadata.distribution(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as fault:
        raise MissingInputError(
            "gfmp is not installed here, only its sources are in the path",
            why="vocabularies are found by the metadata of the installation",
            fix="pip install -e . in the folder of its pyproject.toml",
        ) from fault
    points = (p for p in distribution.entry_points if p.group.startswith(f"{_DISTRIBUTION}."))
    for package in sorted({_DISTRIBUTION, *(p.module.split(".")[0] for p in points)}):
        found = importlib.util.find_spec(package)
        assert found is not None and found.origin, f"package {package} has a file"
        target = folder / package
        shutil.copytree(Path(found.origin).parent, target, ignore=_LEFT_OUT)
        yield target
    about = folder / f"{_DISTRIBUTION}-{distribution.version}.dist-info"
    about.mkdir()
    for part in _METADATA:
        (about / part).write_text(distribution.read_text(part) or "", encoding="utf-8")
    yield about
