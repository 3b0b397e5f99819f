"""The whole report: files, bytes, honesty about what is missing, and hostile input."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_up_sweeps import DEMO, TARGET, Sweep, cell_of, facts_of, labels, noisy, result_of

from gfmp.errors import CorruptArtefactError, StorageError
from gfmp.report.analysis import analyse
from gfmp.report.bootstrap import Estimate
from gfmp.report.comparisons import Findings
from gfmp.report.data import SweepData, TaskFacts
from gfmp.report.figures import pictures
from gfmp.report.html import report_page
from gfmp.report.page import Datum, number, table, with_interval
from gfmp.report.write import check_report, report_files, write_report
from gfmp.tasks.task import Target

SMALL = Sweep(tasks=("fly",), num_test=40, percents=(1.0, 100.0))
VOID = {"meta", "img", "br"}


class Wellformed(HTMLParser):
    """Follows the tags and keeps every address the page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(data: SweepData, *, drawn: bool = False) -> str:
    findings = Findings.of(analyse(data, 20))
    page = report_page(findings, pictures(findings) if drawn else ())
    parser = Wellformed()
    parser.feed(page)
    assert parser.open == []
    assert all(address.startswith("data:image/svg+xml;base64,") for address in parser.fetched)
    assert "url(" not in page
    assert "<script" not in page
    return page


def test_the_files_are_there_and_named(tmp_path: Path) -> None:
    paths = write_report(SMALL.data(), tmp_path / "report", 20)
    names = [path.relative_to(tmp_path / "report").as_posix() for path in paths]
    tables = ["vocabularies.csv", "reduction.csv", "comparisons.csv"]
    assert names[:7] == ["report.html", "report.md", "results.parquet", "results.csv", *tables]
    assert "figures/label_efficiency_fly.png" in names
    assert all(path.stat().st_size > 0 for path in paths)
    assert {path for path in (tmp_path / "report").rglob("*") if path.is_file()} == set(paths)


def test_equal_cells_give_equal_bytes_and_replace_what_was_there(tmp_path: Path) -> None:
    data = SMALL.data()
    turned = dataclasses.replace(data, finished=data.finished[::-1])
    first = {path.name: path.read_bytes() for path in write_report(data, tmp_path, 20)}
    second = {path.name: path.read_bytes() for path in write_report(turned, tmp_path, 20)}
    assert first == second


def test_times_of_cells_are_in_no_table() -> None:
    data = SMALL.data()
    timed = tuple(
        (cell, dataclasses.replace(result, facts={"seconds": place, "steps": 3}))
        for place, (cell, result) in enumerate(data.finished)
    )
    assert report_files(data, 20) == report_files(dataclasses.replace(data, finished=timed), 20)


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot write"):
        write_report(SMALL.data(), tmp_path / "report", 5)


def test_the_page_answers_and_defines_and_repeats() -> None:
    page = page_of(SMALL.data(), drawn=True)
    assert page.count("<figure>") == 2
    for text in (
        "48 of 48 cells are finished: the sweep is complete",
        "Which vocabulary",
        "Where pretraining pays, and where it does not",
        "Annotation reduction",
        "gfmp sweep specs/label_efficiency.yaml",
        "Percentile interval of 20 hierarchical bootstrap replicates",
        "Matthews correlation",
        "not corrected for the number of comparisons",
        "width=device-width",
        "@media print",
    ):
        assert text in page, text


def test_what_is_missing_is_said() -> None:
    data = SMALL.data()
    left = tuple(cell for cell, _ in data.finished[:3])
    failures = {left[0].fingerprint: "error[GFMP-T070]: loss is NaN"}
    partial = dataclasses.replace(
        data, finished=data.finished[3:], unfinished=left, failures=failures
    )
    page = page_of(partial)
    assert "45 of 48 cells are finished; 1 failed and 2 were not run" in page
    assert "<td>error[GFMP-T070]: loss is NaN</td>" in page
    assert "<summary>Not run yet: 2 cells</summary>" in page
    assert left[0].fingerprint[:12] in page


def test_a_sweep_without_any_result_still_has_a_report(tmp_path: Path) -> None:
    cell = cell_of("fly", DEMO[0], 1.0, 1)
    data = SweepData("s", "r", (), {"fly": facts_of(labels(10))}, (), (cell,))
    assert "nothing to answer yet" in page_of(data)
    assert write_report(data, tmp_path, 5)[0].is_file()
    assert "What is missing" in page_of(SweepData("s", "r", (), {}, (), ()))


def test_one_seed_is_said() -> None:
    page = page_of(dataclasses.replace(SMALL, seeds=(1,)).data())
    assert "resample test rows only" in page
    files = report_files(dataclasses.replace(SMALL, seeds=(1,)).data(), 5)
    assert b"test rows only" in files["results.csv"]
    assert b"seeds and test rows" not in files["results.csv"]


def test_fewer_seeds_attempts_and_collapse_are_notes() -> None:
    data = SMALL.data()
    cell, result = data.finished[1]
    noted = dataclasses.replace(result, facts={"collapsed": True, "attempts": 2, "steps": 9})
    page = page_of(dataclasses.replace(data, finished=((cell, noted), *data.finished[2:])))
    assert "took 2 attempts (other seeds after a collapse); collapsed" in page
    assert "2 of 3 seeds have a result" in page
    assert "steps" not in page


