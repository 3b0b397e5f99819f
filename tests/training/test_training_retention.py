"""What is kept, for any history of losses: never without the newest, never without the best."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gfmp.errors import StorageError
from gfmp.spec.pretrain import Checkpointing
from gfmp.training.keeping import kept_steps
from gfmp.training.manifest import Cursor, Manifest, directory_name, write_manifest
from gfmp.training.restore import committed
from gfmp.training.retention import prune

Losses = Mapping[int, float | None]
# Few values, so that equal losses are common.
LOSSES = st.dictionaries(
    st.integers(1, 40), st.one_of(st.none(), st.sampled_from([1.0, 1.5, 2.0, 3.0])), min_size=1
)
KEEP = st.builds(Checkpointing, keep_last=st.integers(1, 4), keep_best=st.integers(0, 4))
QUICK = settings(deadline=None, max_examples=60)


def best_of(losses: Losses, count: int) -> list[int]:
    """Pick the best one after the other; of equal ones the newer."""
    left = {step: loss for step, loss in losses.items() if loss is not None}
    picked: list[int] = []
    while left and len(picked) < count:
        lowest = min(left.values())
        picked.append(max(step for step, loss in left.items() if loss == lowest))
        del left[picked[-1]]
    return picked


@QUICK
@given(losses=LOSSES, keep=KEEP)
def test_newest_and_best_stay_and_nothing_else(losses: Losses, keep: Checkpointing) -> None:
    kept = kept_steps(losses, keep)
    assert max(losses) in kept
    assert kept <= set(losses)
    assert kept == {*sorted(losses)[-keep.keep_last :], *best_of(losses, keep.keep_best)}
    assert min(len(losses), keep.keep_last) <= len(kept) <= keep.keep_last + keep.keep_best


@QUICK
@given(losses=LOSSES, keep=KEEP)
def test_pruning_after_every_commit_equals_pruning_once(
    losses: Losses, keep: Checkpointing
) -> None:
    held: dict[int, float | None] = {}
    for step in sorted(losses):
        held[step] = losses[step]
        held = {kept: held[kept] for kept in kept_steps(held, keep)}
        assert step in held, "what was just committed stays"
    assert set(held) == kept_steps(losses, keep)


@QUICK
@given(losses=LOSSES, keep=KEEP, more=st.integers(1, 3))
def test_keeping_more_never_loses_one(losses: Losses, keep: Checkpointing, more: int) -> None:
    kept = kept_steps(losses, keep)
    for field in ("keep_last", "keep_best"):
        wider = keep.model_copy(update={field: keep.model_dump()[field] + more})
        assert kept <= kept_steps(losses, wider)


def commit(folder: Path, step: int, loss: float | None) -> Path:
    """Publish a checkpoint that holds a manifest and nothing else; all that pruning reads."""
    path = folder / directory_name(step)
    path.mkdir()
    manifest = Manifest(Cursor(step, "ab" * 32), "w", {}, "e", loss, {}, {})
    write_manifest(path, manifest)
    return path


@settings(
    deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(losses=LOSSES, keep=KEEP)
def test_the_folder_holds_what_the_rule_says(
    tmp_path_factory: pytest.TempPathFactory, losses: Losses, keep: Checkpointing
) -> None:
    folder = tmp_path_factory.mktemp("pruned")
    for step, loss in losses.items():
        commit(folder, step, loss)
    for _ in range(2):
        prune(folder, keep)
        left = [path.name for path in committed(folder)]
        assert left == [directory_name(s) for s in sorted(kept_steps(losses, keep), reverse=True)]
        assert len(list(folder.iterdir())) == len(left), "nothing else is left behind"


def test_an_unreadable_one_is_neither_removed_nor_counted(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        commit(tmp_path, step, None)
    (tmp_path / directory_name(4) / "manifest.json").write_text("{")
    prune(tmp_path, Checkpointing(keep_last=2, keep_best=0))
    assert [path.name for path in committed(tmp_path)] == [directory_name(s) for s in (4, 3, 2)]


def test_pruning_an_empty_folder_is_nothing(tmp_path: Path) -> None:
    prune(tmp_path, Checkpointing())
    prune(tmp_path / "missing", Checkpointing())
    assert list(tmp_path.iterdir()) == []


def test_what_stands_in_the_way_is_a_storage_error(tmp_path: Path) -> None:
    for step in (1, 2):
        commit(tmp_path, step, None)
    blocked = tmp_path / f".tmp-removed-{directory_name(1)}"
    blocked.mkdir()
    (blocked / "model.safetensors").write_bytes(b"half removed")
    with pytest.raises(StorageError, match="cannot write: Directory not empty") as caught:
        prune(tmp_path, Checkpointing(keep_last=1, keep_best=0))
    assert caught.value.problems[0].where == str(tmp_path / directory_name(1))
    assert [path.name for path in committed(tmp_path)] == [directory_name(s) for s in (2, 1)]
