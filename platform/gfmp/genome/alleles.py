"""Each alternate of a VCF as an allele of the reference: checked, trimmed, and its two windows.

What cannot be read in its sequence is named, with the reason: a symbol spells no letters, a REF
that differs from the reference means another assembly, an N says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gfmp.errors import Problem
from gfmp.genome.alphabet import IUPAC_LETTERS
from gfmp.genome.contig_names import proposed_names
from gfmp.genome.letters import Letters
from gfmp.genome.vcf import VcfRecord, is_bases

Kind = Literal["substitution", "insertion", "deletion", "replacement"]
# Why an allele has no windows; the words stand in the output.
Trouble = Literal["symbolic", "no_contig", "beyond", "ref_mismatch", "ambiguous", "same", "long"]
TROUBLES: tuple[Trouble, ...] = (
    *("symbolic", "no_contig", "beyond", "ref_mismatch", "ambiguous", "same", "long"),
)
# Letters that stand for several: a REF of any of them agrees.
_SEVERAL = frozenset(IUPAC_LETTERS + b"N")
_MOST_NAMES = 8


@dataclass(frozen=True)
class Allele:
    """One alternate of a record, without the letters it shares with REF at either end.

    Attributes:
        record: Where it stands.
        number: Which alternate, from 1.
        contig: Name of the contig in the reference.
        start: 0-based position of the first letter that changes; an insertion stands before it.
        ref: Letters that are replaced; none for an insertion.
        alt: Letters in their place; none for a deletion.
        trouble: Why it cannot be scored; empty when it can.
    """

    record: VcfRecord
    number: int
    contig: str
    start: int
    ref: bytes
    alt: bytes
    trouble: Trouble | Literal[""] = ""

    @property
    def end(self) -> int:
        """One past the last letter that is replaced."""
        return self.start + len(self.ref)

    @property
    def kind(self) -> Kind:
        """What it does to the sequence."""
        if len(self.ref) == len(self.alt):
            return "substitution"
        if not self.ref:
            return "insertion"
        return "replacement" if self.alt else "deletion"


@dataclass(frozen=True)
class Window:
    """An allele in its surroundings: both alleles between the same flanks.

    Attributes:
        allele: The allele.
        before: Letters of the reference in front of it.
        after: Letters of the reference behind it.
    """

    allele: Allele
    before: bytes
    after: bytes

    @property
    def reference(self) -> bytes:
        """The window with the letters of the reference."""
        return self.before + self.allele.ref + self.after

    @property
    def alternate(self) -> bytes:
        """The window with the letters of the alternate."""
        return self.before + self.allele.alt + self.after


class Alleles:
    """Reads records against a reference.

    Args:
        letters: The reference.
        contigs: Name in the VCF -> name in the reference, where they differ.
        window_bp: Bases of a window around a substitution of one base; the flanks of longer
            alleles are the same. At the end of a contig windows are shorter.
    """

    def __init__(self, letters: Letters, contigs: Mapping[str, str], window_bp: int) -> None:
        self._letters, self._contigs = letters, dict(contigs)
        self._before, self._after = (window_bp - 1) // 2, window_bp // 2
        self._longest = window_bp // 2

    def of(self, record: VcfRecord) -> Iterator[Allele]:
        """Yield the alternates of a record, each with what is wrong with it; `.` is none."""
        contig = self._contigs.get(record.contig, record.contig)
        wrong = self._wrong_record(record, contig)
        for number, alternate in enumerate(record.alts, start=1):
            if not is_bases(alternate):
                yield Allele(record, number, contig, record.start, record.ref, b"", "symbolic")
                continue
            start, ref, alt = trimmed(record.start, record.ref, alternate.upper().encode())
            trouble = wrong or self._wrong_letters(ref, alt)
            yield Allele(record, number, contig, start, ref, alt, trouble)

    def window(self, allele: Allele) -> Window:
        """Return the two windows of an allele that has no trouble."""
        assert not allele.trouble, "only what can be read has windows"
        contig, length = allele.contig, self._letters.lengths[allele.contig]
        low, high = max(0, allele.start - self._before), min(length, allele.end + self._after)
        around = self._letters.fetch(contig, low, high)
        left = allele.start - low
        return Window(allele, around[:left], around[left + len(allele.ref) :])

    def _wrong_record(self, record: VcfRecord, contig: str) -> Trouble | Literal[""]:
        length = self._letters.lengths.get(contig)
        if length is None:
            return "no_contig"
        if record.end > length:
            return "beyond"
        found = self._letters.fetch(contig, record.start, record.end)
        if found == record.ref or _agree(found, record.ref):
            return ""
        return "ref_mismatch"

    def _wrong_letters(self, ref: bytes, alt: bytes) -> Trouble | Literal[""]:
        if ref == alt:
            return "same"
        if b"N" in ref or b"N" in alt:
            return "ambiguous"
        return "long" if max(len(ref), len(alt)) > self._longest else ""

    def problem(self, allele: Allele, file_contigs: Mapping[str, int]) -> Problem:
        """Say what is wrong with an allele that cannot be scored.

        Args:
            allele: It has trouble.
            file_contigs: Contigs of the VCF with their lengths, 0 where the header states none.
        """
        name, message, why, fix = self._words(allele, file_contigs)
        return Problem(f"field {name}: {message}", allele.record.where, why, fix)

    def _words(self, allele: Allele, file_contigs: Mapping[str, int]) -> tuple[str, str, str, str]:
        record, skip = allele.record, "set unusable: skip to pass over such alleles and count them"
        shown = repr(record.alts[allele.number - 1][:40])
        if allele.trouble == "no_contig":
            return self._stranger(record, file_contigs)
        if allele.trouble == "beyond":
            length = self._letters.lengths[allele.contig]
            message = f"the record ends at {record.end:,}, beyond the end of {allele.contig!r}"
            return "POS", message, f"that contig has {length:,} bases in the reference", _ASSEMBLY
        if allele.trouble == "ref_mismatch":
            found = self._letters.fetch(allele.contig, record.start, record.end)
            message = (
                f"{_short(record.ref)} at position {record.start + 1:,}, where {allele.contig!r}"
                f" has {_short(found)}"
            )
            return "REF", message, "REF holds the letters of the reference", _ASSEMBLY
        words = {
            "symbolic": ("is symbolic", "an allele is scored by the letters it spells"),
            "ambiguous": ("changes or is an N", "an N stands for no base that could be scored"),
            "same": ("is what REF is", "an alternate differs from the reference"),
            "long": ("is too long", f"alleles have at most {self._longest:,} bases, half a window"),
        }
        message, why = words[allele.trouble]
        return "ALT", f"{shown} {message}", why, skip

    def _stranger(
        self, record: VcfRecord, file_contigs: Mapping[str, int]
    ) -> tuple[str, str, str, str]:
        known, contig = self._letters.lengths, record.contig
        names = proposed_names({**file_contigs, contig: file_contigs.get(contig, 0)}, known)
        pairs = ", ".join(f"{a}: {b}" for a, b in list(names.items())[:_MOST_NAMES])
        fix = f"set variants.contigs: {{{pairs}}}" if contig in names else _ASSEMBLY
        why = f"that has {', '.join(list(known)[:_MOST_NAMES])}"
        return "CHROM", f"{contig!r} is no contig of the reference", why, fix


_ASSEMBLY = "name variants and reference of the same assembly"


def trimmed(start: int, ref: bytes, alt: bytes) -> tuple[int, bytes, bytes]:
    """Return (start, ref, alt) without the letters that both share, first at the end.

    What stays is the shortest change; of several places in a repeat it is the leftmost that the
    record allows.
    """
    longest = min(len(ref), len(alt))
    behind = next((i for i in range(longest) if ref[-1 - i] != alt[-1 - i]), longest)
    ref, alt = ref[: len(ref) - behind], alt[: len(alt) - behind]
    longest -= behind
    front = next((i for i in range(longest) if ref[i] != alt[i]), longest)
    return start + front, ref[front:], alt[front:]


def _agree(found: bytes, ref: bytes) -> bool:
    pairs = zip(found, ref, strict=True)
    return all(here == wanted or here in _SEVERAL for here, wanted in pairs)


def _short(letters: bytes) -> str:
    text = letters.decode("ascii")
    return repr(text if len(text) <= 12 else f"{text[:10]}..")
