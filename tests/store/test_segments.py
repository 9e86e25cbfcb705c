"""Claiming: who gets which segment, in which order, and never two the same part."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from gapless.core.job import Direction, JobState, Priority, Queue
from gapless.core.pacing import Limit, refuse
from gapless.core.segment import SegmentState
from gapless.core.span import DAY, HOUR, SECOND
from gapless.store import budgets, claims, jobs, segments
from gapless.store.database import Tx
from gapless.testing.factories import (
    BUDGET,
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


def wish_of(name: str, **more):
    """A wish over a series of its own."""
    return make_wish(owner=name, series=(name,), **more)


def claimed_jobs(store, number: int, **more) -> list[int]:
    return [lease_of(store, **more).segment.job for _ in range(number)]


def why(store, job: int, now: int = MORNING) -> claims.Waiting:
    return read(store, claims.why, job, now)[0]


# Order


def test_segments_are_claimed_by_class_then_job_then_segment(store):
    """Strict order: what the owner called urgent first, then first come first served, then the order of the plan."""
    low = make_job(store, wish_of("low"), priority=Priority.LOW)
    first = make_job(store, wish_of("first"), parts=[(500, 1000), (0, 500)])
    second = make_job(store, wish_of("second"), now=minute(1))
    high = make_job(store, wish_of("high"), priority=Priority.HIGH, now=minute(2))
    leases = [lease_of(store, now=minute(3)) for _ in range(5)]
    assert [one.segment.job for one in leases] == [high.id, first.id, first.id, second.id, low.id]
    assert leases[1].segment.start == minute(500)
    assert claim(store) is None


def test_jobs_of_the_same_instant_go_in_the_order_of_their_ids(store):
    """A batch of jobs made in one transaction keeps its order."""
    made = [make_job(store, wish_of(name)).id for name in "abc"]
    assert claimed_jobs(store, 3) == made


def test_an_old_job_is_lifted_over_a_young_urgent_one(store):
    """LOW never starves: after six hours a class the older one goes first."""
    normal = make_job(store, wish_of("normal"))
    young = make_job(store, wish_of("young"), priority=Priority.HIGH, now=MORNING + 6 * HOUR + 1)
    fresh = make_job(store, wish_of("fresh"), priority=Priority.HIGH, now=MORNING + 6 * HOUR - 1)
    assert claimed_jobs(store, 3, now=MORNING + 7 * HOUR) == [fresh.id, normal.id, young.id]


def test_a_job_of_another_class_moves_in_the_queue(store):
    """Changing a priority takes effect on what still waits."""
    first, second = make_job(store, wish_of("a")), make_job(store, wish_of("b"), now=minute(1))
    place = write(store, jobs.set_priority, second, Priority.HIGH)
    write(store, segments.hurry, second.id, place)
    assert read(store, claims.peek, "backfill", MORNING) == (place, Priority.HIGH)
    assert claimed_jobs(store, 2) == [second.id, first.id]
    # What is given back later takes the new place, too.
    write(store, segments.hurry, second.id, first.turn + 1)
    assert {one.segment.turn for one in read(store, segments.of_job, second.id)} == {first.turn + 1}


def test_queues_have_their_own_segments(store):
    """Backfill can never occupy a live slot."""
    make_job(store, wish_of("backfill"))
    live = make_job(store, wish_of("live"), queue=Queue.LIVE)
    assert lease_of(store, queue=Queue.LIVE).segment.job == live.id
    assert claim(store, queue=Queue.LIVE) is None


def test_a_foreground_command_claims_only_its_own_job(store):
    """`fill` runs what it was asked for, not what others wait for."""
    make_job(store, wish_of("other"))
    mine = make_job(store, wish_of("mine"))

    def take(tx: Tx):
        assert claims.peek(tx, "backfill", MORNING, only=mine.id) is not None
        return claims.claim(tx, "backfill", "me", MORNING, only=mine.id)

    lease = store.write(take)
    assert lease is not None
    assert lease.segment.job == mine.id
    assert store.write(lambda tx: claims.claim(tx, "backfill", "me", MORNING, only=mine.id)) is None


def test_what_is_peeked_is_what_is_claimed(store):
    """A slot gives its segment back for a better one only if a claim would then take that one."""
    assert read(store, claims.peek, "backfill", MORNING) is None
    job = make_job(store)
    assert read(store, claims.peek, "backfill", MORNING) == (job.turn, job.priority)
    lease_of(store)
    assert read(store, claims.peek, "backfill", MORNING) is None


# A claim


def test_a_claim_raises_the_epoch_and_starts_the_job(store):
    """A job is pending until a slot has really begun; the number fences off whoever held the segment before."""
    job = make_job(store)
    assert read(store, jobs.get, job.id).state == JobState.PENDING
    lease = lease_of(store, "a", now=minute(5))
    begun = read(store, jobs.get, job.id)
    assert (begun.state, begun.started_at) == (JobState.RUNNING, minute(5))
    assert (lease.epoch, lease.worker, lease.segment.state) == (1, "a", SegmentState.RUNNING)
    write(store, segments.release, lease)
    again = lease_of(store, "b", now=minute(6))
    assert (again.epoch, again.segment.id) == (2, lease.segment.id)
    assert read(store, jobs.get, job.id).started_at == minute(5)


def test_a_segment_is_claimed_with_all_that_its_work_needs(store):
    """The runner asks the database nothing more before its first request."""
    job = make_job(store, make_wish(recheck=3), direction=Direction.FORWARD)
    segment = lease_of(store).segment
    assert (segment.name, segment.dataset, segment.span) == ("KRW-BTC", "test.candles.1m", minutes(0, 1000))
    assert (segment.cursor, segment.recheck_from) == (minute(0), minute(997))
    assert (segment.mode, segment.may_turn, segment.wished_at) == ("missing", True, job.created_at)
    assert not segment.is_backward


@pytest.mark.parametrize("part", [(0, 1000), (500, 1500), (400, 600), (-10, 10)])
def test_nobody_gets_what_another_is_fetching(store, part):
    """A span under a live lease is not asked twice; it is claimable as soon as the lease is over."""
    fetching = make_job(store)
    lease = lease_of(store)
    other = make_job(store, make_wish(owner="other", span=minutes(-100, 1500)), parts=[part])
    assert claim(store, "other") is None
    assert why(store, other.id).overlapped_by == fetching.id
    write(store, segments.end, lease, SegmentState.DONE, MORNING)
    assert why(store, other.id).overlapped_by == 0
    assert lease_of(store, "other").segment.job == other.id


def test_what_is_fetched_already_is_nobody_s_any_more(store):
    """Only what a lease still has to do keeps others out: behind the cursor the way is free."""
    make_job(store)
    lease = lease_of(store)
    other = make_job(store, make_wish(owner="other"), parts=[(700, 1000)])
    assert claim(store, "other") is None
    commit(store, make_page(700, 1000), lease)
    assert lease_of(store, "other").segment.job == other.id


def test_two_halves_are_fetched_at_once(store):
    """Segments that only touch do not keep each other out."""
    make_job(store, parts=[(500, 1000), (0, 500)])
    assert lease_of(store).segment.start == minute(500)
    assert lease_of(store).segment.start == minute(0)


def test_another_series_is_not_in_the_way(store):
    """The same span of another market is other work."""
    make_job(store, make_wish(series=("KRW-BTC", "KRW-ETH")))
    assert {lease_of(store).segment.name, lease_of(store).segment.name} == {"KRW-BTC", "KRW-ETH"}


def test_a_waiting_or_paused_job_holds_no_span(store):
    """Only a live lease does: a job that nobody runs must not block the others."""
    make_job(store, hold=True)
    other = make_job(store, make_wish(owner="other"))
    assert lease_of(store).segment.job == other.id


def test_two_slots_that_claim_at_the_same_moment_do_not_overlap(postgresql_store):
    """On many machines claims overlap in time: what one is about to take, the other must see or wait for."""
    make_job(postgresql_store, make_wish(owner="one"))
    make_job(postgresql_store, make_wish(owner="other"))
    taken, go = threading.Event(), threading.Event()

    def slowly(tx: Tx):
        lease = claims.claim(tx, "backfill", "slow", MORNING)
        taken.set()
        assert go.wait(30)
        return lease

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(postgresql_store.write, slowly)
        assert taken.wait(30)
        quick = pool.submit(claim, postgresql_store, "quick")
        wait_until_done_or_blocked(quick, postgresql_store.database.url)
        go.set()
        leases = [one for one in (slow.result(), quick.result()) if one]
    assert [one.worker for one in leases] == ["slow"]


def wait_until_done_or_blocked(work, url: str) -> None:
    """Until a transaction has ended or waits for somebody's lock: the two ways in which a claim may meet another."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(url, autocommit=True) as admin:
        while not work.done() and not admin.execute(waits).fetchone()[0]:
            pass


