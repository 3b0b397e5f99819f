"""What a run looks like in MLflow's words: pure functions from the ledger."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gfmp.ledger.events import Event
from gfmp.ledger.goodput import goodput
from gfmp.ledger.header import RunHeader
from gfmp.ledger.run import Run
from gfmp.ledger.series import Point
from gfmp.ledger.status import Status
from gfmp.mlflow_store.client import MAX_PARAM_CHARACTERS, CorpusInput
from gfmp.plan.lineage import parent_run
from gfmp.storage.documents import leaves, load_document
from gfmp.storage.workspace import Workspace

MAX_POINTS_PER_CURVE = 2000  # more make MLflow's pages slow (mlflow#1571, #14465)
DIGEST_CHARACTERS = 32
_SHOWN_NONFINITE = 20
_SHOWN_RESTARTS = 20
_STATUS = {
    Status.PLANNED: "SCHEDULED",
    Status.RUNNING: "RUNNING",
    Status.FINISHED: "FINISHED",
    Status.FAILED: "FAILED",
    Status.INTERRUPTED: "KILLED",
}
_NO_PARAMS = ("derived", "to_build")


def mlflow_status(status: Status) -> str:
    """Return MLflow's word for a status; an interrupted run is `KILLED`."""
    return _STATUS[status]


def planned_steps(plan: Mapping[str, Any]) -> int:
    """Return the number of optimiser steps of a plan, 0 when it has none."""
    what = plan.get("what")
    steps = what.get("steps") if isinstance(what, Mapping) else None
    return steps if isinstance(steps, int) else 0


def step_filter(num_steps: int) -> Callable[[int], bool]:
    """Return the rule that keeps `MAX_POINTS_PER_CURVE` steps or fewer, first and last included.

    It depends on the plan alone, so that a run that is mirrored while it grows, and one that is
    mirrored afterwards, keep the same steps.
    """
    stride = max(1, math.ceil(num_steps / (MAX_POINTS_PER_CURVE - 2)))
    return lambda step: step % stride == 0 or step in (1, num_steps)


