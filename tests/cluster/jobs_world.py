"""An HTTP server that answers as Ray's Jobs API does, for what needs an answer and no cluster."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

TOKEN = "a-token-of-the-cluster"
VERSION = {"version": "4", "ray_version": "2.60.0", "ray_commit": "c", "session_name": "s"}


@dataclass
class Jobs:
    """What a cluster was sent.

    Attributes:
        token: What it demands; empty for nothing.
        version: What it says of itself.
        jobs: By submission id, as it would list them.
        packages: Uploaded archives by name.
        logs: What drivers printed, by submission id.
        stopped: Ids in the order they were told to end.
    """

    token: str = TOKEN
    version: object = field(default_factory=lambda: dict(VERSION))
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: dict[str, bytes] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    address: str = ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, jobs: Jobs) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = jobs


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - its name there
        """Print nothing."""

    @property
    def _state(self) -> Jobs:
        return cast(_Server, self.server).state

    def _answer(self, status: int, body: object) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _let_in(self) -> bool:
        given = self.headers.get("Authorization", "")
        if not self._state.token or given == f"Bearer {self._state.token}":
            return True
        self._answer(403 if given else 401, "no valid token")
        return False

    def do_GET(self) -> None:
        if not self._let_in():
            return
        parts = self.path.strip("/").split("/")
        if self.path == "/api/version":
            self._answer(200, self._state.version)
        elif self.path == "/api/jobs/":
            self._answer(200, list(self._state.jobs.values()))
        elif parts[:2] == ["api", "packages"]:
            self._answer(200 if parts[-1] in self._state.packages else 404, {})
        elif parts[-1] == "logs":
            self._answer(200, {"logs": self._state.logs[parts[2]]})
        elif parts[2] in self._state.jobs:
            self._answer(200, self._state.jobs[parts[2]])
        else:
            self._answer(404, "no such job")

    def do_PUT(self) -> None:
        data = self._body()
        if self._let_in():
            self._state.packages[self.path.rsplit("/", 1)[1]] = data
            self._answer(200, {})

    def do_POST(self) -> None:
        body = self._body()
        if not self._let_in():
            return
        parts = self.path.strip("/").split("/")
        if parts[-1] == "stop":
            self._state.stopped.append(parts[2])
            self._state.jobs[parts[2]]["status"] = "STOPPED"
            self._answer(200, {"stopped": True})
            return
        job = json.loads(body)
        name = job["submission_id"]
        if name in self._state.jobs:
            fault = f"ValueError: Job with submission_id {name} already exists."
            self._answer(400, f"Traceback (most recent call last):\n  File\n{fault} Use another.")
            return
        number = len(self._state.jobs)
        told = {"status": "RUNNING", "type": "SUBMISSION", "start_time": 1_700_000_000_000 + number}
        self._state.jobs[name] = {**job, **told}
        self._answer(200, {"job_id": name, "submission_id": name})


@contextlib.contextmanager
def serving(jobs: Jobs, certificate: Path | None = None) -> Iterator[Jobs]:
    """Answer on a port of loopback for the block, with TLS where there is a certificate."""
    server = _Server(jobs)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if certificate is None else "https"
    jobs.address = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield jobs
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def make_certificate(folder: Path) -> Path:
    """Make a certificate of 127.0.0.1 that vouches for itself, its key beside it."""
    path = folder / "head.pem"
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=head"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(path)]
    key = ["-keyout", str(path.with_suffix(".key"))]
    subprocess.run([*words.split(), *files, *key], check=True, capture_output=True)
    return path
