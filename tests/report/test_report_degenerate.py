"""Sweeps that hardly are any: one of everything, nothing defined, nothing finished, odd names."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up_sweeps import DEMO, Learned, Sweep, cell_of, facts_of, labels, noisy, result_of

from gfmp.report.analysis import analyse
from gfmp.report.answers import overall
from gfmp.report.comparisons import Findings
from gfmp.report.data import SweepData, TaskFacts
from gfmp.report.figures import pictures, slug
from gfmp.report.html import report_page
from gfmp.report.tables import results_table
from gfmp.report.write import report_files
from gfmp.spec.learner import Finetuning
from gfmp.tasks.metrics import METRICS
from gfmp.tasks.task import Target

NUM_TEST = 40
HOSTILE = (
    "</td><script>x</script>",
    "=cmd|' /C calc'!A0",
    'a,b\n"c"',
    "$\\frac{",
    "\u202eevil",
    "",
)


def small(**changes: object) -> SweepData:
    return dataclasses.replace(
        Sweep(("fly",), DEMO, (1.0, 10.0), (1, 2), NUM_TEST), **changes
    ).data()  # type: ignore[arg-type]  # names of Sweep


def remade(data: SweepData, make: Callable[[np.ndarray, int], np.ndarray]) -> SweepData:
    finished = tuple(
        (cell, result_of(cell, make(result.test_predictions, place)))
        for place, (cell, result) in enumerate(data.finished)
    )
    return dataclasses.replace(data, finished=finished)


def constant(predictions: np.ndarray, _: int) -> np.ndarray:
    return np.full_like(predictions, 0.5)


def broken(predictions: np.ndarray, _: int) -> np.ndarray:
    return np.full_like(predictions, np.nan)


def half_broken(predictions: np.ndarray, place: int) -> np.ndarray:
    return broken(predictions, place) if place % 2 else predictions


def equal(predictions: np.ndarray, _: int) -> np.ndarray:
    return np.tile(np.linspace(0, 1, len(predictions), dtype="f4")[:, None], (1, 2))


def only_failures() -> SweepData:
    data = small()
    cells = tuple(cell for cell, _ in data.finished)
    failures = {cell.fingerprint: "error[GFMP-T070]: loss is NaN" for cell in cells}
    return dataclasses.replace(data, finished=(), unfinished=cells, failures=failures)


SWEEPS: dict[str, Callable[[], SweepData]] = {
    "one of everything": lambda: small(learned=DEMO[:1], percents=(3.0,), seeds=(1,)),
    "one model": lambda: small(learned=DEMO[:1]),
    "one percent": lambda: small(percents=(3.0,)),
    "one seed": lambda: small(seeds=(7,)),
    "one test row": lambda: small(num_test=1),
    "two test rows": lambda: small(num_test=2),
    "baselines only": lambda: small(learned=DEMO[6:]),
    "scratch only": lambda: small(learned=DEMO[4:6]),
    "all collapsed": lambda: remade(small(), constant),
    "all undefined": lambda: remade(small(), broken),
    "half undefined": lambda: remade(small(), half_broken),
    "all equal": lambda: remade(small(), equal),
    "only failures": only_failures,
    "nothing": lambda: SweepData("s", "r", (), {}, (), ()),
}


DRAWN = ("one of everything", "one percent", "one test row", "half undefined", "all undefined")


@pytest.mark.parametrize("name", DRAWN)
def test_figures_of_a_degenerate_sweep_are_drawn(name: str) -> None:
    data = SWEEPS[name]()
    tasks = {
        task: dataclasses.replace(facts, also=("auroc",)) for task, facts in data.tasks.items()
    }
    found = Findings.of(analyse(dataclasses.replace(data, tasks=tasks), 12))
    drawn = {picture.name: picture for picture in pictures(found)}
    assert "label_efficiency_fly" in drawn
    assert ("vocabularies" in drawn) == (name != "one of everything")
    assert all(set(picture.files) == {"png", "svg"} for picture in drawn.values())


@pytest.mark.parametrize("name", sorted(SWEEPS))
def test_every_file_of_a_degenerate_sweep_reads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gfmp.report.write.pictures", lambda _: ())
    files = report_files(SWEEPS[name](), 12)
    page = files["report.html"].decode()
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).replace("NaN", "").split("<body>")[1]
    assert "Definitions" in page
    table = pq.read_table(pa.BufferReader(files["results.parquet"]))
    rows = list(csv.DictReader(io.StringIO(files["results.csv"].decode())))
    assert table.num_rows == len(rows)
    for ending in ("vocabularies", "reduction", "comparisons"):
        assert b"nan" not in files[f"{ending}.csv"]


def pages(data: SweepData) -> str:
    return report_page(Findings.of(analyse(data, 12)), ())


def test_a_sweep_whose_models_collapsed_claims_nothing() -> None:
    found = Findings.of(analyse(SWEEPS["all collapsed"](), 12))
    assert {one.verdict for one in found.comparisons} == {"not decided"}
    assert not any(one.best for group in found.vocabularies for one in group.scores)
    assert all(one.reduction.low <= 1.0 or one.reduction.low == 10.0 for one in found.reductions)
    assert all("better in 0 of" in said for said in overall(found))
    assert "+0.000" in report_page(found, ())


def test_a_sweep_that_is_undefined_says_undefined_everywhere() -> None:
    found = Findings.of(analyse(SWEEPS["all undefined"](), 12))
    assert {one.verdict for one in found.comparisons} == {"undefined"}
    assert all(np.isnan(one.reduction.factor) for one in found.reductions)
    page = report_page(found, ())
    assert "mcc is undefined for at least one seed" in page
    assert not re.search(r"\d\.\d{3} <small>\[", page)


def test_only_failures_are_named_with_their_errors() -> None:
    page = pages(only_failures())
    assert "0 of 32 cells are finished; 32 failed and 0 were not run" in page
    assert "Failed: 32 cells" in page
    assert page.count("error[GFMP-T070]: loss is NaN") == 32
    assert "Not run yet" not in page


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_neither_break_the_page_nor_the_tables(name: str) -> None:
    learned = tuple(dataclasses.replace(one, initial=name or "x") for one in DEMO[:2])
    cells = [cell_of("t", one, 10.0, 1) for one in learned]
    targets = labels(NUM_TEST)
    finished = tuple((cell, result_of(cell, noisy(targets, 1.0, 1), note=name)) for cell in cells)
    facts = dataclasses.replace(facts_of(targets), facts={name: name})
    data = SweepData(name, name, (name,), {"t": facts}, finished, ())
    found = Findings.of(analyse(data, 5))
    assert "<script" not in report_page(found, ())
    text = results_table(found).csv().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["initial"].removeprefix("'") for row in rows] == [name or "x"] * 2
    assert re.fullmatch(r"[A-Za-z0-9_-]+", slug(name))


def values_sweep(kind: str, metric: str) -> SweepData:
    rng = np.random.default_rng(4)
    truth = rng.standard_normal((60, 3)).astype(np.float32)
    if kind == "multilabel":
        truth = (truth > 0.8).astype(np.float32)
        truth[:5, 1] = np.nan
    counts = {"a": 3, "b": 2, "c": 9} if kind == "multilabel" else {}
    facts = TaskFacts(Target(kind, ("a", "b", "c")), metric, truth, 2000, 60, counts)  # type: ignore[arg-type]  # the kinds of Target
    finished = []
    for learned in DEMO:
        for percent in (1.0, 100.0):
            for seed in (1, 2):
                cell = cell_of("t", learned, percent, seed)
                spread = (3.0 if percent == 1.0 else 1.0) / learned.strength
                noise = spread * rng.standard_normal(truth.shape)
                guess = (np.nan_to_num(truth) + noise).astype(np.float32)
                finished.append((cell, result_of(cell, guess)))
    return SweepData("s", "r", (), {"t": facts}, tuple(finished), ())


@pytest.mark.parametrize(
    ("kind", "metric"),
    [("multilabel", m) for m in ("auroc", "auprc", "mcc", "macro_f1", "accuracy")]
    + [("regression", m) for m in ("pearson_r", "spearman_r", "r2_determination", "r2_pearson")],
)
def test_labels_and_values_are_analysed_by_every_metric_of_theirs(kind: str, metric: str) -> None:
    found = Findings.of(analyse(values_sweep(kind, metric), 20))
    assert len(found.analysis.points) == len(DEMO) * 2
    for point in found.analysis.points:
        estimate = found.analysis.main(point).estimate()
        assert estimate.low <= estimate.value + 0.2
        assert np.isfinite([estimate.value, estimate.low, estimate.high]).all()
    better = [one.difference.value > 0 for one in found.comparisons if one.reference.name == "cnn"]
    assert np.mean(better) > 0.5
    page = report_page(found, ())
    assert METRICS[metric].title in page
    classes = "a 3, b 2, c 9" if kind == "multilabel" else "<td>-</td>"
    assert classes in page


def test_capped_cells_stand_at_the_share_they_had() -> None:
    """Shares of 10, 50 and 100 % capped at 500 of 2,000 rows are 10 % and, twice, 25 %."""
    targets = labels(NUM_TEST)
    learned = Learned(Finetuning(kind="finetune"), "kmer6", "demo", 1.0)
    finished = []
    for percent in (10.0, 50.0, 100.0):
        for seed in (1, 2):
            whole = cell_of("t", learned, percent, seed)
            cell = dataclasses.replace(whole, num_rows=min(500, whole.num_rows))
            finished.append((cell, result_of(cell, noisy(targets, 1.0, seed))))
        cell = cell_of("t", DEMO[6], percent, 1)
        finished.append((cell, result_of(cell, noisy(targets, 1.0, 9))))
    data = SweepData("s", "r", (), {"t": facts_of(targets)}, tuple(finished), ())
    found = Findings.of(analyse(data, 10))
    seen = [(p.model.method, p.percent, p.num_rows, p.seeds) for p in found.analysis.points]
    assert seen == [
        ("full", 10.0, 200, (1, 2)),
        ("full", 25.0, 500, (1, 2)),
        ("kmer", 10.0, 200, (1,)),
        ("kmer", 50.0, 1000, (1,)),
        ("kmer", 100.0, 2000, (1,)),
    ]
    assert {one.percent for one in found.comparisons} == {10.0}  # equal labels or no comparison
    (against,) = (one for one in found.reductions if one.reference.name == "kmer")
    assert against.reduction.model_percents == (10.0, 25.0)
