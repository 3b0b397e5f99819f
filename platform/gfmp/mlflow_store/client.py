"""The few calls gfmp makes to MLflow, each of which may be repeated.

MLflow takes seconds to import, so that only functions import it; the first call does.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from gfmp.errors import ServiceError
from gfmp.ledger.provenance import redacted
from gfmp.ledger.series import Point
from gfmp.mlflow_store.address import is_server, own_uri, preflight, tracking_uri
from gfmp.storage.atomic import atomic_write
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

RUN_ID_TAG = "gfmp.run_id"
MAX_METRICS_PER_BATCH = 1000  # mlflow/utils/validation.py
MAX_TEXTS_PER_BATCH = 100
MAX_PARAM_CHARACTERS = 6000
MAX_TAG_CHARACTERS = 8000
_PREPARE_SECONDS = 300.0
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A dead server must cost seconds, not the two minutes of MLflow's seven retries.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def quiet_environment() -> dict[str, str]:
    """Return the variables that keep MLflow quiet, without telemetry and quick to give up."""
    return {name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()}


def connect(uri: str) -> MlflowClient:
    """Return a client of the store at `uri`; `open_store` also makes it.

    Raises:
        ServiceError: see `preflight`; also when the database refuses.
    """
    preflight(uri)
    with store_faults(uri):
        client: MlflowClient = _mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    return client


def _mlflow() -> ModuleType:
    os.environ.update(quiet_environment())
    module = importlib.import_module("mlflow")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return module


@contextlib.contextmanager
def store_faults(uri: str) -> Iterator[None]:
    """Turn what MLflow, its HTTP client or its database raise into one error for people.

    Raises:
        ServiceError: the store cannot be reached or refuses.
    """
    _mlflow()
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError) as fault:
        first = next(iter(str(fault).splitlines()), type(fault).__name__)
        raise ServiceError(
            f"MLflow refuses: {redacted(first)[:300]}",
            where=redacted(uri),
            why="the ledger holds everything, so that no number is lost",
            fix="when the store is back, gfmp runs sync makes it equal the ledger",
        ) from fault


def prepare(workspace: Workspace, *experiments: str) -> None:
    """Create the tracking store of a workspace and each named experiment that is missing.

    See `open_store`; run it beside the training.
    """
    open_store(tracking_uri(workspace), workspace, *experiments)


def open_store(uri: str, workspace: Workspace, *experiments: str) -> MlflowClient:
    """Return a client of a store that exists and has the named experiments.

    Making a SQLite store takes seconds, and two processes that do it at once, or one that is
    killed while it does, leave tables that no later MLflow accepts. Hence the lock, and hence
    a new store is made elsewhere and published whole.

    Raises:
        ServiceError: the store cannot be reached or refuses.
        LockedError: another process holds the lock for five minutes.
    """
    with exclusive(workspace.root / "mlflow.lock", wait_seconds=_PREPARE_SECONDS):
        if uri == own_uri(workspace) and not workspace.mlflow_database.exists():
            _publish_database(workspace.mlflow_database)
        client = connect(uri)
        with store_faults(uri):
            for name in experiments:
                _ensure_experiment(client, uri, workspace, name)
    return client


def _publish_database(path: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / path.name
        connect(f"sqlite:///{made}")
        atomic_write(path, made.read_bytes())


def _ensure_experiment(client: MlflowClient, uri: str, workspace: Workspace, name: str) -> None:
    if client.get_experiment_by_name(name) is None:
        local = (workspace.mlflow_artifacts / name).as_uri()
        client.create_experiment(name, artifact_location=None if is_server(uri) else local)


@dataclass(frozen=True)
class CorpusInput:
    """A corpus as MLflow's dataset.

    Attributes:
        name: Name of the corpus.
        digest: Beginning of its content hash; MLflow takes 36 characters at most.
        source: Path of its manifest.
        context: What it was read for, such as `pretrain`.
    """

    name: str
    digest: str
    source: str
    context: str


class Tracked:
    """One MLflow run and what is already in it."""

    def __init__(self, client: MlflowClient, run: MlflowRun) -> None:
        self._client = client
        self._run = run
        self._sent = {
            name: {metric.step for metric in client.get_metric_history(self.id, name)}
            for name in run.data.metrics
        }

    @classmethod
    def find(cls, client: MlflowClient, experiment: str, run_id: str) -> Tracked | None:
        """Return the MLflow run that carries the tag of the gfmp run, or None.

        Args:
            client: See `connect`.
            experiment: Name of an experiment that exists.
            run_id: Id of the gfmp run.
        """
        found = client.get_experiment_by_name(experiment)
        assert found is not None, f"open_store() made the experiment {experiment!r}"
        runs = client.search_runs(
            [found.experiment_id], f"tags.`{RUN_ID_TAG}` = '{run_id}'", order_by=["start_time ASC"]
        )
        return cls(client, runs[0]) if runs else None

    @classmethod
    def create(cls, client: MlflowClient, experiment: str, run_id: str, started: float) -> Tracked:
        """Create the MLflow run of a gfmp run; `started` is unix time in seconds."""
        found = client.get_experiment_by_name(experiment)
        run = client.create_run(
            found.experiment_id, int(started * 1000), {RUN_ID_TAG: run_id}, run_name=run_id
        )
        return cls(client, run)

    @property
    def id(self) -> str:
        """MLflow's own id."""
        return str(self._run.info.run_id)

    @property
    def experiment_id(self) -> str:
        """MLflow's id of the experiment."""
        return str(self._run.info.experiment_id)

    @property
    def client(self) -> MlflowClient:
        """The client it talks through."""
        return self._client

    @property
    def status(self) -> str:
        """MLflow's word for the state of the run."""
        return str(self._run.info.status)

    @property
    def end_milliseconds(self) -> int:
        """Unix time in milliseconds at which the run ended, 0 while it has not."""
        return int(self._run.info.end_time or 0)

    @property
    def params(self) -> dict[str, str]:
        """Parameters, which never change once written."""
        return dict(self._run.data.params)

    @property
    def tags(self) -> dict[str, str]:
        """Tags."""
        return dict(self._run.data.tags)

    @property
    def has_dataset(self) -> bool:
        """True when a dataset was logged."""
        return bool(self._run.inputs.dataset_inputs)

    def missing(self, curves: Mapping[str, Sequence[Point]]) -> list[tuple[str, Point]]:
        """Return the points of `curves` whose step is not in MLflow yet, by step."""
        new = [
            (name, point)
            for name, points in curves.items()
            for point in points
            if point.step not in self._sent.get(name, ())
        ]
        return sorted(new, key=lambda item: (item[1].step, item[0]))

    def send_metrics(self, points: Sequence[tuple[str, Point]]) -> None:
        """Log points in batches; every value must be finite."""
        from mlflow.entities import Metric

        for i in range(0, len(points), MAX_METRICS_PER_BATCH):
            batch = points[i : i + MAX_METRICS_PER_BATCH]
            metrics = [Metric(n, p.value, int(p.time * 1000), p.step) for n, p in batch]
            self._client.log_batch(self.id, metrics=metrics)
            for name, point in batch:
                self._sent.setdefault(name, set()).add(point.step)

    def send_params(self, params: Mapping[str, str]) -> None:
        """Log parameters that MLflow does not have yet."""
        from mlflow.entities import Param

        items = [Param(key, value[:MAX_PARAM_CHARACTERS]) for key, value in params.items()]
        for i in range(0, len(items), MAX_TEXTS_PER_BATCH):
            self._client.log_batch(self.id, params=items[i : i + MAX_TEXTS_PER_BATCH])
        self._run.data.params.update({item.key: item.value for item in items})

    def send_tags(self, tags: Mapping[str, str]) -> None:
        """Set the tags that differ."""
        from mlflow.entities import RunTag

        short = {key: value[:MAX_TAG_CHARACTERS] for key, value in tags.items()}
        items = [RunTag(k, v) for k, v in short.items() if self._run.data.tags.get(k) != v]
        for i in range(0, len(items), MAX_TEXTS_PER_BATCH):
            self._client.log_batch(self.id, tags=items[i : i + MAX_TEXTS_PER_BATCH])
        self._run.data.tags.update({item.key: item.value for item in items})

    def send_dataset(self, corpus: CorpusInput) -> None:
        """Log a corpus as what the run read; MLflow keeps one entry for equal inputs."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": corpus.source})
        dataset = Dataset(corpus.name, corpus.digest, "local", source)
        context = InputTag("mlflow.data.context", corpus.context)
        self._client.log_inputs(self.id, [DatasetInput(dataset, [context])])
        self._run = self._client.get_run(self.id)

    def send_artifact(self, path: Path, folder: str) -> None:
        """Copy a file into the folder of the artifacts; an empty `folder` is their root."""
        self._client.log_artifact(self.id, str(path), folder or None)

    def delete(self) -> None:
        """Move the run to MLflow's trash."""
        self._client.delete_run(self.id)

    def set_status(self, status: str, end_milliseconds: int) -> None:
        """Set the state; an end of 0 means that the run goes on."""
        if end_milliseconds:
            self._client.set_terminated(self.id, status, end_milliseconds)
        else:
            self._client.update_run(self.id, status)
        self._run = self._client.get_run(self.id)
