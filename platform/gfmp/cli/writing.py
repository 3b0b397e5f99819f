"""Files that commands of the first minutes write."""

from __future__ import annotations

import json
from pathlib import Path

from gfmp.storage.atomic import atomic_write


def write_schemas(folder: Path) -> tuple[Path, ...]:
    """Write the JSON Schema of every kind into `folder` and return the files.

    Raises:
        StorageError, RefusedError: the folder cannot be written.
    """
    from gfmp.spec.schema import all_schemas, schema_name

    paths = []
    for kind, schema in all_schemas().items():
        path = folder / schema_name(kind)
        atomic_write(path, (json.dumps(schema, indent=1) + "\n").encode("ascii"))
        paths.append(path)
    return tuple(paths)
