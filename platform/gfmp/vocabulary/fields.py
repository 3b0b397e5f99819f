"""Typed reading of JSON and YAML mappings: every refusal names the place, the value, the rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gfmp.errors import GfmpError, VocabularyError
from gfmp.storage.documents import Key, did_you_mean

Place = Callable[[Key], str]


def json_place(source: str) -> Place:
    """Return a function from a key path to `source:$.a.b[0]`."""

    def _place(key: Key) -> str:
        steps = (f"[{k}]" if isinstance(k, int) else f".{k}" for k in key)
        return f"{source}:${''.join(steps)}"

    return _place


@dataclass(frozen=True)
class Fields:
    """One mapping of a document, read field by field.

    Attributes:
        value: The mapping.
        place: Key path to the text shown as `where` of an error.
        key: Key path of this mapping inside its document.
        error: Class that is raised.
    """

    value: Mapping[str, object]
    place: Place
    key: Key = ()
    error: type[GfmpError] = VocabularyError

    @classmethod
    def of(cls, value: object, place: Place) -> Fields:
        """Wrap the top of a document; VocabularyError when it is not a mapping."""
        if not isinstance(value, dict):
            raise _refusal(VocabularyError, place(()), value, "an object")
        return cls(value, place)

    def where(self, name: str) -> str:
        """Return the place of one field."""
        return self.place((*self.key, name))

    def only(self, *names: str) -> None:
        """Refuse any field that is not one of `names`."""
        for name in self.value:
            if name not in names:
                raise self.error(
                    f"unknown key {name!r}",
                    where=self.where(name),
                    why=f"known keys are {', '.join(names)}",
                    fix=did_you_mean(name, names) or "remove it",
                )

    def text(self, name: str) -> str:
        """Return a string field."""
        value = self._get(name)
        if not isinstance(value, str):
            raise _refusal(self.error, self.where(name), value, "a text")
        return value

    def integer(self, name: str) -> int:
        """Return an integer field; booleans are refused."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _refusal(self.error, self.where(name), value, "an integer")
        return value

    def number(self, name: str) -> float:
        """Return an integer or floating-point field as float."""
        value = self._get(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise _refusal(self.error, self.where(name), value, "a number")
        return float(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings as a tuple."""
        value = self._get(name)
        if not isinstance(value, list):
            raise _refusal(self.error, self.where(name), value, "a list of texts")
        for i, item in enumerate(value):
            if not isinstance(item, str):
                place = self.place((*self.key, name, i))
                raise _refusal(self.error, place, item, "a text")
        return tuple(value)

    def items(self, name: str) -> list[object]:
        """Return a list of anything."""
        value = self._get(name)
        if not isinstance(value, list):
            raise _refusal(self.error, self.where(name), value, "a list")
        return value

    def fields(self, name: str) -> Fields:
        """Return a nested mapping."""
        value = self._get(name)
        if not isinstance(value, dict):
            raise _refusal(self.error, self.where(name), value, "an object")
        return Fields(value, self.place, (*self.key, name), self.error)

    def _get(self, name: str) -> object:
        if name not in self.value:
            raise self.error(
                f"the key {name!r} is missing",
                where=self.place(self.key),
                why="every field is written down",
                fix=did_you_mean(name, self.value) or f"add {name!r}",
            )
        return self.value[name]


def _refusal(error: type[GfmpError], where: str, value: object, rule: str) -> GfmpError:
    shown = repr(value)
    return error(
        f"{shown if len(shown) <= 60 else shown[:57] + '...'} is not {rule}",
        where=where,
        why=f"the field holds {rule}",
        fix="correct that field",
    )
