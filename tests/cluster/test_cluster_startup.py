"""What is marked while a run starts, what Ray leaves out, and that importing does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from gfmp.cluster.daemons import only_needed
from gfmp.cluster.session import ray_session
from gfmp.cluster.startup import ClockedSource, StartClock, process_began
from gfmp.cluster.supervise import BEGAN_VARIABLE
from gfmp.feed.batch import TokenBatch
from gfmp.feed.dealing import Dealing

ROOT = Path(__file__).resolve().parents[2]
# Prints what modules do while they are imported, apart from what libraries do then: whoever is
# nearest on the stack and is no part of Python counts.
LOOK = """\
import importlib, os, sys, sysconfig, threading

WORK = {'subprocess.Popen', 'socket.connect', 'socket.bind', 'os.fork', 'os.mkdir', 'os.remove',
        'os.rename', 'os.putenv'}
OWN = (os.path.join(os.getcwd(), 'platform'), os.path.join(os.getcwd(), 'tokenizer_registry'))
PYTHON = sysconfig.get_path('stdlib')
seen = []


def look(event, arguments):
    if event not in WORK:
        return
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(OWN):
            seen.append((event, file))
        if 'site-packages' in file or file.startswith(OWN):
            return
        frame = frame.f_back


sys.addaudithook(look)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(seen)
"""


def names_of(room: Path) -> list[str]:
    found = sorted(room.rglob("*.py"))
    parts = [path.relative_to(room.parent).with_suffix("").parts for path in found]
    return [".".join(p).removesuffix(".__init__") for p in parts if p[-1] != "__main__"]


def test_no_module_of_gfmp_works_when_it_is_imported() -> None:
    names = [*names_of(ROOT / "platform" / "gfmp"), *names_of(ROOT / "tokenizer_registry")]
    # What is copied into exported folders: transformers imports it there, gfmp never does.
    names = [name for name in names if not name.startswith("gfmp.inference.shipped.")]
    assert len(names) > 200
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *names], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_a_clock_begins_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BEGAN_VARIABLE, "12.5")
    assert StartClock.of_process().began == 12.5
    assert BEGAN_VARIABLE not in os.environ
    assert StartClock.of_process().began == process_began() < time.time()


def test_a_clock_tells_the_ends_of_phases() -> None:
    clock = StartClock(1.0)
    clock.ended("first")
    clock.ended("second")
    fields = clock.fields()
    marks = fields["marks"]
    assert fields["began"] == 1.0 and isinstance(marks, list)
    assert [mark["name"] for mark in marks] == ["first", "second"]
    assert marks[0]["ended"] <= marks[1]["ended"]
    assert marks[0]["cpu_seconds"] <= marks[1]["cpu_seconds"]


@pytest.mark.parametrize("num_steps", [0, 1, 3])
def test_a_source_is_marked_once_and_yields_the_same(num_steps: int) -> None:
    def source(dealing: Dealing) -> Generator[tuple[TokenBatch, ...], None, None]:
        yield from ((),) * (dealing.end_step - dealing.first_step)

    clock = StartClock()
    clocked = ClockedSource(source, clock)
    dealing = Dealing(0, num_steps, (1.0,))
    assert list(clocked(dealing)) == list(clocked(dealing)) == list(source(dealing))
    marks = clock.fields()["marks"]
    assert isinstance(marks, list) and len(marks) == 2


def test_rays_node_is_itself_again_after_a_start() -> None:
    from ray._private.node import Node

    before = dict(vars(Node))
    with only_needed():
        changed = {name for name in before if vars(Node)[name] is not before[name]}
    assert changed == {"start_log_monitor", "start_api_server", "start_monitor"}
    assert dict(vars(Node)) == before


@pytest.mark.parametrize("address", ["", "10.0.0.1:6379"])
def test_ray_train_starts_no_helper_that_nobody_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    from gfmp.cluster.rendezvous import process_group
    from gfmp.cluster.trainer import LeanTrainer, OneMachine

    given: dict[str, object] = {}

    def controller(self: DataParallelTrainer, **settings: object) -> object:
        given.update(settings)
        raise InterruptedError  # nothing is run here

    monkeypatch.setattr(DataParallelTrainer, "_initialize_and_run_controller", controller)
    # Ray Train would start a session of its own, and leave it.
    with ray_session(1):
        monkeypatch.setenv("RAY_ADDRESS", address)
        trainer = LeanTrainer(
            print,
            backend_config=process_group(use_gpu=False),
            scaling_config=ScalingConfig(num_workers=2),
            run_config=RunConfig(name="here", storage_path=str(tmp_path)),
        )
        with pytest.raises(InterruptedError):
            trainer.fit()
    callbacks = given["callbacks"]
    assert isinstance(callbacks, list)
    names = {type(callback).__name__ for callback in callbacks}
    assert "BackendSetupCallback" in names and "DatasetsCallback" not in names
    assert ("PlacementGroupCleanerCallback" in names) is bool(address)
    assert isinstance(given["scaling_policy"], OneMachine) is not bool(address)


def test_one_machine_asks_nobody_for_nodes() -> None:
    from ray.train import ScalingConfig

    from gfmp.cluster.trainer import OneMachine

    policy = OneMachine(ScalingConfig(num_workers=3))
    decision = policy.make_decision_for_non_running_worker_group()
    assert decision.num_workers == 3  # and no coordinator was needed to say so
    policy._cancel_resource_request()


def test_what_a_killed_controller_held_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "")
    with ray_session(2):
        from ray.util.placement_group import placement_group, placement_group_table

        from gfmp.cluster.trainer import free_placements

        held = placement_group([{"CPU": 1}] * 4)
        assert held.wait(30)
        waiting = placement_group([{"CPU": 1}] * 2)
        assert not waiting.wait(1)
        free_placements()
        assert {group["state"] for group in placement_group_table().values()} == {"REMOVED"}
        assert placement_group([{"CPU": 1}] * 2).wait(30)
