"""Peaks and their negatives: same contig, same length, same G+C, touching nothing."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from public_rows import read, write_fasta, write_text

from gfmp.errors import DataError
from gfmp.tasks.formats.negatives import Blocked, Matching, gc_count, matched, unknown_runs
from gfmp.tasks.pool import Pool

BINARY = "{kind: binary}"
SPLIT = "split: {by: contig, test: [chr2]}\n"
PEAKS = "{format: peaks, peaks: [{path: a.narrowPeak}], reference: {path: g.fa}MORE}"


def _letters(length: int, seed: int, gc: float = 0.4) -> str:
    """Letters of a genome whose G+C content drifts, as that of real ones does."""
    rng = np.random.default_rng(seed)
    share = np.clip(gc + 0.25 * np.sin(np.arange(length) / 700), 0.05, 0.95)
    strong = rng.random(length) < share
    pick = rng.integers(0, 2, length)
    return "".join(np.where(strong, np.where(pick, "G", "C"), np.where(pick, "A", "T")))


def _line(contig: str, start: int, end: int, summit: int = -1) -> str:
    return f"{contig}\t{start}\t{end}\tp\t100\t.\t5.1\t3.2\t2.1\t{summit}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two contigs of 60 kb with 25 peaks each, a run of N, and a file of excluded regions."""
    rng = np.random.default_rng(1)
    genome, lines = {}, ["track type=narrowPeak"]
    for k, name in enumerate(("chr1", "chr2")):
        letters = _letters(60_000, k)
        genome[name] = letters[:30_000] + "N" * 500 + letters[30_500:]
        for i in range(25):
            start = 1_000 + i * 2_300 + int(rng.integers(0, 900))
            lines.append(_line(name, start, start + int(rng.integers(150, 900)), 60))
    write_fasta(tmp_path / "g.fa", genome)
    write_text(tmp_path / "a.narrowPeak", "\n".join(lines) + "\n")
    write_text(tmp_path / "black.bed", "chr1\t0\t900\nchr2\t40000\t52000\n")
    return tmp_path


def _spans(pool: Pool, label: int) -> list[tuple[str, int, int]]:
    found = []
    for origin, value in zip(pool.rows.origins, pool.rows.targets[:, 0], strict=True):
        contig, span, _ = origin.split(":")
        if value == label:
            start, end = span.split("-")
            found.append((contig, int(start), int(end)))
    return found


def _gc(sequence: bytes) -> float:
    return (sequence.count(b"G") + sequence.count(b"C")) / len(sequence)


def test_every_peak_has_a_negative_of_its_length_and_content(project: Path) -> None:
    pool = read(project, PEAKS.replace("MORE", ", exclude: [{path: black.bed}]"), BINARY, SPLIT)
    peaks, background = _spans(pool, 1), _spans(pool, 0)
    assert len(peaks) == len(background) >= 45
    by_sequence = list(zip(pool.rows.origins, pool.rows.sequences, strict=True))
    contents = {o.rsplit(":", 1)[0]: _gc(s) for o, s in by_sequence}
    for contig in ("chr1", "chr2"):
        mine = sorted((e - s, contents[f"{c}:{s}-{e}"]) for c, s, e in peaks if c == contig)
        theirs = [(e - s, contents[f"{c}:{s}-{e}"]) for c, s, e in background if c == contig]
        for length, content in mine:  # a perfect matching, greedily: lengths hardly repeat
            twin = min(theirs, key=lambda one: (one[0] != length, abs(one[1] - content)))
            assert twin[0] == length and abs(twin[1] - content) <= 0.01 + 1e-9
            theirs.remove(twin)
    everything = sorted([*peaks, *background])
    for (c, _, end), (d, start, _) in itertools.pairwise(everything):
        assert c != d or end <= start
    assert not any(b"N" in sequence for sequence in pool.rows.sequences)
    assert not any(c == "chr2" and s < 52_000 and e > 40_000 for c, s, e in background)
    assert pool.contigs == tuple(origin.split(":")[0] for origin in pool.rows.origins)


def test_the_same_seed_draws_the_same_and_another_one_others(project: Path) -> None:
    first, again = (read(project, PEAKS.replace("MORE", ""), BINARY, SPLIT) for _ in range(2))
    other = read(project, PEAKS.replace("MORE", ", seed: 5"), BINARY, SPLIT)
    assert first.rows.origins == again.rows.origins
    assert _spans(first, 1) == _spans(other, 1)
    assert _spans(first, 0) != _spans(other, 0)


