"""The harness itself: marks find processes, faults happen where and when they are asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fault_project import Prepared, Project, events, fault, hashes, kill_rank, tree_hash
from fault_seen import Seen
from fault_watch import MemoryWatch


@pytest.mark.ci
def test_processes_are_found_by_their_mark(empty: Project) -> None:
    program = "import socket, time; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()"
    memory = "b = b'x' * (64 << 20)"
    started = empty.start_program([sys.executable, "-c", f"{program}; {memory}; time.sleep(60)"])
    with MemoryWatch(empty.processes, 0.05).watching() as watch:
        while not empty.listeners() or watch.peak < 64 << 20:
            assert started.alive(), started.output
    assert [p.pid for p in empty.processes()] == [started.pid]
    assert [address for address, _, _ in empty.listeners()] == ["127.0.0.1"]
    empty.end_all()
    assert started.wait(5).status == -9
    assert empty.processes() == []


@pytest.mark.ci
def test_a_fault_happens_once(empty: Project, tmp_path: Path) -> None:
    once = tmp_path / "once"
    code = "import sitecustomize as s; print([s.FAULTS[0].due(r, t) for r, t in {}])"
    asked = "[(0, 7), (1, 6), (1, 7), (1, 7)]"
    made = fault("hang", once, rank=1, step=7)
    command = [sys.executable, "-c", code.format(asked)]
    assert empty.start_program(command, made).wait().output == "[False, False, True, False]\n"
    assert once.exists()


@pytest.mark.ci
def test_a_tree_hash_sees_names_contents_and_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = tree_hash(tmp_path)
    (tmp_path / "b").symlink_to("a")
    linked = tree_hash(tmp_path)
    (tmp_path / "b").unlink()
    assert linked != before == tree_hash(tmp_path)
    (tmp_path / "a").write_text("2")
    assert tree_hash(tmp_path) != before


def test_what_nobody_saw_is_missing() -> None:
    seen = Seen()
    assert seen.missing() == ["outcome", "lost"]
    seen.outcome("refused")
    seen.lost(files=0)
    assert seen.missing() == []


def test_a_killed_rank_comes_back(prepared: Prepared, fresh: Project, tmp_path: Path) -> None:
    # It waits for its end, so that the run cannot be over before.
    waiting = fault("hang", tmp_path / "once", rank=1, step=7)
    command = fresh.start("submit", str(fresh.job), env=waiting)
    run = fresh.next_run(command)
    fresh.wait_for_step(run, 6, command)
    kill_rank(run, 1)
    done = command.wait()
    assert done.status == 0, done.output
    assert events(run, "resumed")
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    assert fresh.gone(10) == []
