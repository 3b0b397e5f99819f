"""A RayJob or a RayCluster for the KubeRay operator (ray.io/v1).

Fields as in the operator's types, ray-operator/apis/ray/v1 of ray-project/kuberay. Its token mode
(1.5.1 and newer) makes a Secret and hands it to every container.
"""

from __future__ import annotations

import shlex

from gfmp.cluster.manifests.order import Order, yaml_text
from gfmp.cluster.remote import START_VARIABLE
from gfmp.errors import SpecError
from gfmp.spec.cluster import KubernetesSettings, NodeType
from gfmp.storage.owners import JOB_VARIABLE

_MOUNT = "/gfmp/project"
_VOLUME = "gfmp-project"
_STORAGE = "gfmp-storage"
_SHM = "dshm"
# A ConfigMap holds 1 MiB; names and quotes take some of it.
_MOST_BYTES = 900_000
_MIB = 1 << 20
_SHM_FRACTION = 0.3
_STOP_SECONDS = 120
# A GPU node of a cloud can take so long to be there.
_START_SECONDS = 1800


def job_manifest(order: Order) -> str:
    """Return a RayJob that starts a cluster, runs the job on it and takes the cluster down.

    Raises:
        SpecError: the cluster's spec lacks something, or the specs are too large for a ConfigMap.
    """
    settings = order.required("kubernetes", order.cluster.kubernetes)
    spec = {
        "entrypoint": _entrypoint(order),
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": settings.keep_seconds,
        "submissionMode": "K8sJobMode",
        # A pod that is lost is gfmp's own business; a new cluster would begin the job again.
        "backoffLimit": 0,
        "rayClusterSpec": _cluster(order, settings),
    }
    job = _object("RayJob", order.name, settings, spec)
    return yaml_text((_config_map(order, settings), job), _head(order, "job"))


def cluster_manifest(order: Order) -> str:
    """Return a RayCluster that stays, for `gfmp submit --cluster` through its Jobs API.

    Raises:
        SpecError: the cluster's spec lacks something.
    """
    settings = order.required("kubernetes", order.cluster.kubernetes)
    name = order.cluster.name
    cluster = _object("RayCluster", name, settings, _cluster(order, settings))
    return yaml_text((_config_map(order, settings), cluster), _head(order, "cluster"))


def _head(order: Order, what: str) -> tuple[str, ...]:
    return (
        f"The {what} {order.name} on {order.cluster.name}, for KubeRay 1.5.1 or newer.",
        f"Written by gfmp from specs/clusters/{order.cluster.name}.yaml; kubectl apply -f THIS",
        "Reach its Jobs API by a tunnel: kubectl port-forward service/NAME-head-svc 8265",
        "Its token: kubectl get secret NAME -o jsonpath='{.data.auth_token}' | base64 -d",
    )


def _object(
    kind: str, name: str, settings: KubernetesSettings, spec: dict[str, object]
) -> dict[str, object]:
    return {
        "apiVersion": "ray.io/v1",
        "kind": kind,
        "metadata": {"name": object_name(name), "namespace": settings.namespace},
        "spec": spec,
    }


def object_name(name: str) -> str:
    """Return a name as Kubernetes takes it (RFC 1123), short enough for what KubeRay appends."""
    return name.replace("_", "-").replace(".", "-")[:40].rstrip("-")


def _entrypoint(order: Order) -> str:
    words = ("python", "-P", "-m", "gfmp", "submit", order.project.job, *order.arguments)
    there = shlex.join((*words, "--workspace", order.workspace))
    return f"bash -c {shlex.quote(f'cd {_MOUNT} && exec {there}')}"


