"""The report of a pretraining run, from its plan, its ledger and what stands around it."""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from gfmp.cluster.lineage import lineage_of
from gfmp.errors import GfmpError, InterruptedRunError, LostServiceError, MissingInputError
from gfmp.ledger.events import Event
from gfmp.ledger.goodput import goodput
from gfmp.ledger.provenance import UNKNOWN
from gfmp.ledger.run import Run
from gfmp.ledger.series import SeriesBook
from gfmp.plan.values import Derived, Plan
from gfmp.report.pretrain_data import Check, PretrainData, Row
from gfmp.storage.atomic import read_json
from gfmp.storage.workspace import Workspace
from gfmp.training.manifest import COMMITTED_PATTERN, MANIFEST_FILE
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.vocabulary import Vocabulary

FOLDER = "report"
_TOLD = ("started", "restarted", "resumed", "grown", "incident", "rewound")
_ENDS = ("finished", "failed", "interrupted")
_MOST_TOLD = 60
_DIGITS = 12
_MEGABYTE = 1e6
_log = logging.getLogger(__name__)


def report(run: Run, workspace: Workspace) -> tuple[Path, ...]:
    """Write the page of a pretraining run, finished or not; return the paths.

    Raises:
        CorruptArtefactError: plan, inputs or ledger are not as they were written.
        MissingInputError: it was killed while it was created.
        StorageError: the disk refused.
    """
    from gfmp.report.pretrain_page import write_run_page

    return write_run_page(data_of(run, workspace), run.path / FOLDER)


@contextlib.contextmanager
def reported(run: Run, workspace: Workspace, say: Callable[[str], None]) -> Iterator[None]:
    """Write the page when the block ends, also by a failure; not when the run is to go on.

    Who stops a run wants the machine back at once, and `gfmp report RUN` writes the page of any
    run. That a page cannot be written is said, and never fails what was trained.
    """
    try:
        yield
    except (InterruptedRunError, LostServiceError):
        raise
    except GfmpError:
        _written(run, workspace, say)
        raise
    _written(run, workspace, say)


def _written(run: Run, workspace: Workspace, say: Callable[[str], None]) -> None:
    try:
        say(f"report: {report(run, workspace)[0]}")
    except Exception as fault:
        _log.exception("the page of run %s was not written", run.id)
        say(f"no report was written ({fault}); `gfmp report {run.id}` tries again")


def data_of(run: Run, workspace: Workspace) -> PretrainData:
    """Return what the page of a run is made of; raises as `report` does."""
    plan, contents = run.plan(), run.contents()
    events, book = contents.events, SeriesBook()
    book.add(events)
    vocabularies = vocabularies_of(run)
    told = next((e.fields for e in reversed(events) if e.kind == "report"), {})
    return PretrainData(
        name=plan.name,
        run_id=run.id,
        status=str(run.status()),
        step=run.last_step(),
        planned_steps=plan.what.steps,
        vocabularies=tuple(v.name for v in vocabularies),
        book=book,
        numbers=_numbers(told),
        checks=tuple(_checks(told)),
        time=goodput(events),
        parameters=_derived(plan.derived, "parameters"),
        plan=plan.derived,
        checkpoints=tuple(_checkpoints(run)),
        history=tuple(_history(events)),
        provenance=tuple(_provenance(run, plan)),
        lineage=lineage_of(run, vocabularies, workspace),
        commands=tuple(_commands(run)),
    )


def vocabularies_of(run: Run) -> tuple[Vocabulary, ...]:
    """Return the vocabularies of a pretraining run as it was created with them.

    Raises:
        MissingInputError: it was killed while it was created.
        CorruptArtefactError, VocabularyError: they are not as they were written.
    """
    path = run.path / "inputs.json"
    if not path.is_file():
        raise MissingInputError(
            f"run {run.id} does not say what it works on",
            where=str(path),
            why="whoever started it was killed before anything began",
            fix="submit its job again for a new run",
        )
    return Ensemble.from_json(read_json(path).get("ensemble"), str(path)).vocabularies


