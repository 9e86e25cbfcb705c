"""The cluster on PostgreSQL: rings, growing and shrinking, many processes, and what a notebook sees of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from pgqueuer.adapters.persistence.schema_ddl import render_install

from gapless.app import Gapless
from gapless.core.job import JobState, Priority, Queue
from gapless.core.period import parse
from gapless.core.segment import SegmentState
from gapless.core.span import DAY, Span
from gapless.engine.cluster import doorbell_settings
from gapless.engine.worker import LINGER, Range
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit.market import World
from gapless.store import claims, doorbell, segments
from gapless.store.store import Store, open_store
from gapless.testing.databases import fresh_database
from gapless.testing.factories import MORNING, claim, make_job, make_wish, minutes, write
from gapless.testing.fleet import Fleet, done, eventually, held, living, make, parts, running
from gapless.testing.history import MINUTES, assert_complete

pytestmark = pytest.mark.xdist_group("fleet")

DAY_ONE = parse("2024-06-01", field="from").start
PAGE = ("2024-06-01T00:00Z", "2024-06-01T03:20Z")
WORKER = ("--queue", "backfill", "--slots", "2")


@pytest.fixture
def fleet(postgres: str, postgresql_made: str, tmp_path: Path, upbit: SandboxProcess) -> Iterator[Fleet]:
    """An empty history, and whoever works on it."""
    with fresh_database(postgres, like=postgresql_made) as url, Fleet(url, upbit.url, tmp_path) as made:
        yield made


@pytest.fixture
def history(fleet: Fleet) -> Iterator[Gapless]:
    """The test's own look at it."""
    with fleet.open() as opened:
        yield opened


def span(days: int) -> Span:
    return Span(DAY_ONE, DAY_ONE + days * DAY)


# -- the schema of the rings

#: What a schema holds, without the schema's own name, a row for each thing.
_COLUMNS = """
SELECT c.relname, c.relkind, c.relpersistence, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.attidentity, pg_get_expr(d.adbin, d.adrelid)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = to_regnamespace(current_schema()) AND c.relname LIKE 'gapless_pgqueuer%'
  AND c.relkind IN ('r', 'S')
ORDER BY c.relname, a.attnum
"""
_INDICES = """
SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_class c
WHERE c.relnamespace = to_regnamespace(current_schema()) AND c.relkind = 'i' AND c.relname LIKE 'gapless_pgqueuer%'
ORDER BY c.relname
"""
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = to_regnamespace(current_schema()) AND conrelid::regclass::text LIKE 'gapless_pgqueuer%'
ORDER BY conrelid::regclass::text, conname
"""
_TRIGGERS = """
SELECT t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = to_regnamespace(current_schema()) AND c.relname LIKE 'gapless_pgqueuer%' AND NOT t.tgisinternal
ORDER BY t.tgname
"""
_FUNCTIONS = """
SELECT proname, prosrc, prorettype::regtype::text, provolatile FROM pg_proc
WHERE pronamespace = to_regnamespace(current_schema()) AND proname LIKE '%pgqueuer%' ORDER BY proname
"""
_LABELS = """
SELECT t.typname, e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
WHERE t.typnamespace = to_regnamespace(current_schema()) ORDER BY t.typname, e.enumsortorder
"""


@pytest.mark.parametrize("what", [_COLUMNS, _INDICES, _CONSTRAINTS, _TRIGGERS, _FUNCTIONS, _LABELS])
def test_the_migration_makes_exactly_what_the_installed_pgqueuer_would(postgresql_store: Store, what: str) -> None:
    """PgQueuer's tables stand in a migration of ours, word for word; a newer PgQueuer must not find other ones."""
    url = postgresql_store.database.url  # type: ignore[attr-defined]
    with psycopg.connect(url, autocommit=True) as connection:
        ours = connection.execute(what).fetchall()
        schema = connection.execute("SELECT current_schema()").fetchone()
        assert schema is not None
        connection.execute("CREATE SCHEMA scratch")
        connection.execute("SET search_path = scratch")
        connection.execute(render_install(doorbell_settings()))
        theirs = connection.execute(what).fetchall()

    assert ours
    assert _bare(ours, schema[0]) == _bare(theirs, "scratch")


