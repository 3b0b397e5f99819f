"""The analysis against naive references: loops over drawn rows, brute force over curves."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_sweeps import DEMO, Sweep, labels, noisy
from numpy.typing import NDArray

from gfmp.report.analysis import analyse
from gfmp.report.bootstrap import Replicates, Resampling, interval, over_seeds, scores
from gfmp.report.comparisons import Findings
from gfmp.report.efficiency import NOT_REACHED, Curve, first_reached, reduction
from gfmp.report.layout import (
    CHARACTER_MM,
    fitting_ticks,
    legend_columns,
    legend_height_mm,
    longest,
    shortened,
)
from gfmp.report.write import report_files
from gfmp.storage.hashes import sha256_bytes
from gfmp.tasks.metrics import score

Floats = NDArray[np.float64]
finite = st.floats(-1.0, 1.0, width=32)


@pytest.mark.parametrize("metric", ["mcc", "auroc", "accuracy"])
def test_replicates_are_the_metric_of_rows_repeated_as_often_as_drawn(metric: str) -> None:
    targets = labels(25)
    resampling = Resampling.of(targets, 30)
    guesses = [noisy(targets, 1.0, seed) for seed in (1, 2, 3)]
    _, replicates = scores(metric, targets, guesses, resampling)
    counts = np.concatenate([block for _, block in resampling.blocks()]).astype(int)
    for seed, guess in enumerate(guesses):
        for draw, times in enumerate(counts):
            rows = np.repeat(np.arange(25), times)
            naive = score(metric, targets[rows], guess[rows])
            np.testing.assert_allclose(replicates[seed, draw], naive, atol=1e-12)


def test_a_mean_over_drawn_seeds_is_the_mean_of_the_drawn_ones() -> None:
    targets = labels(25)
    resampling = Resampling.of(targets, 40)
    replicates = np.random.default_rng(0).random((4, 40))
    found = over_seeds(np.arange(4.0), replicates, resampling)
    shares = resampling.seed_shares(4)
    for draw in range(40):
        drawn = np.repeat(np.arange(4), np.rint(shares[draw] * 4).astype(int))
        assert len(drawn) == 4
        assert found.values[draw] == pytest.approx(replicates[drawn, draw].mean())
    assert found.value == 1.5


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(finite, st.just(float("nan"))), min_size=1, max_size=60))
def test_intervals_are_ordered_inside_the_replicates_or_undefined(values: list[float]) -> None:
    found = np.array(values)
    low, high = interval(found)
    undefined = np.isnan(found).mean()
    if undefined > 0.05 + 1e-9:
        assert np.isnan([low, high]).all()
    else:
        assert np.nanmin(found) <= low <= high <= np.nanmax(found)
        assert interval(found[::-1]) == (low, high)
        shifted = interval(-found)
        assert shifted == (pytest.approx(-high, abs=1e-12), pytest.approx(-low, abs=1e-12))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=30))
def test_a_difference_is_the_difference_of_each_replicate(pairs: list[tuple[float, float]]) -> None:
    mine, theirs = np.array(pairs, dtype=np.float64).T
    one, other = Replicates(mine[0], mine, 3, 9), Replicates(theirs[0], theirs, 2, 9)
    difference = one.minus(other)
    assert (difference.low, difference.high) == interval(mine - theirs)
    assert difference.num_seeds == 2
    assert not (difference.above_zero and difference.below_zero)
    assert one.minus(one).low == one.minus(one).high == 0.0


def slow_first_reached(percents: Floats, values: Floats, wanted: float) -> float:
    """Walk a fine grid of shares along straight lines in log percent."""
    if not np.isfinite([*values, wanted]).all():
        return float("nan")
    if values[0] >= wanted:
        return float(percents[0])
    for place in range(1, len(percents)):
        if values[place] >= wanted:
            low, high = values[place - 1], values[place]
            start, end = np.log(percents[place - 1 : place + 1])
            return float(np.exp(start + (end - start) * (wanted - low) / (high - low)))
    return float("inf")


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_the_first_share_that_is_enough_is_found(data: st.DataObject) -> None:
    percents = np.array(
        sorted(data.draw(st.sets(st.sampled_from([0.5, 1, 3, 10, 30, 60, 100.0]), min_size=1)))
    )
    size = len(percents)
    score_or_nan = st.one_of(finite, finite, finite, st.just(float("nan")))
    values = np.array(data.draw(st.lists(score_or_nan, min_size=size, max_size=size)))
    wanted = data.draw(finite)
    (found,) = first_reached(percents, values[None, :], np.array([wanted]))
    expected = slow_first_reached(percents, values, wanted)
    assert found == pytest.approx(expected, rel=1e-9, nan_ok=True)
    assert np.isnan(found) or percents[0] <= found


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.floats(0.05, 1.0), st.floats(0.1, 10.0))
def test_factors_do_not_see_the_scale_of_a_metric(seed: int, noise: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    percents = np.array([1.0, 10.0, 100.0])

    def made(times: float, up: float) -> tuple[Curve, Curve]:
        again = np.random.default_rng(seed)
        curves = []
        for _ in range(2):
            values = np.sort(again.random(3))
            replicates = values + noise * again.standard_normal((50, 3))
            curves.append(Curve(percents, up + times * values, up + times * replicates))
        return curves[0], curves[1]

    plain, moved = reduction(*made(1.0, 0.0)), reduction(*made(scale, rng.random()))
    assert moved.factor == pytest.approx(plain.factor, rel=1e-6)
    assert moved.not_reached_fraction == pytest.approx(plain.not_reached_fraction, abs=0.021)
    assert plain.low <= plain.high <= plain.ceiling
    assert (plain.low == NOT_REACHED) == (plain.not_reached_fraction >= 0.025)


def test_findings_equal_what_plain_loops_find() -> None:
    data = Sweep(("fly",), (DEMO[0], DEMO[6]), (1.0, 10.0), (1, 2), 50).data()
    found = Findings.of(analyse(data, 25))
    targets = data.tasks["fly"].test_targets
    plain = {
        (cell.method, cell.label_percent, cell.seed): score("mcc", targets, r.test_predictions)
        for cell, r in data.finished
    }
    for one in found.comparisons:
        mine = np.mean([plain["probe", one.percent, seed] for seed in (1, 2)])
        theirs = np.mean([plain["kmer", one.percent, seed] for seed in (1, 2)])
        assert one.difference.value == pytest.approx(mine - theirs)
    assert [one.percent for one in found.comparisons] == [1.0, 10.0]


SCRIPT = """
from made_up_sweeps import DEMO, Sweep
from gfmp.report.write import report_files
from gfmp.storage.hashes import sha256_bytes
files = report_files(Sweep(("b", "a"), DEMO[1:4], (1.0, 10.0), (1, 2), 30).data(), 9)
print({name: sha256_bytes(content) for name, content in files.items()})
"""


def test_another_process_with_other_hash_seeds_writes_the_same_bytes() -> None:
    here = report_files(Sweep(("b", "a"), DEMO[1:4], (1.0, 10.0), (1, 2), 30).data(), 9)
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "4242", "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment
    )
    digests = {name: sha256_bytes(content) for name, content in here.items()}
    assert done.stdout.strip() == str(digests)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.floats(0, 80), st.floats(1, 20)), min_size=1, max_size=12))
def test_chosen_tick_labels_never_meet(ticks: list[tuple[float, float]]) -> None:
    ticks.sort()
    places, widths = [place for place, _ in ticks], [width for _, width in ticks]
    chosen = fitting_ticks(places, widths)
    assert chosen[-1] == len(ticks) - 1
    assert chosen == sorted(set(chosen))
    for one, other in pairwise(chosen):
        assert places[one] + widths[one] / 2 < places[other] - widths[other] / 2 + 1e-9


@settings(deadline=None, max_examples=60)
@given(st.text(min_size=0, max_size=90), st.floats(1.0, 120.0))
def test_shortened_names_fit_and_keep_both_ends(name: str, width: float) -> None:
    short = shortened(name, width)
    most = max(8, int(width / CHARACTER_MM))
    assert len(short) <= max(most, 8)
    assert short == name or (short[:2] == name[:2] and short[-2:] == name[-2:] and ".." in short)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(min_size=1, max_size=50), min_size=1, max_size=30))
def test_legends_hold_every_name(names: list[str]) -> None:
    columns = legend_columns(names, 180.0)
    rows = round((legend_height_mm(names, 180.0) - 4.0) / 3.6)
    assert columns * rows >= len(names) > columns * (rows - 1)
    assert columns == 1 or columns * longest(names) * CHARACTER_MM <= 180.0
