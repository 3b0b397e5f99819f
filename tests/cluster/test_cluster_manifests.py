"""What is rendered for other programs is what their own schemas take and what the spec says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import ray
import yaml
from jsonschema import Draft7Validator

from gfmp.cli.options import RENDERED
from gfmp.cluster.manifests.choice import RENDERERS
from gfmp.cluster.manifests.kuberay import object_name
from gfmp.cluster.manifests.order import Order
from gfmp.cluster.parcel import Project, project_of
from gfmp.cluster.place import find_cluster
from gfmp.errors import SpecError
from gfmp.spec.cluster import ClusterSpec, SharedStorage

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "jobs" / "pretrain_base.yaml"
CLUSTERS = {"kuberay": "kubernetes", "kuberay-cluster": "kubernetes"}
# Kubernetes of 2025; KubeRay asks for 1.23 and newer.
KUBERNETES = "1.31.0"
# Fields of the types that ray-operator/apis/ray/v1 of ray-project/kuberay declares (v1.5.1), with
# the JSON type of each; what is a pod is checked by Kubernetes' own schema.
JOB_FIELDS = {
    **{"entrypoint": str, "shutdownAfterJobFinishes": bool, "ttlSecondsAfterFinished": int},
    **{"submissionMode": str, "backoffLimit": int, "rayClusterSpec": dict, "suspend": bool},
    **{"activeDeadlineSeconds": int, "runtimeEnvYAML": str, "jobId": str, "metadata": dict},
}
CLUSTER_FIELDS = {
    **{"rayVersion": str, "authOptions": dict, "enableInTreeAutoscaling": bool},
    **{"autoscalerOptions": dict, "headGroupSpec": dict, "workerGroupSpecs": list},
}
AUTOSCALER_FIELDS = {"idleTimeoutSeconds": int, "upscalingMode": str, "resources": dict}
HEAD_FIELDS = {"rayStartParams": dict, "template": dict, "serviceType": str}
WORKER_FIELDS = {
    **{"groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int},
    **{"rayStartParams": dict, "template": dict, "numOfHosts": int},
}


def cluster(kind: str) -> ClusterSpec:
    """Return the published cluster that `kind` is rendered from."""
    return find_cluster(CLUSTERS.get(kind, kind), ROOT)


def order(kind: str, **changes: object) -> Order:
    """Return an order of the published job on the published cluster."""
    made = Order("base-run_1.x", project_of(JOB), cluster(kind), ("--set", "steps=7"), nodes=3)
    return replace(made, **cast(Any, changes))


def documents(kind: str) -> list[dict[str, Any]]:
    """Return what is rendered, read as YAML 1.1, which all these tools do."""
    return list(yaml.safe_load_all(RENDERERS[kind](order(kind))))


def test_the_command_line_offers_what_can_be_rendered() -> None:
    assert set(RENDERED) == set(RENDERERS)


@pytest.mark.parametrize("kind", ["aws", "gcp"])
def test_launcher_files_are_what_rays_own_schema_takes(kind: str) -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    (document,) = documents(kind)
    faults = [fault.message for fault in Draft7Validator(schema).iter_errors(document)]
    assert not faults
    assert not Draft7Validator(schema).is_valid({**document, "worker_nodes": 3}), "it does refuse"


@pytest.mark.parametrize("kind", ["aws", "gcp"])
def test_ray_prepares_launcher_files_as_it_would_before_it_starts_nodes(kind: str) -> None:
    from ray.autoscaler._private.util import fill_node_type_min_max_workers, prepare_config

    (document,) = documents(kind)
    prepared = prepare_config(document)
    fill_node_type_min_max_workers(prepared)
    types = prepared["available_node_types"]
    workers = cluster(kind).workers
    assert workers is not None
    assert types["workers"]["resources"] == {"CPU": workers.cpus, "GPU": workers.gpus}
    assert types["workers"]["max_workers"] == prepared["max_workers"] == workers.max_nodes
    assert types["head"]["resources"] == {"CPU": 0} and prepared["head_node_type"] == "head"


@pytest.mark.parametrize("kind", ["aws", "gcp"])
def test_nodes_in_a_cloud_are_closed_and_hold_the_token_of_the_secret_manager(kind: str) -> None:
    (document,) = documents(kind)
    starts = document["head_start_ray_commands"][1], document["worker_start_ray_commands"][1]
    assert all("RAY_AUTH_MODE=token" in start for start in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    token = document["setup_commands"][-1]
    settings = getattr(cluster(kind), kind)
    assert settings.secret in token and "umask 077" in token
    for command in [*document["setup_commands"], *starts]:
        subprocess.run(["bash", "-n", "-c", command], check=True)


def test_spot_and_prices_of_clouds_are_their_own_words() -> None:
    spec = cluster("aws")
    assert spec.workers is not None
    spot = spec.model_copy(update={"workers": spec.workers.model_copy(update={"spot": True})})
    (aws,) = yaml.safe_load_all(RENDERERS["aws"](order("aws", cluster=spot)))
    node = aws["available_node_types"]["workers"]["node_config"]
    assert node["InstanceMarketOptions"] == {"MarketType": "spot"}
    (gcp,) = documents("gcp")
    scheduling = gcp["available_node_types"]["workers"]["node_config"]["scheduling"]
    assert scheduling["provisioningModel"] == "SPOT"
    assert scheduling["onHostMaintenance"] == "TERMINATE"


def _typed(value: dict[str, Any], fields: Mapping[str, type]) -> None:
    unknown = set(value) - set(fields)
    assert not unknown
    wrong = {key: part for key, part in value.items() if type(part) is not fields[key]}
    assert not wrong


def _ray_cluster(kind: str) -> dict[str, Any]:
    document = documents(kind)[-1]
    spec: dict[str, Any] = document["spec"]
    return spec if kind == "kuberay-cluster" else cast(dict[str, Any], spec["rayClusterSpec"])


@pytest.mark.parametrize("kind", ["kuberay", "kuberay-cluster"])
def test_manifests_have_the_fields_of_the_operators_types(kind: str) -> None:
    config, made = documents(kind)
    assert config["kind"] == "ConfigMap" and made["apiVersion"] == "ray.io/v1"
    assert made["kind"] == ("RayJob" if kind == "kuberay" else "RayCluster")
    if kind == "kuberay":
        _typed(made["spec"], JOB_FIELDS)
        assert made["spec"]["submissionMode"] in ("K8sJobMode", "HTTPMode", "InteractiveMode")
    found = _ray_cluster(kind)
    _typed(found, CLUSTER_FIELDS)
    _typed(found["autoscalerOptions"], AUTOSCALER_FIELDS)
    _typed(found["headGroupSpec"], HEAD_FIELDS)
    (workers,) = found["workerGroupSpecs"]
    _typed(workers, WORKER_FIELDS)
    assert found["autoscalerOptions"]["upscalingMode"] in ("Default", "Aggressive", "Conservative")
    groups = (found["headGroupSpec"], workers)
    assert all(type(v) is str for g in groups for v in g["rayStartParams"].values())


@pytest.mark.parametrize("kind", ["kuberay", "kuberay-cluster"])
def test_pods_and_files_are_what_kubernetes_own_schema_takes(kind: str) -> None:
    checker = pytest.importorskip("kubernetes_validate", reason="installed by gfmp[dev]")
    found = _ray_cluster(kind)
    for group in (found["headGroupSpec"], *found["workerGroupSpecs"]):
        pod = {
            **{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}},
            "spec": group["template"]["spec"],
        }
        checker.validate(pod, KUBERNETES, strict=True)
        pod["spec"] = {**group["template"]["spec"], "volumez": []}
        with pytest.raises(checker.ValidationError):
            checker.validate(pod, KUBERNETES, strict=True)
    checker.validate(documents(kind)[0], KUBERNETES, strict=True)


def test_pods_get_what_the_spec_says_and_the_files_of_the_job() -> None:
    found, spec = _ray_cluster("kuberay"), cluster("kuberay")
    assert spec.workers is not None and spec.storage is not None and spec.kubernetes is not None
    assert found["authOptions"] == {"mode": "token"}
    assert found["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (workers,) = found["workerGroupSpecs"]
    assert (workers["minReplicas"], workers["maxReplicas"]) == (0, spec.workers.max_nodes)
    pod = workers["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == str(spec.workers.gpus)
    assert container["envFrom"] == [{"secretRef": {"name": name}} for name in ("gfmp-mlflow",)]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    claim = volumes["gfmp-storage"]["persistentVolumeClaim"]["claimName"]
    assert claim == spec.storage.claim
    config = documents("kuberay")[0]
    items = {i["path"]: i["key"] for i in volumes["gfmp-project"]["configMap"]["items"]}
    assert {path: config["data"][key] for path, key in items.items()} == {
        path: data.decode() for path, data in project_of(JOB).files.items()
    }
    assert volumes["gfmp-project"]["configMap"]["name"] == config["metadata"]["name"]


def test_names_are_what_kubernetes_takes() -> None:
    names = [object_name(name) for name in ("a.b_c", "x" * 64, "run-" * 10 + "-tail")]
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", name) for name in names)


def test_specs_too_large_for_a_config_map_are_refused() -> None:
    large = Project("jobs/x.yaml", {"jobs/x.yaml": b"#" * 1_000_000})
    with pytest.raises(SpecError, match="1,000,000 bytes"):
        RENDERERS["kuberay"](order("kuberay", project=large))


def test_a_batch_script_asks_for_the_nodes_and_its_shell_is_sound() -> None:
    text = RENDERERS["slurm"](order("slurm"))
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.MULTILINE))
    assert asked["nodes"] == "3" and asked["gpus-per-node"] == "a100:4"
    assert asked["signal"] == "B:TERM@180" and asked["time"] == "2-00:00:00"
    last = max(text.index(line) for line in re.findall(r"^#SBATCH.*$", text, re.MULTILINE))
    assert last < text.index("set -euo pipefail"), "Slurm stops to read at the first command"
    assert "RAY_AUTH_MODE=token" in text and "umask 077" in text and "{" not in asked["output"]
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    if shutil.which("shellcheck"):
        words = ["shellcheck", "--severity=warning", "-"]
        done = subprocess.run(words, input=text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout


def _run_script(folder: Path, restarts: str) -> str:
    """Run the script where Slurm, Ray and gfmp are scripts that only tell how they were called."""
    tools = folder / "bin"
    tools.mkdir(parents=True)
    for name, body in {
        "scontrol": "printf 'n1\\nn2\\n'",
        "srun": 'echo "srun $*" >> calls',
        "ray": "printf ' 1 node_a\\n 1 node_b\\n'",
        "gfmp": 'if [ "$2" = list ]; then echo \'[{"id": "r-1", "name": "base-run_1.x",'
        ' "status": "interrupted"}]\'; else echo "gfmp $*" >> calls;'
        ' env | grep -E "^(RAY_ADDRESS|RAY_AUTH|GFMP_JOB)" >> calls; fi',
    }.items():
        (tools / name).write_text(f"#!/bin/bash\n{body}\n")
        (tools / name).chmod(0o755)
    spec = cluster("slurm")
    assert spec.slurm is not None
    here = spec.model_copy(
        update={
            "storage": SharedStorage(path=str(folder / "shared")),
            "slurm": spec.slurm.model_copy(update={"setup": ("true",)}),
        }
    )
    (folder / "job.sh").write_text(RENDERERS["slurm"](order("slurm", cluster=here)))
    slurm = {"SLURM_JOB_ID": "77", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2"}
    subprocess.run(
        ["bash", "job.sh"],
        cwd=folder,
        env={
            **slurm,
            **{"PATH": f"{tools}:/usr/bin:/bin", "SLURM_SUBMIT_DIR": str(folder)},
            **{"SLURM_RESTART_COUNT": restarts},
        },
        check=True,
        timeout=60,
        capture_output=True,
    )
    return (folder / "calls").read_text()


def test_a_batch_script_starts_ray_on_every_node_and_the_job_once(tmp_path: Path) -> None:
    first = _run_script(tmp_path / "first", "0")
    assert "--nodelist=n1 env -u RAY_ADDRESS ray start --block" in first
    assert "--exclude=n1 env -u RAY_ADDRESS ray start --block" in first
    assert first.count("gfmp submit jobs/pretrain_base.yaml --set steps=7") == 1
    assert "RAY_ADDRESS=n1:20077" in first and "RAY_AUTH_MODE=token" in first
    assert "GFMP_JOB_ID=slurm-77" in first and "ray stop" in first.splitlines()[-1]
    assert not list((tmp_path / "first" / "shared" / "workspace").glob("*.token"))
    again = _run_script(tmp_path / "again", "1")
    assert "gfmp submit --resume r-1" in again and "pretrain_base" not in again


@pytest.mark.parametrize("kind", sorted(RENDERERS))
def test_a_spec_that_lacks_what_is_needed_is_told_the_key(kind: str) -> None:
    bare = find_cluster("local", ROOT)
    with pytest.raises(SpecError, match=r"is missing") as caught:
        RENDERERS[kind](order(kind, cluster=bare))
    assert "specs/clusters/local.yaml" in caught.value.problems[0].where


def test_storage_without_a_claim_is_told_so() -> None:
    spec = cluster("kuberay").model_copy(update={"storage": SharedStorage(path="/mnt/gfmp")})
    with pytest.raises(SpecError, match=r"'storage.claim' is missing"):
        RENDERERS["kuberay"](order("kuberay", cluster=spec))
