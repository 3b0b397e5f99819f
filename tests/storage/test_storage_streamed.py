"""A file too large to hold appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.errors import RefusedError
from gfmp.storage.atomic import streamed_write


def test_what_is_streamed_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x"
    with streamed_write(path) as out:
        out.write(b"one")
        assert not path.exists()
        out.write(b"two")
    assert path.read_bytes() == b"onetwo"
    assert [p.name for p in path.parent.iterdir()] == ["x"]


def test_an_error_leaves_what_was_there_and_no_temporary(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="half-way"), streamed_write(path) as out:
        out.write(b"new")
        raise ValueError("half-way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_refusal_of_the_disk_names_the_path(tmp_path: Path) -> None:
    refused = pytest.raises(RefusedError, match="cannot write")
    with refused as caught, streamed_write(tmp_path / "x"):
        raise PermissionError(13, "no")
    assert caught.value.problems[0].where == str(tmp_path / "x")
