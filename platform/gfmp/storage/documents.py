"""YAML documents whose every value remembers its line and column.

A document is data only: one document per file, no aliases, no tags, no duplicate keys, at most
1 MiB, 100,000 keys and values, and 32 levels deep. Numbers follow YAML 1.2 (`1e-4` is a number,
`no` is a word). A byte order mark at the start is passed over.
"""

from __future__ import annotations

import difflib
import functools
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import MissingInputError, Problem, SpecError
from gfmp.storage.yaml_values import Key, Place, RuleBrokenError, parse_values

__all__ = [
    "MAX_BYTES",
    "Document",
    "Key",
    "did_you_mean",
    "document_text",
    "leaves",
    "load_document",
    "parse_document",
    "read_document",
]

MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Document:
    """A parsed YAML mapping and where each of its values stands.

    Attributes:
        path: The file it came from.
        value: Plain dicts, lists, strings, numbers, booleans and None.
        marks: Key path to (line, column), both counted from 1.
        problems: Keys that stand twice, of which the first counts; only `read_document` gives a
            document that has any.
    """

    path: Path
    value: dict[str, object]
    marks: dict[Key, Place]
    problems: tuple[Problem, ...] = ()

    def where(self, key: Key) -> str:
        """Return `file:line:col` of `key`, or of its nearest parent that has a place."""
        while key and key not in self.marks:
            key = key[:-1]
        line, column = self.marks.get(key, (1, 1))
        return f"{self._shown_path}:{line}:{column}"

    @functools.cached_property
    def _shown_path(self) -> str:
        # Made once: a document with many mistakes is asked for the place of each.
        return _shown(self.path)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def load_document(path: Path) -> Document:
    """Read one YAML mapping.

    Raises:
        MissingInputError: there is no such file.
        SpecError: the text is not a mapping or breaks one of the rules above; every duplicate
            key is listed in one error.
    """
    return _whole(read_document(path))


def read_document(path: Path) -> Document:
    """Read one YAML mapping like `load_document`, but leave duplicate keys to the caller.

    So that they can be told together with everything else that is wrong.
    """
    return _parse(_read(path), path)


def parse_document(text: str, path: Path) -> Document:
    """Parse `text` as if it stood in the file `path` (see `load_document`)."""
    return _whole(_parse(text, path))


def _whole(document: Document) -> Document:
    if document.problems:
        raise SpecError.of(document.problems)
    return document


def _read(path: Path) -> str:
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise MissingInputError(
            f"there is no file {path.name!r}",
            where=_shown(path),
            why="the path is read relative to the current folder",
            fix=did_you_mean(path.name, near) or "check the path",
        )
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise _broken(
            path, RuleBrokenError((1, 1), f"the file has {size:,} bytes", "1 MiB at most")
        )
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as fault:
        place = (
            data.count(b"\n", 0, fault.start) + 1,
            fault.start - data.rfind(b"\n", 0, fault.start),
        )
        rule = "text is UTF-8"
        raise _broken(
            path, RuleBrokenError(place, f"byte {fault.start} is not UTF-8", rule)
        ) from fault


def _parse(text: str, path: Path) -> Document:
    try:
        parsed = parse_values(text)
        if not isinstance(parsed.value, dict):
            rule = "`key: value` lines"
            raise RuleBrokenError((1, 1), "the document is not a mapping", rule)
    except RuleBrokenError as fault:
        raise _broken(path, fault) from fault
    shown = _shown(path)
    problems = tuple(
        Problem(
            f"the key {name[:80]!r} stands twice",
            f"{shown}:{place[0]}:{place[1]}",
            f"it stands first in line {first[0]}",
            "keep one of them",
        )
        for name, place, first in parsed.repeated
    )
    return Document(path, parsed.value, parsed.marks, problems)


def _broken(path: Path, fault: RuleBrokenError) -> SpecError:
    where = f"{_shown(path)}:{fault.place[0]}:{fault.place[1]}"
    return SpecError(
        fault.message, where=where, why=f"the rule is: {fault.rule}", fix="correct that line"
    )


def document_text(document: Document) -> str:
    """Return YAML that parses to the value of `document`; comments are not part of a value."""
    from ruamel.yaml import YAML

    buffer = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_unicode = False  # a bare U+0085 would be read as the end of a line
    yaml.width = 2 * MAX_BYTES  # where the writer folds an escaped text it can gain a space
    yaml.dump(document.value, buffer)
    return buffer.getvalue()


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean ...?` for the nearest of `known`, or an empty text."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6) if names else []
    return f"did you mean {near[0]!r}?" if near else ""


def leaves(value: object, key: Key = ()) -> Iterator[tuple[Key, object]]:
    """Yield every scalar of a nested value with its key path."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from leaves(child, (*key, name))
    elif isinstance(value, (list, tuple)):
        for i, child in enumerate(value):
            yield from leaves(child, (*key, i))
    else:
        yield key, value
