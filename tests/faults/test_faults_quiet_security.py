"""What bare libraries do with a stranger's checkpoint and with their own token and sockets."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest
from fault_foreign import torch_pickle
from fault_project import Project
from fault_seen import Seen

LOAD = """\
import os, sys
os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1",
                  MASTER_PORT="0", DS_ACCELERATOR="cpu")
import socket
with socket.create_server(("127.0.0.1", 0)) as free:
    os.environ["MASTER_PORT"] = str(free.getsockname()[1])
import deepspeed, torch
deepspeed.init_distributed("gloo")
model = torch.nn.Linear(2, 2)
engine, *_ = deepspeed.initialize(model=model, model_parameters=model.parameters(), config={
    "train_batch_size": 1, "optimizer": {"type": "Adam", "params": {"torch_adam": True}}})
try:
    engine.load_checkpoint(sys.argv[1], tag="global_step8")
except Exception as fault:
    print("raised", type(fault).__name__)
"""
LISTEN = """\
import os, json, sys
os.umask(0o022)
import psutil, ray
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False,
         object_store_memory=128 << 20, _node_ip_address="127.0.0.1")
found = set()
for process in psutil.Process().children(recursive=True):
    for one in process.net_connections("tcp"):
        if one.status == "LISTEN":
            found.add(one.laddr.ip)
path = os.path.expanduser("~/.ray/auth_token")
print(json.dumps({"addresses": sorted(found), "mode": os.stat(path).st_mode & 0o777}))
ray.shutdown()
"""
CLOSED = """\
import os, json
os.umask(0o022)
from gfmp.cluster.session import ray_session
with ray_session(1):
    import psutil
    found = set()
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        for one in process.net_connections("tcp"):
            if one.status == "LISTEN":
                found.add(one.laddr.ip)
    path = os.path.expanduser("~/.ray/auth_token")
    print(json.dumps({"addresses": sorted(found), "mode": os.stat(path).st_mode & 0o777}))
"""
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def _python(project: Project, code: str, *arguments: str, home: Path) -> str:
    home.mkdir()
    command = [sys.executable, "-c", code, *arguments]
    environment = {"HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0"}
    done = project.start_program(command, environment).wait()
    assert done.status == 0, done.output
    return done.output


@pytest.mark.fault("Q12")
def test_deepspeed_executes_a_strangers_checkpoint_and_gfmp_does_not(
    empty: Project, seen: Seen
) -> None:
    mark = empty.folder / "executed"
    folder = empty.folder / "specs" / "stranger" / "global_step8"
    folder.mkdir(parents=True)
    (folder / "mp_rank_00_model_states.pt").write_bytes(torch_pickle(mark))
    _python(empty, LOAD, str(folder.parent), home=empty.folder / "bare")
    assert mark.exists(), "the library no longer executes what it loads"
    mark.rmdir()
    done = empty.run("submit", str(empty.job), "--set", f"init_from={folder}/")
    assert done.status == 77, done.output
    assert not mark.exists()
    seen.exit(done.status)
    seen.outcome("bare: executed by engine.load_checkpoint; gfmp: 77, not executed")
    seen.lost(files=0)


@pytest.mark.fault("Q14")
def test_ray_leaves_its_token_and_its_sockets_open_and_gfmp_closes_them(
    empty: Project, seen: Seen
) -> None:
    bare = json.loads(_python(empty, LISTEN, home=empty.folder / "bare").splitlines()[-1])
    assert bare["mode"] & 0o044, "the library closes its token now"
    assert not set(bare["addresses"]) <= LOOPBACK, "the library keeps to loopback now"
    ours = json.loads(_python(empty, CLOSED, home=empty.folder / "ours").splitlines()[-1])
    assert ours["mode"] == stat.S_IRUSR | stat.S_IWUSR
    assert set(ours["addresses"]) and set(ours["addresses"]) <= LOOPBACK
    assert empty.gone(10) == []
    seen.outcome(
        f"bare: token {bare['mode']:o}, listens on {', '.join(bare['addresses'])}; "
        f"gfmp: token {ours['mode']:o}, loopback only"
    )
    seen.lost(processes=0)
