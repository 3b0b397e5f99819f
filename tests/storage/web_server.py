"""A small web server that serves ranges, cuts connections and changes its files on demand."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What a server serves.

    Attributes:
        files: Path to content.
        cut_after: Bytes of an answer after which the connection ends; 0 for never.
        ranges: Whether ranges are served.
        tags: Whether a version is told.
        content_type: Of every answer.
        asked: The Range header of every request, empty text without one.
    """

    files: dict[str, bytes]
    cut_after: int = 0
    ranges: bool = True
    tags: bool = True
    content_type: str = "application/octet-stream"
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def served(site: Site) -> Iterator[Site]:
    """Serve a site on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Write nothing."""

        def do_GET(self) -> None:
            """Answer with a file or a part of one."""
            _answer(self, site)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    wanted = handler.headers.get("Range", "")
    site.asked.append(wanted)
    content = site.files.get(handler.path)
    if content is None:
        handler.send_error(404)
        return
    tag = f'"{hashlib.sha256(content).hexdigest()[:12]}"'
    fresh = handler.headers.get("If-Range", tag) == tag
    start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted and site.ranges else 0
    partial = bool(wanted) and site.ranges and fresh
    if partial and start >= len(content):
        handler.send_error(416)
        return
    body = content[start:] if partial else content
    handler.send_response(206 if partial else 200)
    handler.send_header("Content-Type", site.content_type)
    handler.send_header("Content-Length", str(len(body)))
    if site.tags:
        handler.send_header("ETag", tag)
    if partial:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.end_headers()
    handler.wfile.write(body[: site.cut_after] if site.cut_after else body)
