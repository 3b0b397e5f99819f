"""A file of sequences answered by a model, streamed: survey, shards, one file. Works without Ray.

Beside the file it writes, `<out>.parts` holds the question and the shards that are done; given the
same question again, only what is missing is computed. `<out>.json` comes last and says what the
answers rest on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError, DataError, ExistsError
from gfmp.inference.answers import Answers
from gfmp.inference.joined import check_format, join
from gfmp.inference.questions import Question
from gfmp.inference.rows import Row, Stretch, stretches
from gfmp.inference.table_shards import TableShards
from gfmp.storage.atomic import read_json, remove_abandoned, write_json
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace

FORMAT_VERSION = 1
PARTS_SUFFIX, SIDECAR_SUFFIX = ".parts", ".json"
_MANIFEST, _LOCK = "manifest.json", "lock"


@dataclass(frozen=True)
class RowSurvey:
    """What a file holds, after windows are cut.

    Attributes:
        rows: Rows.
        bases: Bases of all rows.
        shortest_bp: Bases of the shortest.
        longest_bp: Bases of the longest.
    """

    rows: int
    bases: int
    shortest_bp: int
    longest_bp: int


class AskWatcher(Protocol):
    """Who is told how it goes."""

    def surveyed(self, survey: RowSurvey) -> None:
        """Take note of what the file holds."""
        ...

    def answered(self, count: int, *, before: bool) -> None:
        """Take note of rows that are done; `before`: an earlier start had done them."""
        ...

    def joining(self) -> None:
        """Take note that all rows are done."""
        ...


@dataclass(frozen=True)
class Answered:
    """What was written.

    Attributes:
        path: The file.
        sidecar: Content of `<path>.json`.
        again: It was there already, complete; nothing was computed.
    """

    path: Path
    sidecar: dict[str, object]
    again: bool = False


class Asking:
    """A question on its way to a file.

    Args:
        question: What is asked.
        out: The file; its suffix says the format.
        workspace: Keeps what random access to a reference needs.

    Raises:
        UsageError: the answers do not fit in such a file.
    """

    def __init__(self, question: Question, out: Path, workspace: Workspace) -> None:
        check_format(out, question)
        self._question, self._out, self._workspace = question, out.absolute(), workspace
        self._sidecar = self._out.with_name(self._out.name + SIDECAR_SUFFIX)
        self._parts = self._out.with_name(self._out.name + PARTS_SUFFIX)

    def run(self, load: Callable[[], Answers], watcher: AskWatcher) -> Answered:
        """Answer what is not answered yet, and write the file.

        Args:
            load: Loads the model; called after the whole file was read once without fault.
            watcher: Is told.

        Raises:
            ExistsError: another file, or the parts of another question, are in the way.
            DataError: the file of sequences is wrong; names file and line.
            LockedError: another process answers the same question.
            StorageError: the disk refused.
        """
        if (found := self._complete()) is not None:
            return Answered(self._out, found, again=True)
        with exclusive(self._parts / _LOCK):
            remove_abandoned(self._parts)
            survey = self._surveyed()
            watcher.surveyed(survey)
            answers = load()
            self._answer(answers, watcher)
            watcher.joining()
            join(self._shards.tables(), self._out, survey.rows)
            sidecar = self._described(survey, answers)
            write_json(self._sidecar, sidecar)
            shutil.rmtree(self._parts)
        return Answered(self._out, sidecar)

    @property
    def _shards(self) -> TableShards:
        return TableShards(self._parts, self._question.fingerprint)

    def _complete(self) -> dict[str, object] | None:
        """Return what stands beside a finished file of this question; None when there is none."""
        if not self._out.exists():
            return None
        found = read_json(self._sidecar) if self._sidecar.is_file() else {}
        own = (self._question.fingerprint, self._out.stat().st_size)
        if (found.get("fingerprint"), found.get("bytes")) == own:
            return found
        manifest = self._parts / _MANIFEST
        begun = read_json(manifest) if manifest.is_file() else {}
        if begun.get("fingerprint") == self._question.fingerprint:
            return None  # an earlier start was killed between its last two files
        raise ExistsError(
            f"there is a file {self._out.name} already",
            where=str(self._out),
            why="it does not hold the answers to this question",
            fix="remove it, or name another with --out",
        )

    def _rows(self) -> Iterator[Row]:
        return self._question.file.rows(self._question.cut, self._workspace)

    def _surveyed(self) -> RowSurvey:
        """Read the whole file once, or what an earlier start found in the same file."""
        path = self._parts / _MANIFEST
        if path.is_file():
            return self._resumed(path)
        survey = survey_of(self._rows(), self._question.file.path)
        body = {"format_version": FORMAT_VERSION, "fingerprint": self._question.fingerprint}
        write_json(path, {**body, "question": self._question.to_json(), "survey": asdict(survey)})
        return survey

    def _resumed(self, path: Path) -> RowSurvey:
        found = read_json(path)
        if found.get("fingerprint") != self._question.fingerprint:
            raise ExistsError(
                "the parts of another question lie here",
                where=str(self._parts),
                why="model, file and settings decide which question it is; one of them changed",
                fix="remove that folder, or name another file with --out",
            )
        try:
            return TypeAdapter(RowSurvey).validate_python(found.get("survey"))
        except ValidationError as fault:
            raise CorruptArtefactError(
                "the manifest of the parts is damaged",
                where=str(path),
                why="gfmp writes it whole and never changes it",
                fix=f"remove {self._parts} and begin again",
            ) from fault

    def _answer(self, answers: Answers, watcher: AskWatcher) -> None:
        shards = self._shards
        for stretch in stretches(self._rows(), self._question.size):
            extent = (stretch.first, stretch.end)
            if shards.extent(stretch.number) == extent:
                watcher.answered(len(stretch.rows), before=True)
                continue
            sequences = [row.sequence for row in stretch.rows]
            found = answers.columns(sequences, lambda count: watcher.answered(count, before=False))
            columns = {**_places(stretch), **dict(found)}
            shards.commit(stretch.number, pa.table(columns), extent)

    def _described(self, survey: RowSurvey, answers: Answers) -> dict[str, object]:
        """Return what stands beside the file."""
        return {
            "format_version": FORMAT_VERSION,
            "fingerprint": self._question.fingerprint,
            "bytes": self._out.stat().st_size,
            "question": self._question.to_json(),
            "survey": asdict(survey),
            **answers.facts,
        }


def survey_of(rows: Iterator[Row], path: str) -> RowSurvey:
    """Count rows and bases.

    Raises:
        DataError: there is no row, or one is wrong.
    """
    count = bases = longest = 0
    shortest = 1 << 62
    for row in rows:
        length = len(row.sequence)
        count, bases = count + 1, bases + length
        shortest, longest = min(shortest, length), max(longest, length)
    if not count:
        raise DataError(
            "the file holds no sequence",
            where=path,
            why="there is nothing to ask the model",
            fix="name a file with sequences",
        )
    return RowSurvey(count, bases, shortest, longest)


def _places(stretch: Stretch) -> dict[str, pa.Array]:
    """Return the columns that say what each row is; coordinates are 0-based and half-open."""
    rows = stretch.rows
    return {
        "name": pa.array([row.name for row in rows], pa.string()),
        "start": pa.array([row.start for row in rows], pa.int64()),
        "end": pa.array([row.end for row in rows], pa.int64()),
        "strand": pa.array([row.strand for row in rows], pa.string()),
    }
