from __future__ import annotations

import logging
import math

import pytest
import torch

from gfmp.errors import Problem, StorageError, TrainingError
from gfmp.training.hardware import flushed_denormals, peak_flops, peak_memory_bytes
from gfmp.training.processes import Group
from gfmp.training.zero import load_deepspeed


def fail_for_people() -> int:
    raise StorageError("cannot write", where="disk", why="full", fix="free some")


def fail_by_bug() -> int:
    raise KeyError("nobody expected this")


def test_one_process_is_a_group_of_one(group: Group) -> None:
    assert (group.rank, group.world) == (0, 1)
    values = torch.tensor([1, 2])
    assert group.sum(values) is values
    assert group.gather("x") == ["x"]
    assert group.on_root(lambda: 7) == 7
    assert group.all_agree(lambda: 7) == [7]


@pytest.mark.parametrize("way", ["on_root", "all_agree"])
def test_faults_reach_every_rank_as_faults_for_people(group: Group, way: str) -> None:
    call = group.on_root if way == "on_root" else group.all_agree
    with pytest.raises(StorageError, match="cannot write"):
        call(fail_for_people)
    with pytest.raises(TrainingError, match="KeyError: 'nobody expected this'") as caught:
        call(fail_by_bug)
    assert isinstance(caught.value.__cause__, KeyError)


def test_denormals_are_flushed_inside_the_block_only() -> None:
    def product() -> torch.Tensor:
        return torch.full((8,), 1e-30) * 1e-10

    with flushed_denormals():
        assert not product().any()
        with flushed_denormals():
            assert not product().any()
        assert not product().any()
    assert product().all()


def test_peak_is_that_of_a_matrix_product(group: Group) -> None:
    peak = peak_flops(group.device, "fp32")
    assert math.isfinite(peak)
    assert peak > 1e9
    assert peak_memory_bytes(group.device) > 10_000_000


def test_deepspeed_loads_without_mlflow_and_in_silence(
    group: Group, capfd: pytest.CaptureFixture[str]
) -> None:
    deepspeed = load_deepspeed(group.device.type)
    assert not any(deepspeed.ops.__compatible_ops__.values())
    logger = logging.getLogger("DeepSpeed")
    assert logger.propagate
    assert not logger.handlers
    logger.info("chatter")
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_joining_twice_is_the_same_group(group: Group) -> None:
    assert Group.join(use_gpu=False) == group
    assert group.device == torch.device("cpu")


@pytest.mark.parametrize("way", ["on_root", "all_agree"])
def test_a_wish_to_stop_is_no_fault(group: Group, way: str) -> None:
    def stop() -> int:
        raise KeyboardInterrupt

    call = group.on_root if way == "on_root" else group.all_agree
    with pytest.raises(KeyboardInterrupt):
        call(stop)


def test_all_problems_of_a_fault_cross_the_border(group: Group) -> None:
    problems = [Problem(f"wrong {i}", f"place {i}", "rule", "fix") for i in range(3)]

    def fail() -> int:
        raise TrainingError.of(problems)

    with pytest.raises(TrainingError) as caught:
        group.all_agree(fail)
    assert caught.value.problems == tuple(problems)
    with pytest.raises(TrainingError) as caught:
        group.on_root(fail_by_bug)
    assert "one rank failed" in caught.value.problems[0].why
    assert "report it as a bug" in caught.value.problems[0].fix


def test_denormals_come_back_after_an_error() -> None:
    tiny = torch.full((8,), 1e-30)

    def divided() -> None:
        with flushed_denormals():
            assert not (tiny * 1e-10).any()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        divided()
    assert (tiny * 1e-10).all()