def _bare(rows: list[tuple[object, ...]], schema: str) -> list[tuple[object, ...]]:
    """Without the schema's name; what a function says of itself, without the space around it."""
    return [
        tuple(one.replace(f"{schema}.", "").strip() if isinstance(one, str) else one for one in row) for row in rows
    ]


# -- rings


def rings(store: Store) -> dict[str, str]:
    """The rings that are there, and their states."""
    with store.read() as tx:
        tx.cursor.execute("SELECT dedupe_key, status::text FROM gapless_pgqueuer ORDER BY dedupe_key")
        return dict(tx.cursor.fetchall())


def let_mend(store: Store) -> bool:
    """Mend although somebody did a moment ago."""

    def now(tx: object) -> bool:
        tx.cursor.execute("UPDATE gapless_doorbell SET next_at = now()")  # type: ignore[attr-defined]
        return True

    return write(store, now) and write(store, doorbell.mend)


class Broken(Exception):
    """A transaction that does not come to its end."""


def test_a_segment_and_its_ring_are_there_together_or_not_at_all(postgresql_store: Store) -> None:
    """No double write: whoever sees the job finds it rung for, and a job that was never made rings nobody."""
    job = make_job(postgresql_store, parts=[(0, 500), (500, 1000)])
    ids = [one.segment.id for one in _parts(postgresql_store, job.id)]
    assert rings(postgresql_store) == {f"s{one}.0": "queued" for one in ids}

    def broken(tx: object) -> None:
        lease = claims.claim(tx, "backfill", "worker", MORNING)  # type: ignore[arg-type]
        assert lease is not None
        assert segments.release(tx, lease)  # type: ignore[arg-type]
        tx.cursor.execute("SELECT count(*) FROM gapless_pgqueuer")  # type: ignore[attr-defined]
        assert tx.cursor.fetchone() == (3,)  # type: ignore[attr-defined]
        raise Broken

    with pytest.raises(Broken):
        postgresql_store.write(broken)
    assert rings(postgresql_store) == {f"s{one}.0": "queued" for one in ids}


def _parts(store: Store, job_id: int) -> list[segments.Detail]:
    with store.read() as tx:
        return segments.of_job(tx, job_id)


def test_whatever_lets_a_segment_wait_rings(postgresql_store: Store) -> None:
    """Given back, rescued, cut, retried, resumed: each of them under the epoch that it waits with."""
    store = postgresql_store
    job = make_job(store)
    (one,) = _parts(store, job.id)
    number = one.segment.id

    lease = claim(store)
    assert lease is not None
    write(store, segments.release, lease)
    assert f"s{number}.1" in rings(store)

    claim(store, worker="dead")
    write(store, segments.rescue, "dead")
    assert f"s{number}.3" in rings(store)

    lease = claim(store)
    assert lease is not None
    assert write(store, segments.steal, lease, minutes(0, 200).end, lease.segment.queue)
    cut = next(part.segment.id for part in _parts(store, job.id) if part.segment.id != number)
    assert f"s{cut}.0" in rings(store)

    write(store, segments.cancel, job.id, MORNING)
    write(store, segments.revive, job.id)
    revived = {f"s{part.segment.id}.{part.segment.epoch}" for part in _parts(store, job.id)}
    assert revived <= rings(store).keys()

    held_back = make_job(store, make_wish(series=("KRW-ETH",)), hold=True)
    write(store, lambda tx: tx.cursor.execute("TRUNCATE gapless_pgqueuer"))
    with psycopg.connect(store.database.url, autocommit=True) as owner:  # type: ignore[attr-defined]
        owner.execute("UPDATE job SET state = 'pending' WHERE id = %s", (held_back.id,))
    assert set(rings(store)) == {f"s{part.segment.id}.0" for part in _parts(store, held_back.id)}


