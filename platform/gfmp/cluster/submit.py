"""`gfmp submit`: build what is missing, create or resume the run, train, tell how it went."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from gfmp.cluster.build import Builder, Say
from gfmp.cluster.closing import close_killed
from gfmp.cluster.head import Head, session
from gfmp.cluster.inputs import RunInputs
from gfmp.cluster.litter import clear_ray_results, end_predecessor
from gfmp.cluster.mirror import mirrored
from gfmp.cluster.pretrain_report import reported
from gfmp.cluster.startup import StartClock
from gfmp.cluster.train import TrainingJob, fit
from gfmp.cluster.watch import Console, StopSignal, follow, interruption, last_word
from gfmp.errors import ExistsError, Problem, SpecError, TrainingError
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.startup import KIND as STARTUP
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.ledger.writer import LedgerWriter
from gfmp.plan.parent import Parent
from gfmp.plan.resolve import resolve
from gfmp.plan.survey import survey
from gfmp.plan.values import Plan, What, Where
from gfmp.spec.load import overridden, validate
from gfmp.spec.pretrain import PretrainSpec
from gfmp.storage.documents import Document, document_text, parse_document
from gfmp.storage.workspace import Workspace
from gfmp.training.history import require_checkpoint
from gfmp.training.manifest import what_differs
from gfmp.training.room import require_room_to_train


@dataclass(frozen=True)
class Submission:
    """A checked job file on its way to becoming a run.

    Attributes:
        spec: The job.
        document: The YAML it came from, with `--set` applied.
        plan: What it would do now; numbers of what is not built yet are bounds.
        workspace: Where everything goes.
        command_line: How gfmp was called.
        parent: The checkpoint it begins with; None when it begins from scratch.
        again: Begin another run also when an unfinished one of the same job is there.
        clock: Marks the phases of this start.
    """

    spec: PretrainSpec
    document: Document
    plan: Plan
    workspace: Workspace
    command_line: tuple[str, ...]
    parent: Parent | None = None
    again: bool = False
    clock: StartClock = field(default_factory=StartClock)


@dataclass(frozen=True)
class _Surroundings:
    """What a driver has around it: the workspace, the person, Ray, and the clock of its start."""

    workspace: Workspace
    console: Console
    head: Head
    clock: StartClock


def start(submission: Submission, console: Console) -> Run:
    """Run a new job to its end and return its run.

    Raises:
        ExistsError: an unfinished run of the same job is there, and `again` is not set.
        GfmpError: see `_drive`; building can fail with data, vocabulary and storage errors.
    """
    require_room_to_train(submission.plan, submission.workspace.runs)
    with session(submission.plan.where.workers) as head:
        submission.clock.ended("driver starts Ray")
        plan, run = _prepared(submission, console.say)
        submission.clock.ended("driver builds what is missing and creates the run")
        around = _Surroundings(submission.workspace, console, head, submission.clock)
        return _drive(run, plan, around)


def _prepared(submission: Submission, say: Say) -> tuple[Plan, Run]:
    """Build what is missing, then plan again with measured numbers and create the run."""
    spec, workspace = submission.spec, submission.workspace
    builder = Builder(workspace, say)
    parent, path = submission.parent, submission.document.path
    before = survey(spec, path, workspace, parent)
    corpus = builder.corpus(before.corpus, in_session=True)
    for recipe in before.recipes:
        # Nobody waits for the names: whoever registers first wins, with the same content.
        builder.vocabulary(recipe, lambda: corpus)
    after = survey(spec, path, workspace, parent)
    assert after.ensemble is not None, "every vocabulary was registered"
    plan = resolve(spec, after.known, submission.document.where)
    assert plan.complete, "everything was built"
    ensemble = after.ensemble

    def _inputs(folder: Path) -> None:
        RunInputs.save(folder, corpus, ensemble, path, parent)

    run = RunStore(workspace).create(
        NewRun(
            name=spec.name,
            kind=spec.kind,
            seed=spec.seed,
            what_fingerprint=plan.what.fingerprint,
            spec=recorded_text(_pinned(submission)),
            plan=plan.to_json(),
            command_line=submission.command_line,
        ),
        _inputs,
        alone=not submission.again,
    )
    return plan, run


def _pinned(submission: Submission) -> Document:
    """Return the job with the id of the run it begins with: its name may mean another one soon."""
    parent, document = submission.parent, submission.document
    if parent is None or submission.spec.init_from == parent.run_id:
        return document
    return overridden(document, (f"init_from={parent.run_id}",))


def recorded_text(document: Document) -> bytes:
    """Return a job as it was read: the file itself, or its values when `--set` changed some."""
    text = document.path.read_bytes().decode("utf-8")  # line ends stay as they are
    if parse_document(text, document.path).value != document.value:
        text = document_text(document)
    return text.encode("utf-8")


def resume(run: Run, where: Where | None, workspace: Workspace, console: Console) -> Run:
    """Continue an interrupted or failed run at the exact next sample.

    Args:
        run: The run.
        where: Another placement (more or fewer workers), or None for the old one.
        workspace: The workspace of the run.
        console: Shows progress.

    Raises:
        ExistsError: the run is finished.
        MissingInputError: what it had committed is gone.
        StorageError: the disk has no room for its checkpoints.
        GfmpError: see `_drive`.
    """
    if run.status() is Status.FINISHED:
        raise ExistsError(
            f"run {run.id} is finished",
            where=str(run.path),
            why="a finished run is never changed",
            fix="submit its job again for a new run, with more steps if that is what you want",
        )
    plan = run.plan() if where is None else replace(run.plan(), where=where)
    require_checkpoint(run)
    require_room_to_train(plan, run.path)
    clock = StartClock.of_process()
    clock.ended("driver reads the run")
    with session(plan.where.workers) as head:
        clock.ended("driver starts Ray")
        return _drive(run, plan, _Surroundings(workspace, console, head, clock))


def new_where(run: Run, document: Document, workspace: Workspace) -> Where:
    """Plan the placement of a run again from its (changed) spec.

    Raises:
        SpecError: the change would train another model; lists each difference.
    """
    spec = validate(document, PretrainSpec)
    found = survey(spec, document.path, workspace, RunInputs.parent(run.path))
    plan = resolve(spec, found.known, document.where)
    if plan.what.fingerprint != run.header.what_fingerprint:
        raise _another_model(run, plan.what)
    return plan.where


def _another_model(run: Run, what: What) -> SpecError:
    old, new = (TypeAdapter(What).dump_python(w, mode="json") for w in (run.plan().what, what))
    problems = [
        Problem(
            f"the changes make another model: {difference}",
            where=run.id,
            why="a resume may change only `compute`, `checkpoint` and `numbers`",
            fix="leave it as it was, or submit the changed job as a new run",
        )
        for difference in what_differs(old, new)
    ]
    assert problems, "other identities have other parts"
    error = SpecError.of(problems)
    assert isinstance(error, SpecError), "`of` builds its own class"
    return error


def _begin(run: Run, ledger: LedgerWriter) -> None:
    """Give a grown run the checkpoint it begins with, unless it has one.

    Raises:
        CorruptArtefactError: the parent's checkpoint is no longer what the run was planned with.
        StorageError: the checkpoint could not be written.
    """
    parent = RunInputs.parent(run.path)
    if parent is None:
        return
    from gfmp.training.checkpoint import Identity
    from gfmp.training.growth import plant

    inputs = RunInputs.open(run.path)
    planted = plant(run.checkpoints_path, Identity(inputs.plan, inputs.ensemble), parent)
    if planted is not None:
        fields = {"parent": parent.run_id, "parent_step": parent.step, "path": str(planted.path)}
        ledger.append("grown", fields)


def _drive(run: Run, plan: Plan, around: _Surroundings) -> Run:
    """Own the run and train it until it finishes, fails or is asked to stop.

    Raises:
        LockedError: another process drives it.
        TrainingError: it failed for good; the last checkpoint stays.
        InterruptedRunError: it was stopped and can be resumed.
        LostServiceError: Ray's head died; the run can be resumed.
    """
    began = time.monotonic()
    with run.own() as before, StopSignal(run) as signals:
        end_predecessor(run, before)
        clear_ray_results(run)
        say, workspace = around.console.say, around.workspace
        page = reported(run, workspace, say)
        with mirrored(run, workspace, say), page, run.open_writer("driver") as ledger:
            close_killed(workspace, run)
            RunInputs.place(run.path, plan.where)
            _record_start(run, plan, ledger)
            with last_word(run, ledger, signals):
                _begin(run, ledger)
                around.clock.ended("driver takes the run over")
                ledger.append(STARTUP, around.clock.fields())
                job = TrainingJob(run.path, plan.where, ledger.segment, ledger.append)
                _fit(job, run, around)
                outcome = _outcome(run, ledger.segment)
            if outcome["status"] == "interrupted":
                ledger.append("interrupted", {"step": outcome["step"], "signal": signals.name})
                raise interruption(run, signals.name)
            seconds = round(time.monotonic() - began, 3)
            ledger.append("finished", {"step": outcome["step"], "seconds": seconds})
            clear_ray_results(run)
    return run


def _fit(job: TrainingJob, run: Run, around: _Surroundings) -> None:
    with around.head.blamed():
        fit(job, lambda done: follow(run, around.console, done, around.head.check))


def _record_start(run: Run, plan: Plan, ledger: LedgerWriter) -> None:
    ledger.append(
        "started",
        {
            "segment": ledger.segment,
            "workers": plan.where.workers,
            "engine": plan.where.engine,
            "from_step": run.last_step(),
        },
    )


def _outcome(run: Run, segment: int) -> Mapping[str, object]:
    """Return how the workers of this start ended.

    Raises:
        TrainingError: they ended without a word.
    """
    found = [event for event in run.events("outcome") if event.segment >= segment]
    if not found:
        raise TrainingError(
            "the workers ended without an outcome",
            where=str(run.ledger_path),
            why="rank 0 writes one into the ledger before it leaves; the folder may be gone",
            fix=f"look for the run's folder, read its logs, then `{run.resume_command}`",
        )
    return found[-1].fields