def _numbers(fields: Mapping[str, object]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in fields.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "step"
    }


def _checks(fields: Mapping[str, object]) -> Iterator[Check]:
    listed = fields.get("checks")
    for one in listed if isinstance(listed, list) else ():
        numbers = _numbers(one)
        yield Check(
            name=str(one["name"]),
            value=numbers["value"],
            baseline=numbers["baseline"],
            low=numbers.get("low", float("nan")),
            high=numbers.get("high", float("nan")),
            passed=one.get("passed") is True,
        )


def _derived(rows: tuple[Derived, ...], name: str) -> int:
    found = next((row.value for row in rows if row.name == name), 0)
    return found if isinstance(found, int) else 0


def _checkpoints(run: Run) -> Iterator[Row]:
    for path in sorted(run.checkpoints_path.glob(COMMITTED_PATTERN)):
        if (path / MANIFEST_FILE).is_file():
            size = sum(file.stat().st_size for file in path.iterdir())
            step = int(path.name.rpartition("-")[2])
            shown = path.relative_to(run.path).as_posix()
            yield f"{step:,}", shown, f"{size / _MEGABYTE:,.1f} MB"


def _history(events: tuple[Event, ...]) -> Iterator[Row]:
    found = [event for event in events if event.kind in (*_TOLD, *_ENDS)]
    for event in found[:_MOST_TOLD]:
        at = datetime.fromtimestamp(event.time, UTC)
        yield f"{at:%Y-%m-%d %H:%M:%S}", _words(event)
    if len(found) > _MOST_TOLD:
        yield "", f"and {len(found) - _MOST_TOLD:,} more, in the ledger"


def _words(event: Event) -> str:
    fields = event.fields
    if event.kind == "started":
        return (
            f"started after step {fields.get('from_step', 0):,}: {fields.get('workers')} workers,"
            f" engine {fields.get('engine')}"
        )
    if event.kind == "incident":
        return f"incident: {fields.get('message')} ({fields.get('policy')})"
    if event.kind == "finished":
        return f"finished at step {fields.get('step'):,}"
    hidden = ("segment", "detail", "pid", "dump", "code")
    told = (f"{k} {v}" for k, v in fields.items() if v not in (None, "") and k not in hidden)
    return ": ".join(filter(None, (event.kind, ", ".join(told))))


def _provenance(run: Run, plan: Plan) -> Iterator[Row]:
    found = run.header.provenance
    git = found.git.revision[:_DIGITS]
    yield "Created (UTC)", run.header.created[:16].replace("T", " ")
    yield "Seed", str(run.header.seed)
    yield "Identity", run.header.what_fingerprint
    yield "Code", f"gfmp {found.libraries.get('gfmp', UNKNOWN)}, git {git} ({found.git.state})"
    yield "Python", f"{found.python} on {found.platform}"
    libraries = (f"{k} {v}" for k, v in sorted(found.libraries.items()) if k != "gfmp")
    yield "Libraries", ", ".join(libraries)
    yield "Lock file", found.lock_hash[:_DIGITS]
    where = plan.where
    device = "GPUs" if where.use_gpu else "CPUs"
    yield "Planned on", f"{where.workers} workers on {device}, engine {where.engine}"
    yield "Called as", shlex.join(found.command_line)


def _commands(run: Run) -> Iterator[tuple[str, str]]:
    yield run.repeat_command, "the same from its record, weights compared"
    yield shlex.join(["gfmp", "submit", str(run.spec_path)]), "the same job as a new run"
    yield shlex.join(["gfmp", "runs", "verify", run.id]), "is everything as it was written?"
    yield shlex.join(["gfmp", "report", run.id]), "this page again"
    if run.resumable():
        yield run.resume_command, "go on with it"
