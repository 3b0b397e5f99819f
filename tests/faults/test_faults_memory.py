"""A rank takes memory until it is ended for it: the run gives up early and says what to change."""

from __future__ import annotations

import psutil
import pytest
from fault_project import Prepared, Project, committed, events, fault, hashes
from fault_seen import Seen

from gfmp.training.restore import find_newest

# What the leak may take before Ray's monitor ends it.
ROOM_BYTES = 5 << 30


def monitored() -> dict[str, str]:
    """Return the environment in which Ray ends the largest worker at so much more memory."""
    memory = psutil.virtual_memory()
    used = (memory.total - memory.available + ROOM_BYTES) / memory.total
    return {
        "RAY_memory_usage_threshold": f"{min(0.9, used):.3f}",
        "RAY_memory_monitor_refresh_ms": "250",
    }


@pytest.mark.fault("T5")
def test_a_leak_ends_the_run_after_two_retries_with_advice(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    env = {**fault("leak", rank=1, step=6), **monitored()}
    most = ("--set", "compute.max_failures=9")
    done = fresh.run("submit", str(fresh.job), *most, env=env, seconds=400)
    seen.exit(done.status)
    assert done.status == 70, done.output
    run = fresh.known_runs()[-1]
    restarts = events(run, "restarted")
    assert [(e["cause"], e["rank"]) for e in restarts] == [("out of memory", 1)] * 2
    words = " ".join(done.output.split())
    assert "rank 1 (pid" in words
    assert "ran out of memory after step 5 with a peak of" in words
    assert "GiB" in words
    assert "a forward pass holds 4 sequences" in words
    newest = find_newest(run / "checkpoints")
    assert newest.path is not None
    assert (newest.path.name, newest.rejected) == ("step-000000004", ())
    assert committed(run) == [4]
    left = fresh.gone(10)
    again = fresh.run("submit", "--resume", run.name)
    seen.exit(again.status)
    assert again.status == 0, again.output
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    seen.outcome(
        "two retries, then rank, peak and batch are named; the resumed run is the clean one"
    )
    seen.lost(processes=len(left), files=len(fresh.leftovers()))
    assert (left, fresh.leftovers()) == ([], [])
