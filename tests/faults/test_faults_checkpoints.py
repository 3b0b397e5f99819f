"""Checkpoints are killed half-way, deleted, emptied, changed: never a silent start from zero."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_checkpoints import empty_folder, unfinished, verify_all
from fault_project import STEPS, Prepared, Project, committed, events, fault, hashes, tree_hash
from fault_seen import Seen

from gfmp.training.manifest import WEIGHTS_FILE, directory_name


@pytest.mark.fault("K1")
def test_a_rank_killed_while_it_writes_its_share(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    env = fault("kill-in-share", fresh.folder / "once", rank=1, step=12)
    done = fresh.run("submit", str(fresh.job), env=env)
    seen.exit(done.status)
    assert done.status == 0, done.output
    run = fresh.known_runs()[-1]
    assert (fresh.folder / "once").exists(), "the rank was killed"
    (rejected,) = events(run, "checkpoint_rejected")
    assert directory_name(12) in str(rejected["path"])
    assert "stopped before it was committed" in str(rejected["reason"])
    assert [fields["step"] for fields in events(run, "resumed")] == [8]
    assert f"{directory_name(12)}" in done.output and "rejected" in done.output
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    assert verify_all(run)[-1] == STEPS
    assert fresh.leftovers() == []
    seen.outcome("resumed at 8; 12 rejected: its writer was stopped; equal weights")
    seen.lost(steps=0 if hashes(run)[1] == prepared.weights_hash else 1)
    seen.lost(files=len(fresh.leftovers()))


@pytest.mark.ci
@pytest.mark.fault("K2")
@pytest.mark.parametrize("harm", [empty_folder, shutil.rmtree], ids=["emptied", "deleted"])
def test_no_checkpoint_is_66_and_never_step_0(
    prepared: Prepared, fresh: Project, seen: Seen, harm: Callable[[Path], None]
) -> None:
    run = unfinished(prepared, fresh)
    harm(run / "checkpoints")
    before = tree_hash(run)
    done = fresh.run("submit", "--resume", run.name)
    seen.exit(done.status)
    assert done.status == 66, done.output
    assert f"step {STEPS} was committed" in " ".join(done.output.split())
    assert tree_hash(run) == before
    seen.outcome("66 before Ray; nothing changed")
    seen.lost(files=int(tree_hash(run) != before))


@pytest.mark.fault("K2")
def test_the_newest_is_gone_and_pointers_lie(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    run = unfinished(prepared, fresh)
    folder = run / "checkpoints"
    shutil.rmtree(folder / directory_name(STEPS))
    weights = folder / directory_name(STEPS - 4) / WEIGHTS_FILE
    body = bytearray(weights.read_bytes())
    body[-3] ^= 1
    weights.write_bytes(body)
    (folder / "latest").write_text("step-000099999")
    done = fresh.run("submit", "--resume", run.name)
    seen.exit(done.status)
    assert done.status == 0, done.output
    rejected = {Path(str(e["path"])).name: e["reason"] for e in events(run, "checkpoint_rejected")}
    assert "it is gone" in str(rejected[directory_name(STEPS)])
    assert "does not match its sha256" in str(rejected[directory_name(STEPS - 4)])
    assert [fields["step"] for fields in events(run, "resumed")] == [STEPS - 8]
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    assert committed(run)[-1] == STEPS
    seen.outcome("newest gone, next damaged: both named, resumed from the one before")
    seen.lost(steps=int(hashes(run)[1] != prepared.weights_hash))


@pytest.mark.ci
@pytest.mark.fault("K2")
def test_verify_finds_what_is_damaged_or_gone(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    run = unfinished(prepared, fresh)
    before = tree_hash(run)
    whole = fresh.run("runs", "verify", run.name)
    seen.exit(whole.status)
    assert whole.status == 0, whole.output
    assert f"{directory_name(STEPS)}: as it was written" in whole.output
    assert tree_hash(run) == before, "looking changes nothing"
    weights = run / "checkpoints" / directory_name(STEPS - 4) / WEIGHTS_FILE
    body = bytearray(weights.read_bytes())
    body[len(body) // 2] ^= 1
    weights.write_bytes(body)
    shutil.rmtree(run / "checkpoints" / directory_name(STEPS))
    found = fresh.run("runs", "verify")
    seen.exit(found.status)
    said = " ".join(found.output.split())
    assert found.status == 65, found.output
    assert f"{WEIGHTS_FILE} does not match its sha256" in said
    assert f"the checkpoint of step {STEPS} is gone" in said
    seen.outcome("runs verify: 0 when whole, 65 naming both faults")
    seen.lost(files=0)
