"""Runs whose numbers are not sound: real spikes of small batches, and a rate that destroys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_world import Events, Shape, World

from gfmp.errors import CorruptArtefactError, MissingInputError, TrainingError
from gfmp.plan.values import Engine, Plan
from gfmp.spec.pretrain import Checkpointing, Numbers, Optimiser
from gfmp.training.dump import DUMP_FILE, read_dump
from gfmp.training.job import Outcome
from gfmp.training.loop import train
from gfmp.training.manifest import WEIGHTS_FILE, Cursor, verify
from gfmp.training.processes import Group
from gfmp.training.replay import alone, replay
from gfmp.training.restore import committed

STEPS = 24
# Gradients of so small batches jump by more than this now and then.
SPIKES = 1.3


@pytest.fixture(scope="module", autouse=True)
def _one_thread(group: Group) -> None:
    assert group.world == 1
    torch.set_num_threads(1)


def plan_of(world: World, numbers: Numbers, engine: Engine = "ddp", every: int = 2) -> Plan:
    evaluation = world.plan(Shape()).what.evaluation.model_copy(update={"every_steps": 100})
    shape = Shape(engine, steps=STEPS, commit_every=every, changes={"evaluation": evaluation})
    plan = world.plan(shape)
    keep = Checkpointing(every_steps=every, keep_last=20, keep_best=0)
    return replace(plan, where=replace(plan.where, checkpoint=keep, numbers=numbers))


def left_out(folder: Path) -> Cursor:
    """Return the cursor of the newest checkpoint."""
    return verify(committed(folder)[0]).cursor


@pytest.fixture(scope="module")
def skipped(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Events, Path]:
    """A run that leaves out the batches of its spikes."""
    folder, events = tmp_path_factory.mktemp("skipped") / "checkpoints", Events()
    return train(world.job(plan_of(world, skipped_numbers()), folder, events)), events, folder


def test_a_skipped_batch_is_told_and_counted(skipped: tuple[Outcome, Events, Path]) -> None:
    outcome, events, folder = skipped
    bad = [int(str(fields["step"])) for fields in events.of("incident")]
    assert bad, "such small batches have spikes"
    assert [fields["step"] for fields in events.of("left_out")] == bad
    assert [fields["step"] for fields in events.of("step")] == [
        step for step in range(1, STEPS + 1) if step not in bad
    ]
    cursor = left_out(folder)
    assert [out.first + 1 for out in cursor.left_out] == bad
    assert (outcome.step, cursor.updates) == (STEPS, STEPS - len(bad))
    assert {fields["cause"] for fields in events.of("incident")} == {"spike"}


def test_the_order_of_samples_is_that_of_the_undisturbed_run(
    world: World, skipped: tuple[Outcome, Events, Path], tmp_path: Path
) -> None:
    clean = train(world.job(plan_of(world, Numbers()), tmp_path / "clean", Events()))
    assert clean.order_hash == skipped[0].order_hash
    assert clean.weights_hash != skipped[0].weights_hash


def test_a_run_with_skips_resumes_to_the_same_weights(
    world: World, skipped: tuple[Outcome, Events, Path], tmp_path: Path
) -> None:
    plan = plan_of(world, skipped_numbers())
    outcome = None
    for stop_after in (5, 6, 4, 10**9):
        outcome = train(world.job(plan, tmp_path / "checkpoints", Events(stop_after)))
    assert outcome == skipped[0]


def skipped_numbers() -> Numbers:
    return Numbers(on_nonfinite="skip", spike_factor=SPIKES, most_times=50)


def test_another_engine_skips_the_same(
    world: World, skipped: tuple[Outcome, Events, Path], tmp_path: Path
) -> None:
    events = Events()
    plan = plan_of(world, skipped_numbers(), "zero1")
    train(world.job(plan, tmp_path / "checkpoints", events))
    bad = [fields["step"] for fields in events.of("incident")]
    assert bad == [fields["step"] for fields in skipped[1].of("incident")]


def rewinding(most_times: int = 50) -> Numbers:
    return Numbers(
        on_nonfinite="rewind",
        spike_factor=SPIKES,
        rewind_steps=2,
        skip_steps=3,
        most_times=most_times,
    )


@pytest.fixture(scope="module")
def rewound(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Events, Path]:
    """A run that goes back before its spikes."""
    folder, events = tmp_path_factory.mktemp("rewound") / "checkpoints", Events()
    return train(world.job(plan_of(world, rewinding()), folder, events)), events, folder


def test_a_rewound_run_goes_back_and_leaves_out(rewound: tuple[Outcome, Events, Path]) -> None:
    outcome, events, folder = rewound
    assert outcome.status == "finished"
    for fields in events.of("rewound"):
        step, first, end, bad = (int(str(fields[k])) for k in ("step", "first", "end", "bad_step"))
        assert step <= first == max(bad - 2, 0) and end == first + 3
    cursor = left_out(folder)
    assert len(cursor.left_out) == len(events.of("rewound")) > 0
    assert cursor.updates < STEPS == cursor.step


@pytest.mark.parametrize("every", [1, 3, 100])
def test_where_the_checkpoints_are_does_not_matter(
    world: World, rewound: tuple[Outcome, Events, Path], tmp_path: Path, every: int
) -> None:
    """Also with none: it begins again with the first weights."""
    plan = plan_of(world, rewinding(), every=every)
    assert train(world.job(plan, tmp_path / "checkpoints", Events())) == rewound[0]


def test_a_rewound_run_resumes_to_the_same_weights(
    world: World, rewound: tuple[Outcome, Events, Path], tmp_path: Path
) -> None:
    plan, outcome = plan_of(world, rewinding()), None
    for stop_after in (9, 7, 10**9):
        outcome = train(world.job(plan, tmp_path / "checkpoints", Events(stop_after)))
    assert outcome == rewound[0]


def test_a_run_that_goes_back_too_often_ends(world: World, tmp_path: Path) -> None:
    plan = plan_of(world, Numbers(on_nonfinite="skip", spike_factor=1.02, most_times=1))
    events = Events()
    with pytest.raises(TrainingError, match="spike"):
        train(world.job(plan, tmp_path / "checkpoints", events))
    assert len(events.of("incident")) == 2


def test_nothing_old_enough_to_go_back_to_ends_the_run(world: World, tmp_path: Path) -> None:
    far = Numbers(on_nonfinite="rewind", spike_factor=SPIKES, rewind_steps=6, skip_steps=7)
    plan = plan_of(world, far)
    few = Checkpointing(every_steps=1, keep_last=1, keep_best=0)
    plan = replace(plan, where=replace(plan.where, checkpoint=few))
    with pytest.raises(TrainingError) as caught:
        train(world.job(plan, tmp_path / "checkpoints", Events()))
    assert "keep_last" in caught.value.problems[0].fix


@pytest.fixture(scope="module")
def destroyed(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingError, Path]:
    """A run whose rate destroys the weights, so that a loss is no number."""
    folder = tmp_path_factory.mktemp("destroyed")
    changes: Mapping[str, object] = {"optimiser": Optimiser(learning_rate=1e30, clip_norm=1e30)}
    plan = world.plan(Shape(steps=6, accumulation=2, commit_every=1, changes=changes))
    with pytest.raises(TrainingError) as caught:
        train(world.job(plan, folder / "checkpoints", Events()))
    return caught.value, folder


def test_a_lost_number_ends_the_run_with_a_dump(destroyed: tuple[TrainingError, Path]) -> None:
    fault, folder = destroyed
    (dump,) = (folder / "dumps").iterdir()
    assert fault.exit_status == 70
    assert f"gfmp replay {dump}" in fault.problems[0].fix
    assert not list(folder.rglob(".tmp-*"))
    for path in committed(folder / "checkpoints"):
        verify(path)
        assert path.name < dump.name


def test_a_replay_gives_the_same_numbers_and_the_samples(
    destroyed: tuple[TrainingError, Path],
) -> None:
    (path,) = (destroyed[1] / "dumps").iterdir()
    dump, found = read_dump(path), replay(path)
    assert found.reproduced
    assert found.bad_rows
    seen = {int(sample) for batch in dump.batches[0] for sample in batch.samples}
    assert {row.sample for row in found.bad_rows} <= seen
    assert {row.vocabulary for row in found.bad_rows} <= {"kmer3", "bpe64"}


def test_sound_weights_do_not_reproduce(
    destroyed: tuple[TrainingError, Path], skipped: tuple[Outcome, Events, Path], tmp_path: Path
) -> None:
    """What another memory fault looks like: the numbers on record are not those of the dump."""
    (path,) = (destroyed[1] / "dumps").iterdir()
    found = replay(path)
    lied = replace(found, nats=tuple(tuple(1.0 for _ in own) for own in found.nats))
    assert not lied.reproduced


def test_a_row_alone_is_that_row(destroyed: tuple[TrainingError, Path]) -> None:
    (path,) = (destroyed[1] / "dumps").iterdir()
    batch = read_dump(path).batches[0][0]
    rows = [alone(batch, row) for row in range(len(batch.samples))]
    assert np.concatenate([row.ids for row in rows]).tolist() == batch.ids.tolist()
    assert np.concatenate([row.labels for row in rows]).tolist() == batch.labels.tolist()
    starts = batch.cu_seqlens[:-1]
    moved = [row.positions + start for row, start in zip(rows, starts, strict=True)]
    assert np.concatenate(moved).tolist() == batch.positions.tolist()


def test_a_changed_dump_is_refused(destroyed: tuple[TrainingError, Path], tmp_path: Path) -> None:
    import shutil

    (path,) = (destroyed[1] / "dumps").iterdir()
    with pytest.raises(MissingInputError, match="no dump"):
        read_dump(tmp_path)
    for name in (WEIGHTS_FILE, DUMP_FILE, "rank-00000-micro-00001.batch", "plan.json"):
        copy = tmp_path / name
        shutil.copytree(path, copy)
        body = bytearray((copy / name).read_bytes())
        body[len(body) // 2] ^= 1
        (copy / name).write_bytes(body)
        with pytest.raises(CorruptArtefactError):
            read_dump(copy)
    shutil.copytree(path, tmp_path / "lacks")
    (tmp_path / "lacks" / WEIGHTS_FILE).unlink()
    with pytest.raises(CorruptArtefactError, match="missing"):
        read_dump(tmp_path / "lacks")


def test_a_dump_says_what_it_is(destroyed: tuple[TrainingError, Path]) -> None:
    (path,) = (destroyed[1] / "dumps").iterdir()
    body = json.loads((path / DUMP_FILE).read_text())
    assert body["incident"]["cause"] in {"loss", "gradient norm"}
    assert body["written_by"]["torch"] == torch.__version__
    assert set(body["files"]) == {p.name for p in path.iterdir()} - {DUMP_FILE}
