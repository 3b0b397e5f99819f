"""What goes to MLflow is decided by pure functions."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.ledger.series import Point
from gfmp.ledger.status import Status
from gfmp.mlflow_store import payload
from gfmp.storage.workspace import Workspace


def test_every_status_has_a_word_of_mlflow() -> None:
    words = {status: payload.mlflow_status(status) for status in Status}
    assert words[Status.INTERRUPTED] == "KILLED"
    assert set(words.values()) == {"SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"}


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 100_000))
def test_a_long_run_is_thinned_evenly_with_both_ends(num_steps: int) -> None:
    keep = payload.step_filter(num_steps)
    kept = [step for step in range(1, num_steps + 1) if keep(step)]
    assert len(kept) <= payload.MAX_POINTS_PER_CURVE
    assert kept[0] == 1
    assert kept[-1] == num_steps
    assert len(kept) == num_steps or len(kept) > payload.MAX_POINTS_PER_CURVE // 3


def test_a_run_of_unknown_length_is_not_thinned() -> None:
    assert payload.planned_steps({"name": "x"}) == payload.planned_steps({"what": {}}) == 0
    assert all(map(payload.step_filter(0), range(1, 5000)))


def test_a_plan_becomes_flat_words_and_its_reasons_stay_out(run: Run) -> None:
    params = payload.flat_params(run.plan_json())
    assert params["what.steps"] == "12"
    assert params["what.feed.weights.1"] == "0.5"
    assert params["where.device"] == "none"
    assert params["derived.batch_tokens"] == "4096"
    assert not any("reason" in key or "to_build" in key for key in params)


def test_only_known_parameters_with_another_value_are_changes() -> None:
    changed = payload.changed_params({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"})
    assert changed == {"gfmp.resume.b": "2 -> 3"}


def test_numbers_mlflow_would_falsify_become_tags() -> None:
    points = tuple(Point(i, v, 0.0) for i, v in enumerate([1.0, math.nan, math.inf, -math.inf], 1))
    finite, tags = payload.split_nonfinite({"loss": points, "good": points[:1]})
    assert finite == {"loss": points[:1], "good": points[:1]}
    assert tags == {"nonfinite.loss": "nan@2 inf@3 -inf@4"}


def test_a_flood_of_such_numbers_is_counted() -> None:
    points = tuple(Point(i, math.nan, 0.0) for i in range(1, 101))
    _, tags = payload.split_nonfinite({"loss": points})
    assert tags["nonfinite.loss"].endswith("nan@20 and 80 more")


def test_a_report_gives_one_number_each_at_its_step() -> None:
    fields = {"step": 9, "report/loss": 1, "checks": [], "good": True, "report/bad": math.nan}
    curves = payload.report_curves(Event(0, 5.0, 0, "rank0", "report", fields))
    assert curves["report/loss"] == (Point(9, 1.0, 5.0),)
    assert set(curves) == {"report/loss", "report/bad"}


def test_tags_tell_each_start_and_the_cause_of_the_end(run: Run) -> None:
    events = [
        Event(0, 0.0, 0, "driver", "started", {"segment": 0, "workers": 2, "engine": "ddp"}),
        Event(1, 1.0, 0, "driver", "restarted", {"cause": "killed", "rank": None, "signal": ""}),
        Event(0, 2.0, 2, "driver", "started", {}),
        Event(1, 3.0, 2, "driver", "failed", {"error": "loss is NaN", "code": "T070"}),
    ]
    tags = payload.state_tags(Status.FAILED, events)
    assert tags == {
        "gfmp.status": "failed",
        "gfmp.restarts": "2",
        "gfmp.restart.0.1": "cause=killed",
        "gfmp.segment.0": "engine=ddp workers=2",
        "gfmp.segment.2": "started",
        "gfmp.error": "loss is NaN",
    }
    assert run.resume_command in payload.header_tags(run)["mlflow.note.content"]


def test_only_the_newest_of_many_failures_are_told_one_by_one() -> None:
    events = [Event(n, float(n), 0, "driver", "restarted", {"cause": "killed"}) for n in range(90)]
    tags = payload.state_tags(Status.RUNNING, events)
    assert tags["gfmp.restarts"] == "90"
    told = [name for name in tags if name.startswith("gfmp.restart.")]
    assert told == [f"gfmp.restart.0.{n}" for n in range(70, 90)]


def test_a_corpus_is_named_by_its_file_and_known_by_its_content(
    run: Run, workspace: Workspace
) -> None:
    corpus = payload.corpus_input(run, workspace, run.plan_json())
    assert corpus is not None
    assert (corpus.name, corpus.context) == ("demo", "pretrain")
    assert "abab".startswith(corpus.digest[:4])
    assert len(corpus.digest) <= 36
    assert Path(corpus.source).parts[-3:] == ("demo", "ab" * 32, "manifest.json")


@pytest.mark.parametrize("plan", [{}, {"what": {"corpus": ""}}, {"what": {"steps": 3}}])
def test_a_plan_without_a_corpus_has_no_input(
    run: Run, workspace: Workspace, plan: dict[str, object]
) -> None:
    assert payload.corpus_input(run, workspace, plan) is None
