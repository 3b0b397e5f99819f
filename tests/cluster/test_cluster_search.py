"""Searches on real Ray Tune: ASHA stays inside a group, test plays no part, nothing runs twice."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from sweep_world import SweepLines, SweepWorld, TaskText, write_task

from gfmp.cluster.halving import EPOCH_EVENT, Bracket, nothing_stopped, scheduler
from gfmp.cluster.searching import SearchStage, chosen_settings
from gfmp.cluster.sweep import resume, start
from gfmp.cluster.tuning import TrialPool
from gfmp.errors import InterruptedRunError, PartialSweepError, SpecError
from gfmp.ledger.cells import CellStore
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.ledger.searches import SearchStore
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.ledger.sweep import cells_settled, listed_cells, planned_cells, planned_searches
from gfmp.plan.search import SearchPlan
from gfmp.spec.learner import Finetuning

# One worker, so that ASHA meets the settings in the same order every time.
SPEC = """\
kind: sweep
name: searched
tasks: [gc]
label_percents: [50, 100]
seeds: [0, 1]
scratch_model: {layers: 1, width: 16, heads: 1, intermediate: 16}
arms:
  - learner: {kind: finetune, epochs: 5, batch_rows: 8, attempts: 1, patience: 5}
    vocabularies: [kmer3]
    initial: [scratch]
    search:
      space: {learning_rate: {low: 1e-6, high: 3e-2}}
      samples: 6
      reduction_factor: 2
  - learner: {kind: kmer, longest: 3}
compute: {workers: 1}
"""
WHOLE = """\
kind: sweep
name: whole
tasks: [gc, gcfalse]
label_percents: [100]
seeds: [0]
arms:
  - learner: {kind: cnn, epochs: 3, attempts: 1}
    search:
      halving: false
      space: {learning_rate: {choices: [1e-6, 1e-3, 1e-2]}}
      samples: 3
compute: {workers: 2}
"""
FAILING = """\
kind: sweep
name: failing
tasks: [short]
label_percents: [100]
seeds: [0]
arms:
  - learner: {kind: finetune, epochs: 2, attempts: 1}
    vocabularies: [kmer3]
    initial: [tiny]
    search: {space: {learning_rate: {choices: [1e30, 1e31]}}, samples: 2}
