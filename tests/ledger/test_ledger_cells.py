"""A finished cell is committed whole, once, and damage to it is seen."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.cells import CellResult, CellStore
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.workspace import Workspace

SOURCE = Path(__file__).parents[2] / "platform"
NAME = "ab" * 32
CELL: dict[str, object] = {"fingerprint": NAME, "seed": 1}
PUT = """
import sys
from pathlib import Path
import numpy as np
from gfmp.ledger.cells import CellResult, CellStore
from gfmp.storage.workspace import Workspace
store, name, who = CellStore(Workspace(Path(sys.argv[1]))), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
predictions = np.full((50, 2), who, dtype=np.float32)
store.put(CellResult(name, {"test/mcc": float(who)}, {"who": who}, predictions), {"seed": who})
"""
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from gfmp.ledger import cells
from gfmp.storage.workspace import Workspace
def killed(path, value):
    os.kill(os.getpid(), signal.SIGKILL)
cells.write_json = killed
result = cells.CellResult(sys.argv[2], {}, {}, np.zeros((3, 2), dtype=np.float32))
cells.CellStore(Workspace(Path(sys.argv[1]))).put(result, {})
"""


def result_of(name: str = NAME, mcc: float = 0.5) -> CellResult:
    return CellResult(
        cell=name,
        metrics={"test/mcc": mcc, "valid/mcc": 0.25},
        facts={"steps": 12, "collapsed": False, "valid/undefined": "auroc", "seconds": 1.5},
        test_predictions=np.linspace(0.0, 1.0, 10, dtype=np.float32).reshape(5, 2),
        history=({"step": 6.0, "loss": 0.7}, {"step": 12.0, "loss": 0.5}),
    )


@pytest.fixture
def store(workspace: Workspace) -> CellStore:
    return CellStore(workspace)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(SOURCE)}


def test_what_is_put_comes_back_and_only_then_is_the_cell_finished(store: CellStore) -> None:
    assert not store.finished(NAME)
    with pytest.raises(FileNotFoundError):
        store.get(NAME)
    store.put(result_of(), CELL)
    assert store.finished(NAME)
    found = store.get(NAME)
    assert found == result_of()
    assert found.test_predictions.dtype == np.float32
    assert np.array_equal(found.test_predictions, result_of().test_predictions)
    assert read_json(store.path(NAME) / "result.json")["cell"] == CELL
    assert store.finished_at(NAME) == (store.path(NAME) / "result.json").stat().st_mtime


@settings(deadline=None, max_examples=15)
@given(
    rows=st.integers(0, 5),
    outputs=st.integers(1, 3),
    value=st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_shape_and_any_finite_number_survive(
    tmp_path_factory: pytest.TempPathFactory, rows: int, outputs: int, value: float
) -> None:
    store = CellStore(Workspace(tmp_path_factory.mktemp("cells")))
    predictions = np.full((rows, outputs), 0.1, dtype=np.float32)
    store.put(replace(result_of(mcc=value), test_predictions=predictions), CELL)
    assert store.get(NAME).metrics["test/mcc"] == value
    assert np.array_equal(store.get(NAME).test_predictions, predictions)


def test_a_loss_that_is_not_a_number_does_not_cost_the_result(store: CellStore) -> None:
    history = ({"step": 1.0, "loss": float("nan")}, {"step": 2.0, "loss": float("-inf")})
    store.put(replace(result_of(), history=history), CELL)
    first, second = store.get(NAME).history
    assert math.isnan(first["loss"])
    assert second == {"step": 2.0, "loss": float("-inf")}
    assert b"NaN" not in (store.path(NAME) / "result.json").read_bytes()


def test_predictions_of_other_tasks_are_kept_with_the_cell(store: CellStore) -> None:
    others = {"sim": np.eye(3, dtype=np.float32), "mel": np.zeros((2, 2), dtype=np.float32)}
    store.put(replace(result_of(), other_predictions=others), CELL)
    found = store.get(NAME).other_predictions
    assert sorted(found) == ["mel", "sim"]
    assert all(np.array_equal(found[name], others[name]) for name in others)
    damaged = store.path(NAME) / "other_1.npy"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptArtefactError, match="its predictions of sim do not hash"):
        store.get(NAME)


