"""Motifs in the two formats that databases give: MEME's minimal format, and JASPAR's counts.

Every fault is told with its line. Sources: meme-suite.org (Minimal MEME Motif Format) and
jaspar.elixir.no (JASPAR format; its raw format, without letters and brackets, is read as well).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.genome.motifs import BASES, Motif
from gfmp.storage.atomic import storage_faults

# Shares of a place may be rounded so far.
_ROUNDING = 0.02
_USUAL_SITES = 20.0
_FIELD = re.compile(r"(\w+)\s*=\s*(\S+)")


def read_motifs(path: Path) -> tuple[Motif, ...]:
    """Read the motifs of a MEME or JASPAR file, told apart by their first line.

    Raises:
        DataError: the file is not what its format says; names the line.
        MissingInputError: there is no such file.
        StorageError: it cannot be read.
    """
    with storage_faults(path):
        text = path.read_bytes().decode("utf-8", errors="replace")
    lines = _Lines(path, text.splitlines())
    first = next((line for line in lines.texts if line.strip()), "")
    found = tuple(_jaspar(lines) if first.startswith(">") else _meme(lines))
    if not found:
        raise lines.fault(0, "the file has no motif", "a library has one motif or more")
    names = [motif.name for motif in found]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise lines.fault(0, f"two motifs are called {doubled[0]!r}", "matches go by names")
    return found


def meme_text(motifs: Sequence[Motif]) -> str:
    """Return motifs in MEME's minimal format, uniform background; places of no site are even."""
    head = "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n"
    head += "Background letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n"
    return head + "".join(map(_meme_block, motifs))


def _meme_block(motif: Motif) -> str:
    places = (" ".join(f"{share:.6f}" for share in place) for place in motif.frequencies)
    size = f"alength= 4 w= {motif.width} nsites= {motif.num_sites:g} E= 0"
    rows = "\n".join(places)
    return f"\nMOTIF {motif.name}\nletter-probability matrix: {size}\n{rows}\n"


@dataclass(frozen=True)
class _Lines:
    """The lines of a file."""

    path: Path
    texts: Sequence[str] = field(repr=False)

    def fault(self, number: int, message: str, why: str) -> DataError:
        """Return the error of a line, counted from 0."""
        return DataError(
            message,
            where=f"{self.path}:{number + 1}",
            why=why,
            fix="correct the line, or download the library again",
        )

    def numbers(self, number: int, text: str, count: int) -> list[float]:
        """Return the numbers of a line; `count` of them where it is not 0, none negative."""
        words = text.split()
        try:
            found = [float(word) for word in words]
        except ValueError:
            found = []
        sound = bool(found) and all(0 <= value < float("inf") for value in found)
        if not sound or (count and len(found) != count):
            wanted = f"{count} numbers" if count else "numbers"
            raise self.fault(
                number, f"{text.strip()[:60]!r}", f"this line of a matrix has {wanted}, 0 or more"
            )
        return found


def _meme(lines: _Lines) -> Iterator[Motif]:
    name, at = "", 0
    _check_meme(lines)
    while at < len(lines.texts):
        text = lines.texts[at]
        if text.startswith("MOTIF"):
            name = " ".join(text.split()[1:])
            if not name:
                raise lines.fault(at, "a motif without a name", "MOTIF is followed by its name")
        elif text.startswith("letter-probability matrix"):
            if not name:
                raise lines.fault(at, "a matrix before any MOTIF", "a motif's name comes first")
            motif, at = _meme_matrix(lines, at, name)
            name = ""
            yield motif
            continue
        at += 1
    if name:
        raise lines.fault(len(lines.texts) - 1, f"{name!r} has no matrix", "a motif has a matrix")


def _check_meme(lines: _Lines) -> None:
    for number, text in enumerate(lines.texts):
        if text.startswith("ALPHABET") and text.partition("=")[2].strip() != BASES:
            raise lines.fault(number, text.strip()[:60], f"motifs of DNA have the alphabet {BASES}")


def _meme_matrix(lines: _Lines, at: int, name: str) -> tuple[Motif, int]:
    """Read the matrix whose heading is line `at`; return it with the line after it."""
    fields = dict(_FIELD.findall(lines.texts[at]))
    width, sites = fields.get("w", ""), fields.get("nsites", f"{_USUAL_SITES}")
    if not width.isdigit() or int(width) == 0:
        raise lines.fault(at, f"the width of {name!r} is {width!r}", "a matrix says w= its places")
    places = []
    for number in range(at + 1, at + 1 + int(width)):
        text = lines.texts[number] if number < len(lines.texts) else ""
        shares = lines.numbers(min(number, len(lines.texts) - 1), text, len(BASES))
        if abs(sum(shares) - 1) > _ROUNDING:
            raise lines.fault(number, f"shares sum to {sum(shares):g}", "those of a place sum to 1")
        places.append(shares)
    (weight,) = lines.numbers(at, sites, 1)
    return Motif(name, np.array(places) * (weight or _USUAL_SITES)), at + 1 + int(width)


def _jaspar(lines: _Lines) -> Iterator[Motif]:
    at = 0
    while at < len(lines.texts):
        text = lines.texts[at]
        if not text.strip():
            at += 1
            continue
        name = " ".join(text[1:].split())
        if not text.startswith(">") or not name:
            raise lines.fault(at, f"{text.strip()[:60]!r}", "a motif begins with > and its name")
        yield Motif(name, _jaspar_counts(lines, at, name))
        at += 1 + len(BASES)


def _jaspar_counts(lines: _Lines, at: int, name: str) -> NDArray[np.float64]:
    rows: list[list[float]] = []
    for number, base in enumerate(BASES, start=at + 1):
        text = lines.texts[number] if number < len(lines.texts) else ""
        plain = text.strip().removeprefix(base).replace("[", " ").replace("]", " ")
        rows.append(lines.numbers(min(number, len(lines.texts) - 1), plain, 0))
        if len(rows[-1]) != len(rows[0]):
            raise lines.fault(
                number,
                f"{len(rows[-1])} counts of {base} in {name!r}",
                f"the row of A has {len(rows[0])}",
            )
    counts = np.array(rows).T
    if not counts.sum(axis=1).all():
        raise lines.fault(at, f"{name!r} has a place without counts", "some base is there")
    return counts
