"""Fixtures and options shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# No test may phone home or start a tracker outside its own folder.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray reads it once, when it is first imported; sessions in this process want it so.
os.environ["RAY_AUTH_MODE"] = "token"


@pytest.fixture
def root() -> Path:
    """The top of the repository."""
    return ROOT


# Rooms that start Ray, DeepSpeed, MLflow or several processes are not part of the quick tier.
# Tests in tests/faults are marked `ci` one by one.
HEAVY_ROOMS = frozenset({"cluster", "faults", "journeys", "mlflow_store", "training"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a session of the fault matrix be written down."""
    parser.addoption(
        "--fault-record", metavar="FILE", help="write what tests/faults found to FILE (JSON)"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the quick tier; leave long tests and benchmarks out unless `-m` asks for them."""
    for item in items:
        room = Path(str(item.path)).relative_to(ROOT / "tests").parts[0]
        if room not in HEAVY_ROOMS and not {"long", "bench"} & set(item.keywords):
            item.add_marker("ci")
    if config.getoption("-m"):
        return
    skip = pytest.mark.skip(reason="asked for with -m long or -m bench")
    # Half an hour of processes that are killed: not in the run of everything else.
    apart = pytest.mark.skip(reason="asked for with pytest tests/faults")
    faults_asked = any("faults" in argument for argument in config.args)
    for item in items:
        if "long" in item.keywords or "bench" in item.keywords:
            item.add_marker(skip)
        elif "fault" in item.keywords and "ci" not in item.keywords and not faults_asked:
            item.add_marker(apart)
