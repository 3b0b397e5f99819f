"""Which cluster a command works on: named by the job, by `--cluster`, or by nobody."""

from __future__ import annotations

import os
from pathlib import Path

from gfmp.cluster.litter import RAY_FOLDER_VARIABLE, ray_folder
from gfmp.spec.cluster import AddressConnection, ClusterSpec, JobsConnection, LocalConnection
from gfmp.spec.load import load_spec
from gfmp.spec.project import find_named
from gfmp.storage.owners import JOB_VARIABLE

_ADDRESS = "RAY_ADDRESS"


def find_cluster(name: str, start: Path) -> ClusterSpec:
    """Read the cluster spec `name`; see `spec.project.find_named`.

    Raises:
        MissingInputError: there is no such file.
        SpecError: everything that is wrong with it.
    """
    spec, _ = load_spec(find_named("clusters", name, start), {"cluster": ClusterSpec})
    return spec


def chosen(asked: str, in_job: str, start: Path) -> ClusterSpec | None:
    """Return the cluster of a command; None when it runs where it is.

    A driver that runs on a cluster already is where its job belongs: it would submit for ever.

    Args:
        asked: `--cluster`, which has the last word; a path of it is looked up from here.
        in_job: `cluster:` of the job.
        start: The job file.

    Raises:
        GfmpError: see `find_cluster`.
    """
    if os.environ.get(JOB_VARIABLE):
        return None
    if asked:
        return find_cluster(asked, Path.cwd())
    return find_cluster(in_job, start) if in_job else None


def enter(cluster: ClusterSpec) -> JobsConnection | None:
    """Let Ray sessions of this process be on `cluster`; returns how to submit where they cannot.

    It speaks to Ray, and to the processes that are started from here, through their environment.
    """
    connection = cluster.connection
    if isinstance(connection, JobsConnection):
        return connection
    if isinstance(connection, LocalConnection):
        os.environ.pop(_ADDRESS, None)
        os.environ.setdefault(RAY_FOLDER_VARIABLE, str(ray_folder()))
        return None
    assert isinstance(connection, AddressConnection), "the third kind"
    os.environ[_ADDRESS] = connection.address
    if os.environ.get(RAY_FOLDER_VARIABLE) == str(ray_folder()):
        del os.environ[RAY_FOLDER_VARIABLE]  # that of sessions that are ours
    return None