def test_the_urgent_are_rung_first(postgresql_store: Store) -> None:
    """PgQueuer hands the highest number out first: class, then who came first."""
    wished = [(Priority.LOW, "KRW-A"), (Priority.NORMAL, "KRW-B"), (Priority.HIGH, "KRW-C"), (Priority.NORMAL, "KRW-D")]
    for priority, name in wished:
        make_job(postgresql_store, make_wish(series=(name,)), priority=priority)
    with postgresql_store.read() as tx:
        tx.cursor.execute(
            "SELECT series.name FROM gapless_pgqueuer AS ring"
            " JOIN segment ON segment.id = convert_from(ring.payload, 'UTF8')::bigint"
            " JOIN series ON series.id = segment.series ORDER BY ring.priority DESC"
        )
        assert [row[0] for row in tx.cursor.fetchall()] == ["KRW-C", "KRW-B", "KRW-D", "KRW-A"]


def test_lost_rings_are_put_back_and_stale_ones_cleared_away(postgresql_store: Store) -> None:
    """After a crash of the server the rings are gone; after a rescue some name an epoch that has passed."""
    store = postgresql_store
    job = make_job(store, parts=[(0, 500), (500, 1000)])
    first, second = (one.segment.id for one in _parts(store, job.id))
    write(store, lambda tx: tx.cursor.execute("TRUNCATE gapless_pgqueuer"))
    assert let_mend(store)
    assert rings(store) == {f"s{first}.0": "queued", f"s{second}.0": "queued"}

    lease = claim(store)
    assert lease is not None
    assert lease.segment.id == first
    assert let_mend(store)
    assert rings(store) == {f"s{second}.0": "queued"}

    # Mending twice changes nothing; one process does it for all, every few seconds.
    assert let_mend(store)
    assert not write(store, doorbell.mend)
    assert rings(store) == {f"s{second}.0": "queued"}

    write(store, segments.end, lease, SegmentState.DONE, MORNING)
    write(store, segments.cancel, job.id, MORNING)
    assert let_mend(store)
    assert rings(store) == {}


def test_rings_that_get_lost_only_delay(fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World) -> None:
    """The tables of the jobs are the truth; and when all is done no ring is left over."""
    markets = ["KRW-BTC", "KRW-ETH", "KRW-XRP"]
    with fleet.open() as elsewhere:
        engine = elsewhere.worker([Queue.BACKFILL], Range(2, 2))
        eventually(lambda: len(living(history)) == 1, "a worker, idle")
        upbit.control(latency_ms=10)
        job = make(history, markets, "2024-06-01", "2024-06-02")
        for _ in range(3):
            history.store.write(lambda tx: tx.cursor.execute("TRUNCATE gapless_pgqueuer"))
        eventually(lambda: done(history, job), "the job is done")
        eventually(lambda: rings(history.store) == {}, "and no ring is left")
        elsewhere.release(engine)
    assert_complete(history, world, MINUTES, markets, span(2))


def test_rings_of_a_worker_that_dies_go_to_another_one(fleet: Fleet, history: Gapless, upbit: SandboxProcess) -> None:
    """A delivered ring is not lost with whom it was delivered to, and nothing stays behind in the queue."""
    upbit.control(latency_ms=100)
    (victim,) = fleet.workers(history, WORKER)
    job = make(history, ["KRW-BTC", "KRW-ETH"], "2024-06-01", "2024-06-02")
    eventually(lambda: "picked" in rings(history.store).values() and held(history, job), "a ring is being answered")
    victim.end()
    engine = history.worker([Queue.BACKFILL], Range(2, 2))
    upbit.control(latency_ms=0)
    eventually(lambda: done(history, job), "the job is done")
    eventually(lambda: rings(history.store) == {}, "and no ring is left")
    history.release(engine)


# -- workers


def test_the_halves_of_a_stock_run_on_two_machines_at_once(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """One job, one row; its progress is read from the ledger, so that nobody fights over a counter."""
    upbit.control(latency_ms=100)
    with fleet.open() as here, fleet.open() as there:
        engines = [one.worker([Queue.BACKFILL], Range(1, 1)) for one in (here, there)]
        job = make(history, "KRW-BTC", "2024-06-01", "2024-06-05")
        eventually(lambda: len(_holders(history, job.id)) == 2, "a half each")
        upbit.control(latency_ms=10)
        seen = [0.0]
        while not done(history, job):
            seen.append(history.progress(job.id).percent)
        assert seen == sorted(seen)
        assert max(seen) <= 100
        here.release(engines[0])
        there.release(engines[1])
    assert history.progress(job.id).percent == 100
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span(5))


