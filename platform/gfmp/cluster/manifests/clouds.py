"""Files for Ray's cluster launcher (`ray up`) on AWS and Google Cloud.

The dashboard, which takes jobs, listens on the head's loopback only: it is reached by a tunnel.
The token is read from the cloud's secret manager and is in no file that is rendered here.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from gfmp.cluster.manifests.order import Order, yaml_text
from gfmp.spec.cluster import CloudSettings, NodeType, SharedStorage

_HEAD, _WORKERS = "head", "workers"
_NodeConfig = Callable[[NodeType, CloudSettings], dict[str, object]]


@dataclass(frozen=True)
class _Cloud:
    """What differs between clouds.

    Attributes:
        provider: Of the launcher.
        secret: Command that prints the token.
        node: Makes the cloud's words for a node.
    """

    provider: dict[str, object]
    secret: str
    node: _NodeConfig


_SETTINGS = "RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0"
_START = f"ulimit -n 65536; {_SETTINGS} ray start"
_GCP_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def aws(order: Order) -> str:
    """Return a launcher file for AWS.

    Raises:
        SpecError: the cluster's spec lacks something.
    """
    settings = order.required("aws", order.cluster.aws)
    provider: dict[str, object] = {
        "type": "aws",
        "region": settings.region,
        "availability_zone": settings.zone,
        "cache_stopped_nodes": False,
    }
    secret = (
        f"aws secretsmanager get-secret-value --region {shlex.quote(settings.region)}"
        f" --secret-id {shlex.quote(settings.secret)} --query SecretString --output text"
    )
    return _file(order, settings, _Cloud(provider, secret, _aws_node))


def gcp(order: Order) -> str:
    """Return a launcher file for Google Cloud.

    Raises:
        SpecError: the cluster's spec lacks something.
    """
    settings = order.required("gcp", order.cluster.gcp)
    project = order.required("gcp.project", settings.project)
    provider: dict[str, object] = {
        "type": "gcp",
        "region": settings.region,
        "availability_zone": settings.zone,
        "project_id": project,
    }
    secret = (
        f"gcloud secrets versions access latest --project {shlex.quote(project)}"
        f" --secret {shlex.quote(settings.secret)}"
    )
    return _file(order, settings, _Cloud(provider, secret, _gcp_node))


def _file(order: Order, settings: CloudSettings, cloud: _Cloud) -> str:
    workers = order.workers
    head = order.required("head", order.cluster.head)
    document = {
        "cluster_name": order.cluster.name,
        "max_workers": workers.max_nodes,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": workers.idle_minutes,
        "provider": cloud.provider,
        "auth": {"ssh_user": settings.ssh_user},
        "head_node_type": _HEAD,
        "available_node_types": {
            # No tasks on the head: it keeps the cluster and the driver alive.
            _HEAD: {"resources": {"CPU": 0}, "node_config": cloud.node(head, settings)},
            _WORKERS: {
                "min_workers": workers.min_nodes,
                "max_workers": workers.max_nodes,
                "resources": _resources(workers),
                "node_config": cloud.node(workers, settings),
            },
        },
        "setup_commands": [_mount(order.storage), *settings.setup, _token(cloud.secret)],
        "head_start_ray_commands": [
            "ray stop",
            f"{_START} --head --port=6379 --dashboard-host=127.0.0.1"
            " --autoscaling-config=~/ray_bootstrap_config.yaml",
        ],
        "worker_start_ray_commands": ["ray stop", f"{_START} --address=$RAY_HEAD_IP:6379"],
    }
    return yaml_text((document,), _head(order))


def _head(order: Order) -> tuple[str, ...]:
    name = order.cluster.name
    return (
        f"The cluster {name}, for Ray's cluster launcher.",
        f"Written by gfmp from specs/clusters/{name}.yaml.",
        "  ray up THIS",
        "  ray attach THIS --port-forward 8265    # the tunnel; leave it open",
        f"  gfmp submit {order.project.job} --cluster {name}",
        "  ray down THIS",
    )


def _resources(node: NodeType) -> dict[str, object]:
    return {"CPU": node.cpus, **({"GPU": node.gpus} if node.gpus else {})}


def _mount(storage: SharedStorage) -> str:
    """Return the command that mounts the shared storage unless it is mounted."""
    path = shlex.quote(storage.path)
    if storage.nfs is None:
        return f"mountpoint -q {path}"  # the image mounts it; without it nothing may start
    return (
        f"mountpoint -q {path} || (sudo mkdir -p {path} &&"
        f" sudo mount -t nfs4 -o nfsvers=4.1,hard,timeo=600 {shlex.quote(storage.nfs)} {path})"
    )


def _token(secret: str) -> str:
    """Return the command that puts the token where Ray looks for it, readable for its owner."""
    return f"mkdir -p -m 700 ~/.ray && (umask 077 && {secret} > ~/.ray/auth_token)"


def _aws_node(node: NodeType, settings: CloudSettings) -> dict[str, object]:
    profile = "Arn" if settings.identity.startswith("arn:") else "Name"
    config: dict[str, object] = {
        "InstanceType": node.instance,
        "ImageId": settings.image,
        "IamInstanceProfile": {profile: settings.identity},
        # Credentials of a node are for its own processes, not for what they forward (IMDSv2).
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/sda1",
                "Ebs": {"VolumeSize": settings.disk_gb, "VolumeType": "gp3", "Encrypted": True},
            }
        ],
    }
    if node.spot:
        config["InstanceMarketOptions"] = {"MarketType": "spot"}
    return config


def _gcp_node(node: NodeType, settings: CloudSettings) -> dict[str, object]:
    disk = {"diskSizeGb": settings.disk_gb, "sourceImage": settings.image}
    config: dict[str, object] = {
        "machineType": node.instance,
        "disks": [
            {"boot": True, "autoDelete": True, "type": "PERSISTENT", "initializeParams": disk}
        ],
        "serviceAccounts": [{"email": settings.identity, "scopes": [_GCP_SCOPE]}],
    }
    scheduling: dict[str, object] = {}
    if node.gpus:
        scheduling["onHostMaintenance"] = "TERMINATE"  # such machines cannot be moved
    if node.gpus and node.accelerator:
        config["guestAccelerators"] = [
            {"acceleratorType": node.accelerator, "acceleratorCount": node.gpus}
        ]
    if node.spot:
        scheduling |= {"provisioningModel": "SPOT", "instanceTerminationAction": "DELETE"}
    if scheduling:
        config["scheduling"] = scheduling
    return config
