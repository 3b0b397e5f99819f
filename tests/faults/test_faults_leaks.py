"""Test rows that are training rows are refused before anything is run; subsets are honest."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fault_project import Project, tree_hash
from fault_seen import Seen

from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import find_task
from gfmp.tasks.store import TaskStore
from gfmp.tasks.subsets import choose

WINDOW_BP, OVERLAP_BP, NUM_WINDOWS = 510, 100, 240
TASK = """\
kind: task
description: Windows of two contigs, cut before they were split.
source: {{format: csv, files: {{all: {{path: rows.csv}}}}, id_column: id{columns}}}
target: {{kind: binary}}
metric: mcc
split: {split}
"""
SWEEP = """\
kind: sweep
name: windows
tasks: [windows]
label_percents: [100]
seeds: [0]
arms: [{learner: {kind: kmer, shortest: 3, longest: 3, max_features: 64, penalties: [0.2]}}]
"""
GIVEN = {"columns": ", split_column: split", "split": "{by: given}"}
BY_CONTIG = {"columns": ", contig_column: contig", "split": "{by: contig, test: [c2]}"}


def _letters(rng: np.random.Generator, length: int) -> str:
    return "".join(rng.choice(list("ACGT"), length))


def _write(project: Project, rows: list[tuple[str, str, str, str]], how: dict[str, str]) -> None:
    """Write the task: rows are (id, contig, split, sequence), labels alternate in pairs."""
    folder = project.folder / "specs" / "tasks"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{n},{c},{s},{q},{i // 2 % 2}" for i, (n, c, s, q) in enumerate(rows)]
    text = "\n".join(["id,contig,split,sequence,label", *lines]) + "\n"
    (folder / "rows.csv").write_text(text)
    (folder / "windows.yaml").write_text(TASK.format(**how))
    (project.folder / "specs" / "windows.yaml").write_text(SWEEP)


def _overlapping() -> list[tuple[str, str, str, str]]:
    """Windows that overlap their neighbours by 100 bases, dealt out to splits at random."""
    rng = np.random.default_rng(5)
    step = WINDOW_BP - OVERLAP_BP
    rows = []
    for contig in ("c1", "c2"):
        text = _letters(rng, step * NUM_WINDOWS // 2 + OVERLAP_BP)
        for start in range(0, len(text) - OVERLAP_BP, step):
            split = str(rng.choice(["train", "valid", "test"], p=[0.6, 0.1, 0.3]))
            name = f"{contig}:{start}-{start + WINDOW_BP}"
            rows.append((name, contig, split, text[start : start + WINDOW_BP]))
    return rows


def _duplicated() -> list[tuple[str, str, str, str]]:
    """Unrelated rows; one test row in a hundred is a training row, one its other strand."""
    rng = np.random.default_rng(6)
    rows = [
        (f"a{i}", "c1", "valid" if i > 360 else "train", _letters(rng, 200)) for i in range(400)
    ]
    rows += [(f"b{i}", "c2", "test", _letters(rng, 200)) for i in range(200)]
    other = rows[7][3].translate(str.maketrans("ACGT", "TGCA"))[::-1]
    for place, sequence in ((400, rows[3][3]), (401, rows[4][3]), (402, other)):
        rows[place] = (*rows[place][:3], sequence)
    return rows


def _refused(output: str) -> tuple[int, list[str]]:
    """Return how many rows a message names, and the origins of its examples."""
    text = re.sub(r"\s+", " ", output)
    count = re.search(r"([\d,]+) of ([\d,]+) test rows \(", text)
    assert count is not None, output
    assert "split: {by: contig, test: [...]}" in text
    assert "allow_leaks" in text
    return int(count[1]), re.findall(r"(\S+) is in \S+ \(", text)


@pytest.mark.ci
@pytest.mark.fault("Y1")
@pytest.mark.parametrize("make", [_overlapping, _duplicated])
def test_leaks_are_refused_with_their_number_and_the_way_out(
    empty: Project, seen: Seen, make: object
) -> None:
    assert callable(make)
    rows = make()
    _write(empty, rows, GIVEN)
    train = {sequence for _, _, split, sequence in rows if split == "train"}
    done = empty.run("tasks", "check", "windows")
    assert done.status == 65, done.output
    number, examples = _refused(done.output)
    # Two of each pair of splits; the pair with the training rows comes first.
    assert len(examples) in (2, 4)
    tested = {name for name, _, split, _ in rows if split == "test"}
    assert set(examples) <= tested
    if make is _duplicated:
        assert number == 3
        assert sum(q in train for _, _, s, q in rows if s == "test") == 2
    else:
        # Whoever has a neighbour in another split shares 100 bases with it.
        neighbours = [
            {rows[j][2] for j in (i - 1, i + 1) if 0 <= j < len(rows) and rows[j][1] == row[1]}
            for i, row in enumerate(rows)
        ]
        told = sum(
            row[2] == "test" and "train" in near for row, near in zip(rows, neighbours, strict=True)
        )
        assert number == told
    before = tree_hash(empty.runs) if empty.runs.exists() else ""
    swept = empty.run("sweep", "specs/windows.yaml")
    assert swept.status == 65, swept.output
    assert _refused(swept.output)[0] == number
    assert (tree_hash(empty.runs) if empty.runs.exists() else "") == before
    seen.exit(done.status)
    seen.exit(swept.status)
    seen.outcome(f"{number} of {len(tested)} rows named ({make.__name__.strip('_')})")
    seen.lost(runs=0)


@pytest.mark.ci
@pytest.mark.fault("Y1")
def test_the_split_that_the_message_names_mends_it(empty: Project, seen: Seen) -> None:
    _write(empty, _overlapping(), BY_CONTIG)
    done = empty.run("tasks", "check", "windows", "--json")
    assert done.status == 0, done.output
    pairs = {(o["earlier"], o["later"]): o for o in json.loads(done.output)["overlaps"]}
    assert pairs["train", "test"]["near"] == pairs["train", "test"]["exact"] == 0
    # Validation rows are of the contigs that are learned from: counted, and no reason to refuse.
    assert pairs["train", "valid"]["near"] > 0
    seen.exit(done.status)
    seen.outcome("split by contig: no test row leaks")
    seen.lost(rows=0)


@pytest.mark.fault("Y1")
def test_leaks_that_are_allowed_stand_in_the_report(empty: Project, seen: Seen) -> None:
    _write(empty, _duplicated(), GIVEN)
    done = empty.run("sweep", "specs/windows.yaml", "--set", "allow_leaks=[windows]")
    assert done.status == 0, done.output
    report = empty.known_runs()[-1] / "report"
    page = (report / "report.html").read_text()
    assert "Leak audit" in page and "(allow_leaks)" in page
    assert "(allow_leaks)" in (report / "report.md").read_text()
    stored = json.loads((empty.known_runs()[-1] / "leaks.json").read_text())
    [task] = stored["tasks"]
    assert task["allowed"] is True
    found = {(o["earlier"], o["later"]): o for o in task["overlaps"]}["train", "test"]
    assert (found["exact"], found["reverse_complement"], found["near"]) == (2, 1, 0)
    seen.exit(done.status)
    seen.outcome("allowed by name: run, and told in the report")
    seen.lost(rows=0)


def _rare(empty: Project) -> None:
    """Write a task of 600 rows with 3 rows of one of its classes."""
    rng = np.random.default_rng(8)
    rows = [f"{_letters(rng, 80)},{2 if i < 3 else i % 2}" for i in range(600)]
    folder = empty.folder / "specs" / "tasks"
    folder.mkdir(parents=True)
    (folder / "rare.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    test = [f"{_letters(rng, 80)},{i % 3}" for i in range(60)]
    (folder / "test.csv").write_text("\n".join(["sequence,label", *test]) + "\n")
    (folder / "rare.yaml").write_text(
        "kind: task\ndescription: One class is rare.\n"
        "source: {format: csv, files: {train: {path: rare.csv}, test: {path: test.csv}}}\n"
        "target: {kind: multiclass, names: [common, usual, seldom], columns: [label]}\n"
        "metric: mcc\n"
    )
    sweep = SWEEP.replace("tasks: [windows]", "tasks: [rare]").replace("name: windows", "name: r")
    (empty.folder / "specs" / "rare.yaml").write_text(
        sweep.replace("[100]", "[1, 100]").replace("seeds: [0]", "seeds: [0, 1]")
    )


@pytest.mark.ci
@pytest.mark.fault("Y3")
def test_a_subset_without_a_class_is_named_with_the_ratio_that_works(
    empty: Project, seen: Seen
) -> None:
    _rare(empty)
    prepared = empty.run("tasks", "show", "rare")
    assert prepared.status == 0, prepared.output
    done = empty.run("plan", "specs/rare.yaml")
    assert done.status == 65, done.output
    text = re.sub(r"\s+", " ", done.output)
    assert "1 % of the labels of rare have no row of class seldom" in text
    least = re.search(r"it works from ([\d.]+) % on", text)
    assert least is not None, done.output
    again = empty.run("plan", "specs/rare.yaml", "--set", f"label_percents=[{least[1]},100]")
    assert again.status == 0, again.output
    seen.exit(done.status)
    seen.outcome(f"class and ratio named; {least[1]} % works")
    seen.lost(runs=len(empty.known_runs()))


@pytest.mark.ci
@pytest.mark.fault("Y3")
def test_subsets_are_nested_and_all_cells_have_one_test_set(empty: Project, seen: Seen) -> None:
    _rare(empty)
    assert empty.run("tasks", "show", "rare").status == 0
    percents = "label_percents=[20,40,80,100]"
    done = empty.run("plan", "specs/rare.yaml", "--set", percents, "--json")
    assert done.status == 0, done.output
    cells = json.loads(done.output)["cells"]
    assert len({json.dumps(cell["task"], sort_keys=True) for cell in cells}) == 1
    store = TaskStore(Workspace(empty.workspace))
    task = store.prepare(find_task("rare", Path(empty.folder)))
    planned = {(c["label_percent"], c["seed"]): c["subset"] for c in cells}
    for seed in (0, 1):
        subsets = [choose(task, percent, seed) for percent in (20, 40, 80, 100)]
        for smaller, larger in itertools.pairwise(subsets):
            assert set(smaller.rows.tolist()) < set(larger.rows.tolist())
        assert [planned[s.percent, seed] for s in subsets] == [s.fingerprint for s in subsets]
    seen.exit(done.status)
    seen.outcome(f"{len(cells)} cells: nested subsets, one test set")
    seen.lost(rows=0)
