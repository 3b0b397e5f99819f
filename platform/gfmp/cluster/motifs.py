"""`gfmp submit` of a motif job: one run in the ledger around what `inference.motif_job` finds.

It computes in the driver and needs no Ray. Minutes are read again when it is resumed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from gfmp.cluster.closing import close_killed
from gfmp.cluster.litter import end_predecessor
from gfmp.cluster.mirror import mirrored
from gfmp.cluster.submit import recorded_text
from gfmp.cluster.watch import Console, StopSignal, interruption, last_word
from gfmp.errors import CorruptArtefactError, ExistsError
from gfmp.inference.motif_inputs import find_model, task_of
from gfmp.inference.motif_job import Findings, MotifWork
from gfmp.learners.compute import Compute
from gfmp.learners.finetuned import load
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.ledger.writer import LedgerWriter
from gfmp.plan.motifs import KIND, RESULTS_FOLDER, MotifPlan
from gfmp.report.motif_data import MotifsData
from gfmp.report.motif_files import write_motifs
from gfmp.spec.load import overridden
from gfmp.storage.atomic import write_json
from gfmp.storage.documents import Document
from gfmp.storage.workspace import Workspace

_INPUTS = "inputs.json"


@dataclass(frozen=True)
class MotifJob:
    """A planned job on its way to becoming a run.

    Attributes:
        plan: What it does.
        document: The YAML it came from, with `--set` applied.
        workspace: Where everything goes.
        command_line: How gfmp was called.
    """

    plan: MotifPlan
    document: Document
    workspace: Workspace
    command_line: tuple[str, ...]


def start(job: MotifJob, console: Console) -> Run:
    """Run a new job to its end and return its run.

    Raises:
        GfmpError: see `_drive`.
    """
    plan = job.plan
    new = NewRun(
        name=plan.name,
        kind=KIND,
        seed=plan.what.seed,
        what_fingerprint=plan.what.fingerprint,
        spec=recorded_text(_pinned(job.document, plan)),
        plan=plan.to_json(),
        command_line=job.command_line,
    )
    inputs = {"format_version": 1, "job_path": str(job.document.path.resolve())}
    store = RunStore(job.workspace)
    run = store.create(new, lambda folder: write_json(folder / _INPUTS, inputs))
    return _drive(run, plan, job.workspace, console)


def _pinned(document: Document, plan: MotifPlan) -> Document:
    """Return the job with its model and library as they were found: names may mean others soon."""
    settings = [f"model={plan.where.folder}/"]
    if plan.where.library:
        settings.append(f"library={plan.where.library}")
    return overridden(document, tuple(settings))


def resume(run: Run, workspace: Workspace, console: Console) -> Run:
    """Do again what a run did not bring to its end.

    Raises:
        ExistsError: it is finished.
        GfmpError: see `_drive`.
    """
    if run.status() is Status.FINISHED:
        raise ExistsError(
            f"run {run.id} is finished",
            where=str(run.path),
            why="a finished run is never changed",
            fix=f"its page is in {run.path / RESULTS_FOLDER}; its job submitted again is new",
        )
    plan = MotifPlan.from_json(run.plan_json(), str(run.plan_path))
    return _drive(run, plan, workspace, console)


def _drive(run: Run, plan: MotifPlan, workspace: Workspace, console: Console) -> Run:
    """Own the run, find motifs, write the page, and say how it ended.

    Raises:
        LockedError: another process drives it.
        CorruptArtefactError: the model is damaged, or no longer the planned one.
        MissingInputError: its task, the library or memelite is gone.
        InterruptedRunError: it was stopped and can be resumed.
    """
    began = time.monotonic()
    with run.own() as before, StopSignal(run) as signals:
        end_predecessor(run, before)
        with mirrored(run, workspace, console.say), run.open_writer("driver") as ledger:
            close_killed(workspace, run)
            telling = _Telling(run, ledger, console)
            telling.say("started", {"segment": ledger.segment, "workers": 1, "engine": "driver"})
            with last_word(run, ledger, signals):
                complete = _found(plan, workspace, telling)
            if not complete:
                ledger.append("interrupted", {"step": 0, "signal": signals.name})
                raise interruption(run, signals.name)
            telling.say("finished", {"seconds": round(time.monotonic() - began, 3)})
    return run


@dataclass(frozen=True)
class _Telling:
    """A watcher that writes into the ledger and shows to a person."""

    run: Run
    ledger: LedgerWriter
    console: Console

    def say(self, kind: str, fields: dict[str, object]) -> None:
        """Record an event and show it."""
        self.console.event(self.ledger.append(kind, fields))

    def read(self, rows: int, total: int) -> None:
        """Record how many rows were read."""
        self.say("maps", {"rows": rows, "total": total})

    def stopping(self) -> bool:
        """Return True when somebody asked the run to stop."""
        return self.run.stop_requested()


def _found(plan: MotifPlan, workspace: Workspace, telling: _Telling) -> bool:
    """Find motifs and write what there is to write; return False when it was stopped."""
    described = find_model(f"{plan.where.folder}/", Path(), workspace)
    if described.model.fingerprint != plan.what.model:
        raise CorruptArtefactError(
            "the model is not the one that was planned",
            where=plan.where.folder,
            why="a plan names its model by content",
            fix="restore the model, or submit the job again",
        )
    compute = Compute.of(plan.where.device, plan.where.threads)
    made, task = load(described.folder, compute), task_of(described, workspace)
    with compute.engaged():
        findings = MotifWork(plan, made, task, compute).run(telling)
    if findings is None:
        return False
    telling.say("report", numbers(findings))
    paths = write_motifs(data_of(telling.run, plan, findings), telling.run.path / RESULTS_FOLDER)
    telling.console.say(f"report: {paths[0]}")
    return True


def numbers(findings: Findings) -> dict[str, object]:
    """Return what a job found as flat numbers: counts, and each motif's p-value and focus."""
    found: dict[str, object] = {
        "motifs": len(findings.motifs),
        "candidate_fraction": round(findings.candidate_fraction, 6),
        "incomplete_rows": sum(not row.completeness.complete for row in findings.rows),
    }
    for entry in findings.motifs:
        name = entry.motif.name
        found[f"{name}/log10_p"] = entry.tested.log10_p
        found[f"{name}/sites"] = len(entry.sites)
        found[f"{name}/width"] = entry.motif.width
        found[f"{name}/focus"] = entry.focus
        found[f"{name}/consensus"] = entry.motif.consensus
        if entry.matches:
            found[f"{name}/match"] = entry.matches[0].target
            found[f"{name}/match_p"] = entry.matches[0].p
    return found


