from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from gfmp.training.tensors import write_tensors

SHAPES = st.lists(st.integers(1, 5), max_size=3).map(tuple)
NAMES = st.text("abz.09_", min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(shapes=st.dictionaries(NAMES, SHAPES, min_size=1, max_size=6), marked=st.booleans())
def test_the_bytes_are_those_of_the_library(
    tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, tuple[int, ...]], marked: bool
) -> None:
    folder = tmp_path_factory.mktemp("tensors")
    generator = torch.Generator().manual_seed(len(shapes))
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    metadata = {"step": "7"} if marked else {}
    stored = write_tensors(tensors, folder / "ours", metadata)
    save_file(tensors, folder / "theirs", metadata=metadata or None)
    content = (folder / "ours").read_bytes()
    assert content == (folder / "theirs").read_bytes()
    assert stored.bytes == len(content)
    assert stored.sha256 == hashlib.sha256(content).hexdigest()


def test_large_and_strided_tensors_come_back(tmp_path: Path) -> None:
    tensors = {"large": torch.randn(3, 700_001), "turned": torch.randn(40, 30).t()}
    write_tensors(tensors, tmp_path / "file", {})
    found = load_file(tmp_path / "file")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_a_disk_that_refuses_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_tensors({"a": torch.ones(2)}, tmp_path / "gone" / "file", {})


def test_other_kinds_of_numbers_are_our_own_mistake(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"half is torch\.float16"):
        write_tensors({"half": torch.ones(2, dtype=torch.float16)}, tmp_path / "file", {})
