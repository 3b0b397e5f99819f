"""One tiny pretrained and one fine-tuned run for all tests of the room."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from inference_samples import World


@pytest.fixture(scope="session")
def _models(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.made(tmp_path_factory.mktemp("models"))


@pytest.fixture
def world(_models: World, tmp_path: Path) -> World:
    """A copy that a test may change."""
    shutil.copytree(_models.folder, tmp_path / "world")
    return World(tmp_path / "world", _models.contigs)
