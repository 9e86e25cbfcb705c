"""`/api/live` (WebSocket, for pages) and `/api/events` (server-sent events, for `curl`): the same messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec
from anyio import to_thread
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.responses import StreamingResponse

from gapless.server.access import Viewer, is_own_origin
from gapless.server.api.documented import problems
from gapless.server.context import Context, Server
from gapless.server.live import Listener, topics_of
from gapless.server.problems import Problem

router = APIRouter(tags=["live"])
#: Closed with this code, a page shows the login: a socket that is refused before it is accepted is tried for ever.
UNKNOWN, FOREIGN, BUSY = 4401, 4403, 4429
#: Most readers at once.
LISTENERS = 500
#: Seconds between signs of life, and between looks whether a session still lives.
ALIVE, RECHECK = 15.0, 60.0


@router.websocket("/api/live")
async def socket(socket: WebSocket) -> None:
    """Messages of `server/live.py`; a reader may send `{"sub": ["log:12"]}`."""
    server: Context = socket.app.state.context
    await socket.accept()
    if not is_own_origin(socket.headers, socket.url.scheme, absent=bool(socket.headers.get("authorization"))):
        return await socket.close(FOREIGN, "this page is not ours")
    if getattr(socket.state, "user", None) is None:
        return await socket.close(UNKNOWN, "sign in")
    if server.live.listeners >= LISTENERS:
        return await socket.close(BUSY, "too many readers")
    with server.live.listen() as mine:
        pump = asyncio.create_task(_pump(socket, server, mine))
        try:
            while True:
                mine.topics |= set(topics_of(await socket.receive_text()))
                if len(mine.topics) > 50:
                    mine.topics = {"jobs"}
        except (WebSocketDisconnect, RuntimeError):
            pass
        except (msgspec.MsgspecError, KeyError, ValueError):
            with suppress(RuntimeError):
                await socket.close(1003, 'send {"sub": ["log:12"]}')
        finally:
            pump.cancel()
    return None


async def _pump(socket: WebSocket, server: Context, mine: Listener) -> None:
    """Send what comes; let go whose session has ended."""
    with suppress(WebSocketDisconnect, RuntimeError):
        loop = asyncio.get_running_loop()
        checked = loop.time()
        while True:
            try:
                text = await asyncio.wait_for(mine.queue.get(), RECHECK)
            except TimeoutError:
                text = ""
            if text is None:
                return await socket.close(1012, "the server is starting anew")
            if text:
                await socket.send_text(text)
            if loop.time() - checked >= RECHECK:
                checked = loop.time()
                if await to_thread.run_sync(server.access.caller, socket.headers, socket.cookies) is None:
                    return await socket.close(UNKNOWN, "sign in")


@router.get("/api/events", response_class=StreamingResponse, responses=problems(429))
async def stream(server: Server, caller: Viewer, log: int = 0) -> StreamingResponse:  # noqa: ARG001  its right is what counts
    """Server-sent events; `log=12` adds the log of job 12."""
    if server.live.listeners >= LISTENERS:
        raise Problem(429, "too many readers", headers={"Retry-After": "10"})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(server, log), media_type="text/event-stream", headers=headers)


async def _events(server: Context, log: int) -> AsyncIterator[str]:
    with server.live.listen() as mine:
        if log > 0:
            mine.topics.add(f"log:{log}")
        yield "retry: 1500\n\n"
        while True:
            try:
                text = await asyncio.wait_for(mine.queue.get(), ALIVE)
            except TimeoutError:
                yield ": alive\n\n"
                continue
            if text is None:
                return
            yield f"data: {text}\n\n"
