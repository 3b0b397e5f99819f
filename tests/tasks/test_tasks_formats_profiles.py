"""Chromatin profiles: which bins a peak fills, whose labels they are, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from public_rows import read, texts, write_fasta, write_text
from task_samples import write_task

from gfmp.errors import DataError
from gfmp.storage.workspace import Workspace
from gfmp.tasks.formats.bins import filled, num_without, widened
from gfmp.tasks.pool import Pool
from gfmp.tasks.prepare import build
from gfmp.tasks.sparse import SparseLabels
from gfmp.tasks.store import TaskStore

SOURCE = (
    "{format: profiles, peaks: {all: {path: all.bed}, GATA1: {path: gata.narrowPeak.gz}}, "
    "reference: {path: g.fa}, bin_bp: 20, window_bp: 60MORE}"
)
LABELS = "{kind: multilabel}"
RANDOM = "metric: auroc\nsplit: {by: random}\n"
CONTIG_BP = 1000
SPANS = st.lists(st.tuples(st.integers(0, 150), st.integers(1, 40)), max_size=12)


def _bed(*lines: tuple[str, int, int, str]) -> str:
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two contigs of 1,000 bases with a run of N, and peaks of three profiles."""
    genome = dict(zip(("chr1", "chr2"), texts(2, CONTIG_BP), strict=True))
    genome["chr2"] = genome["chr2"][:500] + "N" * 10 + genome["chr2"][510:]
    write_fasta(tmp_path / "g.fa", genome)
    lines = [
        ("chr1", 100, 111, "TP53"),  # 11 of the 20 bases of bin 5
        ("chr1", 200, 210, "TP53"),  # half of a bin is not more than half
        ("chr1", 111, 140, "REST"),  # 9 of bin 5, all of bin 6
        ("chr2", 105, 111, "TP53"),  # two peaks, that overlap, fill it together
        ("chr2", 100, 107, "TP53"),
        ("chr2", 300, 320, "REST"),
        ("chr2", 540, 560, "REST"),  # N in its window? bases 520 to 580: no
        ("chr2", 480, 500, "REST"),  # bases 460 to 520: yes
        ("chr2", 980, 1000, "REST"),  # over the end
    ]
    write_text(tmp_path / "all.bed", _bed(*lines))
    narrow = "chr1\t120\t140\tpeak_1\t0\t.\t1.0\t-1\t-1\t10\n"
    write_text(tmp_path / "gata.narrowPeak.gz", narrow)
    return tmp_path


def _labels(pool: Pool) -> dict[str, set[str]]:
    """Return which labels each row has, by its origin."""
    names, matrix = pool.labels, pool.rows.matrix
    return {
        origin: {names[k] for k in np.flatnonzero(row)}
        for origin, row in zip(pool.rows.origins, matrix, strict=True)
    }


def test_a_bin_has_the_profiles_that_fill_more_than_half_of_it(project: Path) -> None:
    pool = read(project, SOURCE.replace("MORE", ""), LABELS, RANDOM)
    assert pool.labels == ("GATA1", "REST", "TP53")
    assert _labels(pool) == {
        "chr1:80-140:+": {"TP53"},
        "chr1:100-160:+": {"REST", "GATA1"},
        "chr2:80-140:+": {"TP53"},
        "chr2:280-340:+": {"REST"},
        "chr2:520-580:+": {"REST"},
    }
    assert isinstance(pool.rows.targets, SparseLabels)
    chr1 = texts(2, CONTIG_BP)[0].encode()
    assert pool.rows.sequences[1] == chr1[100:160]
    assert pool.rows.groups == ("chr1:80", "chr1:80", "", "", "")  # windows that overlap
    assert pool.contigs == ("chr1", "chr1", "chr2", "chr2", "chr2")
    assert pool.left_out == (
        "1 peaks in no bin, for they fill at most half of any",
        "1 bins whose window reaches over the end of a contig",
        "1 bins with N in their window",
    )


