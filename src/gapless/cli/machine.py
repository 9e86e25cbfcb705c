"""Commands about this machine: worker, workers, budget, db, sandbox, demo, doctor."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import typer

from gapless.cli.common import AsJson, Database, dump, err, history, out, settings, table, when
from gapless.core.errors import Exit, GaplessError, UsageError
from gapless.core.job import Queue
from gapless.core.span import SECOND
from gapless.sources import SOURCES
from gapless.sources.http import Http
from gapless.store import budgets, claims, jobs, segments, workers
from gapless.store.database import Tx
from gapless.store.sqlite import SQLite, is_safe_version, version
from gapless.store.store import HEAD, open_store
from gapless.store.store import database as open_database

Check = Callable[[str, bool, str], None]
db = typer.Typer(help="Look after the database.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(worker)
    app.command("workers")(list_workers)
    app.command()(budget)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(sandbox)
    app.command()(demo)
    app.command()(doctor)


def worker(
    queue: Annotated[list[Queue] | None, typer.Option("--queue", help="Serve this queue; may be repeated.")] = None,
    slots: Annotated[int | None, typer.Option("--slots", help="Slots per queue.")] = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing is left to do.")] = False,
    database: Database = None,
) -> None:
    """Run waiting segments until told to stop; Ctrl-C or SIGTERM finishes the pages under way first."""
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    with history(database, slots) as app:
        if app.settings.slots == 0:
            raise UsageError("slots: a worker without slots does nothing", field="slots", hint="give 1 or more")
        served = queue or [Queue.LIVE, Queue.DAILY, Queue.BACKFILL]
        engine = app.engine(dict.fromkeys(served, app.settings.slots))
        err.print(f"serving {', '.join(served)} with {app.settings.slots} slots each", highlight=False)
        while not stop.wait(0.25):
            if until_idle and engine.idle:
                with app.store.read() as tx:
                    left = [one for one in jobs.unended(tx) if _wants(tx, one, served)]
                if not left:
                    break


def _wants(tx: Tx, job_id: int, served: list[Queue]) -> bool:
    """Whether a job has live segments in one of these queues."""
    found = jobs.get(tx, job_id)
    return (
        found is not None and segments.has_live(tx, job_id) and Queue(found.queue) in served and found.kind != "follow"
    )


def list_workers(json: AsJson = False, database: Database = None) -> None:
    """Show who is alive, since when, and what waits in the queues."""
    with history(database) as app, app.store.read() as tx:
        every = workers.every(tx)
        depth = claims.depth(tx)
        now = app.clock.now()
    if json:
        dump(
            {
                "workers": [
                    {
                        "id": w.id,
                        "host": w.host,
                        "pid": w.pid,
                        "queues": w.queues.split(","),
                        "slots": w.slots,
                        "job": w.job,
                        "startedAt": when(w.started_at),
                    }
                    for w in every
                ],
                "queues": [
                    {"queue": q, "waiting": count, "oldestSeconds": (now - at) / SECOND}
                    for q, (count, at) in depth.items()
                ],
            }
        )
        return
    table(
        ["worker", "host", "pid", "queues", "slots", "job", "since"],
        [(w.id, w.host, w.pid, w.queues, w.slots, w.job or "", when(w.started_at)) for w in every],
    )
    for queue_name, (count, at) in sorted(depth.items()):
        out.print(
            f"queue {queue_name}: {count:,} segments wait, the oldest for {(now - at) / SECOND:.0f} s",
            highlight=False,
        )


def budget(json: AsJson = False, database: Database = None) -> None:
    """Show what the sources allow, and what was used of it."""
    with history(database) as app, app.store.read() as tx:
        every = budgets.every(tx)
        now = app.clock.now()
    if json:
        dump(
            [
                {
                    "key": b.key,
                    "rate": b.rate,
                    "requests": b.requests,
                    "refusals": b.refusals,
                    "blockedUntil": when(b.blocked_until) if b.blocked_until > now else None,
                    "daily": b.daily,
                    "used": b.used,
                }
                for b in every
            ]
        )
        return
    table(
        ["budget", "limit", "requests", "refused", "blocked until"],
        [
            (
                b.key,
                f"{b.rate:g}/s" if b.rate else "none",
                f"{b.requests:,}",
                b.refusals,
                when(b.blocked_until) if b.blocked_until > now else "",
            )
            for b in every
        ],
        right=["requests", "refused"],
    )


def sandbox(
    ctx: typer.Context,
    provider: Annotated[str, typer.Argument(help="Provider to play: upbit.")],
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1; 0 takes a free one.")] = 8640,
) -> None:
    """Play a provider on this machine: a real HTTP server with seeded markets, limits and faults."""
    from gapless.sandbox.__main__ import main

    raise typer.Exit(main([provider, "--port", str(port), *ctx.args]) or 0)


def demo() -> None:
    """Watch history being filled from both ends, against a simulated provider, in a folder of its own."""
    from gapless.cli.demo import run

    raise typer.Exit(run())


def doctor(json: AsJson = False, database: Database = None) -> None:
    """Check the settings, the database, the sources and the clock."""
    checks: list[tuple[str, bool, str]] = []

    def check(name: str, ok: bool, text: str) -> None:
        checks.append((name, ok, text))

    made = settings(database)
    check("settings", True, f"database {open_database(made.database_url).address}")
    try:
        with history(database) as app:
            opened = app.store.database
            check("database", True, f"schema {HEAD}")
            if isinstance(opened, SQLite):
                check(
                    "sqlite",
                    is_safe_version(),
                    f"{version()}" + ("" if is_safe_version() else "; 3.51.3 or newer is safer with many processes"),
                )
            for name, source in app.catalogue.sources.items():
                _check_source(name, source.base_url, check)
    except GaplessError as error:
        check("database", False, str(error))
    if json:
        dump([{"check": name, "ok": ok, "detail": text} for name, ok, text in checks])
    else:
        table(["", "check", ""], [("ok" if ok else "!!", name, text) for name, ok, text in checks])
    if not all(ok for _, ok, _ in checks):
        raise typer.Exit(int(Exit.FAILED))


def _check_source(name: str, base_url: str, check: Check) -> None:
    """Whether a source answers as itself, and how far its clock is from ours."""
    http = Http(name, base_url, timedelta(seconds=5))
    source = SOURCES[name](http)
    try:
        found = source.catalogue()
        check(name, True, f"{base_url} answers with {len(found)} series")
        told = http.get("/v1/market/all", []).source_time
        if told is not None:
            skew = told / SECOND - time.time()
            # `Date` has whole seconds, floored.
            check("clock", abs(skew + 0.5) < 2.0, f"{skew + 0.5:+.1f} s between our clock and that of {name}")
    except GaplessError as error:
        check(name, False, str(error))
    finally:
        source.close()


@db.command("upgrade")
def db_upgrade(database: Database = None) -> None:
    """Bring the database's schema to this program's."""
    opened = open_store(settings(database).database_url)
    opened.close()
    out.print(f"{opened.address}: schema {HEAD}", highlight=False)