def test_an_undefined_metric_is_shown_as_such() -> None:
    targets = labels(40)
    guesses = [noisy(targets, 1.0, seed) for seed in (1, 2)]
    guesses[1][:] = np.nan
    cells = [cell_of("fly", DEMO[0], 1.0, seed) for seed in (1, 2)]
    finished = tuple((c, result_of(c, g)) for c, g in zip(cells, guesses, strict=True))
    other = cell_of("fly", DEMO[1], 1.0, 1)
    finished += ((other, result_of(other, noisy(targets, 1.0, 3))),)
    data = SweepData("s", "r", (), {"fly": facts_of(targets)}, finished, ())
    assert "mcc is undefined for at least one seed" in page_of(data)
    lines = report_files(data, 5)["results.csv"].decode().splitlines()
    assert any(",2,40,,,," in line for line in lines)


def test_regression_and_labels_are_reported() -> None:
    rng = np.random.default_rng(2)
    values = rng.standard_normal((50, 2)).astype(np.float32)
    tasks = {
        "activity": TaskFacts(Target("regression", ("dev", "hk")), "spearman_r", values, 9, 50),
        "marks": TaskFacts(
            Target("multilabel", ("a", "b")), "auroc", (values > 0).astype("f4"), 9, 50, {"a": 3}
        ),
    }
    finished = tuple(
        (cell, result_of(cell, values + rng.standard_normal((50, 2)).astype(np.float32)))
        for task in tasks
        for learned in DEMO[:2]
        for cell in (cell_of(task, learned, percent, 1) for percent in (1.0, 10.0))
    )
    page = page_of(SweepData("s", "r", (), tasks, finished, ()))
    assert "Spearman r" in page
    assert "AUROC" in page


def test_hostile_names_stay_text() -> None:
    evil = "<script>alert(1)</script>\"'&"
    learned = dataclasses.replace(DEMO[0], vocabulary=evil, initial=evil)
    targets = labels(30)
    cell = cell_of(evil, learned, 1.0, 1)
    facts = TaskFacts(TARGET, "mcc", targets, 9, 30, {evil: 3}, (), {evil: evil})
    finished = ((cell, result_of(cell, noisy(targets, 1.0, 1), note=evil)),)
    left = cell_of(evil, learned, 3.0, 1)
    failures = {left.fingerprint: evil}
    data = SweepData(evil, evil, (evil,), {evil: facts}, finished, (left,), failures)
    page = page_of(data)
    assert not re.search(r"<script|alert\(1\)</", page)
    assert page.count("&lt;script&gt;") > 10


def test_pieces_of_the_page() -> None:
    assert Datum("a<b", bold=True, tone="worse").html() == (
        '<td class="worse"><strong>a&lt;b</strong></td>'
    )
    assert 'scope="col">h</th>' in table("c", ("h",), [["x"]])
    assert (number(-0.0), number(0.5, signed=True), number(float("nan"))) == (
        "0.000",
        "+0.500",
        "undefined",
    )
    nothing = float("nan")
    unsure = with_interval(Estimate(0.5, nothing, nothing, 1, 9))
    assert unsure.html() == "<td>0.500 <small>[undefined]</small></td>"
    unknown = with_interval(Estimate(nothing, nothing, nothing, 1, 9))
    assert unknown.html() == "<td>undefined</td>"
    sure = with_interval(Estimate(0.5, 0.4, 0.6, 1, 9), signed=True)
    assert sure.html('th scope="col"') == (
        '<th scope="col">+0.500 <small>[+0.400, +0.600]</small></th>'
    )


def test_250_cells_of_2000_rows_take_seconds(tmp_path: Path) -> None:
    sweep = Sweep(tasks=("fly", "yeast"), seeds=(1, 2, 3), num_test=2000)
    data = sweep.data()
    started = time.perf_counter()
    write_report(data, tmp_path)
    assert time.perf_counter() - started < 20.0 * max(1.0, len(data.finished) / 250)


def test_the_manifest_names_every_file_and_every_cell(tmp_path: Path) -> None:
    data = SMALL.data()
    write_report(data, tmp_path / "report", 5)
    check_report(tmp_path / "report")
    manifest = json.loads((tmp_path / "report" / "manifest.json").read_text())
    assert manifest["cells"] == sorted(cell.fingerprint for cell, _ in data.finished)
    assert manifest["run"] == data.run_id
    on_disk = [p for p in (tmp_path / "report").rglob("*") if p.is_file()]
    assert len(manifest["files"]) == len(on_disk) - 1


def test_a_report_that_was_touched_is_told_with_every_file(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_report(SMALL.data(), folder, 5)
    table = folder / "results.csv"
    table.write_text(table.read_text().replace("0.", "0.9", 1))
    (folder / "report.md").unlink()
    (folder / "figures" / "mine.png").write_bytes(b"x")
    with pytest.raises(CorruptArtefactError) as caught:
        check_report(folder)
    names = {Path(problem.where).name for problem in caught.value.problems}
    assert names == {"results.csv", "report.md", "mine.png"}
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("results.csv", "another.csv"))
    with pytest.raises(CorruptArtefactError, match="differs from its checksum"):
        check_report(folder)


def test_an_older_report_gives_way_whole(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_report(SMALL.data(), folder, 5)
    (folder / "figures" / "of_a_task_that_is_gone.png").write_bytes(b"x")
    write_report(SMALL.data(), folder, 5)
    check_report(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