def test_two_threads_that_claim_200_segments_get_each_exactly_once(store):
    """The queue is a table: no segment may be lost between two hands, none given twice."""
    make_job(store, parts=[(at, at + 5) for at in range(0, 1000, 5)])
    barrier = threading.Barrier(2)

    def work(worker: str) -> list[int]:
        barrier.wait(30)
        mine = []
        while lease := claim(store, worker):
            mine.append(lease.segment.id)
            write(store, segments.end, lease, SegmentState.DONE, MORNING)
        return mine

    with ThreadPoolExecutor(2) as pool:
        got = [one for mine in pool.map(work, "ab") for one in mine]
    assert len(got) == 200
    assert max(Counter(got).values()) == 1


# Waiting


def test_a_segment_given_back_waits_until_its_time(store):
    """A slot does not sleep for a quota: the segment comes back when it can run."""
    job = make_job(store)
    lease = lease_of(store)
    assert write(store, segments.release, lease, retry_at=minute(5), attempts=2, error="no answer", requests=3)
    waiting = why(store, job.id)
    assert (waiting.retry_at, waiting.error) == (minute(5), "no answer")
    assert claim(store, now=minute(5) - 1) is None
    again = lease_of(store, now=minute(5))
    assert again.segment.attempts == 2
    assert read(store, segments.counts, job.id) == ({"running": 1}, 0, 3)


