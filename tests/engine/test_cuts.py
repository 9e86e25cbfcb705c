"""A network that is cut or falls silent, a server that is stopped or crashes, a process frozen in mid-transaction."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from gapless.app import Gapless
from gapless.core.job import Job, JobState, Queue
from gapless.core.period import parse
from gapless.core.span import DAY, Span
from gapless.engine.worker import Range
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit.market import World
from gapless.store import jobs
from gapless.store.store import open_store
from gapless.testing.databases import fresh_database
from gapless.testing.fleet import Command, Fleet, done, eventually, happened, held, living, make, parts
from gapless.testing.history import MINUTES, assert_complete
from gapless.testing.proxy import Proxy
from gapless.testing.servers import Server

pytestmark = pytest.mark.xdist_group("fleet")

DAY_ONE = parse("2024-06-01", field="from").start
MARKETS = ["KRW-BTC", "KRW-ETH"]
WORKER = ("--queue", "backfill", "--slots", "2")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that nobody else uses."""
    with Server() as started:
        yield started


@pytest.fixture
def fleet(server: Server, tmp_path: Path, upbit: SandboxProcess) -> Iterator[Fleet]:
    """An empty history on it, and whoever works on it."""
    with fresh_database(server.url) as url:
        open_store(url).close()
        with Fleet(url, upbit.url, tmp_path) as made:
            yield made


@pytest.fixture
def history(fleet: Fleet) -> Iterator[Gapless]:
    """The test's own look at it."""
    with fleet.open() as opened:
        yield opened


@pytest.fixture
def proxy(fleet: Fleet) -> Iterator[Proxy]:
    """The network between a worker and the server."""
    with Proxy(fleet.url) as started:
        yield started


def requests(upbit: SandboxProcess) -> int:
    return int(upbit.stats()["requests"])


def assert_uncharged(history: Gapless, *done_jobs: Job) -> None:
    """Whatever the database went through, the source was not to blame."""
    for one in done_jobs:
        assert {part.segment.attempts for part in parts(history, one)} == {0}
        assert len(happened(history, one, "job.done")) == 1
        assert not happened(history, one, "request.failed")


def listed(history: Gapless) -> list[Job]:
    with history.store.read() as tx:
        return jobs.recent(tx, 10)


def span(days: int) -> Span:
    return Span(DAY_ONE, DAY_ONE + days * DAY)


def bells(url: str) -> int:
    """Connections of workers that listen for rings."""
    with psycopg.connect(url) as looking:
        row = looking.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'gapless bell' AND datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


# -- the server


@pytest.mark.parametrize("how", ["stopped", "crashed"])
def test_everybody_goes_on_by_himself_when_the_server_is_back(
    fleet: Fleet, history: Gapless, server: Server, upbit: SandboxProcess, world: World, how: str
) -> None:
    """An update of PostgreSQL at night: workers and the commands that look on stay up, and nothing is lost or charged.

    A crash empties the rings, too: their tables are not logged.
    """
    # Nothing is done before all are there: on a busy machine the last one starts seconds after the first.
    upbit.control(latency_ms=2000)
    crew = fleet.workers(history, WORKER, WORKER)
    looking_on = fleet.start("fill", MINUTES, *MARKETS, "--from", "2024-06-01", "--to", "2024-06-04")
    at_work = fleet.start("fill", MINUTES, "KRW-XRP", "--from", "2024-06-01", "--to", "2024-06-04", "--here")
    eventually(lambda: len(living(history)) == 3 and len(listed(history)) == 2, "three processes at work")
    upbit.control(latency_ms=40)
    eventually(lambda: requests(upbit) > 10, "and under way")

    server.stop() if how == "stopped" else server.crash()
    eventually(lambda: all("engine.trouble" in one.err for one in crew), "both have noticed")
    upbit.control(latency_ms=0)
    server.start()

    for one in (looking_on, at_work):
        assert one.wait() == 0, one.err
    assert all(one.state == JobState.DONE for one in listed(history))
    assert_uncharged(history, *listed(history))
    assert_complete(history, world, MINUTES, [*MARKETS, "KRW-XRP"], span(4))
    # The same processes, and they can be rung again.
    eventually(lambda: {one.pid for one in living(history)} == {one.pid for one in crew}, "the same two live")
    eventually(lambda: bells(fleet.url) == 2, "both listen")
    eventually(lambda: all("engine.recovered" in one.err for one in crew), "both say so")
    for one in crew:
        assert one.end(signal.SIGTERM) == 0, one.err


