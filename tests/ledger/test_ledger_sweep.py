"""The state of a sweep is what its ledger, its plan and the cell store say together."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.cells import CellResult, CellStore
from gfmp.ledger.events import Event
from gfmp.ledger.header import NewRun
from gfmp.ledger.reader import Follower
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.ledger.sweep import (
    RECENT_ERRORS,
    Counts,
    Pace,
    SweepBook,
    book_of,
    failures_of,
    planned_cells,
    remaining_seconds,
    results_of,
    unended_starts,
)
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import AnyLearner, Finetuning, KmerBaseline, Probe
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.workspace import Workspace

SOURCE = Path(__file__).parents[2] / "platform"
PROBE, FULL, KMER = Probe(kind="probe"), Finetuning(kind="finetune"), KmerBaseline(kind="kmer")


def cell_of(learner: AnyLearner, percent: float, seed: int) -> Cell:
    nothing = isinstance(learner, KmerBaseline)
    return Cell(
        task=Ingredient("splice", "1" * 64),
        vocabulary=Ingredient() if nothing else Ingredient("kmer6", "2" * 64),
        initial=Ingredient() if nothing else Ingredient("demo", "3" * 64),
        learner=learner,
        label_percent=percent,
        seed=seed,
        subset=f"{percent:g}-{seed}",
        num_rows=int(10 * percent),
    )


CELLS = tuple(
    cell_of(learner, p, seed) for learner in (PROBE, KMER) for p in (1.0, 10.0) for seed in (0, 1)
)


def event(kind: str, cell: Cell | None = None, time: float = 0.0, **fields: object) -> Event:
    named = {"cell": cell.fingerprint} if cell else {}
    return Event(0, time, 0, "driver", kind, {**named, **fields})


def book(*events: Event) -> SweepBook:
    made = SweepBook(CELLS)
    made.add(events)
    return made


@pytest.fixture
def sweep(workspace: Workspace, new_run: NewRun) -> Run:
    plan: dict[str, object] = {"format_version": 1, "cells": [cell.to_json() for cell in CELLS]}
    return RunStore(workspace).create(replace(new_run, kind="sweep", plan=plan))


def test_nothing_happened_yet() -> None:
    progress = book().progress()
    assert progress.counts == Counts(total=8)
    assert progress.counts.waiting == 8
    assert list(progress.models) == ["probe / kmer6 / demo", "kmer"]
    assert (progress.errors, progress.running, progress.started) == ((), (), 0.0)
    assert book().remaining_seconds(5.0) is None


def test_cells_move_through_their_states() -> None:
    a, b, c, d = CELLS[:4]
    made = book(
        event("started", time=100.0, cells=8, finished=0),
        event("cell", a, 101.0, seconds=0.0, reused=True),
        event("cell_started", b, 102.0),
        event("cell", b, 104.0, seconds=2.0, reused=False),
        event("cell_started", c, 104.0),
        event("cell_failed", c, 105.0, error="out of memory"),
        event("cell_started", d, 105.0),
    )
    progress = made.progress()
    assert progress.counts == Counts(total=8, done=2, reused=1, running=1, failed=1)
    assert progress.models["probe / kmer6 / demo"] == Counts(4, 2, 1, 1, 1)
    assert progress.models["kmer"] == Counts(total=4)
    assert progress.running == ((d, 105.0),)
    assert progress.errors == ((c, "out of memory"),)
    assert progress.seconds == {b.fingerprint: 2.0}
    assert progress.started == 100.0


def test_a_new_start_forgets_what_ran_but_neither_results_nor_errors() -> None:
    a, b, c = CELLS[:3]
    made = book(
        event("started", time=1.0),
        event("cell_started", a, 2.0),
        event("cell", a, 3.0, seconds=1.0, reused=False),
        event("cell_failed", b, 4.0, error="first"),
        event("cell_started", b, 5.0),
        event("cell_started", c, 5.0),
        event("started", time=50.0),
    )
    assert made.progress().counts == Counts(total=8, done=1, failed=1)
    assert made.progress().started == 1.0
    assert made.failures() == {b.fingerprint: "first"}
    made.add([event("cell", a, 51.0, seconds=0.0, reused=True)])
    assert made.progress().counts.reused == 0, "this run computed it, before it was resumed"
    made.add([event("cell", b, 52.0, seconds=2.0, reused=False)])
    assert made.failures() == {}
    assert made.progress().counts == Counts(total=8, done=2)


def test_a_result_found_after_a_kill_counts_as_computed() -> None:
    made = book(
        event("cell_started", CELLS[0], 1.0),
        event("started", time=9.0),
        event("cell", CELLS[0], 10.0, seconds=0.0, reused=True),
    )
    assert made.progress().counts == Counts(total=8, done=1)
    assert made.progress().seconds == {}, "nobody timed it"


def test_the_newest_errors_come_first_and_are_few() -> None:
    failed = [event("cell_failed", c, float(i), error=f"e{i}") for i, c in enumerate(CELLS)]
    errors = book(*failed).progress().errors
    assert [text for _, text in errors] == ["e7", "e6", "e5", "e4", "e3"]
    assert len(errors) == RECENT_ERRORS


def test_equal_cells_change_together_and_unknown_ones_are_left_out() -> None:
    twin = replace(CELLS[0], label_percent=30.0)
    assert twin.fingerprint == CELLS[0].fingerprint
    made = SweepBook([CELLS[0], twin])
    stranger = cell_of(FULL, 50.0, 3)
    made.add([event("cell", stranger, reused=False), event("tokenised", task="splice")])
    assert made.progress().counts == Counts(total=2)
    made.add([event("cell", twin, 1.0, seconds=1.0, reused=False)])
    assert made.progress().counts == Counts(total=2, done=2)
    assert made.unfinished() == ()


KINDS = st.sampled_from(["started", "cell_started", "cell", "cell_failed", "interrupted"])


@settings(deadline=None, max_examples=60)
@given(steps=st.lists(st.tuples(KINDS, st.integers(0, 7)), max_size=40), cut=st.integers(0, 40))
def test_counts_always_add_up_and_reading_in_parts_changes_nothing(
    steps: list[tuple[str, int]], cut: int
) -> None:
    events = [
        event(kind, CELLS[i], float(t), error="e", seconds=1.0, reused=False)
        for t, (kind, i) in enumerate(steps)
    ]
    whole, parts = book(*events), book(*events[:cut])
    parts.add(events[cut:])
    progress = whole.progress()
    assert progress == parts.progress()
    assert progress.counts.waiting >= 0
    summed = [sum(getattr(c, n) for c in progress.models.values()) for n in ("total", "done")]
    assert summed == [8, progress.counts.done]
    assert len(whole.unfinished()) == progress.counts.waiting + progress.counts.running


def test_the_rest_is_estimated_from_cells_of_the_same_kind() -> None:
    full = cell_of(FULL, 10.0, 0)
    finished = [(cell_of(PROBE, 1.0, 5), 2.0), (cell_of(PROBE, 1.0, 6), 4.0)]
    one = [cell_of(PROBE, 1.0, 7)]
    assert remaining_seconds(one, [], Pace(1)) is None
    assert remaining_seconds(one, finished, Pace(1)) == 3.0
    assert remaining_seconds([], finished, Pace(2)) == 0.0
    assert remaining_seconds([*one, full], finished, Pace(1)) == 6.0, "the mean of all"
    finished.append((replace(full, label_percent=3.0), 30.0))
    assert remaining_seconds([*one, full], finished, Pace(1)) == 33.0, "the mean of its method"
    finished.append((replace(full, seed=9), 90.0))
    assert remaining_seconds([*one, full], finished, Pace(3)) == 31.0, "and of its percentage"
    assert remaining_seconds([full], finished, Pace(1, spent_seconds=30.0)) == 60.0
    assert remaining_seconds([full], finished, Pace(1, spent_seconds=500.0)) == 0.0


def test_the_book_estimates_with_what_runs_now() -> None:
    made = book(
        event("cell", CELLS[0], 10.0, seconds=10.0, reused=False),
        event("cell_started", CELLS[1], 10.0),
        event("cell_started", CELLS[2], 10.0),
    )
    assert made.remaining_seconds(15.0) == (7 * 10.0 - 2 * 5.0) / 2


def test_a_plan_gives_its_cells_back(sweep: Run) -> None:
    assert planned_cells(sweep) == CELLS


def _seed(cells: list[Any]) -> object:
    cells[3]["seed"] += 1
    return cells


def _no_learner(cells: list[Any]) -> object:
    del cells[3]["learner"]
    return cells


def _no_fingerprint(cells: list[Any]) -> object:
    del cells[3]["fingerprint"]
    return cells


def _wrong_type(cells: list[Any]) -> object:
    cells[3]["task"] = 7
    return cells


def _no_mapping(cells: list[Any]) -> object:
    cells[3] = "cell"
    return cells


@pytest.mark.parametrize("change", [_seed, _no_learner, _no_fingerprint, _wrong_type, _no_mapping])
def test_a_changed_plan_is_an_error_that_names_the_cell(
    sweep: Run, change: Callable[[list[Any]], object]
) -> None:
    plan = read_json(sweep.plan_path)
    assert isinstance(plan["cells"], list)
    write_json(sweep.plan_path, plan | {"cells": change(plan["cells"])})
    with pytest.raises(CorruptArtefactError, match=r"cells\.3") as caught:
        planned_cells(sweep)
    assert caught.value.problems[0].where == str(sweep.plan_path)
    assert "restore plan.json" in caught.value.problems[0].fix


def test_the_plan_of_another_kind_of_run_is_refused(sweep: Run) -> None:
    write_json(sweep.plan_path, {"what": {"steps": 3}})
    with pytest.raises(CorruptArtefactError, match="no list of cells"):
        planned_cells(sweep)


def test_results_are_what_the_store_has_whoever_computed_it(
    sweep: Run, workspace: Workspace
) -> None:
    store = CellStore(workspace)
    for cell in (CELLS[5], CELLS[2]):
        predictions = np.zeros((2, 2), dtype=np.float32)
        store.put(CellResult(cell.fingerprint, {"test/mcc": 0.5}, {}, predictions), cell.to_json())
    found = results_of(sweep, store)
    assert [cell for cell, _ in found.finished] == [CELLS[2], CELLS[5]]
    assert [result.cell for _, result in found.finished] == [
        CELLS[2].fingerprint,
        CELLS[5].fingerprint,
    ]
    assert found.unfinished == tuple(c for c in CELLS if c not in (CELLS[2], CELLS[5]))


def test_failures_are_read_from_the_ledger_and_a_follower_sees_the_same(sweep: Run) -> None:
    follower, live = Follower(sweep.ledger_path), SweepBook(planned_cells(sweep))
    with sweep.open_writer("driver") as driver:
        driver.append("started", {"cells": 8, "finished": 0})
        for cell in CELLS[:2]:
            driver.append("cell_failed", {"cell": cell.fingerprint, "error": "boom"})
        live.add(follower.poll())
    with sweep.open_writer("driver") as driver:
        driver.append("started", {"cells": 8, "finished": 0})
        done = {"cell": CELLS[0].fingerprint, "seconds": 1.0, "reused": False}
        driver.append("cell", done)
        live.add(follower.poll())
    assert failures_of(sweep) == {CELLS[1].fingerprint: "boom"}
    assert live.progress() == book_of(sweep).progress()


def test_looking_at_a_sweep_is_light() -> None:
    code = (
        "import sys, gfmp.ledger.sweep;"
        "sys.exit(', '.join({'mlflow', 'torch', 'ray', 'pandas'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SOURCE)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_only_starts_that_came_to_no_end_since_the_last_start_count(sweep: Run) -> None:
    cell, other = CELLS[0].fingerprint, CELLS[1].fingerprint
    with sweep.open_writer("driver") as ledger:
        for kind, expected in (
            ("started", 0),
            ("cell_started", 1),
            ("cell_started", 2),
            ("cell_failed", 0),
            ("cell_started", 1),
            ("started", 0),  # a new driver: what killed the last one says nothing of the cell
            ("cell_started", 1),
            ("cell", 0),
        ):
            fields = {"cell": cell} if kind != "started" else {"segment": 0}
            ledger.append(kind, fields)
            ledger.append("cell_started", {"cell": other})
            assert unended_starts(sweep, cell) == expected, kind
    assert sweep.committed_step() == 1, "cells that ended are the progress of a sweep"
