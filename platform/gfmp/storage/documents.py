"""YAML documents whose every value remembers its line and column.

A document is data only: one document per file, no aliases, no tags, no duplicate keys, at most
1 MiB and 32 levels deep. Numbers follow YAML 1.2 (`1e-4` is a number, `no` is a word).
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gfmp.errors import MissingInputError, Problem, SpecError

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NUMBER_CHARACTERS = 100
Key = tuple[str | int, ...]
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Document:
    """A parsed YAML mapping and where each of its values stands.

    Attributes:
        path: The file it came from.
        value: Plain dicts, lists, strings, numbers, booleans and None.
        marks: Key path to (line, column), both counted from 1.
    """

    path: Path
    value: dict[str, object]
    marks: dict[Key, tuple[int, int]]

    def where(self, key: Key) -> str:
        """Return `file:line:col` of `key`, or of its nearest parent that has a place."""
        while key and key not in self.marks:
            key = key[:-1]
        line, column = self.marks.get(key, (1, 1))
        return f"{_shown(self.path)}:{line}:{column}"


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
    text = _read(path)
    return _parse(text, path)


def parse_document(text: str, path: Path) -> Document:
    """Parse `text` as if it stood in the file `path` (see `load_document`)."""
    return _parse(text, path)


def _read(path: Path) -> str:
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise MissingInputError(
            f"there is no file {path.name!r}",
            where=_shown(path),
            why="the path is read relative to the current folder",
            fix=did_you_mean(path.name, near) or "check the path",
        )
    if path.stat().st_size > MAX_BYTES:
        raise _broken(path, (1, 1), f"the file has {path.stat().st_size:,} bytes", "1 MiB at most")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as fault:
        raise _broken(path, (1, 1), f"byte {fault.start} is not UTF-8", "text is UTF-8") from fault


def _parse(text: str, path: Path) -> Document:
    try:
        _check_events(text, path)
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _broken(path, place, str(fault.problem or fault.context), "valid YAML") from fault
    except YAMLError as fault:
        raise _broken(path, (1, 1), str(fault).splitlines()[0], "valid YAML") from fault
    if not isinstance(node, MappingNode):
        raise _broken(path, (1, 1), "the document is not a mapping", "`key: value` lines")
    builder = _Builder(path)
    value = builder.build(node, ())
    if builder.problems:
        raise SpecError.of(builder.problems)
    assert isinstance(value, dict), "a mapping node builds a dict"
    return Document(path, value, builder.marks)


def _check_events(text: str, path: Path) -> None:
    depth = 0
    documents = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        documents += isinstance(event, DocumentStartEvent)
        if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
            raise _broken(path, place, "a directive (%)", "specs are YAML 1.2 without directives")
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if isinstance(event, NodeEvent) and event.anchor:
            raise _broken(path, place, "an alias or anchor (& or *)", "specs repeat, never alias")
        if isinstance(event, (ScalarEvent, CollectionStartEvent)) and event.tag:
            raise _broken(path, place, "a YAML tag (!)", "specs hold data, never code")
        if depth > MAX_DEPTH:
            raise _broken(path, place, f"nested {depth} levels deep", f"{MAX_DEPTH} levels at most")
        if documents > 1:
            raise _broken(path, place, "a second document (---)", "one document per file")


def _broken(path: Path, place: tuple[int, int], message: str, rule: str) -> SpecError:
    where = f"{_shown(path)}:{place[0]}:{place[1]}"
    return SpecError(message, where=where, why=f"the rule is: {rule}", fix="correct that line")


class _Builder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks: dict[Key, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        make = YAML(typ="safe", pure=True).constructor
        self._plain: dict[str, Callable[[ScalarNode], object]] = {
            f"{_TAG}null": make.construct_yaml_null,
            f"{_TAG}bool": make.construct_yaml_bool,
            f"{_TAG}int": make.construct_yaml_int,
            f"{_TAG}float": make.construct_yaml_float,
        }

    def build(self, node: Node, key: Key) -> object:
        """Return the value of `node`, which stands at `key`; marks and problems are collected."""
        self.marks.setdefault(key, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, MappingNode):
            return self._mapping(node, key)
        if isinstance(node, SequenceNode):
            return [self.build(child, (*key, i)) for i, child in enumerate(node.value)]
        assert isinstance(node, ScalarNode), "events were checked"
        make = self._plain.get(str(node.tag))
        return self._number(node, make) if make else node.value

    def _number(self, node: ScalarNode, make: Callable[[ScalarNode], object]) -> object:
        try:
            if len(node.value) <= MAX_NUMBER_CHARACTERS:
                return make(node)
        except ValueError:
            pass  # such as `0x_`, which looks like a number and has no digit
        rule = f"digits, and {MAX_NUMBER_CHARACTERS} characters at most"
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        raise _broken(self.path, place, f"{node.value[:20]!r} is no number", rule)

    def _mapping(self, node: MappingNode, key: Key) -> dict[str, object]:
        result: dict[str, object] = {}
        for name_node, value_node in node.value:
            name = str(name_node.value)
            place = (name_node.start_mark.line + 1, name_node.start_mark.column + 1)
            if not isinstance(name_node, ScalarNode):
                raise _broken(self.path, place, "a list or a mapping as a key", "keys are words")
            if name in result:
                first = self.marks[(*key, name)]
                self.problems.append(
                    Problem(
                        f"the key {name!r} stands twice",
                        f"{_shown(self.path)}:{place[0]}:{place[1]}",
                        f"it stands first in line {first[0]}",
                        "keep one of them",
                    )
                )
                continue
            self.marks[(*key, name)] = place
            result[name] = self.build(value_node, (*key, name))
        return result


def document_text(document: Document) -> str:
    """Return YAML that parses to the value of `document`; comments are not part of a value."""
    buffer = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_unicode = False  # a bare U+0085 would be read as the end of a line
    yaml.width = 2 * MAX_BYTES  # where the writer folds an escaped text it can gain a space
    yaml.dump(document.value, buffer)
    return buffer.getvalue()


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean ...?` for the nearest of `known`, or an empty text."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
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
