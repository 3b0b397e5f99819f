"""Kept searches: what comes back is what was put, or an error that says where."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.searches import SearchStore
from gfmp.plan.cells import Cell, Ingredient
from gfmp.plan.search import SearchOutcome, SearchPlan, Tried, choice
from gfmp.spec.learner import CnnBaseline
from gfmp.spec.sweep import Search, Values
from gfmp.storage.workspace import Workspace

CELL = Cell(
    task=Ingredient("t", "1"),
    vocabulary=Ingredient(),
    initial=Ingredient(),
    learner=CnnBaseline(kind="cnn"),
    label_percent=10.0,
    seed=0,
    subset="s",
    num_rows=3,
)
PLAN = SearchPlan(Search(space={"learning_rate": Values(low=1e-4, high=1e-2)}, samples=3), CELL)


def _outcome() -> SearchOutcome:
    names = [cell.fingerprint for cell in PLAN.samples]
    tried = (
        Tried(names[0], 0.25, (0.1, 0.25), stopped=True),
        Tried(names[1], 0.5, (-math.inf, 0.5)),
        Tried(names[2], -math.inf, error="it diverged"),
    )
    return SearchOutcome(PLAN.fingerprint, tried, *choice(tried), "mcc")


def test_an_outcome_comes_back_and_the_first_stays(tmp_path: Path) -> None:
    store = SearchStore(Workspace(tmp_path))
    outcome = _outcome()
    assert not store.finished(PLAN.fingerprint)
    store.put(PLAN, outcome)
    assert store.finished(PLAN.fingerprint)
    assert store.get(PLAN.fingerprint) == outcome
    assert outcome.chosen == 1
    store.put(PLAN, replace(outcome, chosen=0, why="another"))
    assert store.get(PLAN.fingerprint).chosen == 1


def test_stopped_settings_are_kept_before_the_search_ends(tmp_path: Path) -> None:
    store = SearchStore(Workspace(tmp_path))
    stopped = _outcome().tried[0]
    assert store.stopped(PLAN.fingerprint) == {}
    store.put_stopped(PLAN.fingerprint, stopped)
    assert store.stopped(PLAN.fingerprint) == {stopped.cell: stopped}
    assert not store.finished(PLAN.fingerprint)


def _unsealed(path: Path, **changes: object) -> None:
    """Write a file as gfmp did before its files had checksums, with changes."""
    body = json.loads(path.read_text()) | {"format_version": 1} | changes
    del body["sha256"]
    path.write_text(json.dumps(body))


def test_files_without_a_checksum_are_read(tmp_path: Path) -> None:
    store = SearchStore(Workspace(tmp_path))
    stopped = _outcome().tried[0]
    store.put(PLAN, _outcome())
    store.put_stopped(PLAN.fingerprint, stopped)
    _unsealed(store.path(PLAN.fingerprint) / "outcome.json")
    (path,) = (store.path(PLAN.fingerprint) / "stopped").iterdir()
    body = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in body.items() if key != "sha256"}))
    assert store.get(PLAN.fingerprint) == _outcome()
    assert store.stopped(PLAN.fingerprint) == {stopped.cell: stopped}


def test_a_changed_score_is_refused(tmp_path: Path) -> None:
    store = SearchStore(Workspace(tmp_path))
    store.put(PLAN, _outcome())
    store.put_stopped(PLAN.fingerprint, _outcome().tried[0])
    for path in store.path(PLAN.fingerprint).rglob("*.json"):
        path.write_text(path.read_text().replace("0.25", "0.95"))
    with pytest.raises(CorruptArtefactError, match="differs from its checksum"):
        store.get(PLAN.fingerprint)
    with pytest.raises(CorruptArtefactError, match="differs from its checksum"):
        store.stopped(PLAN.fingerprint)


def test_a_checksum_that_was_removed_is_missed(tmp_path: Path) -> None:
    store = SearchStore(Workspace(tmp_path))
    store.put(PLAN, _outcome())
    _unsealed(store.path(PLAN.fingerprint) / "outcome.json", format_version=2)
    with pytest.raises(CorruptArtefactError, match="checksum is missing"):
        store.get(PLAN.fingerprint)


@pytest.mark.parametrize(
    ("key", "value"),
    [("chosen", 7), ("chosen", "x"), ("tried", 3), ("tried", [{}]), ("search", "other")],
)
def test_a_changed_outcome_is_refused(tmp_path: Path, key: str, value: object) -> None:
    store = SearchStore(Workspace(tmp_path))
    store.put(PLAN, _outcome())
    path = store.path(PLAN.fingerprint) / "outcome.json"
    _unsealed(path, **{key: value})
    with pytest.raises(CorruptArtefactError) as caught:
        store.get(PLAN.fingerprint)
    assert str(path) in str(caught.value)
