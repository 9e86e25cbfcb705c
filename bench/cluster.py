"""Workers on PostgreSQL: what claiming costs beside the bare queue, how soon work starts, how soon it is rescued."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench import rig, table
from bench.claims import finish_all, make_covered, one_by_one
from gapless.app import Gapless
from gapless.core.job import JobState, Kind, Queue
from gapless.core.span import MINUTE, Instant, iso
from gapless.sandbox.process import SandboxProcess
from gapless.store import budgets
from gapless.store.postgres import Postgres
from gapless.testing.databases import fresh_database, postgres_server

#: Backfill segments that wait while a live one starts.
WAITING = 100_000
#: Series with a candle in nearly every minute.
DENSE = ("KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL")
#: Live starts and kills that are measured.
TURNS = 5


def run(*, long: bool) -> Iterator[table.Line]:
    """Claims, then starts, then kills."""
    with postgres_server() as server:
        yield from _claims(server, 4_000 if long else 1_000)
        yield from _processes(server, 4_000 if long else 1_000)
        yield from _starts(server, WAITING if long else 20_000)
        yield from _rescues(server)


def _claims(server: str, number: int) -> Iterator[table.Line]:
    """Empty segments a second, and jobs a second of PgQueuer that do nothing."""
    with fresh_database(server) as url, rig.history_at(url, rig.NOWHERE) as history:
        make_covered(history, 20)
        finish_all(history)
        make_covered(history, number)
        began = time.perf_counter()
        finish_all(history)
        ours = number / (time.perf_counter() - began)
        single = one_by_one(history, number)
    with fresh_database(server) as url, rig.store_at(url):
        bare = asyncio.run(_bare(url, number))
    yield table.at_least("claim and finish, PostgreSQL", ours, bare, 0.8, "/s", "bare PgQueuer")
    yield table.at_least("the same one by one, PostgreSQL", single, bare, 0.0, "/s", "bare PgQueuer")


async def _bare(url: str, number: int) -> float:
    """Jobs a second of one PgQueuer manager in this process, with the batches that it likes."""
    import asyncpg
    from pgqueuer.core.qm import QueueManager
    from pgqueuer.domain.types import QueueExecutionMode

    from gapless.engine.cluster import queries

    database = Postgres(url)
    connection = await asyncpg.connect(**database.asyncpg_arguments())
    try:
        asked = queries(connection)
        manager = QueueManager(asked)

        @manager.entrypoint("bench")
        async def _nothing(_: Any) -> None:
            return None

        await asked.enqueue(["bench"] * number, [None] * number, [0] * number)
        began = time.perf_counter()
        await manager.run(mode=QueueExecutionMode.drain, batch_size=10)
        return number / (time.perf_counter() - began)
    finally:
        await connection.close()


def _processes(server: str, number: int) -> Iterator[table.Line]:
    """Segments of one page a second of real workers, from the first claim to the last end."""
    parts = number // len(DENSE)
    ends = range(rig.END, rig.END - parts * rig.PAGE * MINUTE, -rig.PAGE * MINUTE)
    spans = [rig.minutes_before(end, rig.PAGE) for end in ends]
    rates = {}
    with SandboxProcess(rate=0) as provider:
        for name in DENSE:
            provider.warm(name, "1m", iso(spans[-1].start), iso(rig.END))
        for count in (1, 2):
            with fresh_database(server) as url, rig.history_at(url, provider.url) as history:
                limit = history.catalogue.limit(history.dataset(rig.CANDLES.name), Kind.COLLECT)
                history.store.write(partial(budgets.set_limit, limit=limit))
                with _workers(url, provider.url, Queue.BACKFILL, count, 2):
                    job = rig.make_segments(history.store, DENSE, spans)
                    _until(partial(_is_over, history, job))
                    with history.store.read() as tx:
                        tx.cursor.execute("SELECT min(claimed_at), max(ended_at) FROM segment WHERE job = %s", (job,))
                        first, last = tx.cursor.fetchone()
                if history.jobs.get(job).state != JobState.DONE:
                    raise RuntimeError(f"the job is {history.jobs.get(job).state}")
                rates[count] = number / ((last - first) / 1e6)
    yield table.at_least("segments of one page, 2 worker processes", rates[2], rates[1], 0.8, "/s", "1 process")


def _starts(server: str, waiting: int) -> Iterator[table.Line]:
    """From the commit of a live job to the claim of its segment, while backfill is full and a queue of it waits."""
    with (
        fresh_database(server) as url,
        SandboxProcess(rate=0, latency_ms=500) as provider,
        rig.history_at(url, provider.url) as history,
    ):
        history.dataset(rig.CANDLES.name)
        with _workers(url, provider.url, Queue.BACKFILL, 1, 2), _workers(url, provider.url, Queue.LIVE, 1, 2):
            _crowd(history, waiting)
            took = sorted(_start(history, turn) for turn in range(TURNS))
    yield table.at_most(
        f"live start, {waiting:,} backfill segments waiting", took[-1] * 1e3, 250, 1, "ms", "fixed, worst of 5"
    )


def _crowd(history: Gapless, waiting: int) -> None:
    """A job with so many waiting segments."""
    job = _job(history, "KRW-BTC", 20_000, Queue.BACKFILL)
    history.store.write(
        lambda tx: tx.cursor.execute(
            'INSERT INTO segment (job, series, queue, turn, budget, "start", "end", cursor, direction, side,'
            ' recheck_from, state) SELECT job, series, queue, turn, budget, "start" - n * %s, "end" - n * %s,'
            " cursor - n * %s, direction, side, recheck_from, 'waiting' FROM segment, generate_series(1, %s) AS n"
            " WHERE job = %s AND side = 'recent'",
            (*[20_000 * MINUTE] * 3, waiting, job),
        )
    )


def _job(history: Gapless, series: str, minutes: int, queue: Queue, end: Instant = rig.END) -> int:
    """A job over the minutes before `end`; its id."""
    asked = rig.minutes_before(end, minutes)
    wish = history.wish(rig.CANDLES, series, asked.start_time.isoformat(), asked.end_time.isoformat())
    return history.jobs.create(wish, queue=queue).job.id


def _start(history: Gapless, turn: int) -> float:
    """Seconds from the commit of a live job to the claim of its segment."""
    job = _job(history, "KRW-ETH", 200, Queue.LIVE, end=rig.END - turn * 1_000 * MINUTE)
    began = time.time()
    claimed: list[int] = []

    def is_claimed() -> bool:
        with history.store.read() as tx:
            tx.cursor.execute("SELECT claimed_at FROM segment WHERE job = %s", (job,))
            claimed[:] = [row[0] for row in tx.cursor.fetchall() if row[0]]
        return bool(claimed)

    _until(is_claimed)
    _until(lambda: history.jobs.get(job).is_final)
    return claimed[0] / 1e6 - began


def _rescues(server: str) -> Iterator[table.Line]:
    """From kill -9 of a worker to the claim of its segment by another one."""
    took = []
    with (
        fresh_database(server) as url,
        SandboxProcess(rate=0, latency_ms=2_000) as provider,
        rig.history_at(url, provider.url) as history,
    ):
        history.dataset(rig.CANDLES.name)
        job = _job(history, "KRW-BTC", 200_000, Queue.BACKFILL)
        for _ in range(TURNS):
            with _workers(url, provider.url, Queue.BACKFILL, 1, 2) as victims:
                _until(lambda: _holders(history, job) != set())
                held = _holders(history, job)
                with _workers(url, provider.url, Queue.BACKFILL, 1, 2):
                    victims[0].send_signal(signal.SIGKILL)
                    began = time.monotonic()
                    _until(partial(_is_elsewhere, history, job, held))
                    took.append(time.monotonic() - began)
    yield table.at_most("rescue after kill -9", max(took), 5, 1, "s", f"fixed, worst of {TURNS}")


def _holders(history: Gapless, job: int) -> set[str]:
    """The workers that hold segments of a job."""
    with history.store.read() as tx:
        tx.cursor.execute("SELECT DISTINCT worker FROM segment WHERE job = %s AND state = 'running'", (job,))
        return {row[0] for row in tx.cursor.fetchall()}


def _is_over(history: Gapless, job: int) -> bool:
    return history.jobs.get(job).is_final


def _is_elsewhere(history: Gapless, job: int, before: set[str]) -> bool:
    """Whether somebody holds a segment, and nobody of those before."""
    holders = _holders(history, job)
    return bool(holders) and not holders & before


@contextmanager
def _workers(url: str, provider: str, queue: Queue, count: int, slots: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Real workers that are listening already."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "GAPLESS_DATABASE_URL": url,
        "GAPLESS_UPBIT_BASE_URL": provider,
        "GAPLESS_UPBIT_RATE": "0",
    }
    command = [sys.executable, "-m", "gapless.cli", "worker", "--queue", queue, "--slots", str(slots)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) for _ in range(count)]
    try:
        for one in running:
            assert one.stderr is not None
            one.stderr.readline()
            threading.Thread(target=one.stderr.read, daemon=True).start()
        time.sleep(1)  # PgQueuer's manager is connected a moment later
        yield running
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError("it did not come to pass")
        time.sleep(0.01)