@pytest.mark.parametrize(("centre", "offset"), [("middle", 50), ("summit", 10)])
def test_windows_are_centred(project: Path, centre: str, offset: int) -> None:
    write_text(project / "a.narrowPeak", _line("chr1", 5_000, 5_100, 10) + "\n")
    more = f", window_bp: 40, centre: {centre}"
    pool = read(project, PEAKS.replace("MORE", more), BINARY, "split: {by: random}\n")
    assert _spans(pool, 1) == [("chr1", 5_000 + offset - 20, 5_000 + offset + 20)]


def test_what_is_left_out_is_counted(project: Path) -> None:
    lines = [
        _line("chr1", 5_000, 5_200),
        _line("chr1", 5_000, 5_200),
        _line("chr1", 9_000, 9_010),
        _line("chr1", 10_000, 20_000),
        _line("chr1", 29_900, 30_100),
        _line("chr1", 7_000, 7_300),
        _line("chr1", 7_200, 7_500),
    ]
    write_text(project / "a.narrowPeak", "\n".join(lines) + "\n")
    more = ", shortest_bp: 50, longest_bp: 1000"
    pool = read(project, PEAKS.replace("MORE", more), BINARY, "split: {by: random}\n")
    assert set(pool.left_out) == {
        "1 peaks longer than longest_bp",
        "1 peaks shorter than shortest_bp",
        "1 peaks that stand there twice",
        "1 peaks with N, for no background has one",
    }
    grouped = [g for g, y in zip(pool.rows.groups, pool.rows.targets[:, 0], strict=True) if y]
    assert grouped == ["", "chr1:7000", "chr1:7000"]  # overlapping peaks stay together


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (_line("chr1", 59_900, 60_100), "chr1:59900-60100 reaches beyond the contig"),
        (_line("chr1", 10, 50, 99), "the summit is '99', and the peak has 40 bases"),
        (_line("chr9", 10, 50), "there is no contig 'chr9'"),
        ("chr1\t5\t5", "start 5 and end 5 hold no base"),
        ("# nothing", "there is no peak of the lengths asked for"),
    ],
)
def test_a_wrong_peak_is_named(project: Path, line: str, message: str) -> None:
    write_text(project / "a.narrowPeak", line + "\n")
    with pytest.raises(DataError) as caught:
        read(project, PEAKS.replace("MORE", ""), BINARY, "split: {by: random}\n")
    assert caught.value.problems[0].message == message


def test_peaks_with_a_rare_content_find_their_few_matches() -> None:
    """Random places hardly ever have the content of a CpG island; all places are searched."""
    rng = np.random.default_rng(3)
    letters = rng.choice(list(b"AATTTAAAGC"), 400_000).astype(np.uint8)
    islands = [(50_000, 50_400), (200_000, 200_400), (310_016, 310_416)]
    for start, end in islands:
        letters[start:end] = rng.choice(list(b"GCGCGCGCAT"), end - start)
    bases = letters.tobytes()
    peaks = islands[:1]
    found = matched("c", bases, peaks, Blocked(peaks), Matching(0.05, 16, 0))
    assert found[0] is not None
    assert any(abs(found[0] - start) < 400 for start, _ in islands[1:])


def test_a_peak_without_a_match_has_none() -> None:
    bases = b"A" * 5_000 + b"G" * 100 + b"A" * 5_000
    peaks = [(5_000, 5_100)]
    assert matched("c", bases, peaks, Blocked(peaks), Matching(0.01, 50, 0)) == [None]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(10, 200), st.floats(0.0, 0.2))
def test_negatives_never_touch_what_is_blocked(seed: int, length: int, tolerance: float) -> None:
    rng = np.random.default_rng(seed)
    bases = rng.choice(list(b"ACGTN"), 6_000, p=[0.3, 0.2, 0.19, 0.3, 0.01]).astype(np.uint8)
    text = bases.tobytes()
    peaks = [(s, s + length) for s in range(100, 5_500, 900)]
    blocked = [*peaks, *unknown_runs(text)]
    found = matched("c", text, peaks, Blocked(blocked), Matching(tolerance, 40, seed))
    spans = sorted((s, s + length) for s in found if s is not None)
    for start, end in spans:
        assert all(end <= s or start >= e for s, e in blocked)
        assert b"N" not in text[start:end] and start >= 0 and end <= len(text)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    for peak, start in zip(peaks, found, strict=True):
        if start is not None:
            difference = gc_count(text, *peak) - gc_count(text, start, start + length)
            assert abs(difference) <= tolerance * length