def test_sites_of_one_base_are_widened_and_told(project: Path) -> None:
    write_text(project / "all.bed", _bed(("chr1", 310, 311, "S"), ("chr1", 700, 701, "S")))
    pool = read(project, SOURCE.replace("MORE", ", peak_bp: 30"), LABELS, RANDOM)
    # 295 to 325 fills 300 to 320; 685 to 715 fills 15 bases of two bins.
    windows = ("100-160", "280-340", "660-720", "680-740")
    spans = [origin.split(":")[1] for origin in pool.rows.origins]
    assert sorted(spans) == sorted(windows)
    assert pool.notes == ("2 peaks of one base were widened to 30 bp",)
    unwidened = read(project, SOURCE.replace("MORE", ""), LABELS, RANDOM)
    assert unwidened.labels == ("GATA1",)
    assert "2 peaks in no bin, for they fill at most half of any" in unwidened.left_out


def test_profiles_with_few_bins_are_told_and_their_bins_stay(project: Path) -> None:
    pool = read(project, SOURCE.replace("MORE", ", at_least: 2"), LABELS, RANDOM)
    assert pool.labels == ("REST", "TP53")
    assert pool.left_out[-1] == "1 profiles with fewer than 2 bins: GATA1 (1)"
    pool = read(project, SOURCE.replace("MORE", ", at_least: 3"), LABELS, RANDOM)
    assert pool.labels == ("REST",)
    assert pool.left_out[-1] == "2 profiles with fewer than 3 bins: TP53 (2), GATA1 (1)"
    assert [len(names) for names in _labels(pool).values()] == [0, 1, 0, 1, 1]


def test_names_choose_profiles_and_their_order(project: Path) -> None:
    target = "{kind: multilabel, names: [TP53, GATA1], positive_weight: 8.0}"
    pool = read(project, SOURCE.replace("MORE", ""), target, RANDOM)
    assert pool.labels == ("TP53", "GATA1")
    assert pool.rows.matrix.sum(axis=0).tolist() == [2, 1]
    assert pool.left_out[-1] == "1 profiles not in target.names: REST (3)"


