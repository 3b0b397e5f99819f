"""Ray's token is never open to others, and nothing runs without one unless a person says so."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gfmp.cluster.ray_token import check_mode, check_token, own_token, token_path
from gfmp.cluster.session import cluster_address
from gfmp.errors import RefusedError, ServiceError, StorageError

VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "GFMP_CLUSTER_WITHOUT_TOKEN")
HEAD = "10.0.0.1:6379"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, nothing set, and a umask that closes nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_token_is_made_closed_and_kept(home: Path) -> None:
    own_token()
    path = home / ".ray" / "auth_token"
    assert (_mode(path), _mode(path.parent)) == (0o600, 0o700)
    first = path.read_text()
    assert len(first) == 64
    own_token()
    assert path.read_text() == first


def test_a_token_that_stood_open_is_closed(home: Path) -> None:
    path = home / ".ray" / "auth_token"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o644)
    own_token()
    assert (path.read_text(), _mode(path)) == ("old", 0o600)


def test_a_token_elsewhere_is_left_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "own" / "token"))
    own_token()
    assert token_path() == home / "own" / "token"
    assert _mode(token_path()) == 0o600
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    own_token()
    assert not (home / ".ray").exists()


def test_a_link_in_the_place_of_the_token_is_not_followed(home: Path) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").symlink_to(home / "target")
    with pytest.raises(StorageError):
        own_token()
    assert not (home / "target").exists()


def test_authentication_that_is_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_mode("")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    check_mode(HEAD)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(RefusedError, match="take orders from anybody"):
        check_mode("")
    with pytest.raises(RefusedError) as caught:
        check_mode(HEAD)
    assert f"GFMP_CLUSTER_WITHOUT_TOKEN={HEAD}" in caught.value.problems[0].fix


def test_consent_is_to_one_cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusedError, match="no token"):
        check_token(HEAD)
    monkeypatch.setenv("GFMP_CLUSTER_WITHOUT_TOKEN", HEAD)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    check_token(HEAD)
    check_mode(HEAD)
    for other in ("10.0.0.2:6379", ""):
        with pytest.raises(RefusedError):
            check_mode(other)
    with pytest.raises(RefusedError):
        check_token("10.0.0.2:6379")


def test_a_cluster_with_a_token_needs_no_consent(home: Path) -> None:
    own_token()
    token_path().chmod(0o644)
    check_token(HEAD)
    assert _mode(token_path()) == 0o600


@pytest.mark.parametrize(("value", "address"), [(None, ""), ("", ""), ("local", ""), (HEAD, HEAD)])
def test_an_empty_address_is_none(
    monkeypatch: pytest.MonkeyPatch, value: str | None, address: str
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if value is not None:
        monkeypatch.setenv("RAY_ADDRESS", value)
    assert cluster_address() == address


def test_auto_is_what_was_started_here_and_nothing_else(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    monkeypatch.setenv("RAY_TMPDIR", str(home))
    with pytest.raises(ServiceError, match="auto") as caught:
        cluster_address()
    assert "ray start" in caught.value.problems[0].why
    (home / "ray").mkdir()
    (home / "ray" / "ray_current_cluster").write_text(f"{HEAD}\n")
    assert cluster_address() == HEAD
