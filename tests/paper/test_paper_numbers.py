"""The paper as data: every printed number is there, and what follows from others was computed."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest

from gfmp.errors import MissingInputError
from gfmp.paper.follows import Followed, agrees
from gfmp.paper.model import Derivation, Flag, TableEntry
from gfmp.paper.numbers import (
    TEXT,
    PaperTable,
    Printed,
    claim_lays,
    find_table,
    selected,
    tables,
    tissue_groups,
)
from gfmp.tasks.metrics import METRICS
from gfmp.vocabulary.published import num_agreeing

SIZES = {
    **dict.fromkeys(("S1", "S2", "S3", "S4", "S5"), 16 * 5),
    **{"S6": 11, "S7": 3, "S8": 1, "S14": 31},
    **dict.fromkeys(("S9", "S10", "S11"), 12 * 10),
    **dict.fromkeys(("S12", "S13"), 12 * 8),
    **dict.fromkeys(("S15", "S16"), 11 * 11),
    **{"S17": 33, "S18": 44, "S19": 12, "S20": 24, "S21": 28},
}
BASELINES = ("DNABERT2", "Hyena", "NT")


def _number(table: str, **axes: str) -> Printed:
    (found,) = [c for c in find_table(table).cells if c.axes == axes]
    return found


def test_every_table_of_the_supplement_is_there_whole() -> None:
    *supplement, text = tables()
    assert [table.name for table in supplement] == [f"S{n}" for n in range(1, 22)]
    assert {table.name: len(table.cells) for table in supplement} == SIZES
    assert text.name == TEXT
    for table in supplement:
        assert all(tuple(sorted(c.axes)) == tuple(sorted(table.axes)) for c in table.cells)
        places = Counter(tuple(c.axes[axis] for axis in table.axes) for c in table.cells)
        assert max(places.values()) == 1


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_a_number_that_does_not_follow_is_flagged_with_a_reason(table: PaperTable) -> None:
    for cell in table.cells:
        assert cell.why
        # The reasons written down were computed first: nothing is left to be found out here.
        assert not cell.why.startswith("printed "), (cell.axes, cell.why)
        if cell.trust == "confirmed":
            assert math.isfinite(cell.follows)
            assert cell.follows == pytest.approx(cell.value, abs=6e-4)


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_every_flag_and_every_rule_concerns_some_number(table: PaperTable) -> None:
    for part in (*table.entry.flags, *table.entry.derived):
        assert any(selected(cell.axes, part.where) for cell in table.cells)
    assert all(set(part.where) <= set(table.axes) for part in table.entry.flags)
    reasons = {flag.why for flag in table.entry.flags}
    assert reasons <= {cell.why for cell in table.cells}
    if table.entry.metric:
        assert table.entry.metric in METRICS


@pytest.mark.parametrize("name", ["S1", "S3", "S4", "S5"])
def test_the_averages_of_the_baselines_are_moved_by_one_column(name: str) -> None:
    averages = {m: _number(name, element="Average", method=m) for m in BASELINES}
    assert all(cell.trust == "wrong" for cell in averages.values())
    for printed_under, whose in zip(BASELINES, ("NT", "DNABERT2", "Hyena"), strict=True):
        assert averages[printed_under].value == pytest.approx(averages[whose].follows, abs=6e-4)
    assert _number(name, element="Average", method="Genomics-FM 75k").trust == "confirmed"


def test_in_s2_every_average_is_that_of_its_column() -> None:
    cells = [c for c in find_table("S2").cells if c.axes["element"] == "Average"]
    assert len(cells) == 5
    assert {cell.trust for cell in cells} == {"confirmed"}


def test_the_averages_of_s12_leave_out_the_lowest_tissue_of_one_method() -> None:
    table = find_table("S12")
    for species in ("chicken", "pig", "cattle"):
        row = {
            c.axes["tissue"]: c
            for c in table.cells
            if (c.axes["species"], c.axes["method"]) == (species, "Genomics-FM")
        }
        average = row.pop("Average")
        without = [c.value for tissue, c in row.items() if tissue != "Cerebellum"]
        assert average.value == pytest.approx(sum(without) / 6, abs=1e-6)
        assert average.trust == "wrong"
    others = [c for c in table.cells if c.axes["tissue"] == "Average"]
    assert Counter(c.trust for c in others) == {"confirmed": 9, "wrong": 3}


def test_a_row_of_s12_is_an_arithmetic_sequence() -> None:
    row = [
        cell
        for cell in find_table("S12").cells
        if (cell.axes["species"], cell.axes["method"]) == ("pig", "Genomics-FM")
    ]
    values = [c.value for c in row if c.axes["tissue"] != "Average"]
    steps = {round(b - a, 4) for a, b in itertools.pairwise(values)}
    assert steps == {0.0053}
    assert {cell.trust for cell in row} == {"wrong"}


def test_what_the_tissue_tables_repeat_is_flagged() -> None:
    matrix = {tuple(c.axes.values()): c for c in find_table("S16").cells}
    for name, where in (
        ("S17", {"setting": "Train-all cross-tissue"}),
        ("S18", {"method": "Genomics-FM"}),
    ):
        row = [c for c in find_table(name).cells if where.items() <= c.axes.items()]
        assert len(row) == 11
        for cell in row:
            assert cell.text == matrix[cell.axes["tissue"], cell.axes["tissue"]].text
            assert cell.trust == "doubtful"
    copies = zip(find_table("S9").cells, find_table("S10").cells, strict=True)
    assert all(a.text == b.text and b.trust == "doubtful" for a, b in copies)


@pytest.mark.parametrize(
    ("name", "printed", "trust", "follows"),
    [
        ("average-genomics-fm", "79.49", "doubtful", math.nan),
        ("average-nt", "74.19", "doubtful", math.nan),
        ("labels-hyenadna", "8.05", "doubtful", math.nan),
        ("labels-dnabert2", "4.65", "doubtful", math.nan),
        ("labels-nt", "5.01", "doubtful", math.nan),
        ("tf-human-1-percent", "0.56", "unchecked", math.nan),
        ("h3k4me3-genomics-fm", "0.960", "confirmed", 0.9599),
        ("h3k27ac-genomics-fm", "0.849", "confirmed", 0.8485),
        ("train-all", "0.467", "doubtful", 0.4669),
        ("train-one", "0.458", "doubtful", 0.4579),
        ("within-tissue", "0.471", "doubtful", 0.4710),
        ("tissue-cnn", "0.411", "wrong", 0.4014),
        ("tissue-nt", "0.442", "wrong", 0.4534),
        ("tissue-dnabert2", "0.453", "wrong", 0.4418),
        ("chicken-cnn", "0.863", "doubtful", 0.8638),
        ("mrl", "0.825", "doubtful", 0.82385),
        ("motif-bnc2", "BNC2", "doubtful", math.nan),
    ],
)
def test_the_numbers_of_the_text(name: str, printed: str, trust: str, follows: float) -> None:
    cell = next(c for c in find_table("text").cells if c.axes["number"] == name)
    assert (cell.text, cell.trust) == (printed, trust)
    assert cell.follows == pytest.approx(follows, abs=1e-4, nan_ok=True)


def test_the_overlaps_are_those_that_ship_with_the_vocabularies() -> None:
    rows: dict[str, dict[str, Printed]] = {}
    for cell in find_table("table-s21").cells:
        rows.setdefault(cell.axes["task"], {})[cell.axes["vocabulary"]] = cell
    agree = sum(
        (row["bpe"].value > row["kmer"].value) == (row["bpe"].axes["printed_under"] == "bpe")
        for row in rows.values()
    )
    assert agree == num_agreeing(swapped=False) == 3
    assert "11" in rows["Splice Site Reconstructed"]["bpe"].why


def test_the_groups_of_tissues_are_data() -> None:
    groups = tissue_groups()
    assert len(groups) == 11
    assert sum(map(len, groups.values())) == 31
    assert groups["Liver"] == ("Liver",)
    assert len(groups["Brain"]) == 13
    assert groups["Esophagus"][0] == "Esophagus_Gastroesophageal_Junction"


def test_a_table_goes_by_several_names_and_an_unknown_one_is_told() -> None:
    names = ("table-S5", "S5", "s5", "table-s5")
    assert {find_table(name).name for name in names} == {"S5"}
    with pytest.raises(MissingInputError, match="the paper has no 'table-S22'") as caught:
        find_table("table-S22")
    assert "did you mean" in caught.value.problems[0].fix


def test_what_a_sweep_can_measure_of_the_text_is_a_metric_of_gfmp() -> None:
    known = {cell.axes["number"] for cell in find_table("text").cells}
    lays = claim_lays()
    assert lays.keys() < known
    assert all(one.metric in METRICS for one in lays.values())
    assert lays["tf-human-1-percent"].percent == 1.0


@pytest.mark.parametrize(
    ("text", "value", "slack", "same"),
    [
        ("0.429", 0.42860, 5e-4, True),
        ("0.863", 0.86384, 5e-5, False),
        ("0.801766667", 0.790057, 5e-5, False),
        ("0.9719", 0.97177, 1.5e-4, True),
    ],
)
def test_rounding_explains_little(text: str, value: float, slack: float, same: bool) -> None:
    assert agrees(text, Followed(value, slack, "")) is same


def test_the_grammar_refuses_half_a_rule() -> None:
    with pytest.raises(ValueError, match="a ratio is of two values"):
        Derivation(where={}, rule="ratio", over="setting", of=("cross",))
    with pytest.raises(ValueError, match="at least 1 character"):
        Flag(where={}, trust="wrong", why="")
    with pytest.raises(ValueError, match="at least 1 item"):
        TableEntry(title="t", keys=(), across="a", unit="u")
