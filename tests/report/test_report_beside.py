"""Ours beside the paper's: only what is the same quantity, and never without its reservations."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from gfmp.errors import DataError, MissingInputError
from gfmp.paper.numbers import find_table
from gfmp.report.beside import Measured, Pairing, comparable, lay
from gfmp.report.measured import measured_in_file
from gfmp.report.paper import NOT_THE_PAPERS

OURS = Measured("fly_sim", "fly_mel", "cross", "probe / kmer6", "auroc", 100.0, 0.9, 0.8, 0.95, 3)
DECLARED = Pairing({"mouse": "fly_sim"}, {"fly_sim": "mouse peaks"}, declared=True)


def test_the_papers_metric_is_preferred_and_else_the_one_that_decides() -> None:
    ours = replace(OURS, learned_from="", quantity="cross")
    beside = replace(ours, metric="accuracy", decides=False)
    (found,) = lay(find_table("S9"), (beside, ours), DECLARED)
    assert found.measured.metric == "auroc"
    (found,) = lay(find_table("S9"), (beside, replace(ours, metric="mcc")), DECLARED)
    assert found.measured.metric == "mcc"


def test_nothing_is_laid_beside_that_was_not_run() -> None:
    assert lay(find_table("S9"), (), DECLARED) == ()
    other = replace(OURS, task="fly_sec", learned_from="")
    assert lay(find_table("S9"), (other,), DECLARED) == ()


def test_a_mean_over_sources_stands_beside_the_cross_species_number() -> None:
    (found,) = lay(find_table("S9"), (replace(OURS, learned_from=""),), DECLARED)
    assert found.printed.axes == {
        "method": "Genomics-FM",
        "setting": "cross-species",
        "species": "mouse",
    }
    assert found.difference == pytest.approx(0.9 - 0.9589)
    assert found.reservations == (f"{NOT_THE_PAPERS}: fly_sim stands in for mouse peaks",)


@pytest.mark.parametrize(
    ("quantity", "setting"),
    [("within", "within-species"), ("cross", "cross-species"), ("ratio", "performance ratio")],
)
def test_quantities_are_not_mixed_up(quantity: str, setting: str) -> None:
    ours = replace(OURS, quantity=quantity, learned_from="")
    (found,) = lay(find_table("S11"), (ours,), DECLARED)
    assert found.printed.axes["setting"] == setting


def test_every_reservation_is_told() -> None:
    table = find_table("S10")
    ours = replace(OURS, learned_from="", metric="mcc", num_seeds=1)
    (found,) = lay(table, (ours,), Pairing({"mouse": "fly_sim"}))
    undeclared, metric, seed, trust = found.reservations
    assert undeclared == "nothing says that fly_sim is the paper's data"
    assert metric == "mcc here, auroc there"
    assert seed == "one seed"
    assert trust.startswith("the paper's number is doubtful: the table repeats S9")


def test_a_task_of_the_papers_name_needs_no_pair_but_is_not_taken_for_its_data() -> None:
    ours = replace(OURS, task="tert_gbm", learned_from="tert_gbm", quantity="within")
    found = lay(find_table("S5"), (replace(ours, metric="pearson_r"),), Pairing())
    assert [one.printed.axes["method"] for one in found] == ["Genomics-FM 919", "Genomics-FM 75k"]
    assert "nothing says that tert_gbm" in found[0].reservations[0]


def test_a_matrix_is_laid_by_both_of_its_axes() -> None:
    pairing = Pairing({"Liver": "a", "Lung": "b"}, declared=True)
    cross = Measured("b", "a", "cross", "m", "r2_determination", 100.0, 0.4)
    within = replace(cross, task="a", quantity="within")
    found = lay(find_table("S16"), (cross, within), pairing)
    assert [(c.printed.axes["trained_on"], c.printed.axes["tissue"]) for c in found] == [
        ("Liver", "Liver"),
        ("Liver", "Lung"),
    ]


def test_averages_of_the_paper_have_nothing_beside_them() -> None:
    assert "Average" not in comparable(find_table("S5"))
    assert "chicken/Liver" in comparable(find_table("S12"))
    assert "chicken/Average" not in comparable(find_table("S12"))
    assert comparable(find_table("S6")) == comparable(find_table("S21")) == ()


def test_the_share_of_labels_has_to_be_the_same() -> None:
    pairing = Pairing({"tf-human-1-percent": "tf-0"}, declared=True)
    ours = Measured("tf-0", "tf-0", "within", "m", "mcc", 1.0, 0.6)
    (found,) = lay(find_table("text"), (ours, replace(ours, percent=100.0)), pairing)
    assert found.measured.percent == 1.0
    assert found.difference == pytest.approx(0.04)


def _file(folder: Path, text: str) -> Path:
    path = folder / "numbers.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_of_a_file_take_the_tables_quantity_and_metric(tmp_path: Path) -> None:
    table = find_table("S5")
    first, second = measured_in_file(
        _file(tmp_path, "name,value,low,model\nF9,0.5,0.4,mine\nHBB,0.1,,\n"), table
    )
    assert (first.task, first.value, first.low, first.model) == ("F9", 0.5, 0.4, "mine")
    assert (first.metric, first.quantity) == ("pearson_r", "within")
    assert math.isnan(first.high) and math.isnan(second.low)
    assert second.model == "numbers"
    assert {one.printed.axes["element"] for one in lay(table, (first, second), Pairing())} == {
        "F9",
        "HBB",
    }
    cross = measured_in_file(
        _file(tmp_path, "name,value,quantity\nmouse,0.9,ratio\n"), find_table("S9")
    )
    assert cross[0].quantity == "ratio"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,value\nF9,high\n", "'high' is no number"),
        ("name,value,quantity\nF9,0.5,sideways\n", "quantity: 'sideways' is not known"),
        ("element,value\nF9,0.5\n", "there is no column 'name'"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        measured_in_file(_file(tmp_path, text), find_table("S5"))
    assert "numbers.csv:" in caught.value.problems[0].where


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"there is no file 'none\.csv'"):
        measured_in_file(tmp_path / "none.csv", find_table("S5"))
