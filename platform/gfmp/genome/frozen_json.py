"""Frozen dataclasses read back from JSON, with every type checked."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Sequence
from typing import Any, TypeVar, cast

T = TypeVar("T")

# Metadata of a field that is written only when it differs from its default, so that documents
# without it stay what they were.
OPTIONAL = {"optional": True}


def to_json(value: object) -> object:
    """Turn a frozen dataclass into JSON values, leaving out optional fields at their default."""
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    return {
        f.name: to_json(vars(value)[f.name])
        for f in dataclasses.fields(value)
        if not (f.metadata.get("optional") and vars(value)[f.name] == f.default)
    }


def from_json(cls: type[T], value: object, where: str = "") -> T:
    """Build the frozen dataclass `cls` from what `to_json` made of it.

    Fields may be str, int, Literal strings, dataclasses, and tuples of one of these.

    Args:
        cls: A frozen dataclass.
        value: Parsed JSON.
        where: Path inside the document, for messages.

    Raises:
        ValueError: a field is missing, unknown or of another type; names its path.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'the document'} is not an object")
    hints = _hints(cast(Any, cls))
    fields = dataclasses.fields(cast(Any, cls))
    required = {f.name for f in fields if not f.metadata.get("optional")}
    names = {f.name for f in fields} & (required | set(value))
    if names != set(value):
        odd = sorted(names ^ set(value))
        raise ValueError(f"{where or 'the document'} misses or does not know {', '.join(odd)}")
    return cls(**{n: _checked(hints[n], value[n], f"{where}/{n}") for n in sorted(names)})


@functools.cache
def _hints(cls: Any) -> dict[str, object]:  # noqa: ANN401 - a class, which is hashable
    return typing.get_type_hints(cls)


def _checked(kind: object, value: object, where: str) -> object:
    if dataclasses.is_dataclass(kind):
        return from_json(cast(type[object], kind), value, where)
    if typing.get_origin(kind) is tuple:
        return _checked_tuple(typing.get_args(kind)[0], value, where)
    if typing.get_origin(kind) is typing.Literal:
        fits = value in typing.get_args(kind)
    else:
        fits = type(value) is kind
    if not fits:
        raise ValueError(f"{where} is {value!r}")
    return value


def _checked_tuple(kind: object, value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{where} is not a list")
    return tuple(_checked(kind, item, f"{where}/{i}") for i, item in enumerate(value))
