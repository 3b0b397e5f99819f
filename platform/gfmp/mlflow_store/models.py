"""An exported folder as a model of MLflow's registry, with a signature, ready to be served."""

from __future__ import annotations

import importlib.metadata
import shlex
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfmp.errors import CorruptArtefactError
from gfmp.mlflow_store.address import tracking_uri
from gfmp.mlflow_store.client import open_store, store_faults
from gfmp.storage.atomic import read_json
from gfmp.storage.hashes import fingerprint, sha256_file
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

CONTENT_TAG, ORIGIN_TAG = "gfmp.content", "gfmp.exported_from"
_CODE_FILE = Path(__file__).with_name("served.py")
_FOLDER, _SEQUENCE, _ARTIFACT = "folder", "sequence", "model"
_LIBRARIES = ("mlflow", "numpy", "pandas", "safetensors", "tokenizers", "torch")
# Files that say when and from where, not what the model answers.
_NOT_CONTENT = frozenset({"README.md"})
_CONTENT_CHARACTERS = 32


@dataclass(frozen=True)
class Registered:
    """A version of a registered model.

    Attributes:
        name: Of the model.
        version: Number of the version.
        is_new: False when this content was registered before.
        tracking_uri: The store that has it.
    """

    name: str
    version: str
    is_new: bool
    tracking_uri: str

    @property
    def uri(self) -> str:
        """What MLflow calls it."""
        return f"models:/{self.name}/{self.version}"

    def serve_command(self, port: int) -> str:
        """Return the shell line that serves it on 127.0.0.1.

        MLflow starts its server by name, so the programs beside this Python come first.
        """
        words = ["mlflow", "models", "serve", "-m", self.uri, "--env-manager", "local"]
        programs = shlex.quote(str(Path(sys.executable).parent))
        store = shlex.quote(self.tracking_uri)
        settings = f'PATH={programs}:"$PATH" MLFLOW_TRACKING_URI={store}'
        return f"{settings} {shlex.join([*words, '--port', str(port)])}"


@dataclass(frozen=True)
class NewModel:
    """What is registered.

    Attributes:
        folder: An exported folder.
        name: Of the registered model; a new version where there is one of this name.
        experiment: MLflow's experiment that its run goes to.
        origin: The run or folder it was exported from.
    """

    folder: Path
    name: str
    experiment: str
    origin: str


def register_model(new: NewModel, workspace: Workspace) -> Registered:
    """Register an exported folder; the same content twice is one version.

    Raises:
        ServiceError: the store cannot be reached or refuses.
        CorruptArtefactError: the folder is none that was exported.
    """
    uri = tracking_uri(workspace)
    config, content = _config(new.folder), _content(new.folder)
    client = open_store(uri, workspace, new.experiment)
    with store_faults(uri):
        known = _version_of(client, new.name, content)
        if known:
            return Registered(new.name, known, False, uri)
        run_id = _uploaded(client, new, signature_of(config))
        _ensure_model(client, new.name)
        tags = {CONTENT_TAG: content, ORIGIN_TAG: new.origin}
        source = f"{client.get_run(run_id).info.artifact_uri}/{_ARTIFACT}"
        made = client.create_model_version(new.name, source, run_id, tags=tags)
    return Registered(new.name, str(made.version), True, uri)


def signature_of(config: dict[str, Any]) -> ModelSignature:
    """Return what goes in and what comes out: a column `sequence`, a column for each output.

    Args:
        config: The content of config.json of an exported folder.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    if config["head"] == "rows":
        names = [str(name) for name in config["target_names"]]
    else:
        names = [f"d{place}" for place in range(int(config["hidden_size"]))]
    outputs = Schema([ColSpec("float", name) for name in names])
    return ModelSignature(inputs=Schema([ColSpec("string", _SEQUENCE)]), outputs=outputs)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    config: dict[str, Any] = dict(read_json(path)) if path.is_file() else {}
    if config.get("model_type") != "gfmp":
        raise CorruptArtefactError(
            "the folder holds no exported model",
            where=str(folder),
            why="its config.json has the model_type gfmp",
            fix="gfmp export RUN --to hf writes one",
        )
    return config


def _content(folder: Path) -> str:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    sums = {str(p.relative_to(folder)): sha256_file(p) for p in files if p.name not in _NOT_CONTENT}
    return fingerprint(sums)[:_CONTENT_CHARACTERS]


def _version_of(client: MlflowClient, name: str, content: str) -> str:
    found = client.search_model_versions(f"name = '{name}'")
    same = [one for one in found if one.tags.get(CONTENT_TAG) == content]
    return str(same[0].version) if same else ""


def _uploaded(client: MlflowClient, new: NewModel, signature: ModelSignature) -> str:
    """Copy the model into a run of its own; return the run's id in MLflow."""
    import mlflow.pyfunc

    experiment = client.get_experiment_by_name(new.experiment)
    assert experiment is not None, "open_store() made it"
    tags = {ORIGIN_TAG: new.origin}
    run = client.create_run(experiment.experiment_id, tags=tags, run_name=f"export-{new.name}")
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        # An example would only be asked for the signature, which is given.
        warnings.simplefilter("ignore", UserWarning)
        staged = Path(scratch) / _ARTIFACT
        mlflow.pyfunc.save_model(
            path=str(staged),
            python_model=str(_CODE_FILE),
            artifacts={_FOLDER: str(new.folder)},
            signature=signature,
            pip_requirements=_requirements(),
        )
        client.log_artifacts(run.info.run_id, str(staged), _ARTIFACT)
    client.set_terminated(run.info.run_id, "FINISHED", int(time.time() * 1000))
    return str(run.info.run_id)


def _requirements() -> list[str]:
    # A build's own suffix (2.13.0+cpu) is on no index.
    versions = {name: importlib.metadata.version(name).partition("+")[0] for name in _LIBRARIES}
    return [f"{name}=={version}" for name, version in versions.items()]


def _ensure_model(client: MlflowClient, name: str) -> None:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, tags={"gfmp": "exported"})