def test_a_good_page_forgives_attempts(store):
    """Bounded attempts are counted in a row."""
    make_job(store)
    lease = lease_of(store)
    write(store, segments.release, lease, attempts=3, error="no answer")
    lease = lease_of(store)
    commit(store, make_page(900, 1000), lease)
    detail = read(store, segments.of_job, lease.segment.job)[0]
    assert (detail.segment.attempts, detail.error) == (0, "")


def budget(store, **state):
    """The budget of the factories' segments in some state."""
    write(store, budgets.ensure, Limit(key=BUDGET, rate=10.0), 10.0)
    write(store, budgets.change, BUDGET, lambda one: (replace(one, **state), None))


def test_a_blocked_budget_keeps_all_its_segments_waiting(store):
    """After a 429 nobody asks: no slot is taken by a segment that could only wait."""
    job = make_job(store)
    budget(store)
    write(store, budgets.change, BUDGET, lambda one: (refuse(one, MORNING, 30.0), None))
    assert claim(store) is None
    assert why(store, job.id).blocked_until == MORNING + 30 * SECOND
    assert claim(store, now=MORNING + 30 * SECOND - 1) is None
    assert why(store, job.id, MORNING + 30 * SECOND).blocked_until == 0
    assert claim(store, now=MORNING + 30 * SECOND) is not None


