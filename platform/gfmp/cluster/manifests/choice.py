"""The renderers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gfmp.cluster.manifests.clouds import aws, gcp
from gfmp.cluster.manifests.kuberay import cluster_manifest, job_manifest
from gfmp.cluster.manifests.order import Order
from gfmp.cluster.manifests.slurm import script

RENDERERS: Mapping[str, Callable[[Order], str]] = {
    "kuberay": job_manifest,
    "kuberay-cluster": cluster_manifest,
    "slurm": script,
    "aws": aws,
    "gcp": gcp,
}
