"""Streaming GenBank feature tables: locations with joins and strands, and the gene's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from gfmp.errors import DataError
from gfmp.genome.annotation import Feature, Span, Strand
from gfmp.genome.annotation_lines import not_this_format, numbered_lines

# Columns of the feature table, as the DDBJ/ENA/GenBank definition lays them out.
_KEY_COLUMN = 5
_VALUE_COLUMN = 21
_NAMING = ("VERSION", "ACCESSION", "LOCUS")
_RANGE = re.compile(r"(?:[\w.]+:)?<?(\d+)(?:(\.\.|\^|\.)[<>]?(\d+))?")
_OPERATOR = re.compile(r"(join|order|complement)\((.*)\)")


def read_genbank_features(stream: IO[bytes], origin: str) -> Iterator[Feature]:
    """Yield the features of every record of a plain or gzip GenBank file, in file order.

    A record is named as its sequence is: by VERSION, else ACCESSION, else LOCUS.

    Raises:
        DataError: the file is not GenBank or is damaged, or a location cannot be read; the
            message names `file:line`.
    """
    table = _Table(origin)
    for number, line in numbered_lines(stream, origin):
        if number == 1 and not line.startswith("LOCUS"):
            raise not_this_format(line, "GenBank", origin)
        if line[:1].strip():
            yield from table.flush()
            table.keyword(line)
        elif table.is_open:
            yield from table.line(line, number)
    yield from table.flush()


class _Table:
    """Follows one file; `is_open` between FEATURES and the next keyword of a record."""

    def __init__(self, origin: str) -> None:
        self.is_open = False
        self._origin = origin
        self._head: dict[str, str] = {}
        self._key = ""
        self._number = 0
        self._texts: list[str] = []

    def keyword(self, line: str) -> None:
        """Take a line that begins in the first column."""
        word, _, rest = line.partition(" ")
        if word == "LOCUS":
            self._head = {}
        self.is_open = word == "FEATURES"
        self._head.setdefault(word, rest.strip())

    def line(self, line: str, number: int) -> Iterator[Feature]:
        """Take a line of the table; yields the feature that ended before it."""
        if line[_KEY_COLUMN : _KEY_COLUMN + 1].strip():
            yield from self.flush()
            self._key = line[_KEY_COLUMN:_VALUE_COLUMN].strip()
            self._number = number
        self._texts.append(line[_VALUE_COLUMN:].strip())

    def flush(self) -> Iterator[Feature]:
        """Yield the feature collected so far, if any."""
        if self._key:
            yield self._feature()
        self._key, self._texts = "", []

    def _feature(self) -> Feature:
        values = list(_logical(self._texts))
        qualifiers = _qualifiers(values[1:])
        strand, parts = self._located("".join(values[0].split()))
        contig = next((self._head[k].split()[0] for k in _NAMING if self._head.get(k)), "")
        gene = qualifiers.get("gene", "") or qualifiers.get("locus_tag", "")
        return Feature(
            contig=contig,
            type=self._key,
            strand=strand,
            parts=parts,
            id=qualifiers.get("protein_id", ""),
            gene=gene,
            name=qualifiers.get("product", ""),
            line=self._number,
        )

    def _located(self, text: str) -> tuple[Strand, tuple[Span, ...]]:
        try:
            found = list(_parts(text, "+"))
        except ValueError as fault:
            raise DataError(
                f"the location {text!r} of {self._key} cannot be read: {fault}",
                where=f"{self._origin}:{self._number}",
                why="locations are n, n..m, n^m, join(...), order(...) and complement(...)",
                fix="correct the location, or fetch the file again",
            ) from fault
        strands = {strand for strand, _ in found}
        parts = tuple(sorted(span for _, span in found))
        return (found[0][0] if len(strands) == 1 else "."), parts


def _logical(texts: list[str]) -> Iterator[str]:
    """Yield the location, then each qualifier, with its continuation lines joined."""
    current = texts[0]
    for text in texts[1:]:
        in_quotes = current.startswith("/") and current.count('"') % 2 == 1
        if text.startswith("/") and not in_quotes:
            yield current
            current = text
        else:
            current += " " + text
    yield current


def _qualifiers(values: list[str]) -> dict[str, str]:
    """Return the first value of every qualifier, without quotes."""
    found: dict[str, str] = {}
    for text in values:
        key, _, value = text[1:].partition("=")
        found.setdefault(key, value.strip('"').replace('""', '"'))
    return found


def _parts(text: str, strand: Strand) -> Iterator[tuple[Strand, Span]]:
    operator = _OPERATOR.fullmatch(text)
    if operator is None:
        yield strand, _span(text)
    elif operator[1] == "complement":
        yield from _parts(operator[2], "-" if strand == "+" else "+")
    else:
        for argument in _arguments(operator[2]):
            yield from _parts(argument, strand)


def _arguments(text: str) -> Iterator[str]:
    depth = begin = 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            yield text[begin:position]
            begin = position + 1
    yield text[begin:]


def _span(text: str) -> Span:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no position")
    first, last = int(match[1]), int(match[3] or match[1])
    if match[2] == "^":
        # Between two bases, which holds none of them.
        return first, first
    if not 1 <= first <= last:
        raise ValueError(f"{text!r} holds no base")
    return first - 1, last