def _config_map(order: Order, settings: KubernetesSettings) -> dict[str, object]:
    """Carry the job and its specs; a key may hold no slash, so files are numbered."""
    size = sum(map(len, order.project.files.values()))
    if size > _MOST_BYTES:
        raise SpecError(
            f"the job and its specs are {size:,} bytes",
            where=order.project.job,
            why=f"a ConfigMap takes {_MOST_BYTES:,}",
            fix="render a RayCluster (--render kuberay-cluster) and submit to its Jobs API",
        )
    texts = [data.decode("utf-8") for _, data in sorted(order.project.files.items())]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _config_name(order), "namespace": settings.namespace},
        "data": {f"file{number}": text for number, text in enumerate(texts)},
    }


def _config_name(order: Order) -> str:
    return f"{object_name(order.name)}-project"


def _cluster(order: Order, settings: KubernetesSettings) -> dict[str, object]:
    workers = order.workers
    head = order.required("head", order.cluster.head)
    return {
        "rayVersion": order.cluster.ray_version,
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "idleTimeoutSeconds": 60 * workers.idle_minutes,
            "upscalingMode": "Default",
        },
        "headGroupSpec": {
            # No tasks on the head: it keeps the cluster and the driver alive.
            "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
            "template": {"spec": _pod(order, settings, head, "ray-head")},
        },
        "workerGroupSpecs": [
            {
                "groupName": "workers",
                "replicas": workers.min_nodes,
                "minReplicas": workers.min_nodes,
                "maxReplicas": workers.max_nodes,
                "rayStartParams": {"num-cpus": str(workers.cpus)},
                "template": {"spec": _pod(order, settings, workers, "ray-worker")},
            }
        ],
    }


def _pod(
    order: Order, settings: KubernetesSettings, node: NodeType, name: str
) -> dict[str, object]:
    claim = order.required("storage.claim", order.storage.claim)
    files = sorted(order.project.files)
    items = [{"key": f"file{number}", "path": path} for number, path in enumerate(files)]
    shared = round(node.memory_gb * 1e9 * _SHM_FRACTION / _MIB)
    pod: dict[str, object] = {
        "containers": [_container(order, settings, node, name)],
        # A worker that is told to go has until then to commit.
        "terminationGracePeriodSeconds": _STOP_SECONDS,
        "volumes": [
            {"name": _VOLUME, "configMap": {"name": _config_name(order), "items": items}},
            {"name": _STORAGE, "persistentVolumeClaim": {"claimName": claim}},
            {"name": _SHM, "emptyDir": {"medium": "Memory", "sizeLimit": f"{shared}Mi"}},
        ],
    }
    if node.accelerator:
        pod["nodeSelector"] = {"cloud.google.com/gke-accelerator": node.accelerator}
    if node.gpus:
        pod["tolerations"] = [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        ]
    return pod


def _container(
    order: Order, settings: KubernetesSettings, node: NodeType, name: str
) -> dict[str, object]:
    amount: dict[str, object] = {
        "cpu": str(node.cpus),
        "memory": f"{round(node.memory_gb * 1e9 / _MIB)}Mi",
    }
    if node.gpus:
        amount["nvidia.com/gpu"] = str(node.gpus)
    container: dict[str, object] = {
        "name": name,
        "image": settings.image,
        "env": [
            {"name": "GFMP_WORKSPACE", "value": order.workspace},
            # Whoever runs gfmp here is where the job belongs.
            {"name": JOB_VARIABLE, "value": f"kubernetes-{object_name(order.name)}"},
            {"name": START_VARIABLE, "value": str(_START_SECONDS)},
            {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"},
        ],
        "envFrom": [{"secretRef": {"name": secret}} for secret in settings.secrets],
        # Equal, so that nobody else is promised the same memory.
        "resources": {"limits": amount, "requests": dict(amount)},
        "volumeMounts": [
            {"name": _VOLUME, "mountPath": _MOUNT, "readOnly": True},
            {"name": _STORAGE, "mountPath": order.storage.path},
            {"name": _SHM, "mountPath": "/dev/shm"},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if name == "ray-head":
        ports = {"gcs": 6379, "dashboard": 8265, "client": 10001}
        container["ports"] = [{"name": n, "containerPort": p} for n, p in ports.items()]
    return container