def _holders(history: Gapless, job_id: int) -> set[str | None]:
    with history.store.read() as tx:
        return {one.worker for one in segments.of_job(tx, job_id) if one.segment.state == "running"}


def test_a_worker_grows_with_what_waits(fleet: Fleet, history: Gapless, upbit: SandboxProcess) -> None:
    """`--slots 1..4` without an orchestrator: one slot while little is to do, four when much is; told in its row."""
    upbit.control(faults=[{"kind": "latency", "latency_ms": 90_000}])
    engine = history.worker([Queue.BACKFILL], Range(1, 4))
    one = make(history, "KRW-BTC", *PAGE)
    eventually(lambda: len(held(history, one)) == 1, "the first is taken")
    assert engine.slots == 1
    many = make(history, ["KRW-ETH", "KRW-XRP", "KRW-SOL", "KRW-HALT", "USDT-BTC"], *PAGE)
    eventually(lambda: engine.slots == 4 and running(history) == 4, "four at once")
    eventually(lambda: [row.slots for row in living(history)] == [4], "and so it says")
    for job in (one, many):
        history.jobs.cancel(job.id)
    upbit.control(faults=[], down=True)
    upbit.control(down=False)
    history.release(engine)


@pytest.mark.soak
def test_a_worker_shrinks_when_nothing_waits(fleet: Fleet, history: Gapless, upbit: SandboxProcess) -> None:
    """It takes half a minute: a burst that comes back soon finds its slots."""
    upbit.control(latency_ms=100)
    engine = history.worker([Queue.BACKFILL], Range(1, 4))
    job = make(history, ["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL"], "2024-06-01", "2024-06-02")
    eventually(lambda: engine.slots == 4, "four slots")
    eventually(lambda: done(history, job), "done")
    eventually(lambda: engine.slots == 1, "one slot", LINGER + 30)
    again = make(history, ["KRW-BTC", "KRW-ETH"], "2024-06-03", "2024-06-04")
    eventually(lambda: done(history, again), "and it still works")
    history.release(engine)


def test_eight_processes_share_one_budget_and_one_refusal(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess
) -> None:
    """A cluster asks like one client: the provider's limit is kept, and what it tells one of us all of us hear."""
    fleet.rate = 20
    upbit.control(rate=20, window="sliding", jitter_ms=0)
    with fleet.open() as limited:
        crew = fleet.workers(history, *[WORKER] * 8)
        markets = ["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL", "USDT-BTC", "BTC-ETH"]
        job = make(limited, markets, "2024-06-01", "2024-06-01")
        eventually(lambda: done(history, job), "done at twenty a second")
        stats = upbit.stats()
        assert stats["refused_429"] == 0
        assert stats["max_per_second"] <= 20

        # And now somebody else uses the same address: one refusal, and nobody runs into it a second time.
        upbit.control(faults=[{"kind": "status", "status": 429, "times": 1}], reset_stats=True)
        more = make(limited, markets, "2024-06-02", "2024-06-02")
        eventually(lambda: done(history, more), "done after a refusal")
        assert upbit.stats()["refused_429"] == 1
        assert {part.segment.attempts for part in parts(history, more)} == {0}
        assert all(one.process.poll() is None for one in crew)


def test_workers_that_start_at_the_same_instant_on_an_empty_database_all_come_up(postgres: str, fleet: Fleet) -> None:
    """`docker compose up` on a new server: all of them make the tables, each thinks that it is the first."""
    count = 6
    with fresh_database(postgres) as url, ThreadPoolExecutor(count) as pool:
        gate = threading.Barrier(count)

        def start(_: int) -> int:
            gate.wait()
            with closing(open_store(url)) as store, fleet.open(url=url) as opened:
                gate.wait()
                store.prepare(opened.catalogue.datasets.values())
            return 1

        assert sum(pool.map(start, range(count))) == count


# -- what people hold in their hands


