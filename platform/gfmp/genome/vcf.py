"""Streaming VCF: the records of a plain or gzip (bgzip) file, checked and sorted, with one call.

Memory: one line of at most 1 MiB, and the names in the header. Positions become 0-based. What a
record means for a haplotype is decided in `genome.haplotypes`; the rules here are those of the VCF
4.3 specification, section 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO

from gfmp.errors import DataError
from gfmp.genome.annotation_lines import numbered_lines
from gfmp.genome.looks import looks_like
from gfmp.storage.documents import did_you_mean

_FIXED = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_FORMAT = len(_FIXED)
_BASES = re.compile(r"[ACGTNacgtn]+")
# A symbol, a breakend, an overlapping deletion; their forms do not matter to us.
_SYMBOL = re.compile(r"[!-~]*[<>\[\]*.][!-~]*")
_CALL = re.compile(r"(\.|\d{1,9})([/|](\.|\d{1,9}))*")
_MOST_DIGITS = 18
_MOST_SHOWN = 30


@dataclass(frozen=True)
class VcfHeader:
    """What the header says.

    Attributes:
        contigs: Name to length of every ##contig line; 0 where it states no length.
        num_columns: Columns of every record.
        sample: Index of the column of the sample that was asked for; 0 when none was.
        lines: All lines of the header as they stand there, that of the columns last.
    """

    contigs: Mapping[str, int]
    num_columns: int
    sample: int
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class VcfRecord:
    """One line of a VCF.

    Attributes:
        contig: CHROM as it stands there.
        start: 0-based position of the first letter of `ref`.
        ref: Letters of the reference, upper case.
        alts: Alternates as they stand there; none where ALT is `.`.
        failed: FILTER; empty when the record passed or no filter was applied.
        call: The sample's genotype, such as `0|1`; empty when no sample was asked for.
        where: `file:line`.
        info: INFO as it stands there.
        text: The line as it stands there.
    """

    contig: str
    start: int
    ref: bytes
    alts: tuple[str, ...]
    failed: str
    call: str
    where: str
    info: str = ""
    text: str = field(default="", compare=False, repr=False)

    @property
    def end(self) -> int:
        """One past the last letter of `ref`."""
        return self.start + len(self.ref)

    def fault(self, name: str, problem: str, why: str, fix: str) -> DataError:
        """Build the error about the field `name` of this record."""
        return DataError(f"field {name}: {problem}", where=self.where, why=why, fix=fix)


def is_bases(alternate: str) -> bool:
    """Return True for letters, False for a symbol such as `<DEL>`."""
    return bool(_BASES.fullmatch(alternate))


class VcfFile:
    """One pass over a VCF.

    Attributes:
        header: Read at once.
    """

    def __init__(self, stream: IO[bytes], origin: str, sample: str = "") -> None:
        """Read the header.

        Args:
            stream: Binary, read once from its position to its end.
            origin: Name of the file for messages.
            sample: Column whose genotype the records carry; empty for none.

        Raises:
            DataError: the file is not VCF, is damaged, has no header or lacks the sample.
        """
        self._origin = origin
        self._lines = numbered_lines(stream, origin)
        self.header = self._read_header(sample)

    def records(self) -> Iterator[VcfRecord]:
        """Yield every record, in file order.

        Raises:
            DataError: a field is not what VCF allows, or the records are not sorted; names
                `file:line` and the field.
        """
        contig, start = "", 0
        closed: dict[str, str] = {}
        for number, line in self._lines:
            if not line:
                continue
            record = self._record(line, f"{self._origin}:{number}")
            if record.contig != contig:
                closed[contig] = record.where
                contig, start = record.contig, 0
            if contig in closed or record.start < start:
                raise _unsorted(record, start if contig not in closed else 0)
            start = record.start
            yield record

    def _read_header(self, sample: str) -> VcfHeader:
        contigs: dict[str, int] = {}
        lines: list[str] = []
        for number, line in self._lines:
            lines.append(line)
            if number == 1 and not line.startswith("##fileformat=VCF"):
                raise self._headless(number, f"it looks like {looks_like(line.encode())}")
            if line.startswith("##"):
                contigs |= _contig(line)
            elif line.startswith("#CHROM"):
                header = self._columns(line.split("\t"), sample, contigs, number)
                return replace(header, lines=tuple(lines))
            else:
                break
        raise self._headless(1, "a line #CHROM POS ID REF ALT ... must stand before the records")

    def _columns(
        self, names: list[str], sample: str, contigs: dict[str, int], number: int
    ) -> VcfHeader:
        if tuple(names[:_FORMAT]) != _FIXED or names[_FORMAT : _FORMAT + 1] not in ([], ["FORMAT"]):
            raise self._headless(number, f"columns are {', '.join(_FIXED)}, parted by tabs")
        samples = names[_FORMAT + 1 :]
        if sample and samples.count(sample) != 1:
            near = did_you_mean(sample, samples)
            raise DataError(
                f"the VCF has {samples.count(sample)} samples named {sample!r}",
                where=f"{self._origin}:{number}",
                why=f"it has {len(samples):,}: {', '.join(samples[:12]) or 'none'}",
                fix=near or "name one of them as variants.sample, or leave it out",
            )
        column = _FORMAT + 1 + samples.index(sample) if sample else 0
        return VcfHeader(contigs, len(names), column)

    def _record(self, line: str, where: str) -> VcfRecord:
        num_columns = line.count("\t") + 1
        if num_columns != self.header.num_columns:
            raise _fault(
                where,
                "columns",
                f"there are {num_columns:,}, and #CHROM names {self.header.num_columns:,}",
                "fields are parted by tabs, and none is left out",
            )
        column = self.header.sample
        fields = line.split("\t", max(column, _FORMAT) + 1)
        contig, position, _, ref, alt, _, failed, info = fields[:8]
        digits = position if position.isascii() and position.isdecimal() else ""
        if not contig or not contig.isprintable() or " " in contig:
            raise _fault(where, "CHROM", f"{_shown(contig)} is no name", "names have no blanks")
        if not digits or len(digits) > _MOST_DIGITS or not int(digits):
            raise _fault(where, "POS", f"{_shown(position)} is no position", "POS counts from 1")
        if not _BASES.fullmatch(ref):
            raise _fault(where, "REF", f"{_shown(ref)} is no DNA", "REF holds A, C, G, T and N")
        alts = tuple(alt.split(",")) if alt != "." else ()
        for one in alts:
            if not (is_bases(one) or _SYMBOL.fullmatch(one)):
                rule = "an alternate is DNA, a symbol such as <DEL>, or ."
                raise _fault(where, "ALT", f"{_shown(one)} is no alternate", rule)
        call = _call(fields[_FORMAT], fields[column], where) if column else ""
        passed = failed in ("PASS", ".")
        letters = ref.upper().encode()
        return VcfRecord(
            contig,
            int(digits) - 1,
            letters,
            alts,
            "" if passed else failed,
            call,
            where,
            info,
            line,
        )

    def _headless(self, number: int, why: str) -> DataError:
        return DataError(
            "this is not VCF: the header is missing or broken",
            where=f"{self._origin}:{number}",
            why=why,
            fix="VCF begins with ##fileformat=VCF: name the right file, or write its header again"
            " (bcftools view -h shows one)",
        )


def _contig(line: str) -> dict[str, int]:
    if not line.startswith("##contig=<"):
        return {}
    name = re.search(r"[<,]ID=([^,>]+)", line)
    length = re.search(r"[<,]length=(\d{1,18})[,>]", line)
    return {name[1]: int(length[1]) if length else 0} if name else {}


def _call(keys: str, values: str, where: str) -> str:
    if keys.split(":", 1)[0] != "GT":
        raise _fault(
            where, "FORMAT", f"{_shown(keys)} does not begin with GT", "GT holds the genotype"
        )
    call = values.split(":", 1)[0]
    if not _CALL.fullmatch(call):
        raise _fault(where, "GT", f"{_shown(call)} is no genotype", "such as 0|1, 1 or ./.")
    return call


def _unsorted(record: VcfRecord, start: int) -> DataError:
    after = f"POS {record.start + 1:,} follows POS {start + 1:,}"
    name, problem = ("POS", after) if start else ("CHROM", f"{record.contig!r} comes again")
    return record.fault(
        name,
        problem,
        "the records of a contig stand together, by position",
        "sort the file: bcftools sort FILE",
    )


def _fault(where: str, name: str, problem: str, why: str) -> DataError:
    fix = "correct the line, or fetch the file again"
    return DataError(f"field {name}: {problem}", where=where, why=why, fix=fix)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}...")
