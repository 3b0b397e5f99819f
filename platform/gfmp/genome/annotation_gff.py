"""Streaming GFF3: one feature per line, names decoded, coordinates turned 0-based half-open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, cast
from urllib.parse import unquote

from gfmp.errors import DataError
from gfmp.genome.annotation import Feature, Strand
from gfmp.genome.annotation_lines import not_this_format, numbered_lines

_NUM_COLUMNS = 9
_STRANDS = {"+": "+", "-": "-", ".": ".", "?": "."}


def read_gff(stream: IO[bytes], origin: str) -> Iterator[Feature]:
    """Yield the features of a plain or gzip GFF3 file, one per line, in file order.

    Lines that make up one feature are joined later (`annotation.spliced`). Directives and
    comments are skipped; `##FASTA` ends the features.

    Raises:
        DataError: the file is not GFF3 or is damaged, or a line breaks the format; the message
            names `file:line`.
    """
    for number, line in numbered_lines(stream, origin):
        if number == 1 and not line.startswith("##gff-version"):
            raise not_this_format(line, "GFF3", origin)
        if line.startswith("##FASTA"):
            return
        if line and not line.startswith("#"):
            yield _feature(line, f"{origin}:{number}", number)


def _feature(line: str, where: str, number: int) -> Feature:
    columns = line.split("\t")
    if len(columns) != _NUM_COLUMNS:
        raise _fault(f"a line has {len(columns)} columns", where, "GFF3 has 9, parted by tabs")
    contig, _, kind, start, end, _, strand, _, attributes = columns
    if strand not in _STRANDS:
        raise _fault(f"the strand is {strand!r}", where, "GFF3 knows + - . and ?")
    values = _attributes(attributes, where)
    return Feature(
        contig=unquote(contig),
        type=unquote(kind),
        strand=cast(Strand, _STRANDS[strand]),
        parts=(_span(start, end, where),),
        id=unquote(values.get("ID", "")),
        parents=tuple(unquote(p) for p in values.get("Parent", "").split(",") if p),
        gene=unquote(values.get("gene", "")),
        name=unquote(values.get("Name", "")),
        line=number,
    )


def _span(start: str, end: str, where: str) -> tuple[int, int]:
    rule = "GFF3 counts from 1 and includes the end: 1 <= start <= end"
    if not (start.isdecimal() and end.isdecimal()):
        raise _fault(f"start {start!r} or end {end!r} is no number", where, rule)
    if not 1 <= int(start) <= int(end):
        raise _fault(f"start {start} and end {end} hold no base", where, rule)
    return int(start) - 1, int(end)


def _attributes(text: str, where: str) -> dict[str, str]:
    if text in ("", "."):
        return {}
    pairs = [pair.strip().partition("=") for pair in text.rstrip("; ").split(";")]
    broken = next((key for key, equals, _ in pairs if not (key and equals)), None)
    if broken is not None:
        raise _fault(
            f"the attribute {broken!r} has no value",
            where,
            "the ninth column is key=value, parted by ;  (GTF is another format)",
        )
    return {key: value for key, _, value in pairs}


def _fault(message: str, where: str, why: str) -> DataError:
    return DataError(message, where=where, why=why, fix="correct the line, or fetch the file again")
