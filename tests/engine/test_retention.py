"""What has ended is kept for a while and then goes, a little at a time; facts about series stay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import gapless
from gapless.app import Gapless
from gapless.core.clock import ManualClock
from gapless.core.errors import UsageError
from gapless.core.job import Job
from gapless.core.span import DAY, SECOND, Span
from gapless.engine.audit import verify
from gapless.engine.retention import KEPT
from gapless.store import chains, coverage, deliveries, events, jobs, quarantine, segments, series
from gapless.store.database import Tx
from gapless.testing.factories import MORNING
from gapless.testing.history import MINUTES, settings_for

YEAR = 365 * DAY / SECOND


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands."""
    return ManualClock(MORNING)


@pytest.fixture
def history(tmp_path: Path, made_url: str, clock: ManualClock) -> Iterator[Gapless]:
    """A history on each database, in which nothing works."""
    settings = replace(settings_for(tmp_path, "http://127.0.0.1:9"), database_url=made_url)
    with gapless.open(settings=settings, clock=clock) as opened:
        yield opened


def ended(history: Gapless, name: str = "KRW-BTC") -> Job:
    job = history.backfill(MINUTES, name, days=2, here=False).job
    history.forecasts.take(job.id)
    return history.jobs.cancel(job.id)


def rows_of(history: Gapless, job: Job) -> dict[str, int]:
    """How many rows each table holds of a job."""
    tables = ("event", "forecast", "chain", "delivery", "proof", "job_series", "segment")
    found = {}
    with history.store.read() as tx:
        for table in tables:
            tx.cursor.execute(f"SELECT count(*) FROM {table} WHERE job = {job.id}")
            found[table] = int(tx.cursor.fetchone()[0])
    return found


def test_a_job_goes_after_two_years_with_all_that_is_its_own(history: Gapless, clock: ManualClock) -> None:
    """Not a day before; younger and unfinished ones stay, and so do the facts it found out."""
    history.notifications.add("hook", "http://127.0.0.1:9/x", ("cancelled",))
    old, unfinished = ended(history), history.backfill(MINUTES, "KRW-ETH", days=2, here=False).job
    history.store.write(lambda tx: chains.add(tx, old.id, "owner", "done", (), clock.now()))
    with history.store.read() as tx:
        its_id = series.find(tx, MINUTES, "KRW-BTC")
    assert its_id is not None
    whole = Span(old.start, old.end)
    history.store.write(lambda tx: coverage.extend(tx, its_id, whole))
    history.store.write(lambda tx: quarantine.add(tx, its_id, whole, job=old.id, reason="odd", at=clock.now()))
    assert all(count for table, count in rows_of(history, old).items() if table != "proof")

    clock.advance(2 * YEAR - 1)
    young = ended(history, "KRW-XRP")
    assert history.retention.prune()["jobs"] == 0
    clock.advance(2)
    assert history.retention.prune()["jobs"] == 1

    with history.store.read() as tx:
        assert {one.id for one in jobs.recent(tx)} == {unfinished.id, young.id}
        assert coverage.spans(tx, its_id) == [whole]
        assert len(quarantine.of_series(tx, its_id)) == 1
        assert segments.has_live(tx, unfinished.id)
    assert set(rows_of(history, old).values()) == {0}


def test_log_lines_go_after_ninety_days(history: Gapless, clock: ManualClock) -> None:
    """A job that still runs loses its oldest lines, too; the job itself stays."""
    job = history.backfill(MINUTES, "KRW-BTC", days=2, here=False).job
    for _ in range(5):
        history.jobs.pause(job.id)
        history.jobs.resume(job.id)
    clock.advance(91 * DAY / SECOND)
    history.jobs.pause(job.id)
    assert history.retention.prune()["logs"] == 11
    with history.store.read() as tx:
        assert [one.name for one in events.of_job(tx, job.id)] == ["job.paused"]


def test_what_still_waits_to_be_told_is_kept(history: Gapless, clock: ManualClock) -> None:
    """However old: it is given up by its attempts, not by its age."""
    history.notifications.add("hook", "http://127.0.0.1:9/x", ("cancelled",))
    ended(history)
    ended(history, "KRW-ETH")
    first = history.deliveries.recent()[-1]
    history.store.write(lambda tx: deliveries.sent(tx, first.id, clock.now()))
    clock.advance(91 * DAY / SECOND)
    assert history.retention.prune()["deliveries"] == 1
    assert [one.state for one in history.deliveries.recent()] == ["waiting"]


def test_the_audit_goes_too_and_its_chain_still_holds(history: Gapless, clock: ManualClock) -> None:
    """What is left vouches for itself, and for where it begins."""
    ended(history)
    before = verify(history.store)
    history.retention.set_days("audit", 30)
    clock.advance(31 * DAY / SECOND)
    ended(history, "KRW-ETH")
    verify(history.store)
    assert history.retention.prune()["audit"] == before.entries + 1
    after = verify(history.store, head=before.digest)
    assert "not in the chain" in after.trouble
    after = verify(history.store)
    assert (after.trouble, after.entries) == ("", 3)


def test_days_are_set_for_the_database(history: Gapless, clock: ManualClock) -> None:
    """By whoever owns it, not by each process; what is not said stays as it was."""
    history.retention.set_days("logs", 7)
    with gapless.open(settings=history.settings, clock=clock) as other:
        assert other.retention.days() == {"jobs": 730, "logs": 7, "deliveries": 90, "audit": 730}
    ended(history)
    clock.advance(8 * DAY / SECOND)
    assert history.retention.prune()["logs"] == 2
    for what, days, field in (("logs", 0, "logs"), ("jobs", 99_999, "jobs"), ("songs", 3, "keep")):
        with pytest.raises(UsageError) as told:
            history.retention.set_days(what, days)
        assert told.value.field == field


def test_it_goes_a_little_at_a_time(history: Gapless, clock: ManualClock) -> None:
    """Each batch is a transaction of its own; a stop is obeyed between two, and the next time goes on."""
    job = ended(history)
    most = KEPT["logs"].batch

    def write(tx: Tx) -> None:
        for _ in range(2 * most + 10):
            events.add(tx, MORNING, "segment.failed", "", job=job.id)

    history.store.write(write)
    clock.advance(91 * DAY / SECOND)
    stopped = threading.Event()
    stopped.set()
    assert history.retention.prune(stop=stopped)["logs"] == 0
    assert history.retention.prune(batches=1)["logs"] == most
    assert history.retention.prune()["logs"] == most + 12