def test_a_command_that_has_made_its_job_waits_for_the_server_from_then_on(
    fleet: Fleet, history: Gapless, server: Server, upbit: SandboxProcess
) -> None:
    """Also between the job and the first look at it, where it asks whether somebody serves the queue."""
    (worker,) = fleet.workers(history, WORKER)
    assert worker.end(signal.SIGKILL) == -9
    # The row of the dead worker keeps the command looking for a second and a half.
    fill = fleet.start("fill", MINUTES, "KRW-BTC", "--from", "2024-06-01", "--to", "2024-06-02")
    eventually(lambda: len(listed(history)) == 1, "the job is made")
    server.stop()
    server.start()
    eventually(lambda: "no worker serves" in fill.err, "it found nobody, with the server back")
    fleet.start("worker", *WORKER)
    assert fill.wait() == 0, fill.err


def test_trouble_with_the_server_is_said_once(fleet: Fleet, history: Gapless, server: Server) -> None:
    """A log that says every second that the database is back, while it is not, hides when it went and when it came."""
    (worker,) = fleet.workers(history, WORKER)
    server.stop()
    try:
        eventually(lambda: "cannot be used" in worker.err and "bell.lost" in worker.err, "it says so")
        # A command of its own needs longer to start than the worker needs to look ten times.
        assert fleet.start("workers").wait() == 5
        assert worker.err.count("engine.trouble") == 1, worker.err
        assert "is back" not in worker.err
    finally:
        server.start()
    eventually(lambda: worker.err.count("the database is back") == 1, "and that it is back")
    assert worker.err.count("engine.recovered") == 1
    assert worker.end(signal.SIGTERM) == 0


def test_a_worker_that_is_told_to_go_while_the_server_is_away_goes(
    fleet: Fleet, history: Gapless, server: Server, upbit: SandboxProcess
) -> None:
    """A node is emptied while the database is being moved: no process may hang, and its segments are found again."""
    upbit.control(latency_ms=40)
    (worker,) = fleet.workers(history, WORKER)
    job = make(history, "KRW-BTC", "2024-06-01", "2024-06-02")
    eventually(lambda: requests(upbit) > 2, "under way")
    server.stop()
    try:
        eventually(lambda: "engine.trouble" in worker.err, "it has noticed")
        assert worker.end(signal.SIGTERM) == 0, worker.err
    finally:
        server.start()
    assert "Traceback" not in worker.err

    # Nobody has heard it sign off: who comes next, rescues.
    engine = history.worker([Queue.BACKFILL], Range(2, 2))
    eventually(lambda: done(history, job), "it goes on elsewhere")
    assert_uncharged(history, job)
    history.release(engine)


def test_a_worker_that_only_waits_outlives_restarts_too(
    fleet: Fleet, history: Gapless, server: Server, upbit: SandboxProcess
) -> None:
    """`--until-idle` ends when nothing is left, and for no other reason: a detached fill has nobody else."""
    upbit.control(faults=[{"kind": "status", "status": 418, "times": 1}])
    job = make(history, "KRW-BTC", "2024-06-01", "2024-06-02")
    (worker,) = fleet.workers(history, (*WORKER, "--until-idle"))
    eventually(lambda: happened(history, job, "budget.blocked") and not held(history, job), "it waits for a minute")
    for times in range(1, 6):
        server.stop()
        eventually(lambda times=times: _is_away(worker, times), "it has noticed")  # type: ignore[misc]
        server.start()
        assert worker.process.poll() is None, worker.err
        eventually(lambda times=times: worker.err.count("engine.recovered") >= times, "and recovered")  # type: ignore[misc]
    history.jobs.cancel(job.id)
    assert worker.wait() == 0, worker.err