def test_a_spent_quota_keeps_backfill_waiting_until_its_day_is_over(store):
    """A job at its daily quota never occupies a slot, and goes on by itself after the reset."""
    job = make_job(store, wish_of("backfill"))
    midnight = MORNING - MORNING % DAY + 15 * HOUR
    budget(store, daily=100, used=98, day=(MORNING + 9 * HOUR) // DAY, reset_offset=9 * HOUR)
    assert claim(store) is None
    assert why(store, job.id).is_quota_spent
    assert claim(store, now=midnight - 1) is None
    assert not why(store, job.id, midnight).is_quota_spent
    assert claim(store, now=midnight) is not None


def test_interactive_reads_have_a_reserve_of_the_quota(store):
    """The predicate of the claim and the arithmetic of the budget agree on what is left for whom."""
    make_job(store, wish_of("backfill"))
    live = make_job(store, wish_of("live"), queue=Queue.LIVE)
    budget(store, daily=100, used=98, day=MORNING // DAY)
    assert claim(store) is None
    lease = lease_of(store, queue=Queue.LIVE)
    assert lease.segment.job == live.id
    write(store, segments.release, lease)
    budget(store, daily=100, used=100, day=MORNING // DAY)
    assert claim(store, queue=Queue.LIVE) is None
    budget(store, daily=100, used=97, day=MORNING // DAY)
    assert claim(store) is not None


def test_another_budget_is_not_in_the_way(store):
    """A refusal of one source stops nobody else."""
    make_job(store)
    budget(store)
    write(store, budgets.ensure, Limit(key="other/group", rate=1.0), 1.0)
    write(store, budgets.change, "other/group", lambda one: (refuse(one, MORNING, 30.0), None))
    assert claim(store) is not None


# Ending


def test_a_dead_worker_s_segments_are_taken_back_without_a_charge(store):
    """A crash is not the source's fault: attempts stay, the epoch rises, the next slot goes on at the cursor."""
    job = make_job(store, parts=[(500, 1000), (0, 500)])
    lease, other = lease_of(store, "dead"), lease_of(store, "alive")
    commit(store, make_page(800, 1000), lease)
    assert write(store, segments.rescue, "dead") == [(lease.segment.id, job.id)]
    assert write(store, segments.rescue, "dead") == []
    again = lease_of(store, "next")
    assert (again.segment.id, again.segment.cursor, again.segment.attempts) == (lease.segment.id, minute(800), 0)
    assert again.epoch > lease.epoch
    assert read(store, segments.held_by, "alive").keys() == {other.segment.id}
    assert read(store, segments.held_by, "dead") == {}


def test_a_lease_that_is_over_ends_nothing(store):
    """Only the holder gives a segment back or ends it."""
    make_job(store)
    old = lease_of(store, "old")
    write(store, segments.rescue, "old")
    new = lease_of(store, "new")
    assert not write(store, segments.release, old)
    assert not write(store, segments.end, old, SegmentState.FAILED, MORNING)
    assert read(store, segments.look, old) is None
    held = read(store, segments.look, new)
    assert (held.span, held.is_backward) == (minutes(0, 1000), True)
    assert read(store, claims.lanes, new.segment.series) == 1


def test_a_segment_that_is_over_is_not_claimed_again(store):
    """Done, failed, held and cancelled ones wait for nobody's slot."""
    job = make_job(store, parts=[(at, at + 100) for at in range(0, 500, 100)])
    for state in (SegmentState.DONE, SegmentState.FAILED, SegmentState.HELD):
        write(store, segments.end, lease_of(store), state, minute(1), error="why")
    lease = lease_of(store)
    write(store, segments.cancel, job.id, minute(2))
    assert claim(store) is None
    assert not write(store, segments.release, lease)
    states, _, _ = read(store, segments.counts, job.id)
    assert states == {"done": 1, "failed": 1, "held": 1, "cancelled": 2}


def test_a_retry_takes_exactly_what_failed(store):
    """What is done stays done; failed, held and cancelled segments wait again, with new attempts and a new epoch."""
    job = make_job(store, parts=[(0, 100), (100, 200), (200, 300)])
    done, failed, held = lease_of(store), lease_of(store), lease_of(store)
    write(store, segments.end, done, SegmentState.DONE, MORNING)
    write(store, segments.end, failed, SegmentState.FAILED, MORNING, error="no answer")
    write(store, segments.hold, [held.segment.id, done.segment.id], "unknown series", MORNING)
    assert write(store, segments.revive, job.id) == 2
    again = [lease_of(store), lease_of(store)]
    assert [one.segment.id for one in again] == [failed.segment.id, held.segment.id]
    assert all(one.epoch > 1 and one.segment.attempts == 0 for one in again)
    assert claim(store) is None


def test_a_held_series_fences_off_who_works_on_it(store):
    """An unknown market is held once, for all its segments; the slot on the other one finds out at its commit."""
    make_job(store, parts=[(500, 1000), (0, 500)])
    one, other = lease_of(store), lease_of(store)
    write(store, segments.hold, [one.segment.id, other.segment.id], "unknown series", MORNING)
    assert read(store, segments.look, other) is None
    details = read(store, segments.of_job, one.segment.job)
    assert [(detail.segment.state, detail.error) for detail in details] == [("held", "unknown series")] * 2


def test_a_job_s_counters_are_the_sums_of_its_segments(store):
    """Sums of nothing are zero, not an error, on both databases."""
    job = make_job(store, parts=[(500, 1000), (0, 500)])
    assert read(store, segments.counts, job.id + 1) == ({}, 0, 0)
    one, other = lease_of(store), lease_of(store)
    commit(store, make_page(800, 1000), one)
    commit(store, make_page(400, 500), other)
    assert read(store, segments.counts, job.id) == ({"running": 2}, 300, 2)


def test_a_series_is_taken_while_anything_of_it_may_go_on(store):
    """A standing job plans a series anew only when its last round is over; a held one waits for its owner."""
    job = make_job(store)
    lease = lease_of(store)
    its_series = lease.segment.series
    assert read(store, segments.is_taken, job.id, its_series)
    write(store, segments.hold, [lease.segment.id], "unknown series", MORNING)
    assert read(store, segments.is_taken, job.id, its_series)
    write(store, segments.revive, job.id)
    write(store, segments.end, lease_of(store), SegmentState.DONE, MORNING)
    assert not read(store, segments.is_taken, job.id, its_series)


def test_finished_segments_of_a_standing_job_are_folded(store):
    """A job that follows for years must not leave a row a minute; what it has done is still counted."""
    job = make_job(store, parts=[(500, 1000), (0, 500)])
    lease = lease_of(store)
    commit(store, make_page(800, 1000), lease)
    write(store, segments.end, lease, SegmentState.DONE, MORNING)
    assert write(store, segments.sweep, job.id) == (200, 1)
    assert write(store, segments.sweep, job.id) == (0, 0)
    assert read(store, segments.counts, job.id) == ({"waiting": 1}, 0, 0)


def test_a_queue_tells_its_depth_and_its_oldest_wish(store):
    """The control room shows how much waits, and since when."""
    make_job(store, parts=[(500, 1000), (0, 500)])
    make_job(store, wish_of("live"), queue=Queue.LIVE, now=minute(7))
    make_job(store, wish_of("paused"), hold=True)
    depth = {one.queue: one for one in read(store, claims.depth)}
    waiting = {name: (one.waiting, one.running) for name, one in depth.items()}
    assert waiting == {"backfill": (2, 0), "compute": (0, 0), "daily": (0, 0), "live": (1, 0)}
    assert depth["backfill"].oldest_seconds - depth["live"].oldest_seconds == pytest.approx(420, abs=1)
    assert depth["daily"].oldest_seconds == 0


def test_a_waiting_job_knows_who_goes_first(store):
    """`jobs why` names the job in front, by the same order that claims."""
    first, second = make_job(store, wish_of("a")), make_job(store, wish_of("b"), now=minute(1))
    assert read(store, claims.ahead, second.id, "backfill", second.turn) == first.id
    assert read(store, claims.ahead, first.id, "backfill", first.turn) is None
    write(store, segments.end, lease_of(store), SegmentState.DONE, MORNING)
    assert read(store, claims.ahead, second.id, "backfill", second.turn) is None
