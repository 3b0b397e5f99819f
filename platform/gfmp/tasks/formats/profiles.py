"""Chromatin profiles as DeepSEA makes them: bins of a genome, each with the peaks that fill it.

Source: Zhou and Troyanskaya 2015, Nature Methods 12:931; Ye et al., A.3.7.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.genome.bed import Interval, read_intervals
from gfmp.spec.task import TargetSpec
from gfmp.spec.task_profiles import NAMED_IN_FILE, ProfilesSource
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.formats.bins import filled, num_without, widened
from gfmp.tasks.formats.peaks import clusters
from gfmp.tasks.formats.reference import Contig, Place, beyond, contigs_of, naming_notes
from gfmp.tasks.inputs import InputFile
from gfmp.tasks.pool import Pool, joined
from gfmp.tasks.sparse import SparseLabels, labels_at, positive_counts
from gfmp.tasks.task import Rows

_ROLE = "peaks "
_SHORT = "peaks in no bin, for they fill at most half of any"
_EDGE = "bins whose window reaches over the end of a contig"
_UNKNOWN = "bins with N in their window"
_MOST_SHOWN = 12


@dataclass
class _Peaks:
    """The peaks of a contig.

    Attributes:
        spans: Profile -> start and end of each of its peaks, one after the other.
        last: The one that ends last.
    """

    last: Interval
    spans: defaultdict[str, array[int]] = field(
        default_factory=lambda: defaultdict(lambda: array("q"))
    )


@dataclass
class _Told:
    """What people are told when all is read: how many of what, and how many sites were widened."""

    left_out: Counter[str] = field(default_factory=Counter)
    num_sites: int = 0


def read_profiles(source: ProfilesSource, files: Sequence[InputFile], target: TargetSpec) -> Pool:
    """Read the bins that peaks fill, by contig and position; windows that overlap share a group.

    Raises:
        DataError: a file is no BED, a peak has no name or reaches beyond its contig, the
            reference lacks a contig, a profile of the target is not there, or no bin is left.
    """
    by_contig = _gathered(files)
    reference = next(file.path for file in files if file.role == "reference")
    profiles = sorted({name for peaks in by_contig.values() for name in peaks.spans})
    told, renamed, parts = _Told(), dict[str, str](), list[Pool]()
    for contig in contigs_of(reference, by_contig):
        if contig.own_name != contig.name:
            renamed[contig.own_name] = contig.name
        _check_inside(by_contig[contig.name].last, contig, reference)
        parts.append(_rows(contig, by_contig[contig.name], (source, profiles, told)))
    where = next(str(file.path) for file in files if file.role.startswith(_ROLE))
    if not any(len(part.rows) for part in parts):
        raise _no_bin(where, source, told.left_out)
    notes = naming_notes(reference, renamed)
    if told.num_sites:
        notes += (f"{told.num_sites:,} peaks of one base were widened to {source.peak_bp} bp",)
    pool = _learned(joined(parts), profiles, (source, target, where), told.left_out)
    return replace(pool, notes=notes)


def _gathered(files: Sequence[InputFile]) -> dict[str, _Peaks]:
    found: dict[str, _Peaks] = {}
    for profile, peak in _all_peaks(files):
        peaks = found.setdefault(peak.contig, _Peaks(peak))
        peaks.spans[profile].extend((peak.start, peak.end))
        if peak.end > peaks.last.end:
            peaks.last = peak
    return found


def _all_peaks(files: Sequence[InputFile]) -> Iterator[tuple[str, Interval]]:
    """Yield every peak of all files with the name of its profile."""
    for file in (one for one in files if one.role.startswith(_ROLE)):
        given = file.role.removeprefix(_ROLE)
        with file.path.open("rb") as stream:
            for peak in read_intervals(stream, str(file.path)):
                yield (_name(peak) if given == NAMED_IN_FILE else given), peak


def _name(peak: Interval) -> str:
    if not peak.name.strip(". "):
        raise DataError(
            "a peak has no name",
            where=peak.where,
            why=f"the file {NAMED_IN_FILE!r} names the profile of each peak in its fourth column",
            fix="name them, or give each profile a file of its own under source.peaks",
        )
    return peak.name


def _check_inside(last: Interval, contig: Contig, reference: Path) -> None:
    if last.end > len(contig.bases):
        place = Place(last.contig, last.start, last.end, "+", last.where)
        raise beyond(place, len(contig.bases), reference)


def _rows(
    contig: Contig, peaks: _Peaks, context: tuple[ProfilesSource, Sequence[str], _Told]
) -> Pool:
    """Return the bins of a contig with the labels of all profiles, learned or not."""
    source, profiles, told = context
    found: list[NDArray[np.int64]] = []
    for name in profiles:
        flat = np.array(peaks.spans.get(name, ()), dtype=np.int64)
        spans, num_sites = widened(flat.reshape(-1, 2), source.peak_bp)
        bins = filled(spans, source.bin_bp)
        told.num_sites += num_sites
        told.left_out[_SHORT] += num_without(spans, bins, source.bin_bp)
        found.append(bins)
    bins, places = np.unique(np.concatenate(found), return_inverse=True)
    columns = np.repeat(np.arange(len(profiles)), [len(one) for one in found])
    labels = labels_at(places, columns, (len(bins), len(profiles)))
    windows = _windows(bins, source)
    usable = _usable(contig.bases, windows, told.left_out)
    return _pool(contig, [windows[i] for i in usable.tolist()], labels.take(usable))


def _windows(bins: NDArray[np.int64], source: ProfilesSource) -> list[tuple[int, int]]:
    before = (source.window_bp - source.bin_bp) // 2
    starts = bins * source.bin_bp - before
    return [(start, start + source.window_bp) for start in starts.tolist()]


def _usable(
    bases: bytes, windows: Sequence[tuple[int, int]], left_out: Counter[str]
) -> NDArray[np.int64]:
    usable: list[int] = []
    for i, (start, end) in enumerate(windows):
        over = start < 0 or end > len(bases)
        unknown = not over and bases.count(b"N", start, end) > 0
        left_out[_EDGE] += over
        left_out[_UNKNOWN] += unknown
        if not (over or unknown):
            usable.append(i)
    return np.array(usable, dtype=np.int64)


def _pool(contig: Contig, windows: Sequence[tuple[int, int]], labels: SparseLabels) -> Pool:
    name, groups = contig.name, clusters(windows)
    rows = Rows(
        tuple(contig.bases[start:end] for start, end in windows),
        labels,
        tuple(f"{name}:{start}-{end}:+" for start, end in windows),
        tuple(f"{name}:{groups[span]}" if span in groups else "" for span in windows),
    )
    return Pool(rows, (name,) * len(rows), ("",) * len(rows))


def _learned(
    whole: Pool,
    profiles: Sequence[str],
    asked: tuple[ProfilesSource, TargetSpec, str],
    left_out: Counter[str],
) -> Pool:
    """Return the rows with the labels of the profiles that are learned, and only those.

    A bin that only others fill stays: that it has none of these labels is known.
    """
    source, target, where = asked
    counts = dict(zip(profiles, positive_counts(whole.rows.targets).tolist(), strict=True))
    kept = _kept(counts, source.at_least, target.names, where)
    every = whole.rows.targets
    assert isinstance(every, SparseLabels), "bins have their labels as lists"
    number = {name: i for i, name in enumerate(profiles)}
    labels = every.only(np.array([number[name] for name in kept]))
    told = [f"{count:,} {what}" for what, count in left_out.items() if count]
    told += _others(counts, kept, source.at_least)
    rows = replace(whole.rows, targets=labels)
    return replace(whole, rows=rows, left_out=tuple(told), labels=tuple(kept))


def _kept(
    counts: Mapping[str, int], at_least: int, asked: Sequence[str], where: str
) -> Sequence[str]:
    """Return the profiles that are learned, in their order.

    Raises:
        DataError: one that is asked for is not there or has too few bins, or none has enough.
    """
    for name in asked:
        if counts.get(name, 0) < at_least:
            raise DataError(
                f"the profile {name!r} has {counts.get(name, 0):,} bins",
                where=where,
                why=f"target.names lists it, and source.at_least is {at_least:,}",
                fix=("" if name in counts else did_you_mean(name, counts))
                or "take it out of target.names, or lower source.at_least",
            )
    enough = [name for name, count in counts.items() if count >= at_least]
    if not enough:
        name = max(counts, key=lambda one: counts[one])
        raise DataError(
            f"no profile has {at_least:,} bins",
            where=where,
            why=f"of {len(counts):,} profiles {name!r} has the most, {counts[name]:,}",
            fix="lower source.at_least, or give more of the genome",
        )
    return asked or enough


def _others(counts: Mapping[str, int], kept: Sequence[str], at_least: int) -> list[str]:
    """Tell of the profiles that are not learned, those with the most bins by name."""
    others = sorted(set(counts) - set(kept), key=lambda name: (-counts[name], name))
    told: list[str] = []
    for few, what in ((True, f"with fewer than {at_least:,} bins"), (False, "not in target.names")):
        names = [name for name in others if (counts[name] < at_least) == few]
        shown = ", ".join(f"{name} ({counts[name]:,})" for name in names[:_MOST_SHOWN])
        more = " ..." if len(names) > _MOST_SHOWN else ""
        told += [f"{len(names):,} profiles {what}: {shown}{more}"] if names else []
    return told


def _no_bin(where: str, source: ProfilesSource, left_out: Counter[str]) -> DataError:
    told = ", ".join(f"{count:,} {what}" for what, count in left_out.items() if count)
    return DataError(
        "no bin has a label",
        where=where,
        why=f"peaks cover more than half of a bin of {source.bin_bp} bp; "
        + (told or "the files hold no peak"),
        fix="name the right files, or widen sites with source.peak_bp",
    )
