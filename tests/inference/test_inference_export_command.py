"""`gfmp export` from the shell: what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from inference_samples import World

from gfmp.cli.main import gfmp
from gfmp.errors import UsageError
from gfmp.mlflow_store.address import VARIABLE


def test_a_folder_and_a_registered_model(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    place = ["--workspace", str(world.workspace.root)]
    done = CliRunner().invoke(gfmp, ["export", "marks", "--to", "hf", *place])
    assert done.exit_code == 0, done.output
    (folder,) = tmp_path.glob("marks-*-hf")
    assert (folder / "README.md").is_file() and "model.safetensors" in done.output
    asked = ["export", "marks", "--to", "mlflow", "--name", "promoters", *place]
    first, again = (CliRunner().invoke(gfmp, asked).output for _ in range(2))
    assert "models:/promoters/1 is registered." in first
    assert "mlflow models serve -m models:/promoters/1" in first and "curl" in first
    assert "is there already, with the same content" in again


@pytest.mark.parametrize(
    ("asked", "idle"),
    [
        (["--to", "hf", "--name", "x"], "--name"),
        (["--to", "mlflow", "--out", "x"], "--out"),
    ],
)
def test_an_option_that_nothing_reads_is_refused(asked: list[str], idle: str) -> None:
    done = CliRunner().invoke(gfmp, ["export", "marks", *asked])
    assert isinstance(done.exception, UsageError)
    assert done.exception.problems[0].message.startswith(idle)
