"""The network between a client and PostgreSQL, in a test's hands: it can be cut, or fall silent."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from sqlalchemy.engine import make_url

#: Bytes handed on at a time.
_PIECE = 65_536
#: Closes with a reset, as a router does that has forgotten the connection.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """A TCP proxy on 127.0.0.1 in front of the server of a database; `url` is the database's address through it."""

    def __init__(self, url: str) -> None:
        behind = make_url(url)
        query = dict(behind.query)
        given = query.pop("host", None) or behind.host or "127.0.0.1"
        self._host = given if isinstance(given, str) else given[0]
        self._port = behind.port or 5432
        self._behind = behind.set(query=query)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        #: Set while bytes pass.
        self._open = asyncio.Event()
        self._open.set()
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        port = self._do(self._listen, 0)
        self.url = self._behind.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> int:
        """Reset all connections; how many there were. New ones are let through."""
        return self._do(self._cut)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Inside the block no byte passes, in either direction, and nobody is told: connections stay open."""
        self._do(self._open.clear)
        try:
            yield
        finally:
            self._do(self._open.set)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Inside the block every connection is reset, and new ones are refused."""
        port = make_url(self.url).port
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        try:
            yield
        finally:
            self._do(self._listen, port)

    # -- in the loop

    def _do(self, what: Callable[..., object], *args: object) -> int:
        """Call in the loop's thread, and wait for it."""

        async def call() -> int:
            found = what(*args)
            done = await found if asyncio.iscoroutine(found) else found
            return int(done) if isinstance(done, int) else 0

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    async def _listen(self, port: int) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
        self._cut()

    async def _stop(self) -> None:
        await self._shut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cut(self) -> int:
        cut = [one for one in self._writers if not one.is_closing()]
        for writer in cut:
            given = writer.get_extra_info("socket")
            if given is not None and given.family != socket.AF_UNIX:
                given.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        return len(cut) // 2

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        with suppress(OSError, asyncio.CancelledError):
            # A silent network lets nobody in either.
            await self._open.wait()
            inner, outer = await self._reach()
            self._writers.add(outer)
            try:
                await asyncio.gather(self._pump(reader, outer), self._pump(inner, writer))
            finally:
                self._writers.discard(outer)
                outer.close()
        self._writers.discard(writer)
        writer.close()
        self._tasks.discard(task)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        return await asyncio.open_connection(self._host, self._port)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on what comes, until either side closes."""
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                await self._open.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()
