"""The server as an ASGI application, made from an open history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

import gapless
from gapless.app import Gapless
from gapless.server import problems
from gapless.server.access import Access
from gapless.server.api import routers
from gapless.server.board import Board
from gapless.server.context import Context
from gapless.server.guard import Guard
from gapless.server.live import Live
from gapless.server.plans import Plans
from gapless.server.vitals import Vitals

#: Threads that answer requests: each has a connection of its own to the database.
THREADS = 12
_ABOUT = "Keeps the history of financial series complete. Send a token as `Authorization: Bearer …`."


def make_app(history: Gapless) -> FastAPI:
    """The application; the history stays the caller's to close."""
    access, board = Access(history), Board(history)
    live, vitals = Live(history, board), Vitals()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        live.start(asyncio.get_running_loop())
        watching = asyncio.create_task(vitals.watch())
        yield
        watching.cancel()
        await to_thread.run_sync(live.stop)

    app = FastAPI(
        title="gapless",
        version=gapless.__version__,
        description=_ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.context = Context(history, access, board, live, Plans(), vitals)
    app.state.history = history
    problems.install(app)
    for router in routers():
        app.include_router(router)
    _pages(app)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=4)
    app.add_middleware(Guard, access=access, vitals=vitals)
    return app


def _pages(app: FastAPI) -> None:
    try:
        from gapless.server.ui import routes  # type: ignore[attr-defined,unused-ignore]
    except ImportError:
        # Until the pages are there.
        return
    app.include_router(routes.router)
    routes.mount_static(app)
