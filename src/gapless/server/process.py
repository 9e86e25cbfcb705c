"""The server running: uvicorn in a thread of its own, on a socket that is open before anybody is told of it."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

import structlog
import uvicorn

from gapless.app import Gapless
from gapless.core.errors import GaplessError, UsageError
from gapless.server.application import make_app
from gapless.server.context import Context

log = structlog.get_logger("gapless.server")

#: Seconds that requests under way have at the end.
GRACE = 5
#: Bytes that a reader of the socket may send.
MESSAGE = 65_536


class Serving:
    """A server on `url`, for as long as the block."""

    def __init__(self, history: Gapless, host: str, port: int) -> None:
        self._socket = _bound(host, port)
        name = f"[{host}]" if ":" in host else host
        #: Where it is: scheme, host, port.
        self.url = f"http://{name}:{self._socket.getsockname()[1]}"
        self._app = make_app(history)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
                timeout_keep_alive=30,
                ws="websockets-sansio",
                ws_max_size=MESSAGE,
                ws_per_message_deflate=False,
                h11_max_incomplete_event_size=65_536,
                lifespan="on",
            )
        )
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="gapless-server", daemon=True)

    @property
    def context(self) -> Context:
        """What its routes share."""
        found: Context = self._app.state.context
        return found

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as error:  # noqa: BLE001  told to whoever waits for us
            self._error = error

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            self.check()
            self._thread.join(0.01)
        log.info("server.started", url=self.url, boot=self.context.live.boot)
        return self

    def check(self) -> None:
        """Raise what has ended the server, if anything has."""
        if not self._thread.is_alive():
            raise GaplessError("the server has ended", hint="see its log") from self._error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Readers of live events would keep their connections: they go first.
        self.context.live.stop()
        self._server.should_exit = True
        self._thread.join(GRACE + 5)
        self._socket.close()
        log.info("server.stopped", url=self.url)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens; raises `UsageError` when the address cannot be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, proto)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(512)
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(
            f"host: cannot listen on {host}:{port} ({getattr(error, 'strerror', None) or error})",
            field="host",
            hint="give another --host or --port",
        ) from None
    return made
