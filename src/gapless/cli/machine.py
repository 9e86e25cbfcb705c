"""Commands about this machine: worker, workers, budget, sandbox, demo, doctor."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import typer

from gapless.app import Gapless
from gapless.app.duties import Duties
from gapless.bars import duration
from gapless.cli.common import AsJson, Database, dump, err, history, settings, table, when
from gapless.core.errors import Exit, GaplessError, StoreLost, UsageError
from gapless.core.job import Queue
from gapless.core.span import SECOND, Instant
from gapless.engine.recovery import living
from gapless.engine.worker import Range
from gapless.sources import SOURCES
from gapless.sources.http import Http
from gapless.store import budgets, chains, claims, jobs, queues, segments, workers
from gapless.store.database import Tx
from gapless.store.sqlite import SQLite, is_safe_version, version
from gapless.store.store import HEAD
from gapless.store.store import database as open_database

Check = Callable[[str, bool, str], None]


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
    slots: Annotated[str | None, typer.Option("--slots", help="Slots per queue: 4, or 1..8 as work comes.")] = None,
    name: Annotated[str, typer.Option("--name", help="A name of its own among the living workers.")] = "",
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing is left to do.")] = False,
    database: Database = None,
) -> None:
    """Run waiting segments until told to stop; Ctrl-C or SIGTERM finishes the pages under way first."""
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    with history(database) as app:
        count = slots_of(slots or str(app.settings.slots))
        served = list(dict.fromkeys(queue or ())) or [Queue.LIVE, Queue.DAILY, Queue.BACKFILL, Queue.COMPUTE]
        engine = app.worker(served, count, name=name)
        duties = Duties(app)
        duties.start()
        listed = f"{count.least}" if count.least == count.most else f"{count.least} to {count.most}"
        err.print(f"serving {', '.join(served)} with {listed} slots each", highlight=False)
        said = ""
        while not stop.wait(0.25):
            trouble = "" if engine.failure is None else str(engine.failure)
            if trouble != said:
                said = trouble
                err.print(trouble or "the database is back", highlight=False, markup=False)
            if until_idle and not trouble and engine.idle and not _is_left(app, served):
                break
        duties.stop()


def slots_of(text: str) -> Range:
    """`4`, or `1..8`: as many as there is work for."""
    found = re.fullmatch(r"(\d{1,3})(?:\.\.(\d{1,3}))?", text.strip())
    least = int(found[1]) if found else 0
    most = int(found[2] or least) if found else 0
    if found is None or least > most:
        raise UsageError(f"slots: {text!r} is not understood", field="slots", hint="give 4, or 1..8")
    if least == 0:
        raise UsageError("slots: a worker without slots does nothing", field="slots", hint="give 1 or more")
    return Range(least, most)


def _is_left(app: Gapless, served: list[Queue]) -> bool:
    try:
        with app.store.read() as tx:
            # What follows a job that has ended is still to be made.
            return bool(chains.due(tx, app.clock.now())) or any(_wants(tx, one, served) for one in jobs.unended(tx))
    except StoreLost:
        # Nobody can tell just now.
        return True


def _wants(tx: Tx, job_id: int, served: list[Queue]) -> bool:
    """Whether a job has live segments in one of these queues."""
    found = jobs.get(tx, job_id)
    return (
        found is not None and segments.has_live(tx, job_id) and Queue(found.queue) in served and found.kind != "follow"
    )


def list_workers(
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", help="At most so many slots in all: backfill=8 or =none."),
    ] = None,
    ready: Annotated[bool, typer.Option("--ready", help="Only tell whether a worker of this host is at work.")] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Show who is alive, on what, since when, and what waits in the queues."""
    with history(database) as app:
        if ready:
            raise typer.Exit(int(Exit.DONE if _is_ready(app) else Exit.FAILED))
        for text in limit or []:
            _set_limit(app, text)
        with app.store.read() as tx:
            every = [(one, segments.of_worker(tx, one.id)) for one in workers.every(tx)]
            depth = claims.depth(tx)
            limits = queues.limits(tx)
            now = app.clock.now()
    if json:
        dump(
            {
                "workers": [_worker_json(one, held) for one, held in every],
                "queues": [_queue_json(one, limits.get(one.queue)) for one in depth],
            }
        )
        return
    table(
        ["worker", "host", "pid", "queues", "slots", "since", "on"],
        [
            (one.name, one.host, one.pid, one.queues, one.slots, when(one.started_at), _on(held, now))
            for one, held in every
        ],
    )
    table(
        ["queue", "waiting", "running", "limit", "oldest"],
        [
            (
                q.queue,
                f"{q.waiting:,}",
                q.running,
                limits.get(q.queue, ""),
                duration(q.oldest_seconds) if q.waiting else "",
            )
            for q in depth
        ],
        right=["waiting", "running", "limit", "oldest"],
    )


