"""Whether a cluster can be talked to is known in seconds, and no token goes where it must not."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jobs_world import TOKEN, Jobs, make_certificate, serving

from gfmp.cluster.reach import checked
from gfmp.errors import MissingInputError, RefusedError, ServiceError
from gfmp.spec.cluster import JobsConnection

VARIABLES = (
    *("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"),
    *("GFMP_CLUSTER_WITHOUT_TOKEN", "GFMP_CLUSTER_WITHOUT_TLS"),
)
MOST_SECONDS = 10.0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own with the cluster's token in it, and nothing set."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".ray").mkdir(mode=0o700)
    (tmp_path / ".ray" / "auth_token").write_text(TOKEN + "\n")
    return tmp_path


def connection(address: str, **more: str) -> JobsConnection:
    """Return a connection to `address`."""
    fields = {"kind": "jobs_api", "address": address, "workspace": "/mnt/w", **more}
    return JobsConnection.model_validate(fields)


def test_a_cluster_that_answers_is_taken_and_others_lose_the_right_to_read_the_token(
    home: Path,
) -> None:
    path = home / ".ray" / "auth_token"
    path.chmod(0o644)
    with serving(Jobs()) as jobs:
        assert checked(connection(jobs.address)) == TOKEN
    assert path.stat().st_mode & 0o077 == 0


def test_a_dead_address_fails_soon_and_says_what_to_do() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else can
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ServiceError, match="no cluster answers") as caught:
            checked(connection(address))
    assert time.monotonic() - began < MOST_SECONDS
    problem = caught.value.problems[0]
    assert problem.where == address and "refused" in problem.why
    assert "ssh -L 8265" in problem.fix and caught.value.exit_status == 69


def test_an_address_that_swallows_everything_fails_within_ten_seconds() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # the connection stands, and no answer ever comes
        began = time.monotonic()
        with pytest.raises(ServiceError, match="no cluster answers") as caught:
            checked(connection(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert time.monotonic() - began < MOST_SECONDS
    assert "timed out" in caught.value.problems[0].why


def test_nothing_of_ray_is_imported_to_find_that_out() -> None:
    code = "import sys, gfmp.cluster.reach, gfmp.cluster.remote; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("said", ["<html>", [], {"version": "1"}])
def test_what_is_no_ray_cluster_is_told_so(said: object) -> None:
    with serving(Jobs(version=said)) as jobs, pytest.raises(ServiceError) as caught:
        checked(connection(jobs.address))
    assert "no Ray cluster" in caught.value.problems[0].why


def test_a_wrong_token_is_refused_and_not_shown(home: Path) -> None:
    (home / ".ray" / "auth_token").write_text("another-token-than-that")
    with serving(Jobs()) as jobs, pytest.raises(RefusedError, match="take the token") as caught:
        checked(connection(jobs.address))
    assert caught.value.exit_status == 77
    shown = caught.value.problems[0]
    assert "another-token" not in f"{shown.message}{shown.where}{shown.why}{shown.fix}"


def test_no_token_is_refused_unless_consent_names_the_address(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".ray" / "auth_token").unlink()
    with serving(Jobs(token="")) as jobs:
        with pytest.raises(RefusedError, match="no token for the cluster"):
            checked(connection(jobs.address))
        monkeypatch.setenv("GFMP_CLUSTER_WITHOUT_TOKEN", "http://127.0.0.1:1")
        with pytest.raises(RefusedError, match="no token for the cluster"):
            checked(connection(jobs.address))
        monkeypatch.setenv("GFMP_CLUSTER_WITHOUT_TOKEN", jobs.address)
        assert checked(connection(jobs.address)) == ""


def test_a_token_never_travels_unencrypted_to_another_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = "http://192.0.2.1:8265"  # reserved for documentation: nobody is there
    with pytest.raises(RefusedError, match="unencrypted") as caught:
        checked(connection(address))
    assert "ssh -L" in caught.value.problems[0].fix
    monkeypatch.setenv("GFMP_CLUSTER_WITHOUT_TLS", "http://192.0.2.2:8265")
    with pytest.raises(RefusedError, match="unencrypted"):
        checked(connection(address))


def test_the_named_file_of_the_token_comes_first(home: Path) -> None:
    named = home / "token"
    with pytest.raises(MissingInputError, match="no token in"):
        checked(connection("http://127.0.0.1:1", token_path=str(named)))
    named.write_text("two words")
    with pytest.raises(RefusedError, match="holds no token"):
        checked(connection("http://127.0.0.1:1", token_path=str(named)))
    named.write_text("mine-alone")
    with serving(Jobs(token="mine-alone")) as jobs:
        assert checked(connection(jobs.address, token_path=str(named))) == "mine-alone"


def test_tls_takes_only_who_somebody_vouches_for(home: Path) -> None:
    certificate = make_certificate(home)
    with serving(Jobs(), certificate) as jobs:
        with pytest.raises(ServiceError, match="no cluster answers") as caught:
            checked(connection(jobs.address))
        assert "certificate" in caught.value.problems[0].why.lower()
        assert checked(connection(jobs.address, ca_path=str(certificate))) == TOKEN
    with pytest.raises(MissingInputError, match="cannot be read"):
        checked(connection("https://127.0.0.1:1", ca_path=str(home / "none.pem")))
