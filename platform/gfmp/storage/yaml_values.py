"""One pass over the events of a YAML text: plain values, their marks, and the rules kept.

libyaml scans the text, in time linear in its length, and constructs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from gfmp.storage.yaml_scalars import MAX_NUMBER_CHARACTERS, meaning

MAX_DEPTH = 32
# A corpus of ten thousand files, each with its digest, has half of them.
MAX_VALUES = 100_000
Key = tuple[str | int, ...]
Place = tuple[int, int]

# What YAML 1.2 (5.1) does not call printable; libyaml does not say where such a character stands.
_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")


class RuleBrokenError(Exception):
    """A text breaks a rule of documents.

    Attributes:
        place: Line and column, from 1.
        message: What stands there.
        rule: What should.
    """

    def __init__(self, place: Place, message: str, rule: str) -> None:
        self.place, self.message, self.rule = place, message, rule
        super().__init__(message)


@dataclass
class Parsed:
    """What a text holds.

    Attributes:
        value: Plain dicts, lists, strings, numbers, booleans and None; None for an empty text.
        marks: Key path to (line, column), from 1.
        repeated: Name, place and first place of every key that stands twice; the first counts.
    """

    value: object = None
    marks: dict[Key, Place] = field(default_factory=dict)
    repeated: list[tuple[str, Place, Place]] = field(default_factory=list)


def parse_values(text: str) -> Parsed:
    """Parse `text`, which may begin with a byte order mark.

    Raises:
        RuleBrokenError: the text is not YAML, has a tag, an alias, an anchor, a directive or a
            second document, is too deep or too large, or has a key that is no word.
    """
    text = text.removeprefix("\ufeff")
    if stranger := _UNPRINTABLE.search(text):
        offset = stranger.start()
        place = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
        shown = f"U+{ord(stranger[0]):04X}"
        raise RuleBrokenError(place, f"special characters are not allowed: {shown}", "plain text")
    builder = _Builder(_nodes(text))
    builder.document()
    return builder.parsed


def _nodes(text: str) -> Iterator[yaml.Event]:
    """Yield the events of the nodes of the only document, as far as the rules are kept."""
    depth = num_documents = num_values = 0
    for event in _events(text):
        place = _place(event)
        num_documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        num_values += isinstance(event, yaml.NodeEvent)
        _check(event, place)
        if num_documents > 1:
            raise RuleBrokenError(place, "a second document (---)", "one document per file")
        if depth > MAX_DEPTH:
            rule = f"{MAX_DEPTH} levels at most"
            raise RuleBrokenError(place, f"nested {depth} levels deep", rule)
        if num_values > MAX_VALUES:
            rule = f"{MAX_VALUES:,} at most"
            raise RuleBrokenError(place, "more keys and values than a document holds", rule)
        if isinstance(event, (yaml.NodeEvent, yaml.CollectionEndEvent)):
            yield event


def _check(event: yaml.Event, place: Place) -> None:
    if isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
        raise RuleBrokenError(place, "a directive (%)", "specs are YAML 1.2 without directives")
    if isinstance(event, yaml.NodeEvent) and event.anchor:
        raise RuleBrokenError(place, "an alias or anchor (& or *)", "specs repeat, never alias")
    if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag:
        raise RuleBrokenError(place, "a YAML tag (!)", "specs hold data, never code")


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=yaml.CLoader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = _within(text, mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = str(fault.problem or fault.context)
        if "<document start>" in message:
            raise RuleBrokenError(place, "a second document", "one document per file") from fault
        raise RuleBrokenError(place, message, "valid YAML") from fault
    except yaml.YAMLError as fault:
        raise RuleBrokenError((1, 1), str(fault).splitlines()[0], "valid YAML") from fault


def _within(text: str, line: int, column: int) -> Place:
    """Return the place, or that of the end: libyaml counts a line that `text` does not have."""
    last = text.count("\n") + 1
    return (line, column) if line <= last else (last, len(text) - text.rfind("\n"))


def _place(event: yaml.Event) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


class _Builder:
    """Builds values from events; its recursion is bounded by `MAX_DEPTH`."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self.parsed = Parsed()

    def document(self) -> None:
        """Build the document; reading to the end also finds what must not follow it."""
        for event in self._events:
            self.parsed.value = self._build(event, ())

    def _build(self, event: yaml.Event, key: Key) -> object:
        self.parsed.marks.setdefault(key, _place(event))
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(key)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(key)
        assert isinstance(event, yaml.ScalarEvent), "aliases were refused"
        if not event.implicit[0]:
            return event.value  # quoted: a word whatever it looks like
        try:
            return meaning(event.value)
        except ValueError as fault:
            rule = f"digits, and {MAX_NUMBER_CHARACTERS} characters at most"
            message = f"{event.value[:20]!r} is no number"
            raise RuleBrokenError(_place(event), message, rule) from fault

    def _sequence(self, key: Key) -> list[object]:
        result: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            result.append(self._build(event, (*key, len(result))))
        return result

    def _mapping(self, key: Key) -> dict[str, object]:
        result: dict[str, object] = {}
        while not isinstance(named := next(self._events), yaml.MappingEndEvent):
            place = _place(named)
            if not isinstance(named, yaml.ScalarEvent):
                raise RuleBrokenError(place, "a list or a mapping as a key", "keys are words")
            name, here = named.value, (*key, named.value)
            if name in result:
                self.parsed.repeated.append((name, place, self.parsed.marks[here]))
                self._pass_over()
                continue
            self.parsed.marks[here] = place
            result[name] = self._build(next(self._events), here)
        return result

    def _pass_over(self) -> None:
        depth = 0
        for event in self._events:
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if not depth:
                return
