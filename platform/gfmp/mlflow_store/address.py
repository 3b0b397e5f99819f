"""Where the tracking store is, and whether it answers; imports no MLflow."""

from __future__ import annotations

import base64
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request

from gfmp.errors import ServiceError
from gfmp.ledger.provenance import redacted
from gfmp.storage.workspace import Workspace

VARIABLE = "MLFLOW_TRACKING_URI"
TIMEOUT_SECONDS = 5.0
_SERVERS = frozenset({"http", "https"})
_DATABASES = frozenset({"sqlite", "postgresql", "mysql", "mssql"})


def tracking_uri(workspace: Workspace) -> str:
    """Return `$MLFLOW_TRACKING_URI`, else the SQLite database of the workspace.

    The path is absolute, because MLflow reads a relative one from the current folder.
    """
    return os.environ.get(VARIABLE) or own_uri(workspace)


def own_uri(workspace: Workspace) -> str:
    """Return the address of the workspace's own SQLite store."""
    return f"sqlite:///{workspace.mlflow_database}"


def is_server(uri: str) -> bool:
    """Return True when `uri` names an MLflow server, False when it names a database."""
    return _scheme(uri) in _SERVERS


def _scheme(uri: str) -> str:
    # Not urlsplit, which raises where an address is broken behind its scheme.
    scheme, separator, _ = uri.partition("://")
    return scheme.lower() if separator else ""


def preflight(uri: str) -> None:
    """Check before anything starts that the tracking store can be used.

    Raises:
        ServiceError: the server does not answer within 5 seconds or refuses, or MLflow has no
            store for this kind of address.
    """
    if _scheme(uri).partition("+")[0] in _DATABASES:
        return
    if not is_server(uri):
        raise _unusable(uri, f"MLflow has no store for {redacted(uri)!r}", "a server or a database")
    try:
        with urllib.request.urlopen(_health_page(uri), timeout=TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as fault:
        message = f"the MLflow server answers {fault.code} {fault.reason}"
        rule = "its /health page answers 200 (403: start it with --allowed-hosts for this name)"
        raise _unusable(uri, message, rule) from fault
    except (OSError, ValueError, http.client.HTTPException) as fault:
        reason = fault.reason if isinstance(fault, urllib.error.URLError) else fault
        message = f"the MLflow server does not answer: {redacted(str(reason)).strip()}"
        rule = f"it answers within {TIMEOUT_SECONDS:g} seconds"
        raise _unusable(uri, message, rule) from fault


def _health_page(uri: str) -> urllib.request.Request:
    # urllib takes user and password for a part of the name of the host.
    parts = urllib.parse.urlsplit(uri)
    user, _, host = parts.netloc.rpartition("@")
    path = f"{parts.path.rstrip('/')}/health"
    page = urllib.request.Request(urllib.parse.urlunsplit((parts.scheme, host, path, "", "")))
    if user:
        words = urllib.parse.unquote(user).encode()
        page.add_header("Authorization", f"Basic {base64.b64encode(words).decode()}")
    return page


def _unusable(uri: str, message: str, rule: str) -> ServiceError:
    return ServiceError(
        message,
        where=redacted(uri),
        why=f"{VARIABLE} names the tracking store; {rule}",
        fix=f"start that server, or use the workspace's own store: unset {VARIABLE}",
    )