def _is_away(worker: Command, times: int) -> bool:
    """Whether it has ended, or met its so many-th trouble."""
    return worker.process.poll() is not None or worker.err.count("engine.trouble") >= times


# -- the network


def test_a_connection_that_breaks_inside_a_look_is_replaced_at_the_next_one(server: Server) -> None:
    """Most of what a worker does is to look: a thread that kept its dead connection would be of no use ever again."""
    with fresh_database(server.url) as url, Proxy(url) as proxy, closing(open_store(proxy.url)) as store:
        with store.read() as tx:
            assert tx.cursor.execute("SELECT 1").fetchone() == (1,)
        assert proxy.cut() > 0
        with store.read() as tx:
            assert tx.cursor.execute("SELECT 2").fetchone() == (2,)
            proxy.cut()
            with pytest.raises(psycopg.OperationalError):
                tx.cursor.execute("SELECT 3")
        with store.read() as tx:
            assert tx.cursor.execute("SELECT 4").fetchone() == (4,)


def test_connections_that_are_cut_lose_and_double_nothing(
    fleet: Fleet, history: Gapless, proxy: Proxy, upbit: SandboxProcess, world: World
) -> None:
    """A load balancer that resets connections, again and again, then refuses them for a while: one worker, alone."""
    upbit.control(latency_ms=15)
    (worker,) = fleet.workers(history, WORKER, url=proxy.url)
    job = make(history, MARKETS, "2024-06-01", "2024-06-06")
    for _ in range(6):
        known = requests(upbit)
        eventually(lambda known=known: requests(upbit) > known + 4, "it goes on")  # type: ignore[misc]
        assert proxy.cut() > 0
    with proxy.closed():
        eventually(lambda: "cannot be used" in worker.err, "it says what is wrong")
    eventually(lambda: done(history, job), "the job is done")

    assert_uncharged(history, job)
    assert [one.pid for one in living(history)] == [worker.pid]
    assert_complete(history, world, MINUTES, MARKETS, span(6))
    # Each cut may cost a slot the page it had in its hands.
    pages = len(MARKETS) * -(-6 * 1440 // 200)
    assert requests(upbit) <= pages + 7 * 2 + 8


def test_a_worker_cut_off_without_a_word_is_replaced_and_fenced_off(
    fleet: Fleet, history: Gapless, proxy: Proxy, upbit: SandboxProcess, world: World
) -> None:
    """A switch that drops every packet: others take over, and what it sends when the network heals is refused."""
    upbit.control(latency_ms=1_500)
    job = make(history, "KRW-BTC", "2024-06-01", "2024-06-02")
    (lost,) = fleet.workers(history, WORKER, url=proxy.url)
    eventually(lambda: requests(upbit) == 2, "its two slots ask")
    engine = history.worker([Queue.BACKFILL], Range(2, 2))
    with proxy.silent():
        eventually(lambda: set(held(history, job).values()) == {os.getpid()}, "its segments go on here")
        upbit.control(latency_ms=0)
        eventually(lambda: done(history, job), "done without it")
        assert [one.pid for one in living(history)] == [os.getpid()]
        rows = history.verify(MINUTES).rows
    eventually(lambda: lost.err.count("lease.lost") == 2, "it meets the fence")
    assert history.verify(MINUTES).rows == rows
    assert_uncharged(history, job)

    history.release(engine)
    eventually(lambda: [one.pid for one in living(history)] == [lost.pid], "it is one of us again")
    more = make(history, "KRW-ETH", "2024-06-01", "2024-06-02")
    eventually(lambda: done(history, more), "and works")
    assert_complete(history, world, MINUTES, MARKETS, span(2))


def test_a_worker_cut_off_without_a_word_can_be_terminated(
    fleet: Fleet, history: Gapless, proxy: Proxy, upbit: SandboxProcess
) -> None:
    """A pod on a node without network gets its SIGTERM, too, and half a minute before SIGKILL."""
    upbit.control(latency_ms=100)
    make(history, "KRW-BTC", "2024-06-01", "2024-06-06")
    (lost,) = fleet.workers(history, WORKER, url=proxy.url)
    eventually(lambda: requests(upbit) > 2, "under way")
    with proxy.silent():
        known = requests(upbit)
        lost.send(signal.SIGTERM)
        assert lost.wait(30) == 0, lost.err
        assert requests(upbit) <= known + 2


# -- frozen in mid-transaction

#: Does one thing to the database, and freezes before the transaction is over.
FROZEN = """
import contextlib, os, signal, sys, gapless
with gapless.open() as history:
    def work(tx):
        # Statements that travel together end with one word to the server; before it, no statement is over for it.
        with tx.together() if sys.argv[2] == "together" else contextlib.nullcontext():
            tx.cursor.execute(sys.argv[1])
            tx.cursor.fetchall()
            sys.stdout.write("frozen\\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGSTOP)
    history.store.write(work)
"""
LOCKS = {"budget": "SELECT key FROM budget FOR UPDATE", "series": "SELECT id FROM series FOR UPDATE"}


@contextmanager
def frozen(fleet: Fleet, lock: str, how: str) -> Iterator[None]:
    """A process that was stopped while it held a lock of the database."""
    words = [sys.executable, "-c", FROZEN, LOCKS[lock], how]
    with subprocess.Popen(words, env=fleet.env(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "frozen\n"
        try:
            yield
        finally:
            process.kill()


@pytest.mark.parametrize(("lock", "how"), [("budget", "alone"), ("series", "alone")])
def test_a_process_frozen_in_mid_transaction_does_not_stop_the_others(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World, lock: str, how: str
) -> None:
    """A stopped container, or a machine whose network died: the server still holds its locks, and must let go of them.

    Else one dead process stops a whole cluster, for as long as the kernel believes in the connection: hours. Rows and
    ledger of a page travel together, and it may freeze between any two of them.
    """
    job = make(history, "KRW-BTC", "2024-06-01", "2024-06-02")
    with frozen(fleet, lock, how):
        engine = history.worker([Queue.BACKFILL], Range(2, 2))
        try:
            eventually(lambda: done(history, job), "the others go on", 15)
        finally:
            _let_loose(fleet.url)
            history.release(engine)
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span(2))


def _let_loose(url: str) -> None:
    """End what the frozen process has left behind, so that a failure here takes no longer than it must."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event = 'ClientRead' AND backend_xid IS NOT NULL AND datname = current_database()"
        )


# -- the long version


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_cuts_silence_and_crashes_for_minutes_lose_and_double_nothing(
    fleet: Fleet, history: Gapless, proxy: Proxy, server: Server, upbit: SandboxProcess, world: World
) -> None:
    """Everything above at once and again: two workers behind a bad network, one beside it, a server that crashes."""
    upbit.control(latency_ms=25)
    crew = [*fleet.workers(history, WORKER, WORKER, url=proxy.url), *fleet.workers(history, WORKER)]
    markets = [*MARKETS, "KRW-XRP", "KRW-THIN"]
    made = [make(history, one, "2024-05-01", "2024-06-30") for one in markets]
    for i in range(24):
        known = requests(upbit)
        eventually(lambda known=known: requests(upbit) > known + 10, "it goes on")  # type: ignore[misc]
        if i % 4 == 0:
            server.crash()
            server.start()
        elif i % 4 == 1:
            with proxy.silent():
                eventually(lambda: len(living(history)) == 1, "two are given up")
        else:
            proxy.cut()
    upbit.control(latency_ms=0)
    eventually(lambda: done(history, *made), "all done", 600)
    assert_uncharged(history, *made)
    assert {one.process.poll() for one in crew} == {None}
    start = parse("2024-05-01", field="from").start
    assert_complete(history, world, MINUTES, markets, Span(start, start + 61 * DAY))