def test_a_notebook_leaves_the_work_to_the_workers_where_there_are_some(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """The same line of a notebook on a laptop and on a cluster; `here=True` says otherwise."""
    upbit.control(latency_ms=20)
    alone = history.backfill(MINUTES, "KRW-BTC", "2024-06-01", "2024-06-02")
    assert [one.job for one in living(history)] == [alone.id]
    assert alone.wait(timeout=60) is JobState.DONE

    # Slow enough to be seen at work.
    upbit.control(latency_ms=200)
    with fleet.open() as elsewhere:
        engine = elsewhere.worker([Queue.BACKFILL], Range(2, 2))
        theirs = engine.watch.me.id
        left = history.backfill(MINUTES, "KRW-ETH", "2024-06-01", "2024-06-02")
        eventually(lambda: _holders(history, left.id) == {theirs}, "the worker does it")
        assert left.wait(timeout=60) is JobState.DONE
        mine = history.backfill(MINUTES, "KRW-XRP", "2024-06-01", "2024-06-02", here=True)
        eventually(lambda: len(living(history)) == 2, "slots of its own")
        assert mine.wait(timeout=60) is JobState.DONE
        elsewhere.release(engine)
    frame = history.read(MINUTES, "KRW-SOL", "2024-06-01", "2024-06-01")
    assert len(frame) == 1440
    assert_complete(history, world, MINUTES, ["KRW-BTC", "KRW-ETH", "KRW-XRP"], span(2))
    assert living(history) == []


def test_fill_says_that_nobody_works_and_goes_on_when_somebody_does(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """On a server a fill is an order; who gave it must not stare at a bar that cannot move."""
    fill = fleet.start("fill", MINUTES, "KRW-BTC", "--from", "2024-06-01", "--to", "2024-06-01")
    eventually(lambda: "no worker serves queue backfill" in fill.err, "it says so")
    assert "gapless worker --queue backfill" in fill.err
    assert "--here" in fill.err
    fleet.workers(history, WORKER)
    assert fill.wait() == 0, fill.err
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span(1))


def test_a_worker_that_died_unseen_is_not_taken_for_one_that_works(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """The only machine lost its power: its row is still there, nobody looks after it, and nobody may wait for it."""
    (dead,) = fleet.workers(history, WORKER)
    dead.end()
    assert [one.pid for one in living(history)] == [dead.pid]

    fill = fleet.start("fill", MINUTES, "KRW-BTC", "--from", "2024-06-01", "--to", "2024-06-01")
    notebook = history.backfill(MINUTES, "KRW-ETH", "2024-06-01", "2024-06-01")
    try:
        assert notebook.wait(timeout=20) is JobState.DONE
        eventually(lambda: "no worker serves queue backfill" in fill.err, "it says so", 20)
    finally:
        fill.end(signal.SIGINT)
    assert_complete(history, world, MINUTES, ["KRW-ETH"], span(1))


def test_ctrl_c_pauses_a_job_that_workers_run(fleet: Fleet, history: Gapless, upbit: SandboxProcess) -> None:
    """The same key does the same on both engines: nobody goes on with what its owner has stopped."""
    upbit.control(latency_ms=50)
    engine = history.worker([Queue.BACKFILL], Range(2, 2))
    fill = fleet.start("fill", MINUTES, "KRW-BTC", "--from", "2024-06-01", "--to", "2024-06-10")
    # Workers begin before the command has drawn its bar and listens to the key.
    eventually(lambda: upbit.stats()["requests"] > 5 and "job" in fill.err, "under way")
    assert fill.end(signal.SIGINT) == 130
    assert "jobs resume" in fill.err
    eventually(lambda: running(history) == 0, "the slots are free")
    history.release(engine)


def test_a_detached_job_gets_a_worker_that_leaves_when_all_is_done(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """A cron job on a machine without workers: it returns at once, and no process is left behind."""
    fill = fleet.start("fill", MINUTES, "KRW-BTC", "--from", "2024-06-01", "--to", "2024-06-01", "--detach")
    assert fill.wait() == 0, fill.err
    eventually(lambda: history.jobs.get(1).state == JobState.DONE, "the job is done")
    eventually(lambda: living(history) == [], "its worker has left")
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span(1))
