"""`gapless serve`: the control room, with worker slots in the same process."""

from __future__ import annotations

import ipaddress
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gapless.app import Gapless
from gapless.app.duties import Duties
from gapless.cli.common import Database, err, history
from gapless.cli.machine import slots_of
from gapless.core.errors import UsageError
from gapless.core.job import Queue
from gapless.logs import write_logs

if TYPE_CHECKING:
    from gapless.server.process import Serving


class LogFormat(StrEnum):
    """For people, or for programs."""

    CONSOLE = "console"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(serve)


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on. Default: GAPLESS_HOST.")] = "",
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65_535, help="Port; 0 takes a free one. Default: GAPLESS_PORT."),
    ] = None,
    slots: Annotated[str, typer.Option("--slots", help="Slots per queue: 4, 1..8, or 0 to run no work.")] = "",
    log: Annotated[
        LogFormat, typer.Option("--log", help="How events are written to standard error.")
    ] = LogFormat.CONSOLE,
    database: Database = None,
) -> None:
    """Serve the API and the pages, and run waiting segments; Ctrl-C or SIGTERM finishes the pages under way first."""
    write_logs(logging.DEBUG, json=log is LogFormat.JSON)
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    with history(database) as app:
        where = host or app.settings.host
        _let_somebody_in(app, where)
        app.allow_running(app.settings.running_jobs)
        its_slots = (slots or str(app.settings.slots)).strip()
        count = None if its_slots == "0" else slots_of(its_slots)
        # Work begins when the address is ours: who is refused it must not have taken a segment.
        with _serving(app, where, app.settings.port if port is None else port) as serving:
            if count is not None:
                app.worker(list(Queue), count)
            duties = Duties(app, makes=count is not None)
            duties.start()
            try:
                while not stop.wait(0.25):
                    serving.check()
                err.print("stopping", highlight=False)
            finally:
                duties.stop()


def _let_somebody_in(app: Gapless, host: str) -> None:
    """Give account `admin` the password of the settings; without one, and without accounts, nobody outside may come."""
    if app.settings.admin_password:
        app.accounts.ensure_admin(app.settings.admin_password)
    elif not app.accounts.is_any() and not _is_local(host):
        raise UsageError(
            f"host: {host} can be reached from outside, and nobody has a password yet",
            field="host",
            hint="set GAPLESS_ADMIN_PASSWORD, run `gapless user add NAME --role admin`, or serve on 127.0.0.1 first",
        )


def _is_local(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _serving(app: Gapless, host: str, port: int) -> Iterator[Serving]:
    """A server that says where it is; the loop has a thread of its own, signals stay with this one."""
    from gapless.server.process import Serving

    with Serving(app, host, port) as serving:
        err.print(f"serving on {serving.url}", highlight=False, markup=False)
        if not app.accounts.is_any():
            # On standard error and nowhere else: whoever reads it becomes the admin.
            link = f"{serving.url}/setup?token={app.accounts.offer_setup()}"
            err.print(f"make the first account: {link}", highlight=False, markup=False)
        yield serving
