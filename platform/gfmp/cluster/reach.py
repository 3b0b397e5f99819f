"""Whether a cluster's Jobs API may be and can be talked to: told within seconds, without Ray."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from gfmp.cluster.ray_token import CONSENT_VARIABLE, TOKEN_VARIABLE, read_token, token_path
from gfmp.errors import MissingInputError, RefusedError, ServiceError
from gfmp.spec.cluster import JobsConnection

# Holds the address of a cluster whose token may travel unencrypted.
PLAIN_VARIABLE = "GFMP_CLUSTER_WITHOUT_TLS"
_PROBE_SECONDS = 5.0
_MOST_BYTES = 1 << 16


def checked(connection: JobsConnection) -> str:
    """Make sure that a cluster may be and can be talked to; returns its token, empty for none.

    Takes seconds, whatever is wrong, and imports no Ray.

    Raises:
        RefusedError: a token would travel unencrypted, there is none and no consent to that, or
            the cluster does not take it.
        MissingInputError: the file of the token, or of the certificates, is not there.
        ServiceError: nothing answers, its certificate is not trusted, or it is no Ray cluster.
    """
    token = _token(connection)
    if token and not _private(connection.address):
        raise RefusedError(
            f"the token of {connection.address} would travel unencrypted",
            where=connection.address,
            why="whoever reads it on the way can run any code on the cluster",
            fix="use https, or a tunnel that ends here: ssh -L 8265:127.0.0.1:8265 HEAD and"
            f" http://127.0.0.1:8265; or {PLAIN_VARIABLE}={connection.address} if you trust the"
            " network",
        )
    _probe(connection, token)
    return token


def _private(address: str) -> bool:
    """Tell whether what is sent there stays on this machine, is encrypted, or has consent."""
    parts = urlsplit(address)
    if parts.scheme == "https" or os.environ.get(PLAIN_VARIABLE) == address:
        return True
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _token(connection: JobsConnection) -> str:
    if connection.token_path:
        path = Path(connection.token_path).expanduser()
        if not path.is_file():
            raise MissingInputError(
                f"there is no token in {path}",
                where=str(path),
                why=f"connection.token_path of {connection.address} says it is there",
                fix="put the cluster's token into that file (mode 0600)",
            )
        return read_token(path)
    if token := os.environ.get(TOKEN_VARIABLE):
        return token
    if token_path().is_file():
        return read_token(token_path())
    if os.environ.get(CONSENT_VARIABLE) == connection.address:
        return ""
    raise RefusedError(
        f"there is no token for the cluster at {connection.address}",
        where=str(token_path()),
        why="a cluster without a token runs the code of anybody who reaches it",
        fix="put the cluster's token into a file (mode 0600) and name it in connection.token_path;"
        f" or {CONSENT_VARIABLE}={connection.address} if everybody who reaches it may run code"
        " there",
    )


def _probe(connection: JobsConnection, token: str) -> None:
    """Ask for the version as Ray's client would, but with a deadline."""
    line, parts = _line(connection), urlsplit(connection.address)
    try:
        line.request("GET", f"{parts.path}/api/version", headers=headers(token))
        said = line.getresponse()
        status, answer = said.status, said.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as fault:
        raise silent(connection, str(fault) or type(fault).__name__) from fault
    finally:
        line.close()
    if status in (401, 403):
        raise RefusedError(
            f"the cluster at {connection.address} does not take the token",
            where=connection.token_path or str(token_path()),
            why=f"it answered {status}",
            fix="ask whoever started the cluster for its token",
        )
    if status != 200 or not _is_ray(answer):
        raise silent(connection, f"what listens there answered {status} and is no Ray cluster")


def _line(connection: JobsConnection) -> http.client.HTTPConnection:
    parts = urlsplit(connection.address)
    assert parts.hostname, "the spec was checked"
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=_PROBE_SECONDS)
    context = _trusted(connection)
    return http.client.HTTPSConnection(
        parts.hostname, parts.port or 443, timeout=_PROBE_SECONDS, context=context
    )


def _is_ray(answer: bytes) -> bool:
    with contextlib.suppress(ValueError):
        said = json.loads(answer)
        return isinstance(said, dict) and "ray_version" in said
    return False


def _trusted(connection: JobsConnection) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if connection.ca_path:
        path = Path(connection.ca_path).expanduser()
        try:
            context.load_verify_locations(cafile=path)
        except OSError as fault:
            raise MissingInputError(
                f"the certificates in {path} cannot be read: {fault.strerror or fault}",
                where=str(path),
                why=f"connection.ca_path of {connection.address} names them",
                fix="name a file with certificates (PEM)",
            ) from fault
    return context


def headers(token: str) -> dict[str, str]:
    """Return what proves the token to the cluster; nothing without one."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def silent(connection: JobsConnection, why: str) -> ServiceError:
    """Return the error for a cluster that cannot be talked to."""
    return ServiceError(
        f"no cluster answers at {connection.address}",
        where=connection.address,
        why=why,
        fix="start the cluster or its tunnel (ssh -L 8265:127.0.0.1:8265 HEAD, or kubectl"
        " port-forward service/NAME-head-svc 8265), or correct connection.address",
    )