def flat_params(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return every scalar of a plan under its dotted name, and each derived number."""
    body = {key: value for key, value in plan.items() if key not in _NO_PARAMS}
    params = {".".join(map(str, key)): _text(value) for key, value in leaves(body)}
    derived = plan.get("derived") or ()
    return params | {f"derived.{number['name']}": _text(number["value"]) for number in derived}


def _text(value: object) -> str:
    # Cut as MLflow keeps it, or a long word would differ from itself at every resume.
    return "none" if value is None else str(value)[:MAX_PARAM_CHARACTERS]


def changed_params(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Return tags for parameters that differ from what MLflow keeps for ever.

    A resume may change where a run runs; MLflow refuses to change a parameter.
    """
    return {
        f"gfmp.resume.{key}": f"{old[key]} -> {value}"
        for key, value in new.items()
        if key in old and old[key] != value
    }


def header_tags(run: Run) -> dict[str, str]:
    """Return the tags that never change."""
    header: RunHeader = run.header
    git = header.provenance.git
    return {
        "gfmp.kind": header.kind,
        "gfmp.seed": str(header.seed),
        "gfmp.what_fingerprint": header.what_fingerprint,
        "gfmp.git_revision": git.revision,
        "gfmp.git_state": git.state,
        "gfmp.lock_hash": header.provenance.lock_hash,
        "gfmp.version": header.provenance.libraries.get("gfmp", "unknown"),
        "mlflow.source.name": "gfmp",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git.revision,
        "mlflow.note.content": (
            f"Repeat: `{run.repeat_command}`\n\nResume: `{run.resume_command}`\n\n"
            f"The ledger in `{run.path}` is the truth; this page is made from it."
        ),
    }


def lineage_tags(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the tag that names the run a plan was grown from; none for a run from scratch."""
    parent = parent_run(plan)
    return {"gfmp.parent_run": parent} if parent else {}


def state_tags(status: Status, lifecycle: Sequence[Event]) -> dict[str, str]:
    """Return the tags that say how the run went: status, starts and worker failures."""
    starts = [event for event in lifecycle if event.kind == "started"]
    restarts = [event for event in lifecycle if event.kind == "restarted"]
    tags = {
        "gfmp.status": status,
        "gfmp.restarts": str(max(0, len(starts) - 1) + len(restarts)),
    }
    for event in restarts[-_SHOWN_RESTARTS:]:
        words = (f"{k}={v}" for k, v in sorted(event.fields.items()) if v not in (None, ""))
        tags[f"gfmp.restart.{event.segment}.{event.sequence}"] = " ".join(words)
    for event in starts:
        words = (f"{k}={v}" for k, v in sorted(event.fields.items()) if k != "segment")
        tags[f"gfmp.segment.{event.segment}"] = " ".join(words) or "started"
    if status is Status.FAILED:
        tags["gfmp.error"] = str(lifecycle[-1].fields.get("error", "unknown"))
    return tags


def latest_tags(latest: Mapping[str, Event], recomputed: Sequence[int]) -> dict[str, str]:
    """Return tags for the newest words of the run.

    Order of samples, checkpoint, a step whose numbers were not sound, recomputation.
    """
    tags: dict[str, str] = {}
    if "step" in latest and "order_hash" in latest["step"].fields:
        tags["gfmp.order_hash"] = str(latest["step"].fields["order_hash"])
    if "checkpoint" in latest:
        tags["gfmp.checkpoint"] = str(latest["checkpoint"].fields.get("path", "unknown"))
    if "incident" in latest:
        fields = latest["incident"].fields
        tags["gfmp.incident"] = f"{fields['message']} ({fields['policy']})"
    if recomputed:
        tags["gfmp.recomputed"] = f"{len(recomputed)} steps in {recomputed[0]}..{recomputed[-1]}"
    return tags


def split_nonfinite(
    curves: Mapping[str, Sequence[Point]],
) -> tuple[dict[str, tuple[Point, ...]], dict[str, str]]:
    """Return the finite points, and one tag for each curve with others.

    MLflow's SQL store turns infinity into 1.8e308, which then wins or loses every comparison.
    """
    finite: dict[str, tuple[Point, ...]] = {}
    tags: dict[str, str] = {}
    for name, points in curves.items():
        finite[name] = tuple(p for p in points if math.isfinite(p.value))
        words = [f"{p.value}@{p.step}" for p in points if not math.isfinite(p.value)]
        if words:
            more = f" and {len(words) - _SHOWN_NONFINITE} more"
            shown = " ".join(words[:_SHOWN_NONFINITE])
            tags[f"nonfinite.{name}"] = shown + more * (len(words) > _SHOWN_NONFINITE)
    return finite, tags


def report_curves(report: Event) -> dict[str, tuple[Point, ...]]:
    """Return the numbers of a report as curves of one point, under the names they have."""
    step = report.fields.get("step")
    at = step if isinstance(step, int) else 0
    return {
        name: (Point(at, float(value), report.time),)
        for name, value in report.fields.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "step"
    }


def goodput_curves(run: Run) -> dict[str, tuple[Point, ...]]:
    """Return where the time of a run went, as curves of one point at its last step.

    For a run that is finished: MLflow cannot take a point back, and no other run is over.
    """
    events = run.events()
    step, time = run.last_step(), max((event.time for event in events), default=0.0)
    numbers = goodput(events).numbers()
    return {name: (Point(step, value, time),) for name, value in numbers.items()}


def corpus_input(run: Run, workspace: Workspace, plan: Mapping[str, Any]) -> CorpusInput | None:
    """Return the corpus of a run, or None when its plan names none."""
    what = plan.get("what")
    content_hash = str(what.get("corpus") or "") if isinstance(what, Mapping) else ""
    if not content_hash:
        return None
    name = Path(str(load_document(run.spec_path).value.get("corpus", "corpus"))).stem
    manifest = workspace.corpora / name / content_hash / "manifest.json"
    return CorpusInput(name, content_hash[:DIGEST_CHARACTERS], str(manifest), run.header.kind)
