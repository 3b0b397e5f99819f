"""Numbers that are not sound: no rank steps, what it came from is kept, the plan decides."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_checkpoints import verify_all
from fault_project import STEPS, Prepared, Project, events, fault, hashes
from fault_seen import Seen

from gfmp.training.dump import read_dump

REWIND = "numbers={on_nonfinite: rewind, spike_factor: 10, rewind_steps: 2, skip_steps: 3}"


def steps_of(run: Path) -> list[int]:
    """Return the steps whose numbers are on record, in the order of the ledger."""
    return [int(str(fields["step"])) for fields in events(run, "step")]


def steps_missing(run: Path) -> int:
    """Return how many steps of the whole run are neither on record nor told as left out."""
    told = {int(str(fields["step"])) for fields in events(run, "left_out")}
    return len({*range(1, STEPS + 1)} - set(steps_of(run)) - told)


@pytest.mark.fault("T6")
def test_a_lost_loss_of_one_rank_ends_the_run_and_a_resume_leaves_the_batch_out(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    """The fault is not in the data, and the replay says so."""
    env = fault("nan", rank=1, step=7)
    done = fresh.run("submit", str(fresh.job), env=env)
    seen.exit(done.status)
    assert done.status == 70, done.output
    run = fresh.known_runs()[-1]
    assert steps_of(run) == [1, 2, 3, 4, 5, 6]
    assert verify_all(run) == [4]
    (incident,) = events(run, "incident")
    assert (incident["step"], incident["cause"], incident["policy"]) == (7, "loss", "abort")
    dump = Path(str(incident["dump"]))
    assert f"gfmp replay {dump}" in " ".join(done.output.split())
    kept = read_dump(dump).incident
    assert kept.messages[0].startswith("loss nan at step 7 on rank 1, samples ")
    assert len(kept.messages) == 1, "rank 0 is not to blame"
    again = fresh.run("replay", str(dump))
    seen.exit(again.status)
    assert again.status == 70 and "not reproduced" in again.output

    skip = ("--set", "numbers.on_nonfinite=skip")
    resumed = fresh.run("submit", "--resume", run.name, *skip, env=env)
    seen.exit(resumed.status)
    assert resumed.status == 0, resumed.output
    assert [fields["step"] for fields in events(run, "left_out")] == [7]
    assert verify_all(run)[-1] == STEPS
    order, weights = hashes(run)
    assert order == prepared.order_hash and weights != prepared.weights_hash
    assert fresh.leftovers() == []
    seen.outcome("no rank stepped; dump names rank 1; skip finishes without the batch")
    seen.lost(steps=steps_missing(run), files=len(fresh.leftovers()))


@pytest.mark.fault("T6")
def test_a_gradient_a_million_times_too_large_is_rewound(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    env = fault("spike", rank=0, step=9, factor=1_000_000)
    done = fresh.run("submit", str(fresh.job), "--set", REWIND, env=env)
    seen.exit(done.status)
    assert done.status == 0, done.output
    run = fresh.known_runs()[-1]
    (incident,) = events(run, "incident")
    assert (incident["step"], incident["cause"]) == (9, "spike")
    (rewound,) = events(run, "rewound")
    # The batches of steps 7, 8 and 9 are left out; step 4 is the newest checkpoint before them.
    assert [rewound[name] for name in ("step", "first", "end")] == [4, 6, 9]
    assert steps_of(run) == [*range(1, 9), 5, 6, *range(10, STEPS + 1)]
    assert [fields["step"] for fields in events(run, "left_out")] == [7, 8, 9]
    assert hashes(run)[0] == prepared.order_hash
    assert verify_all(run)[-1] == STEPS
    assert "back to step 4" in done.output
    seen.outcome("spike at 9: back to 4, 7 to 9 left out, finished")
    seen.lost(steps=steps_missing(run), files=len(fresh.leftovers()))


@pytest.mark.fault("T6")
def test_what_ruined_weights_do_is_reproduced(fresh: Project, seen: Seen) -> None:
    done = fresh.run("submit", str(fresh.job), env=fault("ruin", step=6))
    seen.exit(done.status)
    assert done.status == 70, done.output
    run = fresh.known_runs()[-1]
    (incident,) = events(run, "incident")
    assert incident["step"] == 6
    assert verify_all(run) == [4]
    again = fresh.run("replay", str(incident["dump"]))
    seen.exit(again.status)
    assert again.status == 0, again.output
    assert "reproduced: weights and data" in again.output
    seen.outcome("a destroyed model: replay gives the same numbers again")
    seen.lost(files=len(fresh.leftovers()))