#: (segment, job, series, claimed at) of the segments that a worker runs.
Held = list[tuple[int, int, str, Instant]]


def _on(held: Held, now: Instant) -> str:
    return ", ".join(f"job {job} {name} for {duration((now - at) / SECOND)}" for _, job, name, at in held)


def _worker_json(one: workers.Worker, held: Held) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "host": one.host,
        "pid": one.pid,
        "queues": one.queues.split(","),
        "slots": one.slots,
        "job": one.job,
        "startedAt": when(one.started_at),
        "segments": [{"id": its, "job": job, "series": name, "since": when(at)} for its, job, name, at in held],
    }


def _queue_json(one: claims.Depth, limit: int | None) -> dict[str, Any]:
    return {
        "queue": one.queue,
        "waiting": one.waiting,
        "running": one.running,
        "oldestSeconds": one.oldest_seconds,
        "limit": limit,
    }


def _set_limit(app: Gapless, text: str) -> None:
    name, _, number = text.partition("=")
    if name not in list(Queue):
        raise UsageError(
            f"limit: there is no queue {name!r}",
            field="limit",
            hint=f"give one of: {', '.join(Queue)}, such as backfill=8",
        )
    if number != "none" and not (number.isdecimal() and 0 < int(number) < 10_000):
        raise UsageError(f"limit: {number!r} is no number of slots", field="limit", hint="give 1 or more, or none")
    app.set_limit(Queue(name), None if number == "none" else int(number))


def _is_ready(app: Gapless) -> bool:
    """Whether a worker of this host counts on: what a readiness probe asks."""
    host = socket.gethostname()
    return bool(living(app.store, app.clock, lambda tx: [one for one in workers.every(tx) if one.host == host], 3.0))


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
    provider: Annotated[str, typer.Argument(help="Provider to play: upbit, opendart, krx, fmp, gdelt or naver.")],
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1; 0 takes a free one.")] = 8640,
) -> None:
    """Play a provider on this machine: a real HTTP server with seeded data, limits and faults."""
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
                if source.base_url:
                    _check_source(name, source.base_url, made.api_keys.get(name, ""), check)
    except GaplessError as error:
        check("database", False, str(error))
    if json:
        dump([{"check": name, "ok": ok, "detail": text} for name, ok, text in checks])
    else:
        table(["", "check", ""], [("ok" if ok else "!!", name, text) for name, ok, text in checks])
    if not all(ok for _, ok, _ in checks):
        raise typer.Exit(int(Exit.FAILED))


def _check_reach(http: Http, name: str, check: Check) -> None:
    """Whether anything answers at the address of a source that has no list of series."""
    try:
        http.get("/", [])
        check(name, True, f"{http.base_url} answers")
    except GaplessError as error:
        # Whoever does not use it does not need it.
        check(name, True, f"not there: {error}")


def _check_source(name: str, base_url: str, key: str, check: Check) -> None:
    """Whether a source answers as itself, and how far its clock is from ours."""
    http = Http(name, base_url, timedelta(seconds=5), key)
    source = SOURCES[name](http)
    try:
        source.check()
    except UsageError as error:
        # Who does not use a source needs no key for it.
        check(name, True, f"not used: {error}")
        source.close()
        return
    try:
        found = source.catalogue()
        if not found:
            _check_reach(http, name, check)
            return
        check(name, True, f"{base_url} answers with {len(found)} series")
        told = http.clock
        if told is not None:
            skew = told / SECOND - time.time()
            # `Date` has whole seconds, floored.
            check("clock", abs(skew + 0.5) < 2.0, f"{skew + 0.5:+.1f} s between our clock and that of {name}")
    except GaplessError as error:
        check(name, False, str(error))
    finally:
        source.close()
