"""One built project for the tests that only read it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_world import World, make_world
from sweep_world import SweepWorld, make_sweep_world

from gfmp.ledger.run import Run


@pytest.fixture(scope="module", autouse=True)
def nobody_leaves_ray() -> Iterator[None]:
    """Fail the module that leaves a session, and not the ones after it."""
    yield
    if "ray" in sys.modules:
        import ray

        left = ray.is_initialized()
        ray.shutdown()
        assert not left, "a session of Ray is left"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everything the job needs is there; runs may be added, nothing else may change."""
    return make_world(tmp_path_factory.mktemp("world")).built()


@pytest.fixture
def own_world(world: World, tmp_path: Path) -> World:
    """A copy of the project to damage; its corpus spec names other paths, so it is built again."""
    shutil.copytree(world.folder, tmp_path / "own", ignore=shutil.ignore_patterns("runs"))
    copy = World(tmp_path / "own")
    copy.corpus()
    return copy


@pytest.fixture(scope="session")
def planned(world: World) -> Run:
    """A run of the job that nobody trained; stays as it is."""
    return world.run()


@pytest.fixture
def copied(planned: Run, tmp_path: Path) -> Run:
    """A copy of the run to change; it names the same corpus."""
    shutil.copytree(planned.path, tmp_path / planned.id)
    return Run.open(tmp_path / planned.id)


@pytest.fixture(scope="session")
def trained_project(tmp_path_factory: pytest.TempPathFactory) -> SweepWorld:
    """A project whose model was trained; nobody changes it."""
    return make_sweep_world(tmp_path_factory.mktemp("sweeps"))


@pytest.fixture(scope="module")
def sweeps(trained_project: SweepWorld, request: pytest.FixtureRequest) -> SweepWorld:
    """That project with a workspace of the module, so that modules share no finished cell."""
    return trained_project.elsewhere(request.module.__name__)