compute: {workers: 1}
"""


@dataclass(frozen=True)
class _Trial:
    trial_id: str


def _told(made: Any, trial: str, search: str, epochs: int, score: float) -> str:  # noqa: ANN401 - Ray is untyped
    fields = {"search": search, "cell": f"cell {trial}", "epochs": epochs, "score": score}
    result = {"kind": EPOCH_EVENT, **{f"fields/{name}": value for name, value in fields.items()}}
    return str(made.on_trial_result(None, _Trial(trial), result))


def test_settings_compete_inside_their_own_search_only() -> None:
    stopped: list[tuple[str, str, tuple[float, ...]]] = []
    brackets = (Bracket("few labels", 2, 9), Bracket("many labels", 2, 9))
    made = scheduler(brackets, lambda *told: stopped.append(told))
    for number, score in enumerate((0.9, 0.95, 0.99)):
        assert _told(made, f"m{number}", "many labels", 1, score) == "CONTINUE"
    # In one bracket with those above both would be stopped at once.
    assert _told(made, "f0", "few labels", 1, 0.1) == "CONTINUE"
    assert _told(made, "f1", "few labels", 1, 0.2) == "CONTINUE"
    assert _told(made, "f2", "few labels", 1, 0.05) == "STOP"
    assert _told(made, "m3", "many labels", 1, 0.5) == "STOP"
    assert stopped == [("few labels", "cell f2", (0.05,)), ("many labels", "cell m3", (0.5,))]
    assert made.on_trial_result(None, _Trial("x"), {"kind": "cell"}) == "CONTINUE"


def test_a_bracket_knows_what_was_tried_before_and_survives_undefined_scores() -> None:
    past = {"a": (0.5, 0.6), "b": (0.7,), "c": (float("-inf"),)}
    made = scheduler((Bracket("s", 2, 9, past),), lambda *told: None)
    assert _told(made, "d", "s", 1, 0.4) == "STOP"
    assert _told(made, "e", "s", 1, float("-inf")) == "STOP"
    assert _told(made, "f", "s", 1, 0.8) == "CONTINUE"
    with pytest.raises(AssertionError, match="nothing competes"):
        nothing_stopped("s", "c", ())


@pytest.fixture(scope="module")
def world(sweeps: SweepWorld) -> SweepWorld:
    """The project with a workspace of its own, and a task whose test labels are wrong."""
    folder = sweeps.folder / "specs" / "tasks"
    write_task(folder, TaskText("gcfalse", ("low", "high")))
    path = folder / "gcfalse-test.csv"
    with path.open() as handle:
        rows = list(csv.reader(handle))
    flipped = [[bases, "high" if label == "low" else "low"] for bases, label in rows[1:]]
    path.write_text("\n".join(",".join(row) for row in [rows[0], *flipped]) + "\n")
    return sweeps.elsewhere("searching")


@pytest.fixture(scope="module")
def searched(world: SweepWorld) -> Run:
    """A finished sweep with a searched arm."""
    console = SweepLines()
    run = start(world.job(SPEC), console)
    assert len(console.cells) == 8
    return run


def _samples(run: Run) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in run.events("search_sample"):
        found.setdefault(str(event.fields["search"]), []).append(event)
    return found


def test_each_label_percent_searches_on_its_own_and_the_winner_is_used(
    searched: Run, world: SweepWorld
) -> None:
    plans = planned_searches(searched)
    assert [plan.base.label_percent for plan in plans] == [50.0, 100.0]
    assert {cell.method for cell in listed_cells(searched)} == {"kmer"}
    assert cells_settled(searched)
    cells = planned_cells(searched)
    store = SearchStore(world.workspace)
    for plan in plans:
        outcome = store.get(plan.fingerprint)
        winner = plan.samples[outcome.chosen]
        same = [c for c in cells if c.method == "full" and c.label_percent == winner.label_percent]
        assert [cell.learner for cell in same] == [winner.learner] * 2
        assert [cell.seed for cell in same] == [0, 1]
        assert same[0].fingerprint == winner.fingerprint
    whats = [event.fields["search"] for event in searched.events("searched")]
    assert whats == [plan.fingerprint for plan in plans]
    assert searched.status() is Status.FINISHED


def test_stopped_settings_are_marked_and_have_no_result(searched: Run, world: SweepWorld) -> None:
    cells, store = CellStore(world.workspace), SearchStore(world.workspace)
    num_stopped = 0
    for plan in planned_searches(searched):
        outcome, told = store.get(plan.fingerprint), _samples(searched)[plan.fingerprint]
        assert sorted(int(str(e.fields["sample"])) for e in told) == list(range(6))
        by_cell = {str(event.fields["cell"]): event for event in told}
        for one in outcome.tried:
            assert one.stopped is by_cell[one.cell].fields["stopped"]
            assert one.stopped is not cells.finished(one.cell)
            assert not one.error
            assert len(one.scores) < 5 if one.stopped else len(one.scores) == 5
            assert max(one.scores) == one.score
        num_stopped += sum(one.stopped for one in outcome.tried)
        best = max(one.score for one in outcome.tried if one.whole)
        assert outcome.tried[outcome.chosen].score == best
    assert num_stopped > 0, "1e-6 learns nothing beside 3e-2"


def test_the_winner_at_the_first_seed_is_not_run_again(searched: Run) -> None:
    begun = Counter(str(event.fields["cell"]) for event in searched.events("cell_started"))
    assert set(begun.values()) == {1}
    ran = [event for event in searched.events("cell") if not event.fields["reused"]]
    assert len({e.fields["cell"] for e in ran}) == len(ran)
    assert len(searched.events("tokenised")) == 1


def test_a_second_sweep_tries_nothing_and_chooses_the_same(
    searched: Run, world: SweepWorld
) -> None:
    again = start(world.job(SPEC), SweepLines())
    assert again.id != searched.id
    for kind in ("cell_started", "search_started", "search_sample", "tokenised"):
        assert not again.events(kind)
    assert planned_cells(again) == planned_cells(searched)
    assert all(event.fields["reused"] for event in again.events("cell"))


class _Stopping(SweepLines):
    """Asks the newest sweep to stop once two settings are known."""

    def __init__(self, world: SweepWorld) -> None:
        super().__init__()
        self._world = world

    def event(self, event: Event) -> None:
        """Keep the event; ask at the second setting."""
        super().event(event)
        if sum(e.kind == "search_sample" for e in self.events) == 2:
            newest = max(
                (r for r in RunStore(self._world.workspace).list() if r.header.kind == "sweep"),
                key=lambda run: run.id,
            )
            newest.request_stop()


@pytest.mark.long
def test_an_interrupted_search_goes_on_where_it_was(
    searched: Run, sweeps: SweepWorld, world: SweepWorld
) -> None:
    other = sweeps.elsewhere("interrupted")
    job = other.job(SPEC)
    with pytest.raises(InterruptedRunError):
        start(job, _Stopping(other))
    (run,) = [run for run in RunStore(other.workspace).list() if run.header.kind == "sweep"]
    assert not cells_settled(run)
    known = {str(event.fields["cell"]) for event in run.events("search_sample")}
    segment = max(event.segment for event in run.events("started"))
    resume(run, job.document, job.spec, other.workspace, SweepLines())
    assert run.status() is Status.FINISHED
    later = {str(e.fields["cell"]) for e in run.events("cell_started") if e.segment > segment}
    assert len(known) >= 2
    assert not known & later
    # The order of settings was the same, so with one worker all was as if never interrupted.
    assert planned_cells(run) == planned_cells(searched)
    assert other.workspace != world.workspace


def _by_rate(world: SweepWorld, plan: SearchPlan) -> dict[float, float]:
    tried = SearchStore(world.workspace).get(plan.fingerprint).tried
    found = {}
    for cell, one in zip(plan.samples, tried, strict=True):
        assert not isinstance(cell.learner, Finetuning)
        found[float(cell.learner.model_dump()["learning_rate"])] = one.score
    return found


def test_wrong_test_labels_change_no_choice(world: SweepWorld) -> None:
    run = start(world.job(WHOLE), SweepLines())
    right, wrong = planned_searches(run)
    assert _by_rate(world, right) == _by_rate(world, wrong)
    store, cells = SearchStore(world.workspace), CellStore(world.workspace)
    best = [store.get(plan.fingerprint) for plan in (right, wrong)]
    assert len({outcome.tried[outcome.chosen].score for outcome in best}) == 1
    for outcome in best:
        assert not any(one.stopped for one in outcome.tried)
    told = [[cells.get(one.cell).metrics["test/mcc"] for one in outcome.tried] for outcome in best]
    assert sorted(told[0]) == pytest.approx(sorted(-value for value in told[1]))
    assert any(told[0])


def test_what_is_tried_is_judged_by_validation(world: SweepWorld, searched: Run) -> None:
    pool = TrialPool(1, 1, 0.0, searched.path / "ray", 0)
    stage = SearchStage(searched, world.workspace, {"gc": "mcc"}, pool)
    cells = CellStore(world.workspace)
    for plan in planned_searches(searched):
        for name, one in stage.tried(plan).items():
            if one.whole:
                assert one.score == cells.get(name).metrics["valid/mcc"]
        assert not stage.jobs(plan, stage.tried(plan))
    assert set(chosen_settings(planned_searches(searched), world.workspace))


@pytest.mark.long
def test_a_search_of_which_nothing_runs_whole_is_named(world: SweepWorld) -> None:
    with pytest.raises(PartialSweepError) as caught:
        start(world.job(FAILING), SweepLines())
    assert "no setting of the search for full / kmer3 / tiny on short" in str(caught.value)
    (run,) = [run for run in RunStore(world.workspace).list() if run.header.name == "failing"]
    assert run.status() is Status.FAILED


def test_values_the_learner_refuses_are_said_with_their_place(world: SweepWorld) -> None:
    text = SPEC.replace("{low: 1e-6, high: 3e-2}", "{choices: [1e-3, -1.0]}")
    with pytest.raises(SpecError) as caught:
        world.names(text)
    (problem,) = caught.value.problems
    assert "learning_rate cannot be -1.0" in problem.message
    line = next(i for i, text in enumerate(text.splitlines(), 1) if "space" in text)
    assert f"sweep.yaml:{line}:" in problem.where