def data_of(run: Run, plan: MotifPlan, findings: Findings) -> MotifsData:
    """Return what the page of a job is made of."""
    model, what = plan.facts.model, plan.what
    held_out = f"{what.held_out_fraction:.0%} of either side"
    facts = (
        ("Model", f"{model.model.name} ({model.model.fingerprint[:12]})"),
        ("Reads", ", ".join(one.name for one in model.vocabularies)),
        ("Task", f"{model.task.name}, {what.split} rows"),
        *((one.name.replace("_", " ").capitalize(), str(one.value)) for one in plan.derived[2:5]),
        ("Held out", held_out),
        ("Bases in candidate regions", f"{findings.candidate_fraction:.1%}"),
        ("Words", f"{what.search.word_bp} bases, false discovery rate {what.search.fdr:g}"),
    )
    return MotifsData(
        name=plan.name,
        run_id=run.id,
        commands=(run.repeat_command,),
        output=model.output,
        unit=_unit(model.kind),
        map=what.map,
        facts=facts,
        both_strands=what.search.both_strands,
        held_out_fraction=what.held_out_fraction,
        background=findings.background,
        motifs=findings.motifs,
        rows=findings.rows,
        library=findings.library,
    )


def _unit(kind: str) -> str:
    return {
        "multilabel": "logit of the label",
        "regression": "value in standard deviations of the training rows",
    }.get(kind, "log-odds of the class")
