"""Jobs in the database: one per wish, moved only along the table, and everything a worker does is fenced by it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gapless.core.errors import LeaseLost, NotAllowed, StoreError
from gapless.core.job import FINAL, MOVES, JobState, Priority
from gapless.core.segment import SegmentState
from gapless.store import coverage, events, jobs, rows, segments
from gapless.store.database import Tx
from gapless.testing.factories import (
    CANDLES,
    MORNING,
    claim,
    commit,
    lease_of,
    make_job,
    make_page,
    make_wish,
    minute,
    minutes,
    read,
    write,
)

#: For each state, the moves that lead there from a new job.
WAYS = {
    JobState.PENDING: [],
    JobState.RUNNING: ["claim"],
    JobState.PAUSED: ["pause"],
    JobState.DONE: ["claim", "done"],
    JobState.INCOMPLETE: ["claim", "incomplete"],
    JobState.FAILED: ["claim", "failed"],
    JobState.CANCELLED: ["cancel"],
}
EVERY = [(state, verb) for state in JobState for verb in MOVES]


def state_of(store, job) -> str:
    found = read(store, jobs.get, job.id)
    assert found is not None
    return found.state


def test_the_time_that_a_job_has_run_leaves_pauses_out(store):
    """By this clock a job with a longest time to run is ended; a retry begins anew."""
    job = make_job(store)
    for verb, at in (("claim", 1), ("pause", 4), ("resume", 50), ("claim", 60)):
        assert write(store, jobs.move, job.id, verb, minute(at))
    found = read(store, jobs.get, job.id)
    assert found is not None
    assert found.has_run(minute(62)) == minute(5) - minute(0)
    assert read(store, jobs.overdue, minute(62)) == []
    write(store, lambda tx: tx.cursor.execute(f"UPDATE job SET max_runtime = {minute(5) - minute(0)}"))
    assert read(store, jobs.overdue, minute(62) - 1) == []
    assert read(store, jobs.overdue, minute(62)) == [job.id]
    write(store, jobs.move, job.id, "failed", minute(62))
    assert read(store, jobs.get, job.id).has_run(minute(99)) == minute(5) - minute(0)
    write(store, jobs.move, job.id, "retry", minute(100))
    assert read(store, jobs.get, job.id).has_run(minute(101)) == 0


@pytest.mark.parametrize(("state", "verb"), EVERY, ids=[f"{state}-{verb}" for state, verb in EVERY])
def test_a_move_happens_exactly_where_the_table_has_it(sqlite_store, state, verb):
    """The guard in SQL and the table in code are the same: no other way leads from one state to another."""
    job = make_job(sqlite_store)
    for step in WAYS[state]:
        assert write(sqlite_store, jobs.move, job.id, step, minute(1))
    assert state_of(sqlite_store, job) == state
    sources, target = MOVES[verb]
    assert write(sqlite_store, jobs.move, job.id, verb, minute(2), error="why") is (state in sources)
    assert state_of(sqlite_store, job) == (target if state in sources else state)


def test_a_job_tells_when_and_why_it_ended(store):
    """Its owner reads this first; a job that goes on has not ended."""
    job = make_job(store)
    write(store, jobs.move, job.id, "failed", minute(5), error="x" * 600)
    ended = read(store, jobs.get, job.id)
    assert (ended.ended_at, ended.error) == (minute(5), "x" * 500)
    assert ended.is_final
    write(store, jobs.move, job.id, "retry", minute(6))
    again = read(store, jobs.get, job.id)
    assert (again.ended_at, again.error, again.is_final) == (None, "", False)


def test_a_job_reads_back_as_it_was_made(store):
    """Nothing of a wish may get lost on the way: the planner works from the row."""
    made = make_job(store, make_wish(series=("KRW-ETH", "KRW-BTC")), priority=Priority.HIGH)
    assert read(store, jobs.get, made.id) == made
    assert write(store, jobs.lock, made.id) == made
    assert {name for _, name in read(store, jobs.series_of, made.id)} == {"KRW-BTC", "KRW-ETH"}
    assert (made.span, made.series_count, made.lacking) == (minutes(0, 1000), 2, 1000)
    assert read(store, jobs.get, made.id + 1) is None


def test_a_wish_is_one_job_while_it_is_unfinished(store):
    """Two owners of the same idea, or one impatient one, must not fetch everything twice."""
    job = make_job(store)
    assert read(store, jobs.unfinished, make_wish().key).id == job.id
    with pytest.raises(StoreError):
        make_job(store)
    write(store, jobs.move, job.id, "pause", minute(1))
    with pytest.raises(StoreError):
        make_job(store)
    assert [one.id for one in read(store, jobs.recent)] == [job.id]


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_finished_wish_may_be_made_again(store, state):
    """New data has come since."""
    first = make_job(store)
    for step in WAYS[state]:
        write(store, jobs.move, first.id, step, minute(1))
    assert read(store, jobs.unfinished, make_wish().key) is None
    second = make_job(store)
    assert read(store, jobs.unfinished, make_wish().key).id == second.id
    assert [one.id for one in read(store, jobs.recent)] == [second.id, first.id]


def test_two_makers_of_one_wish_get_one_job(store):
    """A double click and a retry of the same request arrive together; the index decides."""
    store.prepare([CANDLES])
    barrier = threading.Barrier(2)

    def make(_: int) -> bool:
        barrier.wait(30)
        try:
            make_job(store)
        except StoreError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(make, range(2))) == [False, True]
    assert len(read(store, jobs.recent)) == 1


def test_a_paused_job_gets_no_slot(store):
    """Pause forbids the next request, also of segments that nobody had yet."""
    job = make_job(store, parts=[(500, 1000), (0, 500)])
    lease_of(store)
    write(store, jobs.order, job.id, "pause", minute(1))
    assert claim(store) is None
    write(store, jobs.order, job.id, "resume", minute(2))
    assert claim(store) is not None
    assert state_of(store, job) == JobState.RUNNING


def test_a_job_made_on_hold_waits_for_its_owner(store):
    """`autoStart: false`: planned and visible, but not one request."""
    job = make_job(store, hold=True)
    assert state_of(store, job) == JobState.PAUSED
    assert claim(store) is None
    write(store, jobs.order, job.id, "resume", minute(1))
    assert claim(store) is not None


def test_a_request_that_had_left_may_still_commit_after_a_pause(store):
    """It has been paid for: a pause does not raise the epoch."""
    job = make_job(store)
    lease = lease_of(store)
    write(store, jobs.order, job.id, "pause", minute(1))
    assert commit(store, make_page(800, 1000), lease) == 200


def test_a_cancelled_job_s_worker_is_fenced_off(store):
    """What an owner has cancelled writes nothing any more, even if its worker is far away and slow."""
    job = make_job(store)
    lease = lease_of(store)

    def cancel(tx: Tx) -> None:
        jobs.order(tx, job.id, "cancel", minute(1))
        segments.cancel(tx, job.id, minute(1))

    store.write(cancel)
    with pytest.raises(LeaseLost):
        commit(store, make_page(800, 1000), lease)
    assert read(store, rows.count, CANDLES, lease.segment.series, minutes(0, 1000)) == 0
    assert claim(store) is None


def test_a_retry_after_a_cancel_goes_on_where_it_was(store):
    """Cursor and ledger are kept; the old worker stays fenced off."""
    job = make_job(store)
    old = lease_of(store)
    commit(store, make_page(800, 1000), old)
    write(store, jobs.order, job.id, "cancel", minute(1))
    write(store, segments.cancel, job.id, minute(1))
    write(store, jobs.order, job.id, "retry", minute(2))
    assert write(store, segments.revive, job.id) == 1
    new = lease_of(store)
    assert (new.segment.id, new.segment.cursor) == (old.segment.id, minute(800))
    with pytest.raises(LeaseLost):
        commit(store, make_page(600, 800), old)


def test_an_order_that_is_not_allowed_changes_nothing(store):
    """A button that came too late says so, with the way on."""
    job = make_job(store)
    write(store, jobs.move, job.id, "done", minute(1))
    before = read(store, jobs.get, job.id)
    with pytest.raises(NotAllowed) as caught:
        write(store, jobs.order, job.id, "pause", minute(2))
    assert caught.value.hint
    assert read(store, jobs.get, job.id) == before


def test_an_order_returns_the_job_as_it_was(store):
    """What has to follow depends on where the job came from."""
    job = make_job(store)
    lease_of(store)
    assert write(store, jobs.order, job.id, "pause", minute(1)).state == JobState.RUNNING


def test_jobs_are_counted_and_listed_by_state(store):
    """The control room's first line."""
    for name in "abc":
        make_job(store, make_wish(owner=name, series=(name,)))
    paused = make_job(store, make_wish(owner="d"), hold=True)
    lease_of(store)
    assert read(store, jobs.states) == {"pending": 2, "running": 1, "paused": 1}
    assert paused.id not in read(store, jobs.unended)
    assert len(read(store, jobs.unended)) == 3
    assert len(read(store, jobs.recent, most=2)) == 2


