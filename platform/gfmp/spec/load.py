"""From a YAML file to a frozen spec, naming every fault with its place and its remedy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gfmp.errors import Problem, SpecError
from gfmp.spec.base import Closed
from gfmp.storage.documents import Document, Key, did_you_mean, read_document

Spec = TypeVar("Spec", bound=BaseModel)

# Looking for the nearest known word costs about a millisecond; nobody reads a hundred hints.
_MOST_HINTS = 100
_MOST_SHOWN = 300


def load_spec(path: Path, kinds: dict[str, type[Spec]]) -> tuple[Spec, Document]:
    """Read `path` as one of `kinds`, chosen by its `kind:` key.

    Returns:
        The spec and the document it came from (for the places of later problems).

    Raises:
        MissingInputError: there is no such file.
        SpecError: every unknown key, wrong type and broken rule, each with `file:line:col`.
    """
    document = read_document(path)
    kind = document.value.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise SpecError.of([_wrong_kind(document, kinds), *document.problems])
    return validate(document, kinds[kind]), document


def _wrong_kind(document: Document, kinds: dict[str, type[Spec]]) -> Problem:
    kind = document.value.get("kind")
    return Problem(
        "the key 'kind' is missing" if kind is None else f"kind: {kind!r} is not known here",
        where=document.where(("kind",)),
        why=f"this command takes kind: {', '.join(sorted(kinds))}",
        fix=did_you_mean(str(kind), kinds) or f"write `kind: {next(iter(sorted(kinds)))}`",
    )


def validate(document: Document, model: type[Spec]) -> Spec:
    """Turn a parsed document into `model`; see `load_spec` for what it raises."""
    try:
        # JSON mode: strict about types, but a YAML list is a fine tuple.
        spec = model.model_validate_json(json.dumps(document.value))
    except ValidationError as fault:
        raise SpecError.of([*document.problems, *_problems(fault, document, model)]) from fault
    if document.problems:
        raise SpecError.of(document.problems)
    return spec


def _problems(
    fault: ValidationError, document: Document, model: type[BaseModel]
) -> Iterator[Problem]:
    found = fault.errors(include_url=False)
    places = {detail["loc"] for detail in found}
    below = Counter(loc[:length] for loc in places for length in range(len(loc) + 1))
    told = [detail for detail in found if not _echo(detail, places, below)]
    for number, detail in enumerate(told):
        yield _problem(detail, document, model if number < _MOST_HINTS else Closed)


def _echo(detail: ErrorDetails, places: set[Key], below: Counter[Key]) -> bool:
    """Tell whether another problem says the same better.

    A list counts as too short only because its items are wrong; a block is no text where a
    union takes either, and what is wrong with the block is told beside it.

    Args:
        detail: The problem.
        places: Where there are problems.
        below: How many of those places are, or lie below, a location.
    """
    loc = around = detail["loc"]
    if loc[-1:] == ("str",) and isinstance(detail["input"], dict):
        around = loc[:-1]
    elif detail["type"] != "too_short":
        return False
    return below[around] > len({loc, around} & places)


def overridden(document: Document, assignments: tuple[str, ...]) -> Document:
    """Apply `key.path=value` assignments (`--set`) to a document.

    Values are read as YAML scalars. The result goes through the same validation.

    Raises:
        SpecError: an assignment without `=`, or a path through something that is not a mapping.
    """
    value = json.loads(json.dumps(document.value))
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        keys = name.split(".")
        target = value
        for key in keys[:-1]:
            target = target.setdefault(key, {}) if isinstance(target, dict) else None
        one_line = len(assignment.splitlines()) == 1
        if not (equals and all(keys) and one_line and isinstance(target, dict)):
            raise SpecError(
                f"cannot apply --set {assignment!r}",
                why="an assignment is one line, key.path=value through mappings",
                fix="for example --set optimiser.learning_rate=1e-3",
            )
        target[keys[-1]] = _scalar(text)
    return Document(document.path, value, document.marks)


def _scalar(text: str) -> object:
    from gfmp.storage.documents import parse_document

    return parse_document(f"value: {text}", Path("--set")).value["value"]


def _problem(detail: ErrorDetails, document: Document, model: type[BaseModel]) -> Problem:
    key = _document_key(detail, document)
    dotted = _short(".".join(str(part) for part in key)) or "(the whole document)"
    where = document.where(key)
    if detail["type"] == "extra_forbidden":
        known = _fields_at(model, key[:-1])
        hint = did_you_mean(str(key[-1]), known)
        return Problem(
            f"unknown key {dotted!r}",
            where,
            f"known keys here: {', '.join(sorted(known))}" if known else "unknown keys are errors",
            hint or "remove it",
        )
    if detail["type"] == "missing":
        return Problem(f"the key {dotted!r} is missing", where, "it has no default", "add it")
    message = detail["msg"].removeprefix("Value error, ")
    value = detail["input"]
    shown = "'that block'" if isinstance(value, (dict, list)) else _short(repr(value))
    return Problem(f"{dotted}: {shown} is not allowed", where, _short(message), "change the value")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _document_key(detail: ErrorDetails, document: Document) -> Key:
    """Drop from a pydantic location what is no key of the document (names of union members)."""
    key: list[int | str] = []
    value: object = document.value
    for position, part in enumerate(detail["loc"]):
        if isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif detail["type"] != "missing" or position != len(detail["loc"]) - 1:
            continue
        key.append(part)
    return tuple(key)


def _fields_at(model: type[BaseModel], key: Key) -> frozenset[str]:
    """Return the field names of the model that validates the value at `key`."""
    current: frozenset[type[BaseModel]] = frozenset({model})
    for part in key:
        if isinstance(part, int):
            continue
        annotations = [m.model_fields[part].annotation for m in current if part in m.model_fields]
        current = frozenset(found for a in annotations for found in _models_in(a))
    return frozenset(name for m in current for name in m.model_fields)


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]
