"""What libraries do quietly to checkpoints, seen happening, beside what gfmp does."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest
from fault_checkpoints import empty_folder, unfinished
from fault_project import STEPS, Done, Prepared, Project, events, hashes
from fault_seen import Seen

from gfmp.training.restore import find_newest

HERE = Path(__file__).parent


def ranks(project: Project, world: int, *command: str) -> list[Done]:
    """Run a script of this folder as every rank of a group and return how each ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(world),
        "TORCH_GLOO_LAZY_INIT": "0",
    }
    program = [sys.executable, str(HERE / command[0]), *command[1:]]
    started = [
        project.start_program(program, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(world)
    ]
    return [command.wait() for command in started]


def loaded(done: Done) -> dict[str, object]:
    """Return what a rank said it had loaded."""
    (line,) = [line for line in done.output.splitlines() if line.startswith("FOUND ")]
    found: dict[str, object] = json.loads(line.removeprefix("FOUND "))
    return found


@pytest.mark.fault("Q3")
def test_deepspeed_without_its_pointer_starts_from_zero(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    folder = fresh.folder / "bare"
    (saved,) = ranks(fresh, 1, "bare_deepspeed.py", "save", str(folder))
    assert saved.status == 0, saved.output
    (done,) = ranks(fresh, 1, "bare_deepspeed.py", "load", str(folder))
    assert loaded(done)["step"] == 1, "its own way works while the pointer is there"
    (folder / "latest").unlink()
    (done,) = ranks(fresh, 1, "bare_deepspeed.py", "load", str(folder))
    assert done.status == 0
    assert loaded(done) == {"path": None, "client": None, "step": 0}
    assert (folder / "global_step1").is_dir(), "although the checkpoint is there"

    run = unfinished(prepared, fresh)
    assert find_newest(run / "checkpoints").path is not None, "gfmp asks no pointer"
    empty_folder(run / "checkpoints")
    ours = fresh.run("submit", "--resume", run.name)
    seen.exit(ours.status)
    assert ours.status == 66, ours.output
    seen.outcome("bare: (None, None), step 0, exit 0; gfmp: no pointer, and 66 with nothing left")
    seen.lost(steps=0)


@pytest.mark.fault("Q4")
def test_deepspeed_points_at_a_torn_checkpoint(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    folder = fresh.folder / "bare"
    first, second = ranks(fresh, 2, "bare_deepspeed.py", "save-and-die", str(folder))
    assert second.status == -9, second.output
    assert (folder / "latest").read_text() == "global_step2"
    names = {path.name for path in (folder / "global_step2").iterdir()}
    assert not any("zero_pp_rank_1" in name for name in names), "the newest lacks a share"
    assert len(list((folder / "global_step1").glob("zero_pp_rank_*"))) == 2, "the older is whole"

    own = fresh.folder / "own"
    first, second = ranks(fresh, 2, "own_ranks.py", str(prepared.run), str(own))
    assert second.status == -9 and first.status != 0
    found = find_newest(own)
    assert found.manifest is not None and found.manifest.cursor.step == 1
    assert ["step-000000002" in item.path.name for item in found.rejected] == [True]
    seen.outcome("bare: `latest` names the torn one; gfmp: the whole one, and why not the newer")
    seen.lost(steps=0)


@pytest.mark.fault("Q5")
def test_ray_without_its_snapshot_starts_from_zero(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    bare = fresh.folder / "bare"
    bare.mkdir()
    program = [sys.executable, str(HERE / "bare_ray.py"), str(bare)]
    done = fresh.start_program(program).wait()
    assert done.status == 0, done.output
    (snapshot,) = (bare / "storage").rglob("checkpoint_manager_snapshot.json")
    snapshot.unlink()
    done = fresh.start_program(program).wait()
    assert done.status == 0, done.output
    assert (bare / "told.txt").read_text().split() == ["0", "0"], "it began twice at step 0"
    assert list((bare / "storage" / "bare").glob("checkpoint_*")), "although checkpoints are there"

    run = unfinished(prepared, fresh)
    shutil.rmtree(run / "checkpoints" / f"step-{STEPS:09d}")
    for path in (run / "ray").rglob("*.json"):
        path.unlink()
    ours = fresh.run("submit", "--resume", run.name)
    seen.exit(ours.status)
    assert ours.status == 0, ours.output
    assert [fields["step"] for fields in events(run, "resumed")] == [STEPS - 4]
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    seen.outcome("bare: step 0, exit 0; gfmp: resumed from its newest checkpoint, equal weights")
    seen.lost(steps=int(hashes(run)[1] != prepared.weights_hash))
