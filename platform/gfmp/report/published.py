"""Publishing a report: all of its files take the place of the old ones in one step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gfmp.storage.atomic import atomic_write
from gfmp.storage.exchange import replaced_directory


def publish(contents: Mapping[str, bytes], folder: Path) -> tuple[Path, ...]:
    """Write files as the whole content of a folder; a reader never finds parts of two reports.

    Args:
        contents: Content by path in the folder.
        folder: What was there before stays until the new files are whole.

    Returns:
        The files, in the order they were given.

    Raises:
        StorageError: the disk refused.
    """
    with replaced_directory(folder) as staging:
        for name, content in contents.items():
            atomic_write(staging / name, content)
    return tuple(folder / name for name in contents)
