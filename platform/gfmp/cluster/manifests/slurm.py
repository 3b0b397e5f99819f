"""A batch script for Slurm: Ray across the nodes of an allocation, the job on the first of them."""

from __future__ import annotations

import shlex

from gfmp.cluster.manifests.order import Order
from gfmp.spec.cluster import SlurmSettings, WorkerNodes

_SCRIPT = """\
set -euo pipefail
cd {project}
{setup}
# Ray is open to nobody without this token, which only this user can read.
umask 077
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_TOKEN_PATH={workspace}/slurm-$SLURM_JOB_ID.token
mkdir -p {workspace}
od -An -N32 -tx1 /dev/urandom | tr -d ' \\n' > "$RAY_AUTH_TOKEN_PATH"

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${{nodes[0]}}
# Several jobs may share a node: each has ports of its own.
port=$((20000 + SLURM_JOB_ID % 20000))
export RAY_ADDRESS=$head:$port GFMP_JOB_ID=slurm-$SLURM_JOB_ID

stop() {{
    srun --overlap --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 ray stop --grace-period 10 ||
        true
    rm -f "$RAY_AUTH_TOKEN_PATH"
}}
trap stop EXIT

start=(env -u RAY_ADDRESS ray start --block --disable-usage-stats
    --num-cpus={cpus} --num-gpus={gpus})
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \\
    "${{start[@]}}" --head --node-ip-address="$head" --port="$port" --include-dashboard=false &
for _ in $(seq 60); do
    ray status > /dev/null 2>&1 && break
    sleep 2
done
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    srun --overlap --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks-per-node=1 --exclude="$head" \\
        "${{start[@]}}" --address="$RAY_ADDRESS" &
fi
for _ in $(seq 60); do
    alive=$(ray status 2> /dev/null | grep -c '^ 1 node_' || true)
    [ "$alive" -ge "$SLURM_JOB_NUM_NODES" ] && break
    sleep 2
done

# A job that was put back into the queue goes on with its run.
work=({submit})
if [ "${{SLURM_RESTART_COUNT:-0}}" -gt 0 ]; then
    run=$(gfmp runs list --json --workspace {workspace} | python3 -c '
import json, sys
runs = [r["id"] for r in json.load(sys.stdin)
        if r["name"] == sys.argv[1] and r["status"] in ("interrupted", "failed")]
print(runs[-1] if runs else "")' {name})
    if [ -n "$run" ]; then
        work=(gfmp submit --resume "$run" --workspace {workspace})
    fi
fi

# Slurm tells the script, the script tells gfmp, and gfmp commits.
"${{work[@]}}" &
driver=$!
trap 'kill -TERM "$driver" 2> /dev/null || true' TERM
status=0
wait "$driver" || status=$?
if [ "$status" -gt 128 ] && kill -0 "$driver" 2> /dev/null; then
    status=0
    wait "$driver" || status=$?
fi
exit "$status"
"""


def script(order: Order) -> str:
    """Return a script for `sbatch`, given in the folder of the project.

    Raises:
        SpecError: the cluster's spec lacks something.
    """
    settings = order.required("slurm", order.cluster.slurm)
    workers = order.workers
    submit = ("gfmp", "submit", order.project.job, *order.arguments)
    body = _SCRIPT.format(
        project='"${SLURM_SUBMIT_DIR:?}"',
        setup="\n".join(settings.setup),
        workspace=shlex.quote(order.workspace),
        cpus=workers.cpus,
        gpus=workers.gpus,
        name=shlex.quote(order.name),
        submit=shlex.join((*submit, "--workspace", order.workspace)),
    )
    lines = ["#!/bin/bash", *_directives(order, settings, workers), ""]
    return "\n".join(lines) + body


def _directives(order: Order, settings: SlurmSettings, workers: WorkerNodes) -> list[str]:
    gpus = f"{workers.accelerator}:{workers.gpus}" if workers.accelerator else str(workers.gpus)
    asked = {
        "job-name": order.name,
        "nodes": str(order.nodes),
        "ntasks-per-node": "1",
        "cpus-per-task": str(workers.cpus),
        "mem": f"{round(workers.memory_gb * 1e9 / (1 << 20))}M",
        "gpus-per-node": gpus if workers.gpus else None,
        "time": settings.time_limit,
        "partition": settings.partition,
        "account": settings.account,
        "signal": f"B:TERM@{settings.grace_seconds}",
        "open-mode": "append",
        "output": f"{order.name}-%j.log",
    }
    about = (
        f"# The job {order.name} on {order.cluster.name}; written by gfmp from"
        f" specs/clusters/{order.cluster.name}.yaml.",
        "# Each node starts one Ray; the driver of the job is on the first.",
    )
    return [
        *(f"#SBATCH --{key}={value}" for key, value in asked.items() if value),
        "#SBATCH --requeue",
        *about,
    ]
