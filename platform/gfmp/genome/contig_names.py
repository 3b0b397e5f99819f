"""Which contig of one file is which of another, when the two name them differently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


def proposed_names(strange: Mapping[str, int], known: Mapping[str, int]) -> dict[str, str]:
    """Guess for names of `strange` that `known` lacks which contig of `known` is meant.

    `chr1`, `1`, `Chr1`, `chr1.2` and `chrM`, `MT` are each other; failing that, a length that one
    contig alone has names it. A guess is for a person to confirm.

    Args:
        strange: Name to length; 0 where the length is not known.
        known: Name to length.
    """
    simple = _unique({name: _simple(name) for name in known})
    lengths = _unique({name: length for name, length in known.items() if length})
    found = {}
    for name, length in strange.items():
        if name not in known:
            guess = simple.get(_simple(name)) or lengths.get(length)
            if guess and guess not in strange and (not length or length == known[guess]):
                found[name] = guess
    return found


def _unique(values: Mapping[str, object]) -> dict[object, str]:
    times = Counter(values.values())
    return {value: name for name, value in values.items() if times[value] == 1}


def _simple(name: str) -> str:
    word = name.lower().removeprefix("chromosome").removeprefix("chrom").removeprefix("chr")
    stem, dot, version = word.partition(".")
    word = stem if dot and version.isdecimal() else word
    return "m" if word in ("m", "mt", "mito") else word.strip("_") or name
