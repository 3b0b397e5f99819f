"""`gfmp submit` of a variant-effect job: one run in the ledger around the streamed scoring.

The scoring computes in the driver; it needs no Ray, and a job that died goes on at its next shard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gfmp.cluster.driven import Driver, PlannedJob, Telling
from gfmp.cluster.variant_report import report
from gfmp.cluster.watch import Console
from gfmp.inference.effects import (
    Job,
    Progress,
    ScoredFile,
    open_variants,
    scorers_of,
    shards_of,
)
from gfmp.inference.results import Results
from gfmp.inference.survey import Survey, VariantFile
from gfmp.learners.compute import Compute
from gfmp.ledger.run import Run
from gfmp.plan.variant_effect import RESULTS_FOLDER, SHARDS_FOLDER, EffectPlan
from gfmp.report.agreement import Agreement
from gfmp.spec.load import overridden
from gfmp.storage.documents import Document
from gfmp.storage.workspace import Workspace

EffectJob = PlannedJob[EffectPlan]


class EffectConsole(Console, Protocol):
    """A console that also shows how many variants are scored, and how fast."""

    def scored(self, records: int, total: int, rate: float) -> None:
        """Show records that are done, of how many, and alternates scored a second."""
        ...


def start(job: EffectJob, console: EffectConsole) -> Run:
    """Run a new job to its end and return its run.

    Raises:
        GfmpError: see `resume`.
    """
    driver = _driver(job.plan, job.workspace, console)
    return driver.drive(job.run(_placed(job.document, job.plan)))


def _placed(document: Document, plan: EffectPlan) -> Document:
    """Return the job with whole paths: the kept one is submitted from the folder of the run."""
    paths = {"variants": plan.where.variants_path, "reference": plan.where.reference_path}
    settings = [
        f"{name}.path={path}" if isinstance(document.value.get(name), dict) else f"{name}={path}"
        for name, path in paths.items()
    ]
    return overridden(document, tuple(settings))


def resume(run: Run, workspace: Workspace, console: EffectConsole) -> Run:
    """Score what a run has not committed yet.

    Raises:
        ExistsError: it is finished.
        LockedError: another process drives it.
        DataError: variants and reference do not fit.
        InterruptedRunError: it was stopped and can be resumed.
    """
    plan = EffectPlan.from_json(run.plan_json(), str(run.plan_path))
    return _driver(plan, workspace, console).drive(run)


def _driver(plan: EffectPlan, workspace: Workspace, console: EffectConsole) -> Driver:
    def _work(telling: Telling) -> bool:
        return _scored(plan, workspace, _Watching(telling, console))

    where, scores = plan.where, len(plan.what.columns)
    beginning = {"threads": where.threads, "engine": where.device, "scores": scores}
    return Driver(workspace, console, _work, beginning)


@dataclass(frozen=True)
class _Watching:
    """Tells what is scored, and how fast."""

    telling: Telling
    console: EffectConsole

    def surveyed(self, survey: Survey) -> None:
        """Take note of what the VCF holds."""
        self.telling.say("surveyed", survey.to_json())

    def progressed(self, progress: Progress) -> None:
        """Show a batch."""
        self.console.scored(progress.records, progress.total, progress.rate)

    def committed(self, number: int, num_bytes: int, progress: Progress) -> None:
        """Record a shard."""
        fields = {"shard": number, "records": progress.records, "bytes": num_bytes}
        self.telling.ledger.append("shard", {**fields, "rate": round(progress.rate, 3)})

    def stopping(self) -> bool:
        """Return True when somebody asked the run to stop."""
        return self.telling.stopping()


def _scored(plan: EffectPlan, workspace: Workspace, watching: _Watching) -> bool:
    """Score a VCF, write what there is to write; return False when it was stopped."""
    run, say = watching.telling.run, watching.console.say
    say("reading the reference and every record")
    file = open_variants(plan, workspace)
    survey = file.survey(lambda records, seconds: say(f"{records:,} records in {seconds:.1f} s"))
    watching.surveyed(survey)
    shards = shards_of(plan, run.path / SHARDS_FOLDER)
    compute = Compute.of(plan.where.device, plan.where.threads)
    with compute.engaged():
        scorers = scorers_of(plan, workspace, compute)
        done = Job(plan, file, shards).run(scorers, survey, watching)
    if not done.complete:
        return False
    say("joining the shards")
    found = Results(plan, shards).write(run.path / RESULTS_FOLDER, file)
    watching.telling.say("report", _numbers(file, done, found))
    page = report(run)[0]
    say(f"report: {page}")
    return True


def _numbers(
    file: VariantFile, done: ScoredFile, found: tuple[Agreement, ...]
) -> dict[str, object]:
    """Return what a job found as flat numbers: counts, rates, agreement with measurements."""
    progress, survey = done.progress, done.survey
    numbers: dict[str, object] = {
        "records": survey.records,
        "scored": progress.scored,
        "scoring_seconds": round(progress.seconds, 3),
        "alternates_per_second": round(progress.rate, 3),
        "usable": survey.usable,
    }
    if progress.rate:
        numbers["all_usable_hours"] = round(survey.usable / progress.rate / 3600, 4)
    for one in found:
        name = one.group or "mean"
        numbers[f"agreement/{one.column}/{name}"] = one.headline
    return numbers