@pytest.mark.parametrize(
    ("more", "target", "message", "fix"),
    [
        (", at_least: 4", LABELS, "no profile has 4 bins", "lower source.at_least"),
        (
            ", at_least: 2",
            "{kind: multilabel, names: [REST, GATA1]}",
            "the profile 'GATA1' has 1 bins",
            "take it out of target.names",
        ),
        (
            "",
            "{kind: multilabel, names: [TP35]}",
            "the profile 'TP35' has 0 bins",
            "did you mean 'TP53'?",
        ),
    ],
)
def test_profiles_that_cannot_be_learned_are_errors(
    project: Path, more: str, target: str, message: str, fix: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(project, SOURCE.replace("MORE", more), target, RANDOM)
    problem = caught.value.problems[0]
    assert problem.message == message and problem.fix.startswith(fix)
    assert problem.where.endswith("all.bed")


@pytest.mark.parametrize(
    ("lines", "message", "line"),
    [
        ("chr1\t100\t120\n", "a peak has no name", ":1"),
        ("chr1\t100\t120\tA\nchr1\t500\t520\t.\n", "a peak has no name", ":2"),
        ("chr1\t5\t9\tA\nchr1\t990\t1001\tA\n", "chr1:990-1001 reaches beyond the contig", ":2"),
        ("chr1\t100\t100\tA\n", "start 100 and end 100 hold no base", ":1"),
    ],
)
def test_a_wrong_peak_is_named(project: Path, lines: str, message: str, line: str) -> None:
    write_text(project / "all.bed", lines)
    with pytest.raises(DataError) as caught:
        read(project, SOURCE.replace("MORE", ""), LABELS, RANDOM)
    assert caught.value.problems[0].message == message
    assert caught.value.problems[0].where.endswith(f"all.bed{line}")


@pytest.mark.parametrize(
    ("lines", "why"),
    [("", "the files hold no peak"), ("chr1\t100\t105\tA\n", "1 peaks in no bin")],
)
def test_files_that_fill_no_bin_are_told(project: Path, lines: str, why: str) -> None:
    write_text(project / "all.bed", lines)
    write_text(project / "gata.narrowPeak.gz", "# nothing\n")
    with pytest.raises(DataError) as caught:
        read(project, SOURCE.replace("MORE", ""), LABELS, RANDOM)
    assert caught.value.problems[0].message == "no bin has a label"
    assert why in caught.value.problems[0].why


def test_a_contig_that_the_reference_lacks_is_named(project: Path) -> None:
    write_text(project / "all.bed", _bed(("chr9", 100, 120, "A")))
    with pytest.raises(DataError, match="there is no contig 'chr9'"):
        read(project, SOURCE.replace("MORE", ""), LABELS, RANDOM)


def test_regions_are_held_out_and_nothing_reaches_across(project: Path) -> None:
    lines = [("chr1", start, start + 20, "AB"[i % 2]) for i, start in enumerate(range(40, 960, 40))]
    write_text(project / "all.bed", _bed(*lines))
    region = "test: [{contig: chr1, start: 700, end: 900}]"
    task = write_task(
        project,
        SOURCE.replace("MORE", ""),
        LABELS,
        f"metric: auroc\nsplit: {{by: region, {region}, valid: [{{contig: chr1, end: 300}}]}}\n",
    )
    # Neighbours overlap, so all windows are one group and only the test can stay.
    with pytest.raises(DataError, match="the train split has no row"):
        build(task.name, task.spec, task.base)
    write_text(
        project / "all.bed", _bed(*lines[::2], *((c, s, e, "B") for c, s, e, _ in lines[::2]))
    )
    made = build(task.name, task.spec, task.base)
    assert made.target.names == ("A", "B", "GATA1")
    held = [(int(o.split(":")[1].split("-")[0]), o) for o in made.test.origins]
    assert [start for start, _ in held] == [740, 820]  # 660-720 lies across the border
    assert all(int(o.split("-")[1].split(":")[0]) <= 700 for o in made.train.origins[:3])
    assert made.facts["dropped"].startswith("2 rows lie across the border of a region")


def test_a_prepared_task_comes_back_with_its_labels(project: Path) -> None:
    wide = [("chr2", start, start + 20, f"P{start}") for start in range(40, 960, 20)]
    write_text(project / "all.bed", _bed(*wide))
    task = write_task(project, SOURCE.replace("MORE", ""), LABELS, RANDOM)
    store = TaskStore(Workspace(project / "w"))
    first, again = store.prepare(task), store.prepare(task)
    assert first.fingerprint == again.fingerprint
    assert again.target.names == first.target.names and "GATA1" in again.target.names
    assert again.target.names == tuple(sorted(again.target.names))
    assert isinstance(again.train.targets, SparseLabels)
    write_text(project / "all.bed", _bed(*reversed(wide)))
    assert store.prepare(task).fingerprint == first.fingerprint  # order of lines decides nothing


def _mask(spans: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    mask = np.zeros(length, dtype=bool)
    for start, end in spans.tolist():
        mask[start:end] = True
    return mask


@settings(deadline=None, max_examples=100)
@given(SPANS, st.integers(1, 25))
def test_bins_are_those_that_counting_bases_gives(
    drawn: list[tuple[int, int]], bin_bp: int
) -> None:
    spans = np.array([(s, s + n) for s, n in drawn], dtype=np.int64).reshape(-1, 2)
    length = 200 // bin_bp * bin_bp + bin_bp
    covered = _mask(spans, length).reshape(-1, bin_bp).sum(axis=1)
    bins = filled(spans, bin_bp)
    assert bins.tolist() == np.flatnonzero(2 * covered > bin_bp).tolist()
    bare = [
        not np.isin(np.arange(start // bin_bp, (end - 1) // bin_bp + 1), bins).any()
        for start, end in spans.tolist()
    ]
    assert num_without(spans, bins, bin_bp) == sum(bare)


def test_only_sites_are_widened_and_not_before_the_contig() -> None:
    spans = np.array([(3, 4), (50, 51), (60, 62)])
    wide, num_sites = widened(spans, 10)
    assert wide.tolist() == [[0, 8], [45, 55], [60, 62]] and num_sites == 2
    same, num_sites = widened(spans, 1)
    assert same.tolist() == spans.tolist() and num_sites == 0
