"""Writes a new workspace folder, whose every YAML is read as gfmp will read it beforehand."""

from __future__ import annotations

from pathlib import Path

from gfmp.cli.lab.pages import SCHEMAS, Lab, pages
from gfmp.cli.writing import write_schemas
from gfmp.errors import ExistsError
from gfmp.spec.base import Closed
from gfmp.spec.kinds import KINDS
from gfmp.spec.load import validate
from gfmp.storage.atomic import put_if_absent
from gfmp.storage.documents import parse_document
from gfmp.vocabulary.fields import Fields
from gfmp.vocabulary.recipes import recipe_of


def make(lab: Lab) -> tuple[Path, ...]:
    """Write the files of `lab` and return them; nothing that is there is replaced.

    Raises:
        ExistsError: a file of that name is there; nothing was written.
        StorageError, RefusedError: the folder cannot be written.
    """
    texts = {lab.folder / name: text for name, text in pages(lab).items()}
    taken = [path for path in texts if path.exists()]
    if taken:
        raise ExistsError(
            f"{taken[0].relative_to(lab.folder)} is there already",
            where=str(lab.folder),
            why="gfmp init replaces nothing; it found " + ", ".join(p.name for p in taken),
            fix="choose another folder, or move those files away",
        )
    for path, text in texts.items():
        if path.suffix == ".yaml":
            _check(path, text)
    write_schemas(lab.folder / SCHEMAS)
    for path, text in texts.items():
        put_if_absent(path, text.encode("utf-8"))
    return tuple(texts)


def _check(path: Path, text: str) -> None:
    """Read a page as gfmp will; what it raises is a mistake of a template."""
    document = parse_document(text, path)
    kind = document.value.get("kind")
    model = KINDS[kind].model if isinstance(kind, str) and kind in KINDS else None
    if model is None or not issubclass(model, Closed):
        recipe_of(Fields(document.value, document.where))
    else:
        validate(document, model)
