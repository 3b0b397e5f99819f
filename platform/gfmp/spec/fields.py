"""Every field of every kind as a flat list: its path, meaning, type, default and rules."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gfmp.spec.kinds import KINDS, Kind
from gfmp.spec.schema import json_schema

# Stands for a name that the document chooses, such as a field in the space of a search.
ANY_NAME = "NAME"
_Schema = Mapping[str, Any]
_PATTERNS = {
    r"^[a-z0-9][a-z0-9._-]{0,63}$": "a name (a-z 0-9 . _ -, at most 64)",
    r"^([0-9a-f]{64})?$": "a sha256 (64 hexadecimal digits)",
    r"^[ACGT]{4}$": "the letters A, C, G, T in some order",
    r"^(https?|ftp)://\S+$": "an address (https, http or ftp)",
    r"^([A-Za-z0-9._-]+==[^=\s]+)?$": "a package with its version (name==1.2)",
    r"^([a-z][a-z0-9_]{0,40})?$": "a name (a-z 0-9 _, at most 41)",
}


@dataclass(frozen=True)
class Field:
    """One key that a document may have.

    Attributes:
        path: Kind and keys with dots between; items of a list have no key of their own.
        meaning: What it is, in words.
        type: What it may hold, in words.
        default: What counts when it is left out, as YAML writes it; empty when it is required.
        required: True when there is no default.
        rules: What is told when it is wrong; `...` stands for a value of the document.
    """

    path: str
    meaning: str
    type: str
    default: str
    required: bool
    rules: tuple[str, ...]

    @property
    def key(self) -> str:
        """Its last key."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class Block:
    """Keys that stand together.

    Attributes:
        path: As in `Field`; the kind itself for the whole document.
        variant: The key and value by which this one of several blocks is chosen, such as
            `format: fasta`; empty when there is one.
        meaning: What it is, in words.
        defined: Class that reads it, with its module.
        rules: What is told of keys that do not go together.
        fields: Its keys, in their order.
    """

    path: str
    variant: str
    meaning: str
    defined: str
    rules: tuple[str, ...]
    fields: tuple[Field, ...]


def blocks(kind: Kind) -> tuple[Block, ...]:
    """Return the blocks of a kind, the whole document first, each before those inside it."""
    schema = json_schema(kind)
    return tuple(_Walk(schema.get("$defs", {})).block(kind.name, schema, ""))


def all_blocks() -> tuple[Block, ...]:
    """Return the blocks of all kinds."""
    return tuple(block for kind in KINDS.values() for block in blocks(kind))


@dataclass(frozen=True)
class _Walk:
    """Follows references of one schema."""

    known: _Schema

    def block(self, path: str, schema: _Schema, variant: str) -> Iterator[Block]:
        """Yield a block and those inside it."""
        required = schema.get("required", ())
        properties: dict[str, _Schema] = schema["properties"]
        yield Block(
            path,
            variant,
            schema["description"],
            schema["$comment"],
            tuple(schema.get("x-rules", ())),
            tuple(
                self._field(f"{path}.{key}", field, key in required)
                for key, field in properties.items()
            ),
        )
        for key, field in properties.items():
            found = tuple(self._inner(f"{path}.{key}", field))
            for below, inner in found:
                yield from self.block(below, inner, _variant(inner) if len(found) > 1 else "")

    def _field(self, path: str, field: _Schema, required: bool) -> Field:
        return Field(
            path,
            field.get("description", ""),
            self._type(field),
            "" if required else self._default(field),
            required,
            tuple(field.get("x-rules", ())),
        )

    def _default(self, field: _Schema) -> str:
        value = field.get("default")
        if value in (None, "", [], {}):
            return "nothing"
        if isinstance(value, dict):
            return "those of its keys"
        return json.dumps(value).strip('"')

    def _inner(self, path: str, field: _Schema) -> Iterator[tuple[str, _Schema]]:
        """Yield the blocks that a value may be or hold, each with its path."""
        found = self._resolved(field)
        for choice in (*found.get("anyOf", ()), *found.get("oneOf", ())):
            yield from self._inner(path, choice)
        if "items" in found:
            yield from self._inner(path, found["items"])
        if isinstance(found.get("additionalProperties"), dict):
            yield from self._inner(f"{path}.{ANY_NAME}", found["additionalProperties"])
        if "properties" in found:
            yield path, found

    def _resolved(self, field: _Schema) -> _Schema:
        reference = field.get("$ref")
        return self.known[reference.rpartition("/")[2]] if reference else field

    def _type(self, field: _Schema) -> str:
        found = self._resolved(field)
        choices = [c for c in (*found.get("anyOf", ()), *found.get("oneOf", ())) if not _null(c)]
        if choices:
            return " or ".join(dict.fromkeys(self._type(choice) for choice in choices))
        if "const" in found:
            return json.dumps(found["const"]).strip('"')
        if "enum" in found:
            return " or ".join(json.dumps(value).strip('"') for value in found["enum"])
        return self._plain(found)

    def _plain(self, found: _Schema) -> str:
        kind = found.get("type")
        if kind == "array":
            return self._list(found)
        if kind == "object":
            inner = found.get("additionalProperties")
            if isinstance(inner, dict):
                return f"a mapping of names to {self._type(inner)}"
            return "a block"
        if kind == "string":
            return _PATTERNS.get(found.get("pattern", ""), "a text")
        if kind == "boolean":
            return "true or false"
        return ("an integer" if kind == "integer" else "a number") + _bounds(found)

    def _list(self, found: _Schema) -> str:
        if "prefixItems" in found:
            each = self._type(found["prefixItems"][0])
            return f"a list of {len(found['prefixItems'])}, each {each}"
        least = f" of {found['minItems']} or more" if found.get("minItems") else ""
        return f"a list{least}, each {self._type(found['items'])}"


def _null(field: _Schema) -> bool:
    return field.get("type") == "null"


def _variant(schema: _Schema) -> str:
    """Return by which key and values a block of several is chosen."""
    for key in ("kind", "rule", "format"):
        field = schema["properties"].get(key, {})
        if key in schema.get("required", ()) and ("const" in field or "enum" in field):
            values = field.get("enum", [field.get("const")])
            return f"{key}: {' | '.join(map(str, values))}"
    return ""


def _bounds(found: _Schema) -> str:
    low, above = found.get("minimum"), found.get("exclusiveMinimum")
    high, below = found.get("maximum"), found.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {_short(low)} to {_short(high)}"
    parts = (
        f", {_short(low)} or more" if low is not None else "",
        f" above {_short(above)}" if above is not None else "",
        f" and at most {_short(high)}" if high is not None else "",
        f" and below {_short(below)}" if below is not None else "",
    )
    return "".join(parts)


def _short(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e15 else f"2^{math.log2(value):g}"
