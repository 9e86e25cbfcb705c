"""A provider that says what a test has written for it, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Script:
    """What the next reply is, and what was asked."""

    body: bytes = b"[]"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: Bytes announced and never sent.
    missing: int = 0
    asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = field(default_factory=list)


class Provider(ThreadingHTTPServer):
    """A provider that says what its script says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = Script()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Plays the script back."""

    server: Provider
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer, and note what was asked."""
        script = self.server.script
        split = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        script.asked.append((split.path, parse_qs(split.query), headers))
        self.send_response(script.status)
        for name, value in script.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(script.body) + script.missing))
        self.end_headers()
        self.wfile.write(script.body)
        self.close_connection = bool(script.missing)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test looks at what was asked."""


@contextmanager
def scripted() -> Iterator[Provider]:
    """A provider that runs as long as the block."""
    with Provider() as provider:
        running = threading.Thread(target=provider.serve_forever, kwargs={"poll_interval": 0.01})
        running.start()
        try:
            yield provider
        finally:
            provider.shutdown()
            running.join()
