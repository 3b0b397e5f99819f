"""Every engine at every world size trains the same model, and resumes any other bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_launch import launch
from training_ranks import HALF, STEPS, Stand, loaded_elsewhere, state_hash
from training_world import World

from gfmp.plan.values import Engine as EngineName
from gfmp.storage.atomic import read_json
from gfmp.training.engine import clip_divisor
from gfmp.training.manifest import Cursor
from gfmp.training.processes import Group
from gfmp.training.step import ORDER_START

Found = Mapping[tuple[str, int], dict[str, Any]]
ALL = [(e, w) for w in (1, 2) for e in ("ddp", "zero0", "zero1", "zero2", "zero3")]
ALL += [("ddp", 4)]


@pytest.mark.parametrize("which", ALL, ids=lambda w: f"{w[0]}-{w[1]}")
def test_curve_equals_plain_training_on_one_rank(found: Found, which: tuple[str, int]) -> None:
    reference = np.array(found["ddp", 1]["curve"])
    curve = np.array(found[which]["curve"])
    assert curve.shape == (STEPS, 2)
    np.testing.assert_allclose(curve, reference, rtol=0, atol=1e-4)


def test_the_reference_learns_and_clips(found: Found) -> None:
    losses, norms = np.array(found["ddp", 1]["curve"]).T
    assert losses[-5:].mean() < losses[:5].mean() - 0.1
    assert norms.max() > 0.5, "clipping was at work, so equal curves say something about it"


@pytest.mark.parametrize("which", ALL, ids=lambda w: f"{w[0]}-{w[1]}")
def test_restoring_is_bit_exact(found: Found, which: tuple[str, int]) -> None:
    result = found[which]
    assert result["half_restored"] == result["half"]
    assert result["curve_restored"] == result["curve"][HALF:]
    assert result["weights_restored"] == result["weights"]


@pytest.mark.parametrize("which", ALL, ids=lambda w: f"{w[0]}-{w[1]}")
def test_all_ranks_hold_equal_weights(found: Found, which: tuple[str, int]) -> None:
    hashes = found[which]["weights"]
    assert len(hashes) == which[1]
    assert len(set(hashes)) == 1


def test_order_of_samples_depends_on_nothing(found: Found) -> None:
    assert len({order for result in found.values() for order in result["order"]}) == 1


@pytest.mark.parametrize("which", [w for w in ALL if w[1] > 1], ids=lambda w: f"{w[0]}-{w[1]}")
def test_several_ranks_load_what_one_wrote(found: Found, which: tuple[str, int]) -> None:
    assert found[which]["loads_ddp_1"] == found["ddp", 1]["half"]


@pytest.mark.parametrize("writer", [("zero1", 2), ("zero3", 2), ("ddp", 4)])
@pytest.mark.parametrize("reader", ["ddp", "zero1", "zero3"])
def test_one_rank_loads_what_several_wrote(
    found: Found, scene: Path, group: Group, writer: tuple[str, int], reader: EngineName
) -> None:
    stand = Stand.of(World.open(scene / "world"), reader, group)
    folder = Path(found[writer]["checkpoint"]).parent
    assert loaded_elsewhere(stand, folder) == found[writer]["half"]


@pytest.mark.parametrize("engine", ["zero1", "zero3"])
def test_bf16_compute_keeps_fp32_state_and_agrees(
    world: World, group: Group, engine: EngineName
) -> None:
    curves = {}
    for name in ("ddp", engine):
        stand = Stand.of(world, name, group, precision="bf16")
        built = stand.build()
        _, curves[name] = stand.run(built, Cursor(0, ORDER_START), 3)
        assert built.read(built.names[0], "weight").dtype.itemsize == 4
    np.testing.assert_allclose(curves["ddp"], curves[engine], atol=2e-3)


def test_same_job_twice_gives_the_same_bits(world: World, group: Group) -> None:
    hashes = set()
    for _ in range(2):
        stand = Stand.of(world, "ddp", group)
        engine = stand.build()
        stand.run(engine, Cursor(0, ORDER_START), 3)
        hashes.add(state_hash(engine))
    assert len(hashes) == 1


@pytest.mark.long
def test_four_ranks_with_zero(scene: Path, found: Found) -> None:
    script = str(Path(__file__).parent / "training_ranks.py")
    launch(4, [script, str(scene), "zero0,zero1,zero2,zero3"])
    reference = np.array(found["ddp", 1]["curve"])
    for result in read_json(scene / "found-4.json").values():
        assert isinstance(result, dict)
        np.testing.assert_allclose(np.array(result["curve"]), reference, rtol=0, atol=1e-4)
        assert result["half_restored"] == result["half"]
        assert result["weights_restored"] == result["weights"]
        assert len(set(result["weights"])) == 1


def test_clip_divisor_only_shrinks() -> None:
    assert clip_divisor(0.5, 1.0) == 1.0
    assert clip_divisor(3.0, 1.0) == pytest.approx(3.0, rel=1e-5)
