"""`gfmp submit` of a motif job: one run in the ledger around what `inference.motif_job` finds.

It computes in the driver and needs no Ray. Minutes are read again when it is resumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gfmp.cluster.driven import Driver, PlannedJob, Telling
from gfmp.cluster.watch import Console
from gfmp.errors import CorruptArtefactError
from gfmp.inference.motif_inputs import find_model, task_of
from gfmp.inference.motif_job import Findings, MotifWork
from gfmp.learners.compute import Compute
from gfmp.learners.finetuned import load
from gfmp.ledger.run import Run
from gfmp.plan.motifs import RESULTS_FOLDER, MotifPlan
from gfmp.report.motif_data import MotifsData
from gfmp.report.motif_files import write_motifs
from gfmp.spec.load import overridden
from gfmp.storage.documents import Document
from gfmp.storage.workspace import Workspace

MotifJob = PlannedJob[MotifPlan]


def start(job: MotifJob, console: Console) -> Run:
    """Run a new job to its end and return its run.

    Raises:
        GfmpError: see `resume`.
    """
    driver = _driver(job.plan, job.workspace, console)
    return driver.drive(job.run(_pinned(job.document, job.plan)))


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
        LockedError: another process drives it.
        CorruptArtefactError: the model is damaged, or no longer the planned one.
        MissingInputError: its task, the library or memelite is gone.
        InterruptedRunError: it was stopped and can be resumed.
    """
    plan = MotifPlan.from_json(run.plan_json(), str(run.plan_path))
    return _driver(plan, workspace, console).drive(run)


def _driver(plan: MotifPlan, workspace: Workspace, console: Console) -> Driver:
    def _work(telling: Telling) -> bool:
        return _found(plan, workspace, telling)

    return Driver(workspace, console, _work, {"engine": "driver"})


@dataclass(frozen=True)
class _Watching:
    """Tells how many rows were read."""

    telling: Telling

    def read(self, rows: int, total: int) -> None:
        """Record how many rows were read."""
        self.telling.say("maps", {"rows": rows, "total": total})

    def stopping(self) -> bool:
        """Return True when somebody asked the run to stop."""
        return self.telling.stopping()


def _found(plan: MotifPlan, workspace: Workspace, telling: Telling) -> bool:
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
        findings = MotifWork(plan, made, task, compute).run(_Watching(telling))
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
