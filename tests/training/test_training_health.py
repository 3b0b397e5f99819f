from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from training_world import Shape, World

from gfmp.errors import MissingInputError, StorageError, TrainingError
from gfmp.ledger.events import Event
from gfmp.plan.values import Plan
from gfmp.spec.pretrain import Numbers
from gfmp.storage.hashes import canonical_json
from gfmp.training.health import (
    LEAST_NORMS,
    REMEMBERED_NORMS,
    Incident,
    Share,
    most_norm,
    remedy,
    remembered,
)
from gfmp.training.history import committed_step, nothing_left
from gfmp.training.manifest import Cursor, LeftOut
from gfmp.training.room import free_bytes, require_room, require_room_to_train, too_large

NAN = math.nan
BAD = Incident(7, "loss", NAN, math.inf, (Share((1.0, 2.0), (3,)), Share((NAN, 2.0), (5, 6))))
SPIKE = Incident(9, "spike", 1e6, 12.5, (Share((1.0,), (3,)),))
START = Cursor(7, "ab" * 32)


def test_an_incident_blames_the_ranks_whose_loss_is_lost() -> None:
    assert BAD.messages == ("loss nan at step 8 on rank 1, samples 5, 6",)
    error = BAD.error("do this")
    assert isinstance(error, TrainingError)
    assert error.exit_status == 70
    assert [(p.where, p.fix) for p in error.problems] == [("step 8", "do this")]


def test_a_spike_is_told_with_the_limit() -> None:
    (problem,) = SPIKE.error("").problems
    assert problem.message == "spike 1e+06 at step 10"
    assert "norms up to 12.5" in problem.why


def test_many_samples_are_cut_short() -> None:
    many = replace(BAD, shares=(Share((NAN,), tuple(range(20))),))
    assert many.messages[0].endswith("samples 0, 1, 2, 3, 4, 5, 6, 7 and 12 more")


def test_without_a_rule_no_finite_norm_is_a_spike() -> None:
    assert most_norm(Numbers(), [1.0] * 20) == math.inf
    assert remembered(Numbers(), (), 1.0) == ()


@given(st.lists(st.floats(0.1, 10.0), max_size=100))
@settings(deadline=None, max_examples=40)
def test_the_rule_compares_with_the_median_of_the_last_norms(norms: list[float]) -> None:
    rule = Numbers(spike_factor=3.0)
    kept: tuple[float, ...] = ()
    for norm in norms:
        kept = remembered(rule, kept, norm)
    assert list(kept) == norms[-REMEMBERED_NORMS:]
    most = most_norm(rule, kept)
    if len(norms) < LEAST_NORMS:
        assert most == math.inf
    else:
        above = sum(norm > most / 3.0 * (1 + 1e-9) for norm in kept)
        assert above <= len(kept) / 2
        assert sum(norm >= most / 3.0 * (1 - 1e-9) for norm in kept) >= len(kept) / 2


def test_each_policy_has_its_remedy() -> None:
    assert remedy(Numbers(), START, BAD) is None
    skip = Numbers(on_nonfinite="skip")
    assert remedy(skip, START, BAD) == LeftOut(7, 8, 7, "loss")
    rewind = Numbers(on_nonfinite="rewind", rewind_steps=3, skip_steps=5)
    assert remedy(rewind, START, BAD) == LeftOut(4, 9, 7, "loss")
    early = replace(BAD, step=1)
    assert remedy(rewind, replace(START, step=1), early) == LeftOut(0, 5, 1, "loss")


