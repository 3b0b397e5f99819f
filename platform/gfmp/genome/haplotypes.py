"""A haplotype instead of the reference: substitutions of a VCF put into the letters of a source.

Sequence and variants are read side by side, so memory does not grow with either. Only
substitutions are applied: they keep every coordinate, so that splits, regions and annotation of the
reference mean the same bases of the haplotype. Every REF is compared with the sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gfmp.genome.alphabet import IUPAC_LETTERS
from gfmp.genome.blocks import Block
from gfmp.genome.contig_names import proposed_names
from gfmp.genome.locations import checked_digest, describe, open_location
from gfmp.genome.variants import VariantCounts, Variants
from gfmp.genome.vcf import VcfFile, VcfRecord, is_bases

_MOST_NAMES = 8


def substituted(
    blocks: Iterator[Block], variants: Variants, counts: VariantCounts
) -> Iterator[Block]:
    """Yield `blocks` with the letters of the haplotype; a letter keeps its case.

    Raises:
        DataError: the VCF is damaged, unsorted or of other contigs, a REF is not what the
            sequence holds, two records change one base, or a record is unusable.
        MissingInputError: there is no such VCF.
    """
    origin = describe(variants.file.location)
    counts.sha256 = checked_digest(variants.file.location, variants.file.sha256)
    with open_location(variants.file.location) as stream:
        vcf = VcfFile(stream, origin, variants.sample)
        sequence = _Sequence(_Alleles(vcf, variants, counts))
        for block in blocks:
            yield sequence.passed(block)
        sequence.end(vcf.header.contigs)


@dataclass(frozen=True)
class _Change:
    """A record on its way: what must stand there, and what shall; empty changes nothing."""

    record: VcfRecord
    contig: str
    alt: bytes

    @property
    def end(self) -> int:
        """Where it ends in the reference, half-open."""
        return self.record.end


class _Alleles:
    """Looks one record ahead and decides what each means for the haplotype."""

    def __init__(self, vcf: VcfFile, variants: Variants, counts: VariantCounts) -> None:
        self._records = vcf.records()
        self._variants = variants
        self._names = dict(variants.contigs)
        self._counts = counts.by_kind
        self._newest: _Change | None = None
        self.next = self._read()

    def take(self) -> _Change:
        """Return the next record and read the one after it."""
        taken, self.next = self.next, self._read()
        assert taken is not None, "the caller saw it"
        return taken

    def _read(self) -> _Change | None:
        record = next(self._records, None)
        if record is None:
            return None
        alternate = self._carried(record)
        kind = self._kind(record, alternate)
        self._counts[kind] += 1
        applied = alternate.upper().encode() if kind == "applied" else b""
        change = _Change(record, self._names.get(record.contig, record.contig), applied)
        if applied:
            self._check_overlap(change)
            self._newest = change
        return change

    def _carried(self, record: VcfRecord) -> str:
        """Return the alternate of the haplotype, `.` for the reference, or the word for neither."""
        if not record.call:
            return record.alts[0] if len(record.alts) == 1 else ",".join(record.alts) or "."
        alleles = record.call.replace("/", "|").split("|")
        allele = alleles[min(self._variants.haplotype, len(alleles)) - 1]
        if "." in alleles or ("/" in record.call and len(set(alleles)) > 1):
            return "?"
        if int(allele) > len(record.alts):
            raise record.fault(
                "GT",
                f"{record.call!r} names alternate {allele} of {len(record.alts)}",
                "a genotype counts the alternates of its record from 1",
                "fetch the file again",
            )
        return record.alts[int(allele) - 1] if int(allele) else "."

    def _kind(self, record: VcfRecord, alternate: str) -> str:
        if alternate == ".":
            return "reference"
        kind, name, problem = _trouble(record, alternate)
        if kind != "applied" and self._variants.unusable == "error":
            raise record.fault(
                name,
                problem,
                "a haplotype keeps the coordinates of its reference: every record is one known "
                "substitution that passed its filters",
                "set variants: {unusable: skip} to pass over such records and count them, or "
                "prepare the file: bcftools norm -m -any FILE | bcftools view -f PASS,. -v snps",
            )
        return kind

    def _check_overlap(self, change: _Change) -> None:
        newest = self._newest
        if newest and newest.contig == change.contig and change.record.start < newest.end:
            raise change.record.fault(
                "POS",
                f"{change.record.start + 1:,} is already changed by {newest.record.where}",
                "a haplotype has one letter at each position",
                "keep one of the two records, or name a sample",
            )


def _trouble(record: VcfRecord, alternate: str) -> tuple[str, str, str]:
    """Return (kind, field, problem) of a record whose alternate is to be applied."""
    shown = repr(alternate[:40])
    if alternate == "?":
        return "unphased", "GT", f"{record.call!r} does not say which haplotype carries what"
    if "," in alternate:
        return "multi_allelic", "ALT", f"{shown} are {len(record.alts)} alternates (multi-allelic)"
    if record.failed:
        return "filtered", "FILTER", f"the record failed {record.failed[:40]!r}"
    if not is_bases(alternate):
        return "symbolic", "ALT", f"{shown} is symbolic"
    if len(alternate) != len(record.ref):
        return "indels", "ALT", f"{shown} has another length than REF"
    return "applied", "", ""


class _Sequence:
    """Follows the blocks of a source and puts each change where it belongs."""

    def __init__(self, alleles: _Alleles) -> None:
        self._alleles = alleles
        self._lengths: dict[str, int] = {}
        self._contig = ""
        self._open: list[_Change] = []

    def passed(self, block: Block) -> Block:
        """Return `block` with its changes."""
        if block.contig != self._contig:
            self._end_contig()
            self._contig = block.contig
        start = self._lengths.get(block.contig, 0)
        end = self._lengths[block.contig] = start + len(block.bases)
        due = self._due(end)
        if not due:
            return block
        letters = np.frombuffer(block.bases, np.uint8).copy()
        for change in due:
            _apply(change, letters, start)
        self._open = [change for change in due if change.end > end]
        return _with_letters(block, letters)

    def end(self, header: Mapping[str, int]) -> None:
        """End the sequence.

        Args:
            header: Contigs of the VCF's header with their lengths, 0 where it states none.

        Raises:
            DataError: a record lies beyond its contig, on none, or on one that went by before.
        """
        self._end_contig()
        left = self._alleles.next
        if left is None:
            return
        contig = left.record.contig
        if left.contig in self._lengths:
            raise left.record.fault(
                "CHROM",
                f"{contig!r} comes after contigs that follow it in the sequence file",
                "both files are read side by side, once",
                f"sort the VCF as the sequence is: {', '.join(list(self._lengths)[:8])}",
            )
        names = proposed_names({**header, contig: header.get(contig, 0)}, self._lengths)
        pairs = ", ".join(f"{a}: {b}" for a, b in list(names.items())[:_MOST_NAMES])
        raise left.record.fault(
            "CHROM",
            f"{contig!r} is no contig of the sequence file",
            f"that has {', '.join(list(self._lengths)[:_MOST_NAMES])}",
            f"set variants.contigs: {{{pairs}}}"
            if contig in names
            else "name sequence and variants of the same assembly",
        )

    def _due(self, end: int) -> list[_Change]:
        """Return the changes that meet the block which ends at `end`."""
        due = self._open
        while (change := self._alleles.next) and change.contig == self._contig:
            if change.record.start >= end:
                break
            due.append(self._alleles.take())
        return due

    def _end_contig(self) -> None:
        waiting = self._alleles.next
        on_this = waiting is not None and waiting.contig == self._contig
        beyond = self._open[0] if self._open else waiting if on_this else None
        if beyond is not None:
            raise beyond.record.fault(
                "POS",
                f"the record ends at {beyond.end:,}, beyond the end of {self._contig!r}",
                f"that contig has {self._lengths[self._contig]:,} bases in the sequence file",
                "name sequence and variants of the same assembly",
            )


def _apply(change: _Change, letters: NDArray[np.uint8], start: int) -> None:
    """Compare REF with the block that begins at `start`, as far as both reach, and change it."""
    record = change.record
    low, high = max(record.start, start), min(record.end, start + len(letters))
    here = letters[low - start : high - start]
    part = slice(low - record.start, high - record.start)
    wanted = np.frombuffer(record.ref, np.uint8)[part]
    found = _AS_REF[here]
    wrong = np.flatnonzero((found != wanted) & (found != _ANY))
    if wrong.size:
        at = low + int(wrong[0])
        raise record.fault(
            "REF",
            f"{chr(wanted[wrong[0]])!r} at position {at + 1:,}, where {change.contig!r} has "
            f"{chr(here[wrong[0]])!r}",
            "REF holds the letters of the sequence file",
            "name sequence and variants of the same assembly",
        )
    if change.alt:
        here[:] = np.frombuffer(change.alt, np.uint8)[part] | (here & _CASE_BIT)


def _with_letters(block: Block, letters: NDArray[np.uint8]) -> Block:
    """Return `block` with other letters in the same layout."""
    raw = np.frombuffer(block.raw, np.uint8).copy()
    raw[~np.isin(raw, np.frombuffer(block.ignored, np.uint8))] = letters
    return replace(block, raw=raw.tobytes())


# Lower case is the soft mask, which a substitution does not lift.
_CASE_BIT = np.uint8(0x20)
# An ambiguity code stands for several letters, any of which a REF may name.
_ANY = ord("?")


def _as_ref() -> NDArray[np.uint8]:
    table = np.frombuffer(bytes(range(256)).upper(), np.uint8).copy()
    table[np.frombuffer(IUPAC_LETTERS + IUPAC_LETTERS.lower(), np.uint8)] = _ANY
    table[[ord("U"), ord("u")]] = ord("T")
    return table


_AS_REF = _as_ref()
