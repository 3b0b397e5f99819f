"""What a plain YAML word means: the core schema of YAML 1.2, with `_` allowed between digits.

`1e-4` is a number, `010` is ten, `no`, `12:30` and `2001-01-01` are words.
"""

from __future__ import annotations

import re

MAX_NUMBER_CHARACTERS = 100

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)|[-+]_[0-9_]*")
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*(\.[0-9_]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)"
    r"|[-+]?\.[0-9_]+([eE][-+][0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_BASES = {"0b": 2, "0o": 8, "0x": 16}


def meaning(word: str) -> str | int | float | bool | None:
    """Return the value of the plain word `word`.

    Raises:
        ValueError: it has the form of a number and is none (`0x_`), or is absurdly long.
    """
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if _INTEGER.fullmatch(word):
        return _integer(_short(word))
    if _FLOAT.fullmatch(word):
        # Python writes infinity and NaN without a dot.
        return float(_short(word).lower().replace(".inf", "inf").replace(".nan", "nan"))
    return word


def _short(word: str) -> str:
    if len(word) > MAX_NUMBER_CHARACTERS:
        raise ValueError(f"{word[:20]!r} is no number: it has {len(word):,} characters")
    return word.replace("_", "")


def _integer(digits: str) -> int:
    unsigned = digits.lstrip("+-")
    base = _BASES.get(unsigned[:2], 10)
    number = int(unsigned if base == 10 else unsigned[2:], base)
    return -number if digits.startswith("-") else number
