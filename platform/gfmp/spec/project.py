"""Where named specs are found: the `specs/` folder nearest above the job file."""

from __future__ import annotations

from pathlib import Path

from gfmp.errors import MissingInputError
from gfmp.storage.documents import did_you_mean


def find_named(noun: str, name: str, start: Path) -> Path:
    """Find `specs/<noun>/<name>.yaml` above `start`, else above the current folder.

    The current folder counts so that the job file kept in a run can be submitted again. A path
    is taken as it is.

    Args:
        noun: Folder below specs/, such as `corpora`.
        name: A bare name, or a path ending in .yaml (relative to `start`'s folder).
        start: The job file or folder the search starts from.

    Raises:
        MissingInputError: nothing of that name; lists what exists.
    """
    folder = start if start.is_dir() else start.parent
    if name.endswith((".yaml", ".yml")):
        return (folder / name).resolve()
    existing = _existing(noun, folder)
    for candidate in existing:
        if (candidate / f"{name}.yaml").is_file():
            return candidate / f"{name}.yaml"
    known = sorted(p.stem for candidate in existing[:1] for p in candidate.glob("*.yaml"))
    raise MissingInputError(
        f"there is no specs/{noun}/{name}.yaml",
        where=str(existing[0]) if existing else str(folder),
        why=f"known in specs/{noun}: {', '.join(known) or 'nothing'}",
        fix=did_you_mean(name, known) or "name one of these, or give a path ending in .yaml",
    )


def named_folders(noun: str, start: Path) -> tuple[Path, ...]:
    """Return `specs/<noun>/` nearest above `start`, a file or a folder; nothing without one."""
    return tuple(_existing(noun, start if start.is_dir() else start.parent)[:1])


def _existing(noun: str, folder: Path) -> list[Path]:
    starts = (folder.resolve(), Path.cwd())
    places = [place for begin in starts for place in (begin, *begin.parents)]
    return [p / "specs" / noun for p in places if (p / "specs" / noun).is_dir()]
