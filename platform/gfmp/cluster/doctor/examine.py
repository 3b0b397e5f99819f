"""All that `gfmp doctor` looks at, in the order it is told."""

from __future__ import annotations

from collections.abc import Iterator

from gfmp.cluster.doctor import leftovers, machine, packages, services
from gfmp.cluster.doctor.findings import Finding
from gfmp.storage.workspace import Workspace


def examine(workspace: Workspace) -> Iterator[Finding]:
    """Look at the machine, the packages, the services and the workspace; changes nothing.

    Starts neither Ray nor MLflow, and imports none of the heavy packages; torch is asked in a
    process of its own, where there is a GPU.
    """
    there = packages.gather()
    yield from packages.judge(there)
    yield from machine.judge(machine.gather(workspace))
    yield from services.gpu(there.installed.get("torch", ""))
    yield from services.network()
    yield from services.ray("ray" in there.installed)
    if "mlflow" in there.installed:
        yield services.mlflow(workspace)
    yield from leftovers.all_of(workspace)
