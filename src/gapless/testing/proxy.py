"""The network between a client and PostgreSQL, in a test's hands: it can be cut, or fall silent."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy.engine import make_url

T = TypeVar("T")

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
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        port = self._listener.getsockname()[1]
        self.url = behind.set(query=query, host="127.0.0.1", port=port).render_as_string(hide_password=False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        #: Set while bytes pass.
        self._passes = asyncio.Event()
        self._passes.set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._listener.close()

    def cut(self) -> int:
        """Reset all connections; how many there were. New ones are let through."""
        return self._do(self._cut())

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Inside the block there is no way through: every connection is reset, new ones at once."""
        self._is_closed = True
        self._do(self._cut())
        try:
            yield
        finally:
            self._is_closed = False

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Inside the block no byte passes, in either direction, and nobody is told: connections stay open."""
        self._loop.call_soon_threadsafe(self._passes.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._passes.set)

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        """Let the loop's thread do it, and wait."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    # -- in the loop

    async def _begin(self) -> None:
        self._spawn(self._accept())

    def _spawn(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self) -> None:
        tasks = list(self._tasks)
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _cut(self) -> int:
        cut = [one for one in self._writers if not one.is_closing()]
        for writer in cut:
            given = writer.get_extra_info("socket")
            if given.family != socket.AF_UNIX:
                given.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        return len(cut)

    async def _accept(self) -> None:
        while True:
            accepted, _ = await self._loop.sock_accept(self._listener)
            self._spawn(self._serve(accepted))

    async def _serve(self, accepted: socket.socket) -> None:
        outside = await asyncio.open_connection(sock=accepted)
        async with _Ends(self._writers, outside[1]) as ends:
            # A silent network lets nobody in either.
            await self._passes.wait()
            if self._is_closed:
                return
            inside = await ends.add(self._reach())
            await asyncio.gather(self._pump(outside[0], inside[1]), self._pump(inside[0], outside[1]))

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        return await asyncio.open_connection(self._host, self._port)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on what comes, until either side closes."""
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                await self._passes.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()


class _Ends:
    """The two ends of a connection through the proxy: known while they are open, closed together."""

    def __init__(self, known: set[asyncio.StreamWriter], first: asyncio.StreamWriter) -> None:
        self._known = known
        self._mine = [first]

    async def __aenter__(self) -> Self:
        self._known.update(self._mine)
        return self

    async def add(
        self, reached: Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One more end."""
        made = await reached
        self._mine.append(made[1])
        self._known.add(made[1])
        return made

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for one in self._mine:
            self._known.discard(one)
            one.transport.abort()
        for one in self._mine:
            with suppress(OSError):
                await one.wait_closed()
        return isinstance(error, OSError)
