"""A registered model answers over HTTP with the numbers that gfmp gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from inference_samples import CPU, World, random_dna

from gfmp.errors import CorruptArtefactError
from gfmp.inference.export import write_folder
from gfmp.inference.masked import packer
from gfmp.inference.origins import Asked, find_trained
from gfmp.inference.texts import split_tokens
from gfmp.learners.finetuned import load
from gfmp.learners.views import SplitViews
from gfmp.ledger.store import RunStore
from gfmp.mlflow_store.address import VARIABLE
from gfmp.mlflow_store.client import connect, quiet_environment
from gfmp.mlflow_store.models import CONTENT_TAG, NewModel, Registered, register_model
from gfmp.mlflow_store.server import free_port
from gfmp.storage.workspace import Workspace
from gfmp.vocabulary.registry import FamilyRegistry

SEQUENCES = [random_dna(100, 1), "ttgaNNNacg", random_dna(41, 2)]
START_SECONDS, ANSWER_SECONDS, STOP_SECONDS = 180.0, 30.0, 20.0


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def registered(wanted: str, workspace: Workspace, folder: Path) -> Registered:
    if not folder.exists():
        found = find_trained(Asked(wanted), workspace, CPU)
        write_folder(found.model, found.lineage, folder)
    return register_model(NewModel(folder, wanted, wanted, wanted), workspace)


def our_predictions(workspace: Workspace) -> np.ndarray:
    (kept,) = (RunStore(workspace).get("marks").path / "models").iterdir()
    made = load(kept, CPU)
    vocabulary = next(v for v in made.initial.ensemble.vocabularies if v.name == made.vocabulary)
    tokenizer = FamilyRegistry.discover().tokenizer(vocabulary)
    tokens = split_tokens(tokenizer.encode([sequence.encode() for sequence in SEQUENCES]))
    rows = SplitViews(((tokens, packer(made.initial, vocabulary)),))
    with torch.inference_mode():
        outputs = made.model(rows.pack(np.arange(len(SEQUENCES)), CPU.device))
    return made.objective.predictions(outputs)


@contextmanager
def served(model: Registered, folder: Path) -> Iterator[str]:
    """Serve a model on loopback in a process group of its own; yield its address."""
    port = free_port(0)
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", model.serve_command(port)],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | quiet_environment(),
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        await_answer(address, process, folder / "serve.log")
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)


def await_answer(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2.0):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(log.read_text(errors="replace"))


def asked(address: str, sequences: list[str]) -> list[dict[str, float]]:
    table = {"columns": ["sequence"], "data": [[sequence] for sequence in sequences]}
    request = urllib.request.Request(
        f"{address}/invocations",
        data=json.dumps({"dataframe_split": table}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        rows: list[dict[str, float]] = json.load(answer)["predictions"]
    return rows


@pytest.mark.long
def test_mlflow_serves_our_numbers(world: World, tmp_path: Path) -> None:
    model = registered("marks", world.workspace, tmp_path / "out")
    with served(model, tmp_path) as address:
        rows = asked(address, SEQUENCES)
    assert [list(row) for row in rows] == [[f"mark{i}" for i in range(5)]] * len(SEQUENCES)
    found = np.array([list(row.values()) for row in rows])
    np.testing.assert_allclose(found, our_predictions(world.workspace), rtol=0.0, atol=1e-6)
    assert found.std() > 0.01, "the numbers say something"


def test_one_content_is_one_version_and_has_a_signature(world: World, tmp_path: Path) -> None:
    import mlflow.pyfunc

    first = registered("tiny", world.workspace, tmp_path / "out")
    again = registered("tiny", world.workspace, tmp_path / "out")
    assert (first.version, first.is_new) == (again.version, True)
    assert not again.is_new and again.uri == "models:/tiny/1"
    client = connect(first.tracking_uri)
    (version,) = client.search_model_versions("name = 'tiny'")
    assert len(version.tags[CONTENT_TAG]) == 32
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED" and run.data.tags["gfmp.exported_from"] == "tiny"
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    (tmp_path / "out" / "config.json").write_text(json.dumps({**config, "note": "other"}))
    assert registered("tiny", world.workspace, tmp_path / "out").version == "2"
    mlflow.set_tracking_uri(first.tracking_uri)
    model = mlflow.pyfunc.load_model(version.source)
    assert model.metadata.signature.inputs.input_names() == ["sequence"]
    assert len(model.metadata.signature.outputs.input_names()) == config["hidden_size"]
    said = model.predict(pd.DataFrame({"sequence": [SEQUENCES[0]]}))
    assert said.shape == (1, config["hidden_size"]) and said.to_numpy().std() > 0


def test_what_was_not_exported_is_not_registered(world: World, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(CorruptArtefactError, match="no exported model"):
        registered("tiny", world.workspace, tmp_path / "out")
