"""`gfmp submit` of a variant-effect job: one run in the ledger around the streamed scoring.

The scoring computes in the driver; it needs no Ray, and a job that died goes on at its next shard.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gfmp.cluster.closing import close_killed
from gfmp.cluster.litter import end_predecessor
from gfmp.cluster.mirror import mirrored
from gfmp.cluster.submit import recorded_text
from gfmp.cluster.variant_report import report
from gfmp.cluster.watch import Console, StopSignal, interruption, last_word
from gfmp.errors import ExistsError
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
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.ledger.writer import LedgerWriter
from gfmp.plan.variant_effect import KIND, RESULTS_FOLDER, SHARDS_FOLDER, EffectPlan
from gfmp.report.agreement import Agreement
from gfmp.spec.load import overridden
from gfmp.storage.atomic import write_json
from gfmp.storage.documents import Document
from gfmp.storage.workspace import Workspace

_INPUTS = "inputs.json"


class EffectConsole(Console, Protocol):
    """A console that also shows how many variants are scored, and how fast."""

    def scored(self, records: int, total: int, rate: float) -> None:
        """Show records that are done, of how many, and alternates scored a second."""
        ...


@dataclass(frozen=True)
class EffectJob:
    """A planned job on its way to becoming a run.

    Attributes:
        plan: What it does.
        seed: Recorded.
        document: The YAML it came from, with `--set` applied.
        workspace: Where everything goes.
        command_line: How gfmp was called.
    """

    plan: EffectPlan
    seed: int
    document: Document
    workspace: Workspace
    command_line: tuple[str, ...]


def start(job: EffectJob, console: EffectConsole) -> Run:
    """Run a new job to its end and return its run.

    Raises:
        GfmpError: see `_drive`.
    """
    plan = job.plan
    new = NewRun(
        name=plan.name,
        kind=KIND,
        seed=job.seed,
        what_fingerprint=plan.what.fingerprint,
        spec=recorded_text(_placed(job.document, plan)),
        plan=plan.to_json(),
        command_line=job.command_line,
    )
    inputs = {"format_version": 1, "job_path": str(job.document.path.resolve())}
    store = RunStore(job.workspace)
    run = store.create(new, lambda folder: write_json(folder / _INPUTS, inputs))
    return _drive(run, plan, job.workspace, console)


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
        GfmpError: see `_drive`.
    """
    if run.status() is Status.FINISHED:
        raise ExistsError(
            f"run {run.id} is finished",
            where=str(run.path),
            why="a finished run is never changed",
            fix=f"its scores are in {run.path / RESULTS_FOLDER}; its job submitted again is new",
        )
    plan = EffectPlan.from_json(run.plan_json(), str(run.plan_path))
    return _drive(run, plan, workspace, console)


def _drive(run: Run, plan: EffectPlan, workspace: Workspace, console: EffectConsole) -> Run:
    """Own the run, score, write results and report, and say how it ended.

    Raises:
        LockedError: another process drives it.
        DataError: variants and reference do not fit.
        InterruptedRunError: it was stopped and can be resumed.
    """
    began = time.monotonic()
    with run.own() as before, StopSignal(run) as signals:
        end_predecessor(run, before)
        with mirrored(run, workspace, console.say), run.open_writer("driver") as ledger:
            close_killed(workspace, run)
            telling = _Telling(run, ledger, console)
            telling.say("started", _beginning(plan, ledger))
            with last_word(run, ledger, signals):
                complete = _scored(plan, workspace, telling)
            if not complete:
                ledger.append("interrupted", {"step": 0, "signal": signals.name})
                raise interruption(run, signals.name)
            telling.say("finished", {"seconds": round(time.monotonic() - began, 3)})
    return run


def _beginning(plan: EffectPlan, ledger: LedgerWriter) -> dict[str, object]:
    return {
        "segment": ledger.segment,
        "workers": 1,
        "threads": plan.where.threads,
        "engine": plan.where.device,
        "scores": len(plan.what.columns),
    }


class _Telling:
    """A watcher that writes into the ledger and shows to a person."""

    def __init__(self, run: Run, ledger: LedgerWriter, console: EffectConsole) -> None:
        self.run, self.console = run, console
        self._ledger = ledger

    def say(self, kind: str, fields: Mapping[str, object]) -> None:
        """Record an event and show it."""
        self.console.event(self._ledger.append(kind, fields))

    def surveyed(self, survey: Survey) -> None:
        """Take note of what the VCF holds."""
        self.say("surveyed", survey.to_json())

    def progressed(self, progress: Progress) -> None:
        """Show a batch."""
        self.console.scored(progress.records, progress.total, progress.rate)

    def committed(self, number: int, num_bytes: int, progress: Progress) -> None:
        """Record a shard."""
        fields = {"shard": number, "records": progress.records, "bytes": num_bytes}
        self._ledger.append("shard", {**fields, "rate": round(progress.rate, 3)})

    def stopping(self) -> bool:
        """Return True when somebody asked the run to stop."""
        return self.run.stop_requested()


def _scored(plan: EffectPlan, workspace: Workspace, telling: _Telling) -> bool:
    """Score a VCF, write what there is to write; return False when it was stopped."""
    run = telling.run
    telling.console.say("reading the reference and every record")
    file = open_variants(plan, workspace)
    survey = file.survey(
        lambda records, seconds: telling.console.say(f"{records:,} records in {seconds:.1f} s")
    )
    telling.surveyed(survey)
    shards = shards_of(plan, run.path / SHARDS_FOLDER)
    compute = Compute.of(plan.where.device, plan.where.threads)
    with compute.engaged():
        scorers = scorers_of(plan, workspace, compute)
        done = Job(plan, file, shards).run(scorers, survey, telling)
    if not done.complete:
        return False
    telling.console.say("joining the shards")
    found = Results(plan, shards).write(run.path / RESULTS_FOLDER, file)
    telling.say("report", _numbers(file, done, found))
    page = report(run)[0]
    telling.console.say(f"report: {page}")
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
