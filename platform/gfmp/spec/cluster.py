"""Where jobs run: a file in specs/clusters/ says how it is reached, what it has and costs."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gfmp.spec.base import Closed, Name, NotNegativeInt, PositiveInt

Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Text = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")]
# What a shell, YAML and a cloud all take as it is.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}$")]
_MountPath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]{1,254}$")]


class LocalConnection(Closed):
    """A session of this machine's own, whatever RAY_ADDRESS says."""

    kind: Literal["local"]


class AddressConnection(Closed):
    """A Ray cluster that this machine is part of, or can reach as if it were.

    Attributes:
        address: `host:port` of its head (GCS, 6379 by default), or `auto` for the cluster that
            `ray start` left on this machine.
    """

    kind: Literal["address"]
    address: Annotated[str, Field(pattern=r"^(auto|(ray://)?[A-Za-z0-9._\[\]:-]+:[0-9]{1,5})$")]


class JobsConnection(Closed):
    """A Ray cluster that is given jobs over HTTP; their drivers run on it.

    Attributes:
        address: `https://head:8265`; `http` only to this machine, which is where a tunnel ends.
        workspace: Folder on storage that every node of the cluster mounts.
        token_path: File with the cluster's token; without one the usual places of Ray.
        ca_path: Certificates that vouch for the cluster beside those of the system.
        python: Interpreter on the cluster that has Ray, torch and MLflow.
        environment: Variables of the driver and its workers; no secrets, which belong to the
            cluster itself.
        start_seconds: What nodes that are not there yet are given to start.
        stop_seconds: What a run that is stopped is given to commit before it is killed.
    """

    kind: Literal["jobs_api"]
    address: Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+/?$")]
    workspace: _MountPath
    token_path: Text | None = None
    ca_path: Text | None = None
    python: Text = "python"
    environment: dict[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")], Text] = Field(
        default_factory=dict
    )
    start_seconds: Annotated[int, Field(ge=1, le=86_400)] = 1800
    stop_seconds: Annotated[int, Field(ge=3, le=3600)] = 120

    @field_validator("address")
    @classmethod
    def _a_port(cls, value: str) -> str:
        try:
            port, host = urlsplit(value).port, urlsplit(value).hostname
        except ValueError as fault:
            raise ValueError(f"it is no address: {fault}") from fault
        if not host or (port is None and value.startswith("http://")):
            raise ValueError("an http address names its port, such as http://127.0.0.1:8265")
        return value.rstrip("/")


Connection = Annotated[
    LocalConnection | AddressConnection | JobsConnection, Field(discriminator="kind")
]


class NodeType(Closed):
    """One kind of node.

    Attributes:
        cpus: CPU cores that jobs may use.
        memory_gb: Main memory, 10^9 bytes.
        gpus: GPUs.
        gpu_memory_gb: Memory of one of them, 10^9 bytes; 0 when not known.
        instance: Machine type of the cloud.
        accelerator: What a scheduler calls the GPU: a GKE accelerator, or a type of a Slurm gres.
        price_hour: What an hour of the node costs, in the currency of `prices`; 0 when not known.
        spot: Nodes that the cloud may take back.
    """

    cpus: PositiveInt
    memory_gb: Positive
    gpus: NotNegativeInt = 0
    gpu_memory_gb: NotNegative = 0.0
    instance: Word | None = None
    accelerator: Word | None = None
    price_hour: NotNegative = 0.0
    spot: bool = False


class WorkerNodes(NodeType):
    """The nodes that training workers run on.

    Attributes:
        min_nodes: Nodes that are always there.
        max_nodes: Nodes at most; the autoscaler moves between the two.
        idle_minutes: Time without work after which a node is given back.
        link_gbit: What one node can send over the network, 10^9 bits a second; 0 when not known.
    """

    min_nodes: NotNegativeInt = 0
    max_nodes: PositiveInt
    idle_minutes: PositiveInt = 5
    link_gbit: NotNegative = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> WorkerNodes:
        if self.min_nodes > self.max_nodes:
            raise ValueError(f"min_nodes {self.min_nodes} exceed max_nodes {self.max_nodes}")
        return self


class SharedStorage(Closed):
    """The file system that every node mounts; workspaces are on it.

    Attributes:
        path: Where it is mounted.
        claim: PersistentVolumeClaim of it on Kubernetes (ReadWriteMany).
        nfs: `server:/export` that nodes in a cloud mount.
        write_gb_second: What one node writes to it, 10^9 bytes a second; 0 when not known.
        price_gb_month: What 10^9 bytes cost for a month; 0 when not known.
    """

    path: _MountPath
    claim: Name | None = None
    nfs: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+:/[A-Za-z0-9._/-]*$")] | None = None
    write_gb_second: NotNegative = 0.0
    price_gb_month: NotNegative = 0.0