def test_a_job_that_ends_keeps_its_sums_and_forgets_its_proof(store):
    """Proof is only of use while the job runs; sums are what its owner looks at later."""
    job = make_job(store)
    lease = lease_of(store)
    commit(store, make_page(800, 1000), lease, prove=True)
    write(store, segments.end, lease, SegmentState.DONE, minute(1))
    _, stored, requests = read(store, segments.counts, job.id)
    write(store, jobs.set_totals, job.id, stored, requests)
    write(store, jobs.forget_proof, job.id)
    write(store, jobs.set_lacking, job.id, 7)
    ended = read(store, jobs.get, job.id)
    assert (ended.rows, ended.requests, ended.lacking) == (200, 1, 7)
    assert read(store, coverage.spans, lease.segment.series, job=job.id) == []
    assert read(store, coverage.spans, lease.segment.series) == [minutes(800, 1000)]


def test_a_job_may_have_a_pace_of_its_own(store):
    """An owner who shares an address with others slows one job down while it runs."""
    job = make_job(store)
    write(store, jobs.set_rate, job.id, 2.5)
    assert lease_of(store).segment.rate == 2.5
    write(store, jobs.set_rate, job.id, None)
    assert read(store, jobs.get, job.id).rate is None


def test_the_log_of_a_job_is_read_in_order_and_from_where_one_stopped(store):
    """Live logs ask for what is new; nothing may be shown twice or skipped."""
    for number in range(5):
        write(store, events.add, minute(number), "page", str(number), job=1, segment=2, level="info")
    write(store, events.add, MORNING, "page", "of another job", job=2)
    lines = read(store, events.of_job, 1)
    assert [line.message for line in lines] == ["0", "1", "2", "3", "4"]
    assert (lines[0].at, lines[0].segment, lines[0].level) == (minute(0), 2, "info")
    assert read(store, events.of_job, 1, after=lines[2].id) == lines[3:]
    assert read(store, events.of_job, 1, most=2) == lines[:2]
