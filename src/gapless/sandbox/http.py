"""A small HTTP/1.1 server: keep-alive, pipelining, late and broken replies. No TLS, no chunked requests.

A connection is answered strictly in order: while a reply is delayed, what was sent after its request waits.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from http import HTTPStatus
from typing import Literal

import msgspec

HEAD_BYTES = 65_536
BODY_BYTES = 1_048_576
#: A slow body comes in this many pieces.
PIECES = 20
#: Reason phrases by status.
PHRASES = {status.value: status.phrase for status in HTTPStatus}

Manner = Literal["whole", "truncate", "reset", "slow"]


class Request(msgspec.Struct, frozen=True):
    """What a client asked."""

    method: str
    path: str
    #: As sent, still percent-encoded.
    query: str
    #: Names in lower case.
    headers: dict[str, str]
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What it gets, when, and how badly."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}
    delay_s: float = 0.0
    manner: Manner = "whole"
    #: How long a slow body takes.
    slow_s: float = 1.0
    #: Cut every other connection too.
    alone: bool = False

    def encoded_head(self) -> bytes:
        """Status line and headers, with the length of the body."""
        lines = [f"HTTP/1.1 {self.status} {PHRASES.get(self.status, 'Unknown')}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in self.headers.items()]
        lines.append(f"content-length: {len(self.body)}\r\n\r\n")
        return "".join(lines).encode("latin-1")


Answer = Callable[[Request], Reply]


class Server:
    """Listens on 127.0.0.1 and answers with one function, which must not block."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.connections: set[Connection] = set()
        self._listener: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """Listen; port 0 takes a free one. The port in use comes back."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Connection(self, loop), "127.0.0.1", port, backlog=1_024)
        return int(self._listener.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop listening and cut all connections."""
        if self._listener:
            self._listener.close()
        self.cut(None)

    def cut(self, spared: Connection | None) -> None:
        """Cut all connections but one."""
        for connection in self.connections - {spared}:
            connection.abort()


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._full = False
        self._last = False
        #: The next step of a reply that is not through yet.
        self._pending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._server.connections.discard(self)
        if self._pending:
            self._pending.cancel()

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        self._go_on()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._go_on()

    def abort(self) -> None:
        """Reset the connection: the client sees no orderly end."""
        if not self._transport:
            return
        line = self._transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        self._transport = None

    def _go_on(self) -> None:
        """Answer what has arrived, one request after the other."""
        while self._transport and self._received and not (self._pending or self._full or self._last):
            try:
                request, self._received = parse(self._received)
            except BadRequest as bad:
                self._last = True
                self._send(Reply(status=bad.status))
                return
            if request is None:
                return
            self._last = request.headers.get("connection", "").lower() == "close"
            self._plan(self._server.answer(request))

    def _plan(self, reply: Reply) -> None:
        if reply.alone:
            self._server.cut(self)
        if reply.delay_s > 0:
            self._pending = self._loop.call_later(reply.delay_s, self._deliver, reply)
        else:
            self._send(reply)

    def _deliver(self, reply: Reply) -> None:
        self._pending = None
        self._send(reply)
        self._go_on()

    def _send(self, reply: Reply) -> None:
        if not self._transport:
            return
        if reply.manner == "reset":
            self.abort()
        elif reply.manner == "slow":
            self._transport.write(reply.encoded_head())
            self._drip(reply.body, len(reply.body) // PIECES + 1, reply.slow_s / PIECES)
        else:
            whole = reply.manner == "whole"
            body = reply.body if whole else reply.body[: len(reply.body) // 2]
            self._transport.write(reply.encoded_head() + body)
            self._last = self._last or not whole
            self._end()

    def _drip(self, rest: bytes, size: int, pause_s: float) -> None:
        if not self._transport:
            return
        self._transport.write(rest[:size])
        if rest[size:]:
            self._pending = self._loop.call_later(pause_s, self._drip, rest[size:], size, pause_s)
        else:
            self._pending = None
            self._end()
            self._go_on()

    def _end(self) -> None:
        if self._last and self._transport:
            self._transport.close()


class BadRequest(Exception):
    """What came is not HTTP as we speak it; the connection ends with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def parse(received: bytes) -> tuple[Request | None, bytes]:
    """The first request and what follows it; None while it is not complete. Raises `BadRequest`."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > HEAD_BYTES:
            raise BadRequest(431)
        return None, received
    method, target, headers = _head(received[:end].decode("latin-1"))
    start, size = end + 4, _size(headers)
    if len(received) < start + size:
        return None, received
    path, _, query = target.partition("?")
    request = Request(method, path, query, headers, received[start : start + size])
    return request, received[start + size :]


def _head(text: str) -> tuple[str, str, dict[str, str]]:
    first, *lines = text.split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(400)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest(400)
        headers[name.strip().lower()] = value.strip()
    if words[2] == "HTTP/1.0":
        headers["connection"] = "close"
    return words[0], words[1], headers


def _size(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadRequest(411)
    text = headers.get("content-length", "0")
    if not text.isdigit():
        raise BadRequest(400)
    if int(text) > BODY_BYTES:
        raise BadRequest(413)
    return int(text)
