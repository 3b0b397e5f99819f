"""Fixtures of the training room: the small world, and every engine's curves computed once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from training_launch import launch
from training_ranks import scenario
from training_world import World, build_world

from gfmp.storage.atomic import read_json
from gfmp.training.processes import Group

Found = Mapping[tuple[str, int], dict[str, Any]]
ENGINES = ("ddp", "zero0", "zero1", "zero2", "zero3")


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small world in `world/`."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "world").mkdir()
    build_world(folder / "world")
    return folder


@pytest.fixture(scope="session")
def world(scene: Path) -> World:
    """The small world."""
    return World.open(scene / "world")


@pytest.fixture(scope="session")
def group() -> Group:
    """This process as the only rank."""
    return Group.join(use_gpu=False)


@pytest.fixture(scope="session")
def found(scene: Path, group: Group) -> Found:
    """What every engine did on 1, 2 and 4 ranks; one launch per world size."""
    script = str(Path(__file__).parent / "training_ranks.py")
    results: dict[tuple[str, int], dict[str, Any]] = {}
    alone: dict[str, Any] = scenario(scene, list(ENGINES), group)  # type: ignore[arg-type]
    results |= {(engine, 1): result for engine, result in alone.items()}
    for size, engines in ((2, ENGINES), (4, ("ddp",))):
        launch(size, [script, str(scene), ",".join(engines)])
        several: dict[str, Any] = read_json(scene / f"found-{size}.json")
        results |= {(engine, size): result for engine, result in several.items()}
    return results
