"""The first pass over a VCF: every record parsed, compared with the reference and windowed.

It costs seconds a million records, so that what is wrong with line 900,000 is known before a model
is loaded. Memory does not grow with the file.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gfmp.errors import DataError, Problem
from gfmp.genome.alleles import TROUBLES, Allele, Alleles, Window
from gfmp.genome.letters import Letters
from gfmp.genome.locations import LocalFile, open_location
from gfmp.genome.vcf import VcfFile, VcfHeader, VcfRecord
from gfmp.plan.variant_effect import EffectPlan

SHORT = "short"
# Told together when there is more than one thing wrong.
_MOST_PROBLEMS = 20
_FEWEST_JUDGED = 100


@dataclass(frozen=True)
class Entry:
    """One alternate on its way to being scored.

    Attributes:
        index: Number of its record in the file, from 0.
        allele: The alternate.
        window: Its windows; None where it is not scored.
        skipped: Why it is passed over; empty where it is not.
    """

    index: int
    allele: Allele
    window: Window | None
    skipped: str


@dataclass(frozen=True)
class Survey:
    """What a VCF holds.

    Attributes:
        records: Records.
        reference_only: Records without an alternate.
        alleles: Alternates.
        multi_allelic: Records with several alternates.
        kinds: Scored alternates by what they do, such as `substitution`.
        skipped: Alternates that are passed over, by reason.
        unknown: Windows with letters other than A, C, G and T.
        cut: Windows that the end of a contig cuts.
        seconds: How long the pass took.
    """

    records: int
    reference_only: int
    alleles: int
    multi_allelic: int
    kinds: Mapping[str, int]
    skipped: Mapping[str, int]
    unknown: int
    cut: int
    seconds: float = field(compare=False)

    @property
    def usable(self) -> int:
        """Alternates with windows."""
        return sum(self.kinds.values())

    def to_json(self) -> dict[str, object]:
        """Return flat numbers for the ledger."""
        plain = ("records", "reference_only", "alleles", "multi_allelic", "unknown", "cut")
        numbers: dict[str, object] = {name: vars(self)[name] for name in plain}
        numbers |= {f"kind/{name}": count for name, count in sorted(self.kinds.items())}
        numbers |= {f"skipped/{name}": count for name, count in sorted(self.skipped.items())}
        return {**numbers, "survey_seconds": round(self.seconds, 3)}


class VariantFile:
    """The VCF of a plan against its reference, read from the start as often as asked.

    Args:
        plan: Names both.
        letters: The reference.

    Attributes:
        alleles: Reads records against the reference.
        path: Of the VCF.
    """

    def __init__(self, plan: EffectPlan, letters: Letters) -> None:
        self._plan, self._letters = plan, letters
        self._location = LocalFile(plan.where.variants_path)
        what = plan.what
        self.alleles = Alleles(letters, dict(what.contigs), what.window_bp)
        self.path = self._location.path

    def header(self) -> VcfHeader:
        """Return what the header says."""
        with open_location(self._location) as stream:
            return VcfFile(stream, self._location.path).header

    def records(self) -> Iterator[tuple[int, VcfRecord]]:
        """Yield number and record, in file order; raises as `VcfFile.records`."""
        with open_location(self._location) as stream:
            yield from enumerate(VcfFile(stream, self._location.path).records())

    def entries(self, index: int, record: VcfRecord) -> Iterator[Entry]:
        """Yield the alternates of a record."""
        for allele in self.alleles.of(record):
            window = None if allele.trouble else self.alleles.window(allele)
            skipped: str = allele.trouble
            if window is not None and self._short(window):
                window, skipped = None, SHORT
            yield Entry(index, allele, window, skipped)

    def _short(self, window: Window) -> bool:
        around = len(window.before) + len(window.after)
        least = min(len(window.allele.ref), len(window.allele.alt))
        return around + least < self._plan.what.shortest_bp

    def survey(self, tell: Callable[[int, float], None]) -> Survey:
        """Read all of it once.

        Args:
            tell: Called now and then with records read and seconds.

        Raises:
            DataError: records are damaged or unsorted; alternates cannot be used and the job does
                not pass over them, up to 20 of them; REF differs so often that the reference is
                another assembly; nothing can be scored.
        """
        return _Surveyor(self, self._plan).run(tell)

    def problem(self, entry: Entry, header: VcfHeader) -> Problem:
        """Say why an alternate cannot be scored."""
        if entry.skipped != SHORT:
            return self.alleles.problem(entry.allele, header.contigs)
        return Problem(
            f"field POS: the window around {entry.allele.record.start + 1:,} is shorter than "
            f"{self._plan.what.shortest_bp} bases",
            entry.allele.record.where,
            "the vocabularies of the job encode no shorter sequence",
            "set unusable: skip, or give a reference whose contigs are longer",
        )


_TELL_RECORDS = 50_000


class _Surveyor:
    """Counts, and gathers what is wrong."""

    def __init__(self, file: VariantFile, plan: EffectPlan) -> None:
        self._file, self._what = file, plan.what
        self._header = file.header()
        self._kinds: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._problems: list[Problem] = []
        self._example: Problem | None = None

    def run(self, tell: Callable[[int, float], None]) -> Survey:
        """See `VariantFile.survey`."""
        began, records = time.monotonic(), 0
        for index, record in self._file.records():
            records = index + 1
            self._record(index, record)
            if records % _TELL_RECORDS == 0:
                tell(records, time.monotonic() - began)
        self._judge(records)
        counts = self._counts
        return Survey(
            records=records,
            reference_only=counts["reference_only"],
            alleles=counts["alleles"],
            multi_allelic=counts["multi_allelic"],
            kinds=dict(self._kinds),
            skipped=dict(self._skipped),
            unknown=counts["unknown"],
            cut=counts["cut"],
            seconds=time.monotonic() - began,
        )

    def _record(self, index: int, record: VcfRecord) -> None:
        self._counts["reference_only"] += not record.alts
        self._counts["multi_allelic"] += len(record.alts) > 1
        for entry in self._file.entries(index, record):
            self._counts["alleles"] += 1
            if entry.window is None:
                self._refuse(entry)
            else:
                self._take(entry.window)
        if len(self._problems) >= _MOST_PROBLEMS:
            raise DataError.of(self._problems)

    def _take(self, window: Window) -> None:
        self._kinds[window.allele.kind] += 1
        around = window.before + window.after
        self._counts["unknown"] += bool(around.translate(None, b"ACGT"))
        self._counts["cut"] += len(around) + 1 < self._what.window_bp

    def _refuse(self, entry: Entry) -> None:
        self._skipped[entry.skipped] += 1
        if self._what.unusable == "error":
            self._problems.append(self._file.problem(entry, self._header))
        elif entry.skipped == "ref_mismatch" and self._example is None:
            self._example = self._file.problem(entry, self._header)

    def _judge(self, records: int) -> None:
        if self._problems:
            raise DataError.of(self._problems)
        wrong, alleles = self._skipped["ref_mismatch"], self._counts["alleles"]
        checked = alleles - self._skipped["no_contig"]
        if checked >= _FEWEST_JUDGED and wrong > self._what.most_mismatches * checked:
            assert self._example is not None, "it was counted"
            raise DataError(
                f"REF differs from the reference in {wrong:,} of {checked:,} alternates, first:"
                f" {self._example.message}",
                where=self._example.where,
                why=f"more than most_mismatches ({self._what.most_mismatches:.0%}) means another"
                " assembly",
                fix="name variants and reference of the same assembly",
            )
        if not self._kinds:
            reasons = ", ".join(f"{self._skipped[name]:,} {name}" for name in _reasons(self))
            raise DataError(
                f"none of {alleles:,} alternates in {records:,} records can be scored",
                where=self._file.path,
                why=reasons or "the file has no alternate",
                fix="see what is wrong with the first: leave unusable at `error`",
            )

    @property
    def skipped(self) -> Mapping[str, int]:
        """Alternates that are passed over, by reason."""
        return self._skipped


def _reasons(surveyor: _Surveyor) -> list[str]:
    return [name for name in (*TROUBLES, SHORT) if surveyor.skipped[name]]
