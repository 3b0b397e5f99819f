"""What a file that is not what it should be looks like."""

from __future__ import annotations

import re

from gfmp.errors import DataError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SIGNATURES = (
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"\x89PNG", "a PNG image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "bzip2 compressed"),
    (b"\xfd7zXZ", "xz compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd compressed"),
    (b"\x1f\x8b", "gzip compressed twice"),
    (b"PAR1", "a Parquet file"),
    (b"BAM\x01", "BAM alignments"),
    (b"BCF\x02", "BCF variants"),
    (b"\x43\x27\x41\x1a", "a UCSC 2bit genome"),
    (b"\x1a\x41\x27\x43", "a UCSC 2bit genome"),
    (b"##fileformat=VCF", "VCF variants"),
    (b"##gff", "GFF annotation"),
    (b"LOCUS ", "GenBank"),
    (b"ID   ", "EMBL"),
    (b"<", "HTML or XML, perhaps the error page of a download"),
    (b"{", "JSON"),
    (b"@HD\t", "SAM alignments"),
    (b"@SQ\t", "SAM alignments"),
    (b"@", "FASTQ"),
    (b"#", "a table with comments"),
    (b">", "FASTA"),
)
_BARE_SEQUENCE = re.compile(rb"[ACGTUNacgtun\s]{20,}")


def looks_like(head: bytes) -> str:
    """Name the format of a file from its first bytes, as a person would call it."""
    text = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not text:
        return "empty" if not head else "blank"
    for signature, name in _SIGNATURES:
        if text.startswith(signature):
            return name
    if b"\0" in head:
        return "binary"
    if _BARE_SEQUENCE.match(text):
        return "bare sequence without a '>' line"
    return "plain text"


def wrong_format(head: bytes, wanted: str, origin: str) -> DataError:
    """Build the error for a file that starts like something else than `wanted`."""
    seen = looks_like(head)
    return DataError(
        f"this is not {wanted}: the file is {seen}"
        if seen in ("empty", "blank", "binary")
        else f"this is not {wanted}: it looks like {seen}",
        where=f"{origin}:1",
        why=f"the source is declared as {wanted}, plain or gzip compressed",
        fix="name the right file or the right format (fasta, genbank, parquet) in the corpus spec",
    )


def without_mark(head: bytes) -> bytes:
    """Drop a UTF-8 byte order mark from the first bytes of a file."""
    return head.removeprefix(_BYTE_ORDER_MARK)
