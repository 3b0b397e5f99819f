"""A Ray cluster of three nodes on one machine, as a program; one node can be taken away.

It writes `cluster.json` (address, and the id of each node that has cores by the pid of its raylet)
into the folder it runs in. When a file `drain` appears with the id of a node, Ray is told that this
node will be preempted; when `take` appears the node is gone; when `end` appears all of it is.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from ray._private.ray_constants import PROCESS_TYPE_RAYLET
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

NOTICE_SECONDS = 120
SMALL = {"object_store_memory": 200 << 20, "include_dashboard": False}


def main() -> None:
    """Run the cluster until it is told to end."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
    nodes = [cluster.add_node(num_cpus=4, **SMALL) for _ in range(2)]
    cluster.wait_for_nodes()
    by_pid = {n.all_processes[PROCESS_TYPE_RAYLET][0].process.pid: n.node_id for n in nodes}
    told = {"address": cluster.address, "nodes": by_pid}
    Path("cluster.tmp").write_text(json.dumps(told))
    Path("cluster.tmp").rename("cluster.json")
    node_id = _appears("drain").strip()
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    until = int((time.time() + NOTICE_SECONDS) * 1000)
    accepted, why = GcsClient(address=cluster.address).drain_node(node_id, reason, "spot", until)
    assert accepted, why
    _appears("take")
    cluster.remove_node(next(n for n in nodes if n.node_id == node_id), allow_graceful=False)
    _appears("end")
    cluster.shutdown()


def _appears(name: str) -> str:
    while not Path(name).exists():
        time.sleep(0.1)
    return Path(name).read_text()


if __name__ == "__main__":
    main()