class Prices(Closed):
    """Where the prices of a cluster come from.

    Attributes:
        currency: In which they are.
        source: Who said so, and when.
    """

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    source: Text


class Failures(Closed):
    """How often nodes are lost.

    Attributes:
        per_node_day: Failures of a node in a day, preemptions included.
        restart_seconds: From a failure to the next step of training.
        source: Where the numbers come from.
    """

    per_node_day: NotNegative
    restart_seconds: NotNegative = 300.0
    source: Text


class KubernetesSettings(Closed):
    """What manifests for the KubeRay operator (1.5.1 or newer, for its tokens) need.

    Attributes:
        image: Container with gfmp[train] installed.
        namespace: Where they are created.
        secrets: Names of Secrets whose keys become environment variables of every pod.
        keep_seconds: How long a cluster stays after its job.
    """

    image: Word
    namespace: Name = "default"
    secrets: tuple[Name, ...] = ()
    keep_seconds: NotNegativeInt = 300


class CloudSettings(Closed):
    """What Ray's cluster launcher needs.

    Attributes:
        region: Where nodes start.
        zone: Availability zones, separated by commas on AWS.
        project: Project id; GCP only.
        image: Machine image: an AMI, or the `sourceImage` of a GCP disk.
        disk_gb: Boot disk, 10^9 bytes.
        ssh_user: User of the image.
        setup: Commands that install gfmp[train] on a node.
        secret: Name in the cloud's secret manager that holds the cluster's token.
        identity: Instance profile (AWS) or service account (GCP) that may read that secret.
    """

    region: Word
    zone: Annotated[str, Field(pattern=r"^[a-z0-9-]+(,[a-z0-9-]+)*$")]
    project: Word | None = None
    image: Word
    disk_gb: PositiveInt = 200
    ssh_user: Word = "ubuntu"
    setup: tuple[Text, ...] = ()
    secret: Word
    identity: Text


class SlurmSettings(Closed):
    """What a batch script for Slurm needs.

    Attributes:
        partition: Of the nodes.
        account: Who pays.
        time_limit: `D-HH:MM:SS`.
        setup: Commands that make `ray` and `gfmp` callable, such as `source ENV/bin/activate`.
        grace_seconds: How long before its end, or a preemption, the job is told to commit.
    """

    partition: Word | None = None
    account: Word | None = None
    time_limit: Annotated[str, Field(pattern=r"^([0-9]+-)?[0-9]{1,2}:[0-9]{2}:[0-9]{2}$")]
    setup: tuple[Text, ...] = ()
    grace_seconds: Annotated[int, Field(ge=30, le=3600)] = 180


class ClusterSpec(Closed):
    """A file in specs/clusters/.

    Attributes:
        name: Of the cluster.
        connection: How commands reach it.
        ray_version: Of Ray on it; clients and cluster must agree.
        head: The node that drivers run on; without it that is one of the workers.
        workers: The nodes that train.
        storage: The file system they share.
        prices: Where the prices come from.
        failures: How often nodes are lost.
        kubernetes: For `--render kuberay` and `kuberay-cluster`.
        aws: For `--render aws`.
        gcp: For `--render gcp`.
        slurm: For `--render slurm`.
    """

    kind: Literal["cluster"]
    name: Name
    connection: Connection
    ray_version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")] = "2.60.0"
    head: NodeType | None = None
    workers: WorkerNodes | None = None
    storage: SharedStorage | None = None
    prices: Prices | None = None
    failures: Failures | None = None
    kubernetes: KubernetesSettings | None = None
    aws: CloudSettings | None = None
    gcp: CloudSettings | None = None
    slurm: SlurmSettings | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ClusterSpec:
        priced = [node.price_hour for node in (self.head, self.workers) if node]
        priced += [self.storage.price_gb_month] if self.storage else []
        if any(priced) and self.prices is None:
            raise ValueError("prices are given: say in `prices` where they come from")
        if self.gcp and not self.gcp.project:
            raise ValueError("gcp needs a project")
        if isinstance(self.connection, JobsConnection) and self.storage:
            _check_shared(self.connection.workspace, self.storage.path)
        return self


def _check_shared(workspace: str, shared: str) -> None:
    if not f"{workspace}/".startswith(f"{shared.rstrip('/')}/"):
        raise ValueError(f"the workspace {workspace} is not on the storage at {shared}")
