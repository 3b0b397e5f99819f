"""The plain engine against bare torch, and what every engine promises the loop."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_ranks import Stand, state_hash
from training_world import Shape, World

from gfmp.feed.batch import TokenBatch
from gfmp.model.masked import build
from gfmp.model.tokens import TokenTensors
from gfmp.plan.values import Engine as EngineName
from gfmp.spec.pretrain import Optimiser
from gfmp.training.batches import to_tensors
from gfmp.training.engine import PARTS, clip_divisor, make_adamw
from gfmp.training.health import Incident
from gfmp.training.manifest import Cursor
from gfmp.training.processes import Group
from gfmp.training.session import weights_hash
from gfmp.training.step import ORDER_START, Stepper, agree

CPU = torch.device("cpu")
EACH = pytest.mark.parametrize("engine_name", ["ddp", "zero0", "zero1", "zero3"])


def stand_of(world: World, group: Group, engine: EngineName = "ddp") -> Stand:
    return Stand(world, world.plan(Shape(engine)), group)


def micro_batches(stand: Stand, steps: int) -> list[TokenTensors]:
    """Return the single micro-batch of each of the first steps."""
    batches = stand.world.source(stand.plan, 0).since(0)
    return [to_tensors(next(batches)[0], stand.softmax, CPU) for _ in range(steps)]


@pytest.mark.parametrize("clip_norm", [0.05, 100.0])
def test_three_updates_equal_those_of_bare_torch(
    world: World, group: Group, clip_norm: float
) -> None:
    law = Optimiser(learning_rate=3e-3, clip_norm=clip_norm, weight_decay=0.1)
    stand = Stand(world, world.plan(Shape(changes={"optimiser": law})), group)
    engine, what = stand.build(), stand.plan.what
    rows = stand.softmax.tensors()
    model = build(what.architecture, world.ensemble.size, rows, "fp32", what.feed.seed)
    vectors = [p for p in model.parameters() if p.ndim == 1]
    others = [p for p in model.parameters() if p.ndim > 1]
    bare = torch.optim.AdamW(
        [{"params": others, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        betas=law.betas,
        eps=law.epsilon,
    )
    for tokens, rate in zip(micro_batches(stand, 3), (1e-3, 3e-3, 2e-3), strict=True):
        scale = 1.0 / sum(tokens.counts)
        engine.backward(tokens, scale)
        norm = engine.step(rate)
        bare.zero_grad()
        (torch.stack(model(tokens))[:, 0].sum() * scale).backward()
        expected = torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        assert norm == pytest.approx(float(expected), rel=1e-5)
        for group_ in bare.param_groups:
            group_["lr"] = rate
        bare.step()
    for name, parameter in model.named_parameters():
        found = engine.read(name, "weight")
        torch.testing.assert_close(found, parameter.detach(), rtol=1e-4, atol=2e-6)
        moment = bare.state[parameter]["exp_avg"]
        torch.testing.assert_close(engine.read(name, "exp_avg"), moment, rtol=1e-3, atol=1e-7)


def test_an_update_without_a_gradient_only_decays_matrices(world: World, group: Group) -> None:
    law = Optimiser(learning_rate=1.0, weight_decay=0.25)
    stand = Stand(world, world.plan(Shape(changes={"optimiser": law})), group)
    engine = stand.build()
    before = {name: engine.read(name, "weight") for name in engine.names}
    assert engine.step(0.5) == 0.0
    for name, weight in before.items():
        shrunk = weight * (1.0 - 0.5 * 0.25) if weight.ndim > 1 else weight
        torch.testing.assert_close(engine.read(name, "weight"), shrunk)


def test_every_parameter_is_optimised_once_and_vectors_do_not_decay(
    world: World, group: Group
) -> None:
    stand = stand_of(world, group)
    rows = stand.softmax.tensors()
    model = build(stand.plan.what.architecture, world.ensemble.size, rows, "fp32", 0)
    decayed, kept = make_adamw(model, Optimiser(learning_rate=1e-3, weight_decay=0.3)).param_groups
    held = [id(p) for p in (*decayed["params"], *kept["params"])]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.3, 0.0)
    assert {p.ndim for p in kept["params"]} == {1}
    frozen = next(iter(model.parameters()))
    frozen.requires_grad_(False)
    groups = make_adamw(model, Optimiser(learning_rate=1e-3)).param_groups
    assert sum(len(g["params"]) for g in groups) == len(held) - 1


@EACH
def test_what_is_written_is_read_back_and_what_is_read_is_a_copy(
    world: World, group: Group, engine_name: EngineName
) -> None:
    engine = stand_of(world, group, engine_name).build()
    generator = torch.Generator().manual_seed(0)
    written = {}
    for name in engine.names:
        for part in PARTS:
            like = engine.read(name, part)
            assert part == "weight" or not like.any(), "moments begin at zero"
            written[name, part] = torch.rand(like.shape, generator=generator)
            engine.write(name, part, written[name, part])
    engine.settle(7)
    for (name, part), value in written.items():
        found = engine.read(name, part)
        assert found.dtype == torch.float32
        assert torch.equal(found, value), (name, part)
        found.fill_(-1.0)
        assert torch.equal(engine.read(name, part), value), (name, part)


@EACH
def test_scoring_leaves_no_trace(world: World, group: Group, engine_name: EngineName) -> None:
    stand = stand_of(world, group, engine_name)
    (tokens,) = micro_batches(stand, 1)
    hashes = set()
    for scored in (False, True):
        engine = stand.build()
        if scored:
            first = engine.score(tokens, lambda logits, _labels: logits)
            again = engine.score(tokens, lambda logits, _labels: logits)
            assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
            assert not any(part.requires_grad for part in first)
        stand.run(engine, Cursor(0, ORDER_START), 1)
        hashes.add(state_hash(engine))
    assert len(hashes) == 1


@pytest.mark.parametrize("engine_name", ["zero1", "zero3"])
def test_fewer_micro_batches_than_planned_are_a_bug(
    world: World, group: Group, engine_name: EngineName
) -> None:
    stand = Stand(world, world.plan(Shape(engine_name, accumulation=2)), group)
    engine = stand.build()
    (tokens,) = micro_batches(stand, 1)
    engine.backward(tokens, 1e-3)
    with pytest.raises(AssertionError, match="the plan's number"):
        engine.step(1e-3)


def test_weights_hash_sees_weights_and_nothing_else(world: World, group: Group) -> None:
    engine = stand_of(world, group).build()
    name = engine.names[-1]
    before = weights_hash(engine)
    engine.write(name, "exp_avg", torch.ones_like(engine.read(name, "weight")))
    assert weights_hash(engine) == before
    weight = engine.read(name, "weight")
    weight.view(-1)[0] = torch.nextafter(weight.view(-1)[0], torch.tensor(math.inf))
    engine.write(name, "weight", weight)
    assert weights_hash(engine) != before


@settings(deadline=None, max_examples=60)
@given(norm=st.floats(0, 1e20), clip_norm=st.floats(1e-3, 1e3))
def test_a_clipped_gradient_is_never_longer_than_allowed(norm: float, clip_norm: float) -> None:
    divisor = clip_divisor(norm, clip_norm)
    assert norm / divisor <= clip_norm * (1 + 1e-9)
    assert divisor == 1.0 or norm > clip_norm - 1e-5
    assert divisor >= 1.0


def digested(digests: list[int]) -> TokenBatch:
    """Make a batch of one-token rows with these digests and no targets."""
    num = len(digests)
    return TokenBatch(
        step=0,
        micro=0,
        ids=np.zeros(num, np.uint16),
        cu_seqlens=np.arange(num + 1, dtype=np.int32),
        vocabulary=np.zeros(num, np.int16),
        positions=np.zeros(0, np.int32),
        labels=np.zeros(0, np.uint16),
        samples=np.arange(num),
        digests=np.array(digests, np.uint64),
    )


@settings(deadline=None, max_examples=40)
@given(
    parts=st.lists(
        st.lists(st.one_of(st.integers(0, 2**64 - 1), st.just(2**64 - 1)), min_size=1, max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_digests_add_up_modulo_two_to_the_64_and_in_silence(
    group: Group, parts: list[list[int]]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agreed = agree([digested(part) for part in parts], 2, stop=False, group=group)
    assert agreed.digest == sum(map(sum, parts)) % 2**64
    assert agreed.targets == (0, 0)
    assert agreed.tokens == agreed.squared_lengths == sum(map(len, parts))
    assert not agreed.stop


def test_a_step_without_targets_only_decays(world: World, group: Group) -> None:
    stand = stand_of(world, group)
    own = next(world.source(stand.plan, 0).since(0))
    bare = replace(own[0], positions=own[0].positions[:0], labels=own[0].labels[:0])
    engine = stand.build()
    agreed = agree([bare], 2, stop=False, group=group)
    assert agreed.num_targets == 0
    result = Stepper(engine, stand.softmax, group).take([bare], agreed, 1e-3)
    assert result.nats == (0.0, 0.0)
    assert result.gradient_norm == 0.0


def test_a_long_list_of_samples_is_cut(world: World, group: Group) -> None:
    feed = replace(world.plan(Shape()).what.feed, global_batch_sequences=12)
    stand = Stand(world, world.plan(Shape(changes={"feed": feed})), group)
    engine = stand.build()
    weight = engine.read(engine.names[0], "weight").fill_(float("nan"))
    engine.write(engine.names[0], "weight", weight)
    own = next(world.source(stand.plan, 0).since(0))
    agreed = agree(own, 2, stop=False, group=group)
    found = Stepper(engine, stand.softmax, group).take(own, agreed, 1e-3)
    assert isinstance(found, Incident)
    (problem,) = found.error("lower the learning rate").problems
    assert re.search(r"samples (\d+, ){7}\d+ and 4 more", problem.message)
    assert problem.where == "step 1"
    assert problem.why == "no rank updates its weights with numbers that are not finite"
