"""Every run of a workspace: create, find, list, stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from gfmp.errors import (
    CorruptArtefactError,
    ExistsError,
    MissingInputError,
    Problem,
    UsageError,
)
from gfmp.ledger.header import FILE_NAME, FORMAT_VERSION, NewRun, RunHeader, run_id
from gfmp.ledger.provenance import Provenance, collect
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.submission import record, token_of
from gfmp.storage.atomic import atomic_write, staged_directory, write_json
from gfmp.storage.documents import did_you_mean
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace, checked_name

_MOST_ATTEMPTS = 1000
_SHOWN_IDS = 5
_LOCK_SECONDS = 60.0

Fill = Callable[[Path], None]


def _nothing(folder: Path) -> None:
    """Add nothing to a new run."""


class RunStore:
    """The runs of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.runs

    def create(self, new: NewRun, fill: Fill = _nothing, *, alone: bool = False) -> Run:
        """Publish the folder of a new run, whole, under an id that no other run has.

        Args:
            new: What it is made from.
            fill: Writes more files into the folder before it is published.
            alone: Refuse when an unfinished run of the same job is there; of several processes
                that ask at once, one creates.

        Raises:
            ExistsError: there is such a run.
            RefusedError: the name is not safe as a folder name.
            StorageError: the disk refused.
        """
        checked_name(new.name, "run")
        provenance = collect(new.command_line)
        with exclusive(self._folder / ".lock", wait_seconds=_LOCK_SECONDS):
            if alone:
                self.refuse_second(new.name, new.what_fingerprint)
            return self._publish(new, fill, provenance)

    def _publish(self, new: NewRun, fill: Fill, provenance: Provenance) -> Run:
        created = datetime.now(UTC).replace(microsecond=0)
        for attempt in range(1, _MOST_ATTEMPTS):
            name = run_id(new.name, created, new.what_fingerprint, attempt)
            header = _header(new, name, created, provenance)
            if (self._folder / name).exists():
                continue
            try:
                _publish(self._folder / name, header, new, fill)
            except ExistsError:
                continue
            return Run(self._folder / name, header)
        raise AssertionError(f"{_MOST_ATTEMPTS} runs of one plan began in one minute")

    def refuse_second(self, name: str, what_fingerprint: str) -> None:
        """Make sure that no unfinished run trains the same job already.

        Raises:
            ExistsError: one does; names it, how far it is, and both ways on.
        """
        for run in self.list():
            same = (run.header.name, run.header.what_fingerprint) == (name, what_fingerprint)
            if same and run.unfinished():
                raise _exists(run)

    def submitted(self, token: str) -> Run | None:
        """Return the run that was created under this `GFMP_SUBMISSION`; None before it was."""
        found = [name for name in self._ids() if token_of(self._folder / name) == token]
        return Run.open(self._folder / found[-1]) if found else None

    def get(self, wanted: str) -> Run:
        """Return the run with this id, or the only one whose id begins with it.

        Raises:
            MissingInputError: no run is meant.
            UsageError: several runs are meant.
            CorruptArtefactError: the header of the run is broken.
        """
        ids = self._ids()
        found = [name for name in ids if name == wanted]
        found = found or [name for name in ids if wanted and name.startswith(wanted)]
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} runs begin with {wanted!r}: {_shown(found)}",
                why="a run is named by its id or by the beginning of one id",
                fix="give more of the id",
            )
        if not found:
            raise self._missing(wanted, ids)
        return Run.open(self._folder / found[0])

    def newest(self, wanted: str, *kinds: str) -> Run:
        """Return the newest finished run of a name among those of some kinds, else as `get` does.

        Raises:
            MissingInputError, UsageError, CorruptArtefactError: as `get`.
        """
        named = [r for r in self.list() if r.header.name == wanted and r.header.kind in kinds]
        finished = [run for run in named if run.status() is Status.FINISHED]
        return finished[-1] if finished else self.get(wanted)

    def list(self) -> tuple[Run, ...]:
        """Return the runs whose headers can be read, oldest first; see `broken`."""
        return self._scan()[0]

    def broken(self) -> tuple[Problem, ...]:
        """Return what is wrong with each run that `list` leaves out."""
        return self._scan()[1]

    def request_stop(self, wanted: str) -> Run:
        """Ask a running run to commit a checkpoint and end.

        Raises:
            MissingInputError: there is no such run.
            UsageError: several runs are meant, or the run is not running.
        """
        run = self.get(wanted)
        status = run.status()
        if status is not Status.RUNNING:
            raise UsageError(
                f"run {run.id} is {status}, not running",
                where=str(run.path),
                why="only a run that a living process owns can be stopped",
                fix="gfmp runs list shows what is running",
            )
        run.request_stop()
        return run

    def _ids(self) -> tuple[str, ...]:
        if not self._folder.is_dir():
            return ()
        return tuple(sorted(path.parent.name for path in self._folder.glob(f"[!.]*/{FILE_NAME}")))

    def _scan(self) -> tuple[tuple[Run, ...], tuple[Problem, ...]]:
        runs: list[Run] = []
        problems: list[Problem] = []
        for name in self._ids():
            try:
                runs.append(Run.open(self._folder / name))
            except CorruptArtefactError as fault:
                problems.extend(fault.problems)
        return tuple(sorted(runs, key=lambda run: (run.header.created, run.id))), tuple(problems)

    def _missing(self, wanted: str, ids: tuple[str, ...]) -> MissingInputError:
        return MissingInputError(
            f"there is no run {wanted!r}",
            where=str(self._folder),
            why=f"there are {len(ids)} runs: {_shown(ids)}" if ids else "no run was started here",
            fix=did_you_mean(wanted, ids) or "gfmp runs list shows every run",
        )


def _shown(ids: Iterable[str]) -> str:
    names = sorted(ids)
    more = f" and {len(names) - _SHOWN_IDS} more" if len(names) > _SHOWN_IDS else ""
    return ", ".join(names[-_SHOWN_IDS:]) + more


def _header(new: NewRun, name: str, created: datetime, provenance: Provenance) -> RunHeader:
    return RunHeader(
        format_version=FORMAT_VERSION,
        id=name,
        name=new.name,
        kind=new.kind,
        created=created.isoformat(),
        seed=new.seed,
        what_fingerprint=new.what_fingerprint,
        provenance=provenance,
    )


def _exists(run: Run) -> ExistsError:
    return ExistsError(
        f"run exists: {run.id} of the same job is {run.status()} at step {run.last_step()}",
        where=str(run.path),
        why="it trains the same model; a second one would only repeat it",
        fix=f"`{run.resume_command}` goes on with it once nobody runs it,"
        " `gfmp submit JOB --new` begins another",
    )


def _publish(folder: Path, header: RunHeader, new: NewRun, fill: Fill) -> None:
    with staged_directory(folder) as staging:
        fill(staging)
        record(staging)
        for name in ("ledger", "checkpoints", "logs", "figures"):
            (staging / name).mkdir()
        atomic_write(staging / "spec.yaml", new.spec)
        write_json(staging / "plan.json", dict(new.plan))
        write_json(staging / FILE_NAME, header.to_json())
