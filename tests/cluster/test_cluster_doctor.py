"""`gfmp doctor`: what is said of made-up machines, and of this one."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from gfmp.cli.main import gfmp
from gfmp.cluster.doctor import leftovers, machine, packages, services
from gfmp.cluster.doctor.findings import Finding, State, bad, exit_status, note, ok
from gfmp.cluster.doctor.machine import GIB, MachineFacts, Place
from gfmp.errors import ServiceError, StorageError
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace

HOME = Place("/data/me", True, 100 * GIB, 1 << 20, "ext4")
FIT = MachineFacts(
    cores=8,
    memory_bytes=20 * GIB,
    limit_bytes=0,
    shared_bytes=8 * GIB,
    open_files=65_536,
    workspace=HOME,
    temporary=replace(HOME, path="/tmp"),
    now=1_790_000_000.0,
    disk_now=1_790_000_000.5,
    newest_run=1_789_999_000.0,
)


def test_a_fit_machine_has_nothing_to_mend() -> None:
    found = list(machine.judge(FIT))
    assert {one.state for one in found} == {State.OK}
    assert exit_status(found) == 0


@pytest.mark.parametrize(
    ("changes", "name", "state", "status"),
    [
        ({"memory_bytes": GIB}, "memory", State.BAD, 70),
        ({"limit_bytes": GIB}, "memory", State.BAD, 70),
        ({"memory_bytes": 3 * GIB}, "memory", State.NOTE, 0),
        ({"shared_bytes": 64 << 20}, "shared memory", State.NOTE, 0),
        ({"open_files": 1024}, "open files", State.NOTE, 0),
        ({"workspace": replace(HOME, free_bytes=1)}, "disk", State.BAD, 74),
        ({"workspace": replace(HOME, free_inodes=9)}, "disk", State.BAD, 74),
        ({"workspace": replace(HOME, free_bytes=2 * GIB)}, "disk", State.NOTE, 0),
        ({"workspace": replace(HOME, writable=False)}, "disk", State.BAD, 77),
        ({"workspace": replace(HOME, file_system="nfs4")}, "disk", State.NOTE, 0),
        ({"temporary": replace(HOME, path="/x" * 40)}, "socket names", State.BAD, 69),
        ({"now": 5.0, "disk_now": 5.0, "newest_run": 0.0}, "clock", State.BAD, 69),
        ({"disk_now": FIT.now + 60}, "clock", State.NOTE, 0),
        ({"newest_run": FIT.now + 3600}, "clock", State.NOTE, 0),
    ],
)
def test_each_lack_is_told_with_its_fix(
    changes: dict[str, object], name: str, state: State, status: int
) -> None:
    found = list(machine.judge(replace(FIT, **changes)))  # type: ignore[arg-type]  # any field
    amiss = [one for one in found if one.state is not State.OK]
    assert [(one.name, one.state, one.status) for one in amiss] == [(name, state, status)]
    assert amiss[0].fix
    assert exit_status(found) == status


def _packages(**installed: str) -> packages.Packages:
    return packages.Packages(
        (3, 11),
        {
            "": (Requirement("click>=8.1,<9"),),
            "train": (Requirement("torch>=2.10,<2.14"), Requirement("ray==2.60.*")),
            **dict.fromkeys(("demo", "motifs"), ()),
            "readers": (Requirement("h5py>=3.11,<4"),),
        },
        installed,
    )


def _states(found: packages.Packages) -> dict[str, State]:
    return {one.name: one.state for one in packages.judge(found)}


def test_packages_are_compared_with_their_bounds() -> None:
    whole = {"click": "8.5.1", "torch": "2.13.0+cpu", "ray": "2.60.1", "h5py": "3.12"}
    assert set(_states(_packages(**whole)).values()) == {State.OK}
    old = list(packages.judge(_packages(**{**whole, "ray": "2.40.0"})))
    (wrong,) = [one for one in old if one.state is State.BAD]
    assert "ray is 2.40.0" in wrong.found and wrong.fix == "pip install 'ray==2.60.*'"
    assert exit_status(old) == 66


def test_the_light_half_alone_is_no_fault() -> None:
    found = _states(_packages(click="8.5.1", h5py="3.12"))
    assert found["heavy half"] is State.NOTE and State.BAD not in found.values()
    assert _states(_packages(torch="2.13.0", ray="2.60.1"))["light half"] is State.BAD
    assert _states(replace(_packages(click="8.5.1"), python=(3, 12)))["python"] is State.BAD


def test_this_environment_is_the_one_that_was_tested() -> None:
    found = list(packages.judge(packages.gather()))
    assert not [one for one in found if one.state is State.BAD]
    assert {"torch", "ray", "deepspeed", "mlflow"} <= {one.name for one in found}


@pytest.mark.parametrize(
    ("version", "answer", "state"),
    [
        ("2.13.0+cpu", "False None", State.NOTE),
        ("2.13.0+cu130", "True 13.0", State.OK),
        ("2.13.0+cu130", "False 13.0", State.BAD),
        ("2.13.0", "", State.BAD),
    ],
)
def test_torch_and_the_gpu(version: str, answer: str, state: State) -> None:
    assert services.judge_torch(version, answer).state is state


def test_a_proxy_that_takes_loopback_is_told() -> None:
    proxy = {"http": "http://proxy:3128"}
    assert services.judge_proxies({}, False).state is State.OK
    assert services.judge_proxies(proxy, True).state is State.OK
    assert "no_proxy" in services.judge_proxies(proxy, False).fix


def test_a_taken_port_is_no_fault() -> None:
    states = {one.name: one.state for one in services.network()}
    assert states["loopback"] is State.OK and states["port of gfmp ui"] is State.OK


def test_ray_is_asked_where_it_would_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    assert [one.state for one in services.ray(True)] == [State.OK, State.OK]
    assert list(services.ray(False)) == []
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    (gone,) = services.ray(True)
    assert (gone.state, gone.status) == (State.BAD, 69) and "unset RAY_ADDRESS" in gone.fix
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    (open_,) = services.ray(True)
    assert (open_.state, open_.status) == (State.BAD, 77)


def test_the_tracking_store_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    workspace = Workspace.at(str(tmp_path))
    assert "none yet" in services.mlflow(workspace).found
    with sqlite3.connect(workspace.mlflow_database) as store:
        store.execute("create table runs (run_uuid text)")
    store.close()
    assert "(0 runs)" in services.mlflow(workspace).found
    workspace.mlflow_database.write_bytes(b"no database at all, but long enough to be read" * 99)
    damaged = services.mlflow(workspace)
    assert (damaged.state, damaged.status) == (State.BAD, 65) and "runs sync" in damaged.fix
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert services.mlflow(workspace).status == 69


def test_held_locks_are_named_and_free_ones_are_not(tmp_path: Path) -> None:
    workspace = Workspace.at(str(tmp_path))
    with exclusive(tmp_path / "runs" / ".lock"), exclusive(tmp_path / "vocabularies" / "lock"):
        pass
    assert len(leftovers.lock_files(tmp_path)) == 2
    assert leftovers.locks(workspace).found == "no other gfmp is writing to the workspace"
    with exclusive(tmp_path / "runs" / "a" / "run.lock"):
        found = leftovers.locks(workspace)
    assert found.state is State.OK
    assert f"runs/a/run.lock (pid {os.getpid()}" in found.found


def test_a_lock_of_a_killed_build_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)
    lock = tmp_path / "torch_extensions" / "py311_cpu" / "shm_comm" / "lock"
    assert leftovers.extension_locks(tmp_path, time.time()).state is State.OK
    lock.parent.mkdir(parents=True)
    lock.touch()
    assert leftovers.extension_locks(tmp_path, time.time()).state is State.OK, "it builds"
    found = leftovers.extension_locks(tmp_path, time.time() + 3600)
    assert found.state is State.NOTE and found.fix == f"rm {lock}"


def test_the_first_problem_decides_the_status() -> None:
    lines = [
        ok("a", "fine"),
        note("b", "slow", "do"),
        bad("c", "x", "do", StorageError),
        bad("d", "x", "do", ServiceError),
    ]
    assert exit_status(lines) == 74 and exit_status(lines[:2]) == 0


def test_a_finding_without_a_remedy_is_refused() -> None:
    with pytest.raises(AssertionError):
        Finding("a", State.NOTE, "slow")


def test_the_command_tells_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    place = ("--workspace", str(tmp_path / "none"))
    done = CliRunner().invoke(
        gfmp, ["doctor", *place], catch_exceptions=False, standalone_mode=False
    )
    assert done.return_value == 69
    assert "bad   ray cluster" in done.output and "1 problem to mend first" in done.output
    assert not (tmp_path / "none").exists(), "looking changes nothing"
    rows = json.loads(CliRunner().invoke(gfmp, ["doctor", "--json", *place]).output)
    assert {"disk", "memory", "clock", "locks", "mlflow store", "vocabularies"} <= {
        row["name"] for row in rows
    }
