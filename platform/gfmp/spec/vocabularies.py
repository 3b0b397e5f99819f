"""One or several vocabularies as one value of an axis: `kmer6`, or `[bpe4096, kmer6]` at once.

Ye et al. (Genomics-FM, discussion) name the embeddings of several vocabularies, read concurrently
during fine-tuning, as what their model does not do yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator, Field

# Stands between the names of vocabularies that are read at once; no name has it.
AND = "+"
_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"


def joined(names: Iterable[str]) -> str:
    """Return the one name of vocabularies that are read at once; their order does not matter."""
    return AND.join(sorted(names))


def parts(name: str) -> tuple[str, ...]:
    """Return the vocabularies that a name stands for, sorted; none for an empty name."""
    return tuple(name.split(AND)) if name else ()


def _one_name(value: object) -> object:
    """Write a list of names, or names with `+` between them, as their one name."""
    names = value.split(AND) if isinstance(value, str) and AND in value else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return value  # a single name, or what is no name at all
    if len(names) < 2:
        raise ValueError("a list is read at once, so it names two or more vocabularies")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"this stands twice: {', '.join(doubled)}")
    return joined(names)


# A vocabulary, or several by their one name.
_Joined = Annotated[str, Field(pattern=rf"^{_NAME}(\+{_NAME})*$")]
_Listed = Annotated[list[Annotated[str, Field(pattern=rf"^{_NAME}$")]], Field(min_length=2)]
Vocabularies = Annotated[
    _Joined, BeforeValidator(_one_name, json_schema_input_type=_Joined | _Listed)
]
