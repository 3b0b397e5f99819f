"""Agreement with measurements, the paper's rows beside it, and the page."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
from scipy import stats

from gfmp.report.agreement import Agreement, agreement, agreements, has_sign
from gfmp.report.paper_elements import TABLES, kind_of, paper_name, paper_rows
from gfmp.report.variant_figure import agreement_picture
from gfmp.report.variants import EffectData, effect_files

RNG = np.random.default_rng(1)
ELEMENTS = ("F9", "PKLR-24h", "strange")


def found() -> tuple[Agreement, ...]:
    effects = RNG.normal(size=90)
    columns = {
        "llr_kmer6": effects + RNG.normal(size=90),
        "profile_euclidean": np.abs(effects) + RNG.normal(size=90),
        "profile_cosine": RNG.normal(size=90),
        "head": effects,
    }
    return tuple(agreements(columns, effects, [ELEMENTS[n % 3] for n in range(90)]))


def data(rows: tuple[Agreement, ...]) -> EffectData:
    facts = {"Records": "90", "Kind: <odd>": "3"}
    return EffectData("x", "x-1", ("gfmp submit x",), facts, {"GFMP_a": "what"}, rows, ("a.vcf",))


def test_a_correlation_has_its_interval() -> None:
    values, effects = RNG.normal(size=(2, 50))
    one = agreement("llr_x", "e", values, effects)
    expected = stats.pearsonr(values, effects)
    low, high = expected.confidence_interval(0.95)
    assert (one.signed, one.low, one.high) == pytest.approx((expected.statistic, low, high))
    distance = agreement("x_dot", "e", values, effects)
    assert distance.headline == pytest.approx(stats.pearsonr(values, np.abs(effects)).statistic)
    assert (has_sign("llr_x"), has_sign("x_dot"), has_sign("head")) == (True, False, True)


def test_pairs_with_a_hole_are_left_out_and_few_are_undefined() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, math.nan, 9.0])
    effects = np.array([1.0, 2.0, 3.5, 4.0, 5.0, math.nan])
    assert agreement("x", "e", values, effects).pairs == 4
    assert math.isnan(agreement("x", "e", values[:3], effects[:3]).signed)
    assert math.isnan(agreement("x", "e", np.ones(6), np.arange(6.0)).signed)


def test_the_mean_is_over_elements_where_it_is_defined() -> None:
    rows = found()
    mean = next(r for r in rows if (r.column, r.group) == ("head", ""))
    assert (mean.pairs, mean.signed) == (3, pytest.approx(1.0))
    again = [Agreement.from_json(r.to_json()) for r in rows]
    assert str(again) == str(list(rows))


def test_the_papers_rows_stand_as_printed() -> None:
    assert paper_rows("euclidean")["Average"]["Genomics-FM 75k"] == 0.429
    assert paper_rows("manhattan")["Average"]["Genomics-FM 75k"] == 0.433
    assert paper_rows("head")["PKLR"]["Genomics-FM 919"] == 0.810
    assert paper_rows("llr") == {}
    for kind in TABLES:
        assert len(paper_rows(kind)) == 16
        assert {len(row) for row in paper_rows(kind).values()} == {5}
    names = paper_rows("dot")
    assert [paper_name(e, names) for e in ("F9", "PKLR-24h", "TERT-GBM", "strange", "")] == [
        *("F9", "PKLR", "TERT-GBM", "", ""),
    ]
    assert [kind_of(c) for c in ("profile_dot", "llr_bpe4096", "head")] == ["dot", "", "head"]


def test_the_page_lays_them_beside_ours() -> None:
    rows = found()
    files = effect_files(data(rows))
    assert files == effect_files(data(rows)), "equal data give equal bytes"
    page = files["report.html"].decode()
    assert "0.465" in page and "Table S1" in page
    assert "&lt;odd&gt;" in page and "<odd>" not in page
    assert "numbers_s01.csv" in files and "numbers_s03.csv" not in files
    numbers = list(csv.DictReader(io.StringIO(files["numbers_s01.csv"].decode())))
    assert [r["name"] for r in numbers] == ["F9", "PKLR", "Average"]
    assert {r["model"] for r in numbers} == {"profile_euclidean"}


def test_without_measurements_there_is_a_page_and_no_figure() -> None:
    assert agreement_picture(()) is None
    files = effect_files(data(()))
    assert set(files) == {"report.html", "agreements.csv"}
    assert "<img" not in files["report.html"].decode()


def test_the_figure_draws_one_column_a_scorer() -> None:
    picture = agreement_picture(found())
    assert picture is not None
    assert picture.files["png"][:4] == b"\x89PNG"
    assert picture.files["svg"]
