"""The MLflow runs below the run of a sweep: one for each finished or failed cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gfmp.mlflow_store.cells import PARENT_TAG, Child, ChildKey, child_key
from gfmp.mlflow_store.client import Tracked

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

_PAGE_RUNS = 1000
_BATCH_POINTS = 500  # MLflow takes 1,000 metrics, params and tags together
_ERROR_TAG = "gfmp.error"


@dataclass(frozen=True)
class _Known:
    id: str
    status: str
    error: str = ""


class Children:
    """The children of one MLflow run and how far each of them is.

    A child is made with its tags in one call, gets its numbers in the next and is closed in the
    last, so that one that is not closed is known by its tags and is sent again. MLflow keeps
    equal params and points once.
    """

    def __init__(self, parent: Tracked) -> None:
        """Ask MLflow for every child of `parent`; of two equal ones the later goes to its trash."""
        self._parent = parent
        self._client = parent.client
        self._known: dict[ChildKey, _Known] = {}
        for run in self._search():
            tags: Mapping[str, str] = run.data.tags
            key = child_key(tags)
            if key in self._known:
                self._client.delete_run(run.info.run_id)
                continue
            error = tags.get(_ERROR_TAG, "")
            self._known[key] = _Known(run.info.run_id, run.info.status, error)

    def _search(self) -> Iterator[MlflowRun]:
        where, token = f"tags.`{PARENT_TAG}` = '{self._parent.id}'", None
        experiments, order = [self._parent.experiment_id], ["attributes.start_time ASC"]
        while True:
            page = self._client.search_runs(
                experiments, where, max_results=_PAGE_RUNS, order_by=order, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def __len__(self) -> int:
        return len(self._known)

    def closed(self, key: ChildKey) -> bool:
        """Return True when MLflow has everything about a finished cell or a stopped setting."""
        return key in self._known and self._known[key].status in ("FINISHED", "KILLED")

    def failed(self, key: ChildKey, error: str) -> bool:
        """Return True when MLflow knows that a cell failed with this error."""
        known = self._known.get(key)
        return known is not None and (known.status, known.error) == ("FAILED", error)

    def send(self, child: Child) -> int:
        """Make a child, or complete one that is there; return how many points were sent."""
        key = child_key(child.tags)
        known = self._known.get(key) or self._create(child)
        if known.error and child.status == "FINISHED":
            self._client.delete_tag(known.id, _ERROR_TAG)
        self._log(known, child)
        self._client.set_terminated(known.id, child.status, int(child.ended * 1000))
        self._known[key] = _Known(known.id, child.status, child.tags.get(_ERROR_TAG, ""))
        return len(child.points)

    def _create(self, child: Child) -> _Known:
        run = self._client.create_run(
            self._parent.experiment_id,
            int(child.started * 1000),
            {**child.tags, PARENT_TAG: self._parent.id},
            run_name=child.name,
        )
        return _Known(run.info.run_id, "")

    def _log(self, known: _Known, child: Child) -> None:
        from mlflow.entities import Metric, Param, RunTag

        points = [Metric(n, p.value, int(p.time * 1000), p.step) for n, p in child.points]
        params = [Param(name, value) for name, value in child.params.items()]
        old = known.status != ""
        tags = [RunTag(name, value) for name, value in child.tags.items()] if old else []
        self._client.log_batch(known.id, points[:_BATCH_POINTS], params, tags)
        for i in range(_BATCH_POINTS, len(points), _BATCH_POINTS):
            self._client.log_batch(known.id, points[i : i + _BATCH_POINTS])
