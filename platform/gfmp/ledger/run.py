"""A run: what happened to a plan, read from its folder."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from gfmp.errors import CorruptArtefactError, LockedError
from gfmp.ledger.events import LIFECYCLE_KINDS, Event
from gfmp.ledger.header import RunHeader, read_header
from gfmp.ledger.reader import Contents, Cursor, merged, read_file, read_ledger
from gfmp.ledger.series import Point, SeriesBook
from gfmp.ledger.status import Status, decide, owner_alive
from gfmp.ledger.submission import creator_lives
from gfmp.ledger.writer import LedgerWriter, being_written, ledger_files, next_segment
from gfmp.plan.values import Plan
from gfmp.storage.atomic import put_if_absent, read_json
from gfmp.storage.locks import LockRecord, exclusive, last_owner

_OWN_SECONDS = 1.0
_TAIL_BYTES = 1 << 16
# What describes a fine-tuned model in its folder.
MODEL_FILE = "model.json"


@dataclass(frozen=True)
class Run:
    """A run and where its parts are.

    Attributes:
        path: `<workspace>/runs/<run id>`.
        header: What was known before it began.
    """

    path: Path
    header: RunHeader

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open the run in the folder `path`.

        Raises:
            CorruptArtefactError: the header is not what it should be.
            FileNotFoundError: the folder holds no run.
        """
        return cls(path, read_header(path))

    @property
    def id(self) -> str:
        """Readable and unique in its workspace."""
        return self.header.id

    @property
    def spec_path(self) -> Path:
        """The job file, byte for byte."""
        return self.path / "spec.yaml"

    @property
    def plan_path(self) -> Path:
        """The plan."""
        return self.path / "plan.json"

    @property
    def ledger_path(self) -> Path:
        """Folder of the ledger files."""
        return self.path / "ledger"

    @property
    def checkpoints_path(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def logs_path(self) -> Path:
        """Folder of raw logs."""
        return self.path / "logs"

    @property
    def figures_path(self) -> Path:
        """Folder of figures."""
        return self.path / "figures"

    @property
    def models(self) -> tuple[Path, ...]:
        """Folders of the fine-tuned models that it kept, each named by the hash of its cell."""
        found = (self.path / "models").glob(f"*/{MODEL_FILE}")
        return tuple(sorted(path.parent for path in found))

    @property
    def stop_path(self) -> Path:
        """Exists while somebody asks the run to stop."""
        return self.path / "STOP"

    @property
    def lock_path(self) -> Path:
        """Locked by the process that owns the run."""
        return self.path / "owner.lock"

    def plan_json(self) -> dict[str, object]:
        """Return the plan as JSON values.

        Raises:
            CorruptArtefactError: plan.json is not a JSON object.
        """
        return read_json(self.plan_path)

    def plan(self) -> Plan:
        """Return the plan of a pretraining run.

        Raises:
            CorruptArtefactError: the plan was changed or is of another version.
        """
        try:
            return Plan.from_json(self.plan_json())
        except ValidationError as fault:
            first = fault.errors()[0]
            raise CorruptArtefactError(
                f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
                where=str(self.plan_path),
                why="it is not the plan of a pretraining run, or something changed it",
                fix="restore plan.json, or start a new run",
            ) from fault

    def contents(self) -> Contents:
        """Read the whole ledger, with what is torn in it."""
        return read_ledger(self.ledger_path)

    def events(self, *kinds: str) -> tuple[Event, ...]:
        """Return the events of the given kinds, or all of them, ordered by time."""
        found = self.contents().events
        return tuple(event for event in found if not kinds or event.kind in kinds)

    def lifecycle(self) -> tuple[Event, ...]:
        """Return what the driver said about the run as a whole; reads only its files."""
        files = [file for file in ledger_files(self.ledger_path) if file.writer == "driver"]
        events = merged(event for file in files for event in read_file(file, Cursor()).events)
        return tuple(event for event in events if event.kind in LIFECYCLE_KINDS)

    def status(self) -> Status:
        """Return the state of the run; `running` only while its owner lives."""
        alive = owner_alive(self.lock_path)  # before reading, or a clean exit looks like a kill
        last = next((event.kind for event in reversed(self.lifecycle())), "")
        return decide(last, alive)

    def book(self) -> SeriesBook:
        """Return the curves of the run; recomputed steps count once."""
        book = SeriesBook()
        book.add(self.contents().events)
        return book

    def series(self, name: str) -> tuple[Point, ...]:
        """Return one curve, such as `loss` or `heldout/kmer6/loss`."""
        return self.book().series(name)

    def checkpoints(self) -> tuple[Event, ...]:
        """Return the commits in the order they were made."""
        return self.events("checkpoint")

    def evaluations(self) -> tuple[Event, ...]:
        """Return the evaluations in the order they were made."""
        return self.events("evaluation")

    def report(self) -> dict[str, object] | None:
        """Return the last report, or None before there is one."""
        found = self.events("report")
        return dict(found[-1].fields) if found else None

    def last_step(self) -> int:
        """Return the newest step on record, 0 before the first; reads only ends of files."""
        files = [file for file in ledger_files(self.ledger_path) if file.writer == "rank0"]
        for file in reversed(files):
            step = _last_step(file.path)
            if step:
                return step
        return 0

    def resumable(self) -> bool:
        """Return True when the run is not over, nobody owns it and a checkpoint is there."""
        return self.status() in (Status.INTERRUPTED, Status.FAILED) and self._has_checkpoint()

    def _has_checkpoint(self) -> bool:
        return any((self.path / str(e.fields.get("path"))).exists() for e in self.checkpoints())

    def unfinished(self) -> bool:
        """Return True while the run is under way or can be continued.

        A failed one can when it has a checkpoint; one that never began only while whoever created
        it lives.
        """
        status = self.status()
        if status is Status.FAILED:
            return self._has_checkpoint()
        if status is Status.PLANNED:
            return creator_lives(self.path)
        return status is not Status.FINISHED

    def committed_step(self) -> int:
        """Return the newest step on record that was committed, 0 before the first.

        The steps of a sweep are its cells, and the settings its searches tried; those of a job that
        scores variants are its shards.
        """
        if self.header.kind == "variant_effect":
            return len({event.fields.get("shard") for event in self.events("shard")})
        if self.header.kind != "pretrain":
            return len({event.fields.get("cell") for event in self.events("cell", "search_sample")})
        return max((event.step for event in self.checkpoints()), default=0)

    @property
    def repeat_command(self) -> str:
        """The command that does the same again as a new run, from the record alone."""
        if self.header.kind == "pretrain":
            return shlex.join(["gfmp", "reproduce", self.id])
        return shlex.join(["gfmp", self._verb, str(self.spec_path)])

    @property
    def resume_command(self) -> str:
        """The command that continues this run."""
        return shlex.join(["gfmp", *self.resume_arguments])

    @property
    def resume_arguments(self) -> tuple[str, ...]:
        """What follows `gfmp` in that command."""
        return (self._verb, "--resume", self.id)

    @property
    def _verb(self) -> str:
        return "sweep" if self.header.kind == "sweep" else "submit"

    @contextlib.contextmanager
    def own(self) -> Iterator[LockRecord]:
        """Be the one process that drives the run; forgets an old request to stop.

        Yields:
            Who drove it before. That process is gone, its workers may live a little longer.

        Raises:
            LockedError: a living process owns the run.
        """
        before = last_owner(self.lock_path)
        with exclusive(self.lock_path, wait_seconds=_OWN_SECONDS):
            self.stop_path.unlink(missing_ok=True)
            yield before

    def worker_alive(self) -> bool:
        """Return True while a rank 0 still holds its ledger file, on whichever machine.

        The lock of the owner falls with the driver; its workers notice only after that.
        """
        files = [file for file in ledger_files(self.ledger_path) if file.writer == "rank0"]
        return any(being_written(file.path) for file in files)

    def open_writer(self, writer: str) -> LedgerWriter:
        """Open the ledger file of `driver` or `rank0` for the present start of the run.

        Raises:
            LockedError: other processes keep taking the segment, so several drive this run.
        """
        for _ in range(3):
            segment = next_segment(self.ledger_path, writer)
            try:
                return LedgerWriter(self.ledger_path / f"{segment:03d}-{writer}.jsonl")
            except LockedError as fault:
                last = fault
        raise last

    def request_stop(self) -> bool:
        """Ask the owner to commit a checkpoint and end; returns False when already asked."""
        text = json.dumps({"time": round(time.time(), 3)})
        return put_if_absent(self.stop_path, text.encode("ascii") + b"\n")

    def stop_requested(self) -> bool:
        """Return True while somebody asks the run to stop; cheap enough for every step."""
        return self.stop_path.exists()


def _last_step(path: Path) -> int:
    with path.open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - _TAIL_BYTES))
        lines = handle.read().splitlines()
    for line in reversed(lines):
        if b'"kind":"step"' in line:
            with contextlib.suppress(ValueError, KeyError, CorruptArtefactError):
                return int(json.loads(line)["fields"]["step"])
    return 0
