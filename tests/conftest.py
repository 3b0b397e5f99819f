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


@pytest.fixture
def root() -> Path:
    """The top of the repository."""
    return ROOT


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long tests and benchmarks out unless a marker expression asks for them."""
    if config.getoption("-m"):
        return
    skip = pytest.mark.skip(reason="asked for with -m long or -m bench")
    for item in items:
        if "long" in item.keywords or "bench" in item.keywords:
            item.add_marker(skip)