def test_a_cell_without_others_is_written_as_before(store: CellStore) -> None:
    store.put(result_of(), CELL)
    assert "others_sha256" not in read_json(store.path(NAME) / "result.json")
    names = sorted(path.name for path in store.path(NAME).iterdir())
    assert names == ["result.json", "test_predictions.npy"]
    assert store.get(NAME).other_predictions == {}


def test_the_first_result_stays(store: CellStore) -> None:
    store.put(result_of(mcc=0.5), CELL)
    store.put(result_of(mcc=0.9), CELL)
    assert store.get(NAME).metrics["test/mcc"] == 0.5
    assert [path.name for path in store.path(NAME).parent.iterdir()] == [NAME]


def test_of_processes_that_finish_a_cell_at_once_one_wins_whole(
    store: CellStore, workspace: Workspace
) -> None:
    command = [sys.executable, "-c", PUT, str(workspace.root), NAME]
    started = [
        subprocess.Popen(
            [*command, str(who)],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        process.communicate(timeout=60)
    assert [process.returncode for process in started] == [0, 0, 0, 0]
    found = store.get(NAME)
    winner = found.facts["who"]
    assert found.metrics["test/mcc"] == winner
    assert np.all(found.test_predictions == winner)
    assert [path.name for path in store.path(NAME).parent.iterdir()] == [NAME]


def test_a_writer_killed_half_way_leaves_no_result_and_no_obstacle(
    store: CellStore, workspace: Workspace
) -> None:
    command = [sys.executable, "-c", KILLED, str(workspace.root), NAME]
    assert subprocess.run(command, env=environment()).returncode == -signal.SIGKILL
    (staging,) = store.path(NAME).parent.iterdir()
    assert (staging / "test_predictions.npy").exists()
    assert not store.finished(NAME)
    store.put(result_of(), CELL)
    assert store.get(NAME) == result_of()


def _cut_predictions(folder: Path) -> None:
    path = folder / "test_predictions.npy"
    path.write_bytes(path.read_bytes()[:-4])


def _lose_predictions(folder: Path) -> None:
    (folder / "test_predictions.npy").unlink()


def _other_version(folder: Path) -> None:
    path = folder / "result.json"
    write_json(path, read_json(path) | {"format_version": 99})


def _no_json(folder: Path) -> None:
    (folder / "result.json").write_bytes(b"{")


def _no_metrics(folder: Path) -> None:
    path = folder / "result.json"
    value = read_json(path)
    write_json(path, {key: part for key, part in value.items() if key != "metrics"})


def _other_metric(folder: Path) -> None:
    path = folder / "result.json"
    value = read_json(path)
    metrics = value["metrics"]
    assert isinstance(metrics, dict)
    write_json(path, value | {"metrics": dict.fromkeys(metrics, 0.99)})


def _no_seal(folder: Path) -> None:
    path = folder / "result.json"
    write_json(path, {key: part for key, part in read_json(path).items() if key != "sha256"})


def _history_of_numbers(folder: Path) -> None:
    path = folder / "result.json"
    write_json(path, read_json(path) | {"history": [1, 2]})


@pytest.mark.parametrize(
    "damage",
    [
        _cut_predictions,
        _lose_predictions,
        _other_version,
        _no_json,
        _no_metrics,
        _history_of_numbers,
        _other_metric,
        _no_seal,
    ],
)
def test_damage_names_the_folder_and_the_remedy(store: CellStore, damage: object) -> None:
    store.put(result_of(), CELL)
    assert callable(damage)
    damage(store.path(NAME))
    with pytest.raises(CorruptArtefactError) as caught:
        store.get(NAME)
    (problem,) = caught.value.problems
    assert problem.where == str(store.path(NAME))
    assert NAME[:12] in problem.message
    assert "--resume" in problem.fix
    assert str(store.path(NAME)) in problem.fix


def test_a_result_of_before_has_no_checksum_and_is_read(store: CellStore) -> None:
    store.put(result_of(), CELL)
    path = store.path(NAME) / "result.json"
    body = {key: part for key, part in read_json(path).items() if key != "sha256"}
    write_json(path, body | {"format_version": 1})
    assert store.get(NAME) == result_of()
