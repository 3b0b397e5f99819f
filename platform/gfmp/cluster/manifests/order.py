"""What every renderer works from, and the choice among them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gfmp.cluster.parcel import Project
from gfmp.errors import SpecError
from gfmp.plan.values import Plan
from gfmp.spec.cluster import ClusterSpec, SharedStorage, WorkerNodes

Part = TypeVar("Part")


@dataclass(frozen=True)
class Order:
    """A job and the cluster it is to run on.

    Attributes:
        name: Of the run.
        project: The job and the specs it names.
        cluster: Where it runs.
        arguments: What follows the job on the command line, such as `--set` and its value.
        nodes: Worker nodes the job needs at once.
    """

    name: str
    project: Project
    cluster: ClusterSpec
    arguments: tuple[str, ...] = ()
    nodes: int = 1

    @property
    def workspace(self) -> str:
        """Folder on the shared storage that runs are written to."""
        return f"{self.storage.path.rstrip('/')}/workspace"

    @property
    def workers(self) -> WorkerNodes:
        """The nodes that train.

        Raises:
            SpecError: the spec has none.
        """
        return self.required("workers", self.cluster.workers)

    @property
    def storage(self) -> SharedStorage:
        """The shared file system.

        Raises:
            SpecError: the spec has none.
        """
        return self.required("storage", self.cluster.storage)

    def required(self, key: str, part: Part | None) -> Part:
        """Return a part of the cluster's spec that a renderer cannot do without.

        Raises:
            SpecError: it is not there.
        """
        if part is None:
            raise SpecError(
                f"the key {key!r} is missing",
                where=f"specs/clusters/{self.cluster.name}.yaml",
                why="what is rendered would have to guess it",
                fix=f"write `{key}:`; specs/clusters/ has examples",
            )
        return part


def nodes_of(plan: Plan | None) -> int:
    """Return the worker nodes of a plan for a cluster; 1 where there is no such plan."""
    rows = plan.derived if plan is not None else ()
    found = [row.value for row in rows if row.name == "cluster_nodes"]
    return int(found[0]) if found else 1


def yaml_text(documents: Sequence[Mapping[str, object]], head: Sequence[str]) -> str:
    """Write documents as YAML behind lines of comment."""
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import LiteralScalarString

    yaml = YAML(typ="rt", pure=True)
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    buffer = io.StringIO()
    buffer.writelines(f"# {line}\n" for line in head)
    for number, document in enumerate(documents):
        buffer.write("---\n" if number else "")
        yaml.dump(_literal(document, LiteralScalarString), buffer)
    return buffer.getvalue()


def _literal(value: object, block: type[str]) -> object:
    """Return equal values whose texts of several lines are written as blocks."""
    if isinstance(value, Mapping):
        return {key: _literal(part, block) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_literal(part, block) for part in value]
    if isinstance(value, str) and "\n" in value:
        return block(value)
    return value
