"""Peaks against matched stretches without one (BED, narrowPeak): the sets of Ye et al., A.5."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gfmp.errors import DataError
from gfmp.genome.bed import Peak, read_bed, read_peaks
from gfmp.spec.task import TargetSpec
from gfmp.spec.task_formats import PeaksSource
from gfmp.tasks.formats.negatives import Blocked, Matching, Span, matched, unknown_runs
from gfmp.tasks.formats.reference import Contig, Place, beyond, contigs_of, naming_notes
from gfmp.tasks.inputs import InputFile
from gfmp.tasks.pool import Pool, joined
from gfmp.tasks.task import Rows

_LONG, _SHORT = "longer than longest_bp", "shorter than shortest_bp"
_TWICE, _EDGE = "that stand there twice", "whose window reaches over the end of a contig"
_UNKNOWN = "with N, for no background has one"
_UNMATCHED = "with no background of their length and G+C content"


def read_peak_sets(source: PeaksSource, files: Sequence[InputFile], target: TargetSpec) -> Pool:
    """Read peaks and draw a matched negative for each.

    Rows of a contig stand together, by position. Overlapping peaks share a group.

    Raises:
        DataError: a file is no BED, a peak reaches beyond its contig, or the reference lacks one.
    """
    out: Counter[str] = Counter()
    by_contig = _peaks(source, files, out)
    excluded = _excluded(files)
    reference = next(file.path for file in files if file.role == "reference")
    if not by_contig:
        raise DataError(
            "there is no peak of the lengths asked for",
            where=next(str(file.path) for file in files if file.role == "peaks"),
            why=", ".join(f"{count:,} {why}" for why, count in out.items()) or "no line is one",
            fix="name the right file, or change source.shortest_bp and longest_bp",
        )
    parts: list[Pool] = []
    renamed: dict[str, str] = {}
    for contig in contigs_of(reference, by_contig):
        if contig.own_name != contig.name:
            renamed[contig.own_name] = contig.name
        blocked = excluded.get(contig.name, []) + excluded.get(contig.own_name, [])
        parts.append(_rows(contig, by_contig[contig.name], source, (blocked, reference, out)))
    whole = joined(parts)
    left_out = tuple(f"{count:,} peaks {why}" for why, count in out.items() if count)
    return Pool(
        whole.rows,
        whole.contigs,
        whole.given,
        left_out=left_out,
        notes=naming_notes(reference, renamed),
    )


def _peaks(
    source: PeaksSource, files: Sequence[InputFile], out: Counter[str]
) -> dict[str, list[tuple[Peak, str]]]:
    found: dict[str, dict[Span, tuple[Peak, str]]] = defaultdict(dict)
    for peak, path in _all_peaks(files):
        length, span = peak.end - peak.start, (peak.start, peak.end)
        out[_LONG] += length > source.longest_bp
        out[_SHORT] += length < source.shortest_bp
        out[_TWICE] += span in found[peak.contig]
        if source.shortest_bp <= length <= source.longest_bp:
            found[peak.contig].setdefault(span, (peak, path))
    return {
        contig: [found[contig][span] for span in sorted(found[contig])]
        for contig in sorted(found)
        if found[contig]
    }


def _all_peaks(files: Sequence[InputFile]) -> Iterator[tuple[Peak, str]]:
    for file in (one for one in files if one.role == "peaks"):
        with file.path.open("rb") as stream:
            yield from ((peak, str(file.path)) for peak in read_peaks(stream, str(file.path)))


def _excluded(files: Sequence[InputFile]) -> dict[str, list[Span]]:
    spans: dict[str, list[Span]] = defaultdict(list)
    for file in (one for one in files if one.role == "exclude"):
        with file.path.open("rb") as stream:
            for contig, start, end in read_bed(stream, str(file.path)):
                spans[contig].append((start, end))
    return spans


def _rows(
    contig: Contig,
    peaks: Sequence[tuple[Peak, str]],
    source: PeaksSource,
    context: tuple[list[Span], Path, Counter[str]],
) -> Pool:
    excluded, reference, out = context
    bases = contig.bases
    for peak, where in peaks:
        if peak.end > len(bases):
            place = Place(peak.contig, peak.start, peak.end, "+", where)
            raise beyond(place, len(bases), reference)
    windows = _windows([peak for peak, _ in peaks], source, bases, out)
    unknown = unknown_runs(bases)
    blocked = Blocked([*((p.start, p.end) for p, _ in peaks), *windows, *excluded, *unknown])
    rule = Matching(source.gc_tolerance, source.attempts, source.seed)
    starts = matched(contig.name, bases, windows, blocked, rule)
    out[_UNMATCHED] += starts.count(None)
    pairs = [
        (span, (start, start + span[1] - span[0]))
        for span, start in zip(windows, starts, strict=True)
        if start is not None
    ]
    positives = [(span, 1.0) for span, _ in pairs]
    negatives = [(span, 0.0) for _, span in pairs]
    return _pool(contig, sorted([*positives, *negatives]), clusters(windows))


def _windows(
    peaks: Sequence[Peak], source: PeaksSource, bases: bytes, out: Counter[str]
) -> list[Span]:
    """Return the stretches that are read, each once, without N and wholly on the contig."""
    found: dict[Span, None] = {}
    for peak in peaks:
        span = (peak.start, peak.end)
        if source.window_bp:
            middle = (peak.start + peak.end) // 2 if source.centre == "middle" else peak.summit
            start = middle - source.window_bp // 2
            span = (start, start + source.window_bp)
        over = span[0] < 0 or span[1] > len(bases)
        unknown = not over and bases.count(b"N", *span) > 0
        out[_EDGE] += over
        out[_UNKNOWN] += unknown
        out[_TWICE] += span in found
        if not (over or unknown):
            found[span] = None
    return sorted(found)


def clusters(windows: Sequence[Span]) -> dict[Span, str]:
    """Return the name of the group of every window that overlaps another one; windows ascend."""
    names: dict[Span, str] = {}
    members: list[Span] = []
    reach = -1
    for window in (*windows, (np.iinfo(np.int64).max, np.iinfo(np.int64).max)):
        if window[0] >= reach:
            if len(members) > 1:
                names |= dict.fromkeys(members, str(members[0][0]))
            members, reach = [], -1
        members.append(window)
        reach = max(reach, window[1])
    return names


def _pool(contig: Contig, rows: Sequence[tuple[Span, float]], groups: dict[Span, str]) -> Pool:
    name = contig.name
    return Pool(
        Rows(
            tuple(contig.bases[start:end] for (start, end), _ in rows),
            np.array([[label] for _, label in rows], dtype=np.float32).reshape(-1, 1),
            tuple(f"{name}:{start}-{end}:+" for (start, end), _ in rows),
            tuple(
                f"{name}:{groups[span]}" if label and span in groups else "" for span, label in rows
            ),
        ),
        (name,) * len(rows),
        ("",) * len(rows),
    )
