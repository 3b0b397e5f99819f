"""Scores on other tasks, their ceiling, ratios and tests, on sweeps with known answers."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from made_up_sweeps import Learned, Predictions, cell_of, facts_of, labels, noisy, result_of
from scipy import stats

from gfmp.plan.cells import NONE, Ingredient
from gfmp.report.analysis import Analysis, analyse
from gfmp.report.beside import Measured
from gfmp.report.comparisons import Findings
from gfmp.report.data import SweepData
from gfmp.report.html import report_page
from gfmp.report.markdown import report_markdown
from gfmp.report.measured import measured_in
from gfmp.report.transfer import TransferFindings, transfers
from gfmp.report.transfer_figure import ALL_BUT_ONE, matrix
from gfmp.report.transfer_page import transfer_pictures, transfer_section, transfer_tables
from gfmp.report.write import report_files
from gfmp.spec.comparison import PaperFigure, Transfer
from gfmp.spec.learner import CnnBaseline, KmerBaseline, Probe
from gfmp.storage.hashes import fingerprint

GOOD = Learned(Probe(kind="probe"), "bpe4096", "demo", 4.0)
POOR = Learned(KmerBaseline(kind="kmer"), NONE, NONE, 2.0)
CNN = Learned(CnnBaseline(kind="cnn"), NONE, NONE, 2.1)
SPECIES = ("mel", "sim", "sec", "mau")
# How much of a model's strength is left on another species.
KEPT = {"sim": 0.9, "sec": 0.7, "mau": 0.5}
ORDER = Transfer(
    learned_from=("mel",), scored_on=SPECIES[1:], groups={"near": ("sim",), "far": ("mau", "sec")}
)
STAND_IN = PaperFigure(figure="Fig. 4a", stand_ins={"sim": "peaks of the mouse"})


def _targets() -> dict[str, Predictions]:
    return {name: labels(240, place) for place, name in enumerate(SPECIES)}


def _data(
    learned: tuple[Learned, ...] = (GOOD, POOR),
    transfer: Transfer = ORDER,
    sources: tuple[str, ...] = ("mel",),
    seeds: tuple[int, ...] = (1, 2, 3),
) -> SweepData:
    targets, finished = _targets(), []
    for place, task in enumerate(SPECIES):
        for number, one in enumerate(learned):
            for seed in seeds:
                cell, draw = cell_of(task, one, 100.0, seed), seed + 10 * number + 100 * place
                others = tuple(name for name in SPECIES if name != task) if task in sources else ()
                made_of = tuple(Ingredient(name, fingerprint(name)) for name in sorted(others))
                cell = replace(cell, also_on=made_of)
                said = {
                    name: noisy(targets[name], one.strength * KEPT.get(name, 0.8), draw + 7)
                    for name in others
                }
                result = result_of(cell, noisy(targets[task], one.strength, draw))
                finished.append((cell, replace(result, other_predictions=said)))
    facts = {name: facts_of(rows) for name, rows in targets.items()}
    return SweepData(
        "flies", "run", ("gfmp sweep x",), facts, tuple(finished), (), transfer=transfer
    )


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(_data(), 200)


@pytest.fixture(scope="module")
def found(analysis: Analysis) -> TransferFindings:
    said = transfers(analysis)
    assert said is not None
    return said


def test_a_sweep_that_stays_at_home_says_nothing() -> None:
    data = _data(sources=())
    findings = Findings.of(analyse(data, 50))
    assert transfers(findings.analysis) is None
    assert transfer_pictures(findings) == ()
    assert transfer_tables(findings) == {}
    assert "Models on other tasks" not in report_page(findings, ())


def test_targets_stand_in_the_order_of_the_groups(found: TransferFindings) -> None:
    assert found.sources == ("mel",)
    assert found.targets == ("sim", "mau", "sec")
    assert found.groups == {"sim": "near", "mau": "far", "sec": "far", "mel": ""}


def test_scores_are_those_of_the_predictions_and_ceilings_those_of_the_target(
    analysis: Analysis, found: TransferFindings
) -> None:
    from gfmp.tasks.metrics import score

    one = next(c for c in found.crossed if (c.target, c.model.method) == ("sec", "probe"))
    targets = analysis.data.tasks["sec"].test_targets
    said = [
        result.other_predictions["sec"]
        for cell, result in analysis.data.finished
        if cell.task.name == "mel" and cell.method == "probe"
    ]
    assert one.score.value == pytest.approx(np.mean([score("mcc", targets, s) for s in said]))
    (own,) = analysis.curve("sec", one.model)
    assert one.ceiling is not None
    assert one.ceiling.value == analysis.main(own).value
    assert one.ratio is not None
    assert one.ratio.value == pytest.approx(one.score.value / one.ceiling.value)
    assert one.ratio.low < one.ratio.value < one.ratio.high


def test_what_is_farther_transfers_worse(found: TransferFindings) -> None:
    ratios = {c.target: c.ratio for c in found.crossed if c.model.method == "probe"}
    near, middle, far = (ratios[name] for name in ("sim", "sec", "mau"))
    assert near and middle and far
    assert near.value > middle.value > far.value
    assert far.high < 1.0


def test_the_test_over_targets_is_the_paired_two_sided_one(found: TransferFindings) -> None:
    (whole,) = [t for t in found.tested if not t.group]
    values = {(c.model.method, c.target): c.score.value for c in found.crossed}
    probe, kmer = (
        [values[method, target] for target in ("mau", "sec", "sim")] for method in ("probe", "kmer")
    )
    assert whole.num_targets == 3
    assert whole.p_value == pytest.approx(stats.ttest_rel(probe, kmer).pvalue)
    assert whole.difference == pytest.approx(np.mean(probe) - np.mean(kmer))
    alone = next(t for t in found.tested if t.group == "near")
    assert alone.num_targets == 1
    assert np.isnan(alone.p_value) and alone.stars == ""


@pytest.mark.parametrize(
    ("p_value", "stars"),
    [(0.2, ""), (0.05, ""), (0.04, "*"), (0.009, "**"), (0.0001, "***"), (float("nan"), "")],
)
def test_stars_are_those_of_the_paper(found: TransferFindings, p_value: float, stars: str) -> None:
    assert replace(found.tested[0], p_value=p_value).stars == stars


def test_a_ceiling_of_nothing_has_no_ratio(found: TransferFindings) -> None:
    one = found.crossed[0]
    assert replace(one, ceiling=None).ratio is None
    assert one.ceiling is not None
    assert replace(one, ceiling=replace(one.ceiling, value=0.0)).ratio is None


def test_the_matrix_has_the_ceilings_on_its_diagonal() -> None:
    analysis = analyse(_data((GOOD,), Transfer(), SPECIES), 50)
    found = transfers(analysis)
    assert found is not None
    one = matrix(analysis, found, found.models[0])
    assert one.sources == one.targets == tuple(sorted(SPECIES))
    assert np.isfinite(one.values).all()
    for place, name in enumerate(one.sources):
        (own,) = analysis.curve(name, found.models[0])
        assert one.values[place, place] == analysis.main(own).value
    pictures = transfer_pictures(Findings.of(analysis))
    assert [picture.name for picture in pictures] == ["transfer", "transfer_matrix"]
    assert all(picture.files["png"].startswith(b"\x89PNG") for picture in pictures)


def test_the_page_tells_all_of_it_and_that_data_are_not_the_papers() -> None:
    data = replace(_data((GOOD, POOR, CNN)), paper=STAND_IN)
    files = report_files(data, 50)
    page = files["report.html"].decode("utf-8")
    assert "The kind of Fig. 4a of Ye et al." in page
    assert "Not the paper&#x27;s data: sim stands in for peaks of the mouse." in page
    assert "Learned from mel" in page and "Models compared over tasks" in page
    assert "mean of 2" in page and "mean of 3" in page
    assert "Not the paper's data: sim" in files["report.md"].decode("utf-8")
    assert {"transfer.csv", "figures/transfer.png", "figures/transfer.svg"} <= set(files)
    rows = list(csv.DictReader(io.StringIO(files["transfer.csv"].decode("utf-8"))))
    assert len(rows) == 3 * 3
    assert {row["group"] for row in rows} == {"near", "far"}
    assert files == report_files(data, 50)


def test_equal_reports_have_no_paper_where_nothing_is_said() -> None:
    findings = Findings.of(analyse(_data(), 50))
    assert "Ye et al., Genomics-FM, computed here" not in report_markdown(findings)


def test_what_is_laid_beside_the_paper_is_every_kind_of_number(analysis: Analysis) -> None:
    ours = [one for one in measured_in(analysis) if one.model.startswith("probe")]
    kinds = {(one.quantity, one.task, one.learned_from) for one in ours}
    assert ("within", "sim", "sim") in kinds
    assert ("cross", "sim", "mel") in kinds
    # One source: the mean over sources is its score, and it has a ratio.
    assert {("cross", "sim", ""), ("ratio", "sim", "")} <= kinds
    assert ("pooled", "sim", "") in kinds
    by: dict[tuple[str, str, str], Measured] = {
        (one.quantity, one.task, one.learned_from): one for one in ours
    }
    assert by["cross", "sim", ""].value == by["cross", "sim", "mel"].value


def test_a_pool_is_another_quantity_than_the_mean_over_sources() -> None:
    data = _data((GOOD,), Transfer(leave_one_out=True), SPECIES, (1, 2))
    pools = []
    for cell, result in data.finished:
        if cell.task.name == "mau":
            pool = replace(cell, task=Ingredient("all-but-sim", "9" * 64))
            pool = replace(pool, also_on=(Ingredient("sim", fingerprint("sim")),))
            said = {"sim": result.other_predictions["sim"]}
            pools.append((pool, replace(result, cell=pool.fingerprint, other_predictions=said)))
    tasks = {**data.tasks, "all-but-sim": data.tasks["mau"]}
    data = replace(data, finished=(*data.finished, *pools), tasks=tasks)
    analysis = analyse(data, 50)
    found = transfers(analysis)
    assert found is not None and found.pools == ("all-but-sim",)
    one = matrix(analysis, found, found.models[0])
    assert one.sources == (*sorted(SPECIES), ALL_BUT_ONE)
    assert np.isfinite(one.values[-1]).tolist() == [n == "sim" for n in one.targets]
    pictures = transfer_pictures(Findings.of(analysis))
    assert [picture.name for picture in pictures] == ["transfer_matrix"]
    singles = [c.score.value for c in found.crossed if c.source != "all-but-sim"]
    (pool,) = [c.score.value for c in found.crossed if c.source == "all-but-sim"]
    text = re.sub(r"<[^>]+>", " ", transfer_section(Findings.of(analysis)))
    averages = " ".join(text.split()).partition("Averages ")[2]
    assert f"one other task {len(singles)} {np.mean(singles):.3f}" in averages
    assert f"all other tasks 1 {pool:.3f}" in averages and "the task itself 4 " in averages
    ours = [one for one in measured_in(analysis) if one.task == "sim"]
    (pooled,) = [one for one in ours if one.quantity == "pooled"]
    by = {one.learned_from: one for one in ours if one.quantity == "cross"}
    assert pooled.value == by["all-but-sim"].value == by["mau"].value
    assert by[""].value == pytest.approx(np.mean([by[n].value for n in ("mel", "sec", "mau")]))


def test_several_sources_have_a_mean_and_no_ratio() -> None:
    analysis = analyse(_data((GOOD,), Transfer(), SPECIES, (1,)), 50)
    ours = [one for one in measured_in(analysis) if one.task == "sim"]
    (mean,) = [one for one in ours if one.quantity == "cross" and not one.learned_from]
    each = [one.value for one in ours if one.quantity == "cross" and one.learned_from]
    assert mean.value == pytest.approx(np.mean(each))
    assert np.isnan(mean.low)
    assert not [one for one in ours if one.quantity in ("ratio", "pooled")]