def test_a_run_is_not_mended_for_ever() -> None:
    skip = Numbers(on_nonfinite="skip", most_times=2)
    once = replace(START, left_out=(LeftOut(1, 2, 1, "loss"),))
    assert remedy(skip, once, BAD) is not None
    assert remedy(skip, replace(once, left_out=once.left_out * 2), BAD) is None


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=5), st.integers(0, 40))
@settings(deadline=None, max_examples=60)
def test_updates_are_the_steps_that_were_not_left_out(
    windows: list[tuple[int, int]], step: int
) -> None:
    left_out = tuple(LeftOut(first, first + num, first, "loss") for first, num in windows)
    start, updates = Cursor(0, "", left_out=left_out), 0
    for done in range(step):
        updates += not replace(start, step=done).leaves_out
    assert replace(start, step=step).updates == updates


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_nonfinite": "ignore"},
        {"spike_factor": 1.0},
        {"spike_factor": math.nan},
        {"rewind_steps": 0},
        {"most_times": 0},
        {"rewind_steps": 200},
    ],
)
def test_wrong_rules_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Numbers.model_validate(wrong)


def test_the_rule_is_no_part_of_the_identity(world: World) -> None:
    plan = world.plan(Shape())
    strict = replace(plan, where=replace(plan.where, numbers=Numbers(on_nonfinite="skip")))
    assert strict.what.fingerprint == plan.what.fingerprint
    assert Plan.from_json(strict.to_json()).where.numbers.on_nonfinite == "skip"
    written = plan.to_json()
    assert isinstance(written["where"], dict)
    del written["where"]["numbers"]  # as plans were written before there was such a rule
    assert Plan.from_json(written) == plan


def test_a_sound_cursor_is_written_as_before(world: World) -> None:
    from pydantic import TypeAdapter

    from gfmp.training.manifest import Manifest

    manifest = Manifest(START, "", {}, "", None, {}, {})
    body = TypeAdapter(Manifest).dump_python(manifest, mode="json")
    assert body["cursor"] == {"step": 7, "order_hash": START.order_hash}
    rich = replace(START, left_out=(LeftOut(1, 2, 1, "loss"),), norms=(0.1 + 0.2,))
    text = canonical_json(TypeAdapter(Cursor).dump_python(rich, mode="json"))
    assert TypeAdapter(Cursor).validate_json(text) == rich


def _events(*told: tuple[str, int]) -> list[Event]:
    return [Event(i, float(i), 0, "rank0", k, {"step": s}) for i, (k, s) in enumerate(told)]


@pytest.mark.parametrize(
    ("told", "step"),
    [
        ((), 0),
        ((("step", 5),), 0),
        ((("checkpoint", 4), ("checkpoint", 8), ("step", 9)), 8),
        ((("checkpoint", 4), ("checkpoint", 8), ("resumed", 4), ("step", 5)), 4),
        ((("checkpoint", 8), ("rewound", 0)), 0),
        ((("checkpoint", 8), ("rewound", 4), ("checkpoint", 12)), 12),
    ],
)
def test_the_ledger_knows_the_checkpoint_that_must_be_there(
    told: tuple[tuple[str, int], ...], step: int
) -> None:
    assert committed_step(_events(*told)) == step


def test_nothing_left_is_status_66() -> None:
    fault = nothing_left(Path("checkpoints"), 12)
    assert isinstance(fault, MissingInputError)
    assert fault.exit_status == 66
    assert "step 12" in str(fault)


def test_too_little_room_names_both_numbers(tmp_path: Path) -> None:
    free = free_bytes(tmp_path / "not" / "there" / "yet")
    require_room(tmp_path, 1000, "a thing")
    with pytest.raises(StorageError, match=f"{2 * free:,} bytes needed") as caught:
        require_room(tmp_path, 2 * free, "a thing")
    assert caught.value.exit_status == 74
    assert "bytes free" in str(caught.value)
    failed = too_large(tmp_path, 77, StorageError("cannot write: full", where="here"))
    assert "needs 77 bytes" in str(failed) and "are free" in str(failed)


def test_a_model_too_large_for_the_disk_does_not_start(world: World, tmp_path: Path) -> None:
    plan = world.plan(Shape())
    require_room_to_train(plan, tmp_path)
    wide = plan.what.architecture.model_copy(update={"width": 2**20, "intermediate": 2**22})
    with pytest.raises(StorageError, match="2 checkpoints of"):
        require_room_to_train(replace(plan, what=replace(plan.what, architecture=wide)), tmp_path)
