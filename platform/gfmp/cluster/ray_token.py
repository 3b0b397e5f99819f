"""Ray's token: who starts processes through Ray must know it, and only its owner can read it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gfmp.errors import RefusedError
from gfmp.storage.atomic import storage_faults

MODE_VARIABLE = "RAY_AUTH_MODE"
TOKEN_VARIABLE = "RAY_AUTH_TOKEN"
TOKEN_PATH_VARIABLE = "RAY_AUTH_TOKEN_PATH"
# Holds the address of a cluster that may be used without a token.
CONSENT_VARIABLE = "GFMP_CLUSTER_WITHOUT_TOKEN"
_TOKEN_BYTES = 32


def token_path() -> Path:
    """Return the file that Ray reads its token from."""
    named = os.environ.get(TOKEN_PATH_VARIABLE, "")
    return Path(named) if named else Path.home() / ".ray" / "auth_token"


def check_mode(address: str) -> None:
    """Refuse authentication that is switched off.

    Args:
        address: The cluster that is joined; empty for a session of this machine's own.

    Raises:
        RefusedError: RAY_AUTH_MODE is not `token`; for a cluster consent allows it.
    """
    mode = os.environ.get(MODE_VARIABLE, "token").lower()
    if mode in ("", "token") or _consents(address):
        return
    raise RefusedError(
        f"{MODE_VARIABLE} is {mode!r}: Ray would take orders from anybody",
        where=f"environment variable {MODE_VARIABLE}",
        why="whoever reaches a Ray process without a token can run any code as you",
        fix=f"unset {MODE_VARIABLE}" + (f"; or {_consent(address)}" if address else ""),
    )


def check_token(address: str) -> None:
    """Refuse a cluster for which there is no token, unless consent names it.

    Raises:
        RefusedError: there is neither a token nor consent.
    """
    path = token_path()
    if os.environ.get(TOKEN_VARIABLE):
        return
    if path.is_file():
        _close(path)
        return
    if _consents(address):
        return
    raise RefusedError(
        f"there is no token for the Ray cluster at {address!r}",
        where=str(path),
        why="a cluster without a token runs the code of anybody who reaches it",
        fix=f"put the cluster's token into that file (mode 0600); or {_consent(address)}",
    )


def own_token() -> None:
    """Make sure there is a token, in a file of mode 0600 that was never open to others.

    Ray writes it with the umask of the process, which leaves it readable for everybody.

    Raises:
        StorageError: the file cannot be written.
    """
    if os.environ.get(TOKEN_VARIABLE):
        return
    path = token_path()
    with storage_faults(path):
        if path.is_file() and path.stat().st_size:
            _close(path)
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, secrets.token_hex(_TOKEN_BYTES).encode("ascii"))
        finally:
            os.close(descriptor)


def read_token(path: Path) -> str:
    """Return the token in a file of this user's, which others can no longer read afterwards.

    Raises:
        RefusedError: it is empty, or holds what no header may carry.
        StorageError: it cannot be read.
    """
    with storage_faults(path):
        _close(path)
        token = path.read_text(encoding="utf-8", errors="replace").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise RefusedError(
            "the file holds no token",
            where=str(path),
            why="a token is one word of printable characters",
            fix="put the cluster's token into it (mode 0600)",
        )
    return token


def _close(path: Path) -> None:
    """Take the rights of others away; a file of another user stays as it is."""
    found = path.stat()
    if found.st_mode & 0o077 and found.st_uid == os.geteuid():
        path.chmod(0o600)


def _consents(address: str) -> bool:
    return bool(address) and os.environ.get(CONSENT_VARIABLE) == address


def _consent(address: str) -> str:
    return f"{CONSENT_VARIABLE}={address} if everybody who reaches it may run code there"
