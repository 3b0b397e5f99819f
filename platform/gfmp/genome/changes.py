"""What each record of a VCF means for one haplotype: a change of its letters, or none, counted.

Everything is decided from the VCF alone, in file order; `genome.haplotypes` compares REF with the
sequence and changes the letters, `genome.lifts` follows the positions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gfmp.genome.variants import MOST_NAMED, VariantCounts, Variants
from gfmp.genome.vcf import VcfFile, VcfRecord, is_bases

_UNPHASED, _MISSING = "?", "??"
_MOST_SHOWN = 12


@dataclass(frozen=True)
class Change:
    """A record on its way: what must stand there, and what shall.

    Attributes:
        record: Its REF is compared with the sequence, whatever becomes of it.
        contig: Name in the sequence file.
        applied: False leaves the letters as they are; the three below then say nothing.
        start: 0-based position of the first letter replaced; an insertion stands before it.
        end: One past the last letter replaced; `start` for an insertion.
        alt: Upper-case letters in their place; none for a deletion.
    """

    record: VcfRecord
    contig: str
    applied: bool
    start: int
    end: int
    alt: bytes

    @property
    def moves(self) -> bool:
        """Whether the positions behind it are others than in the reference."""
        return self.applied and len(self.alt) != self.end - self.start

    def meets(self, other: Change) -> bool:
        """Return True where both change one base, or both insert at one point."""
        inserted = self.start == self.end == other.start == other.end
        same = inserted and bool(self.alt and other.alt)
        return same or (self.start < other.end and other.start < self.end)


class Changes:
    """Looks one record ahead.

    Attributes:
        next: The record that `take` gives; None behind the last.
    """

    def __init__(self, vcf: VcfFile, variants: Variants, counts: VariantCounts) -> None:
        self._records = vcf.records()
        self._variants = variants
        self._names = dict(variants.contigs)
        self._counts = counts
        # Applied changes that a record from here on may still meet; few, for records are sorted.
        self._standing: list[Change] = []
        self.next = self._read()

    def take(self) -> Change:
        """Return the next record and read the one after it.

        Raises:
            DataError: a record is damaged, unusable, or meets another one.
        """
        taken, self.next = self.next, self._read()
        assert taken is not None, "the caller saw it"
        return taken

    def _read(self) -> Change | None:
        record = next(self._records, None)
        if record is None:
            return None
        contig = self._names.get(record.contig, record.contig)
        self._standing = [
            one for one in self._standing if one.contig == contig and one.end >= record.start
        ]
        alternate = self._carried(record, contig)
        kind = self._kind(record, alternate)
        change = self._change(record, contig, alternate if kind == "applied" else "")
        if change.applied and (first := self._met(change)):
            kind = "overlapping"
            self._name(change, first)
            change = self._change(record, contig, "")
        if change.applied:
            self._standing.append(change)
        self._counts.by_kind[kind] += 1
        return change

    def _change(self, record: VcfRecord, contig: str, alternate: str) -> Change:
        if not alternate:
            return Change(record, contig, False, record.start, record.start, b"")
        start, ref, alt = record.start, record.ref, alternate.upper().encode()
        if self._variants.indels == "apply":
            start, ref, alt = _behind_the_anchor(start, ref, alt)
        return Change(record, contig, True, start, start + len(ref), alt)

    def _carried(self, record: VcfRecord, contig: str) -> str:
        """Return the alternate of the haplotype, `.` for the reference, or the word for neither."""
        if not record.call:
            return record.alts[0] if len(record.alts) == 1 else ",".join(record.alts) or "."
        alleles = record.call.replace("/", "|").split("|")
        if "." in alleles:
            return _MISSING
        index = min(self._variants.haplotype, len(alleles)) - 1
        if "/" in record.call and len(set(alleles)) > 1:
            if self._variants.unphased == "refuse":
                return _UNPHASED
            index = self._drawn(contig, record.start, len(alleles))[index]
            self._counts.drawn += 1
        allele = alleles[index]
        if int(allele) > len(record.alts):
            raise record.fault(
                "GT",
                f"{record.call!r} names alternate {allele} of {len(record.alts)}",
                "a genotype counts the alternates of its record from 1",
                "fetch the file again",
            )
        return record.alts[int(allele) - 1] if int(allele) else "."

    def _drawn(self, contig: str, start: int, num_alleles: int) -> list[int]:
        """Return which allele of an unphased genotype each haplotype gets; each one goes once."""
        head = f"{self._variants.seed}\t{self._variants.sample}\t{contig}\t{start}\t"
        ranks = [
            hashlib.blake2b(f"{head}{i}".encode(), digest_size=8).digest()
            for i in range(num_alleles)
        ]
        return sorted(range(num_alleles), key=ranks.__getitem__)

    def _kind(self, record: VcfRecord, alternate: str) -> str:
        if alternate == ".":
            return "reference"
        if alternate == "*" and any(one.start <= record.start < one.end for one in self._deleted):
            return "spanned"
        kind, name, problem = _trouble(record, alternate)
        if kind == "indels" and self._variants.indels == "apply":
            return "applied"
        if kind != "applied" and self._variants.unusable == "error":
            raise record.fault(
                name,
                problem,
                "every record is one known change that passed its filters, and one that moves no "
                "position unless indels are applied",
                _REMEDIES.get(kind, "")
                + "set variants: {unusable: skip} to pass over such records and count them, or "
                "prepare the file: bcftools norm -m -any FILE | bcftools view -f PASS,. -v snps",
            )
        return kind

    @property
    def _deleted(self) -> list[Change]:
        return [one for one in self._standing if len(one.alt) < one.end - one.start]

    def _met(self, change: Change) -> Change | None:
        return next((one for one in self._standing if one.meets(change)), None)

    def _name(self, change: Change, first: Change) -> None:
        record = change.record
        if self._variants.overlaps == "error":
            raise record.fault(
                "POS",
                f"{record.start + 1:,} is already changed by {first.record.where}",
                "a haplotype has one letter at each position",
                "keep one of the two records, or name a sample, or set variants: {overlaps: first} "
                "to apply the first and count the other",
            )
        if len(self._counts.named) < MOST_NAMED:
            alternate = change.alt.decode() or "-"
            changed = record.ref[change.start - record.start : change.end - record.start].decode()
            place = f"{record.contig}:{change.start + 1}"
            what = f"{_short(changed or '-')}>{_short(alternate)}"
            lines = (one.rsplit(":", 1)[-1] for one in (record.where, first.record.where))
            self._counts.named.append(f"{place} {what} (line {' meets line '.join(lines)})")


_REMEDIES = {
    "indels": "set variants: {indels: apply} to let positions move, or ",
    "unphased": "set variants: {unphased: draw} to draw the phase by a seed, or ",
}


def _behind_the_anchor(start: int, ref: bytes, alt: bytes) -> tuple[int, bytes, bytes]:
    """Return what differs: the letters shared at the beginning are no part of it, then the end.

    VCF writes the base before an indel, and a haplotype may have another record there.
    """
    longest = min(len(ref), len(alt))
    front = next((i for i in range(longest) if ref[i] != alt[i]), longest)
    ref, alt = ref[front:], alt[front:]
    longest -= front
    behind = next((i for i in range(longest) if ref[-1 - i] != alt[-1 - i]), longest)
    return start + front, ref[: len(ref) - behind], alt[: len(alt) - behind]


def _trouble(record: VcfRecord, alternate: str) -> tuple[str, str, str]:
    """Return (kind, field, problem) of a record whose alternate is to be applied."""
    shown = repr(alternate[:40])
    if alternate == _UNPHASED:
        return "unphased", "GT", f"{record.call!r} does not say which haplotype carries what"
    if alternate == _MISSING:
        return "missing", "GT", f"{record.call!r} is missing, or a part of it"
    if "," in alternate:
        return "multi_allelic", "ALT", f"{shown} are {len(record.alts)} alternates (multi-allelic)"
    if record.failed:
        return "filtered", "FILTER", f"the record failed {record.failed[:40]!r}"
    if not is_bases(alternate):
        return "symbolic", "ALT", f"{shown} is symbolic"
    if len(alternate) != len(record.ref):
        return "indels", "ALT", f"{shown} has another length than REF"
    return "applied", "", ""


def _short(letters: str) -> str:
    return letters if len(letters) <= _MOST_SHOWN else f"{letters[: _MOST_SHOWN - 2]}.."
