"""Finished searches and the settings they stopped: content-addressed, committed whole."""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import TypeAdapter

from gfmp.errors import CorruptArtefactError
from gfmp.plan.search import SearchOutcome, SearchPlan, Tried
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.seals import SEAL, sealed, unsealed
from gfmp.storage.workspace import Workspace

# Version 1 has no checksum over the scores.
FORMAT_VERSION = 2
_OUTCOME, _STOPPED = "outcome.json", "stopped"


class SearchStore:
    """The searches of a workspace: `<fingerprint>/outcome.json`, and before it `stopped/`.

    Settings that ran whole are cells and lie in the cell store.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.searches

    def path(self, search: str) -> Path:
        """Return the folder of a search, there or not."""
        return self._folder / search[:2] / search

    def finished(self, search: str) -> bool:
        """Return True when the search has chosen."""
        return (self.path(search) / _OUTCOME).is_file()

    def finished_at(self, search: str) -> float:
        """Return when a finished search has chosen, as unix time in seconds."""
        return (self.path(search) / _OUTCOME).stat().st_mtime

    def put_stopped(self, search: str, tried: Tried) -> None:
        """Keep a setting that was stopped, so that it is not tried again."""
        path = self.path(search) / _STOPPED / f"{tried.cell}.json"
        write_json(path, sealed(_to_json(tried)))

    def stopped(self, search: str) -> dict[str, Tried]:
        """Return the settings that were stopped, by cell.

        Raises:
            CorruptArtefactError: a file is not as it was written.
        """
        files = sorted((self.path(search) / _STOPPED).glob("*.json"))
        found = [_read(file, _body(file)) for file in files]
        return {tried.cell: tried for tried in found}

    def put(self, plan: SearchPlan, outcome: SearchOutcome) -> None:
        """Keep what a search chose; the first outcome stays."""
        if self.finished(outcome.search):
            return
        pairs = zip(plan.samples, outcome.tried, strict=True)
        body = {
            "format_version": FORMAT_VERSION,
            "search": outcome.search,
            "name": plan.name,
            "plan": plan.to_json(),
            "tried": [
                {**_to_json(tried), "learner": cell.learner.model_dump(mode="json")}
                for cell, tried in pairs
            ],
            "chosen": outcome.chosen,
            "why": outcome.why,
            "metric": outcome.metric,
        }
        write_json(self.path(outcome.search) / _OUTCOME, sealed(body))

    def get(self, search: str) -> SearchOutcome:
        """Return how a finished search ended.

        Raises:
            CorruptArtefactError: its file is not as it was written.
            FileNotFoundError: it has not chosen; ask `finished` first.
        """
        path = self.path(search) / _OUTCOME
        value = _body(path)
        listed, chosen = value.get("tried"), value.get("chosen")
        if not isinstance(listed, list) or not isinstance(chosen, int):
            raise _changed(path, "it lists no settings or no choice")
        tried = tuple(_read(path, one) for one in listed)
        if not 0 <= chosen < len(tried) or value.get("search") != search:
            raise _changed(path, "its choice is none of its settings, or it is another search")
        why, metric = str(value.get("why", "")), str(value.get("metric", ""))
        return SearchOutcome(search, tried, chosen, why, metric)


def _body(path: Path) -> dict[str, object]:
    try:
        stored = read_json(path)
        body = unsealed(stored)
    except ValueError as fault:
        raise _changed(path, str(fault)) from fault
    if SEAL not in stored and stored.get("format_version") == FORMAT_VERSION:
        raise _changed(path, "its checksum is missing")
    return body


def _to_json(tried: Tried) -> dict[str, object]:
    return {
        "cell": tried.cell,
        "score": _writable(tried.score),
        "scores": [_writable(score) for score in tried.scores],
        "stopped": tried.stopped,
        "error": tried.error,
    }


def _writable(score: float) -> float | None:
    # JSON has no word for an undefined metric.
    return score if math.isfinite(score) else None


def _read(path: Path, value: object) -> Tried:
    try:
        body = TypeAdapter(dict[str, object]).validate_python(value)
        scores = TypeAdapter(tuple[float | None, ...]).validate_python(body["scores"])
        score = TypeAdapter(float | None).validate_python(body["score"])
        return Tried(
            cell=str(body["cell"]),
            score=_score(score),
            scores=tuple(map(_score, scores)),
            stopped=body["stopped"] is True,
            error=str(body["error"]),
        )
    except (KeyError, ValueError) as fault:
        raise _changed(path, "a setting in it is unreadable") from fault


def _score(value: float | None) -> float:
    return -math.inf if value is None else value


def _changed(path: Path, reason: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        f"the search is not as it was written: {reason}",
        where=str(path),
        why="outcomes are published whole and never change",
        fix=f"remove {path} and run the sweep again with --resume; finished settings are kept",
    )
