"""The commit of a page: rows, coverage and cursor together, under a lease that still holds, any number of times."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from gapless.core.errors import LeaseLost, StoreError
from gapless.core.job import Direction
from gapless.core.page import Page
from gapless.core.segment import Lease, Segment, SegmentState
from gapless.core.span import MINUTE, Span, intersect, subtract, union
from gapless.store import claims, coverage, pages, quarantine, rows, segments, series
from gapless.store.database import Tx
from gapless.store.schema import tally
from gapless.store.sql import Statement
from gapless.testing.factories import (
    CANDLES,
    MORNING,
    commit,
    lease_of,
    make_job,
    make_page,
    make_wish,
    minute,
    minutes,
    read,
    row,
    write,
)

TALLIES = Statement(select(tally.c.series, tally.c.bucket, tally.c.rows).order_by(tally.c.bucket))
EVER = minutes(-5000, 5000)


def tallies(store, series_id: int) -> dict[int, int]:
    with store.read() as tx:
        return {bucket: number for one, bucket, number in tx.rows(TALLIES) if one == series_id and number}


def covered(store, lease: Lease) -> list[Span]:
    return read(store, coverage.spans, lease.segment.series)


def stored(store, lease: Lease) -> int:
    return read(store, rows.count, CANDLES, lease.segment.series, EVER)


def segment(store, lease: Lease) -> segments.Detail:
    return next(one for one in read(store, segments.of_job, lease.segment.job) if one.segment.id == lease.segment.id)


def everything(store, lease: Lease) -> tuple[object, ...]:
    """All that a commit may change."""
    its = lease.segment
    return (
        read(store, rows.content, CANDLES, its.series, EVER),
        covered(store, lease),
        read(store, coverage.spans, its.series, job=its.job),
        read(store, series.since, its.series)[0],
        read(store, quarantine.of_series, its.series),
        tallies(store, its.series),
        segment(store, lease).segment.cursor,
    )


@pytest.fixture
def lease(store) -> Lease:
    """A backward segment of a thousand minutes."""
    make_job(store)
    return lease_of(store)


@pytest.fixture
def ahead(store) -> Lease:
    """A forward one."""
    make_job(store, direction=Direction.FORWARD)
    return lease_of(store)


def test_a_page_leaves_rows_coverage_cursor_and_counters(store, lease):
    """The life of a page ends here: everything it proved is in the database, together."""
    assert commit(store, make_page(800, 1000, empty=[850, 851]), lease) == 198
    assert stored(store, lease) == 198
    assert covered(store, lease) == [minutes(800, 1000)]
    detail = segment(store, lease)
    assert (detail.segment.cursor, detail.rows, detail.requests) == (minute(800), 198, 1)
    assert sum(tallies(store, lease.segment.series).values()) == 198


def rescued(store, lease: Lease) -> None:
    write(store, segments.rescue, lease.worker)


def claimed_again(store, lease: Lease) -> None:
    rescued(store, lease)
    lease_of(store, "other")


def cancelled(store, lease: Lease) -> None:
    write(store, segments.cancel, lease.segment.job, MORNING)


def given_back(store, lease: Lease) -> None:
    write(store, segments.release, lease)


def ended(store, lease: Lease) -> None:
    write(store, segments.end, lease, SegmentState.DONE, MORNING)


def held(store, lease: Lease) -> None:
    write(store, segments.hold, [lease.segment.id], "unknown series", MORNING)


@pytest.mark.parametrize("lose", [rescued, claimed_again, cancelled, given_back, ended, held])
def test_a_lost_lease_keeps_neither_rows_nor_coverage_nor_cursor(store, lease, lose):
    """Two workers must never both move the same segment forward; one back from the dead writes nothing."""
    commit(store, make_page(900, 1000), lease)
    lose(store, lease)
    before = everything(store, lease)
    page = Page(rows=[row(10)], proven=minutes(0, 900), nothing_before=minute(0))
    with pytest.raises(LeaseLost):
        commit(store, page, lease, prove=True)
    assert everything(store, lease) == before


def test_a_page_that_cannot_be_stored_whole_is_not_stored_at_all(store, lease):
    """A row that breaks a rule of its table must not leave coverage for the others."""
    before = everything(store, lease)
    good = make_page(800, 1000)
    bad = Page(rows=[*good.rows[:-1], (good.rows[-1][0], None, 0.5, MORNING)], proven=good.proven)
    with pytest.raises(StoreError):
        commit(store, bad, lease, prove=True)
    assert everything(store, lease) == before
    assert commit(store, good, lease) == 200


def test_a_repeated_page_changes_nothing(store, lease):
    """After a crash between commit and reply the same page comes again: nothing is doubled, nothing moves."""
    page = make_page(800, 1000, empty=range(820, 830))
    commit(store, page, lease, prove=True)
    before = everything(store, lease)
    assert commit(store, page, lease, prove=True) == 0
    assert everything(store, lease) == before
    assert (segment(store, lease).rows, segment(store, lease).requests) == (190, 2)


def test_failed_requests_are_counted_with_the_page_that_follows(store, lease):
    """What a job has cost is the requests that left, not the ones that succeeded."""
    write(store, pages.commit, CANDLES, make_page(800, 1000), lease, MORNING, prove=False, requests=3)
    assert segment(store, lease).requests == 3


def test_a_page_that_proves_nothing_stores_nothing(store, lease):
    """Rows without proof would be rows that nobody vouches for."""
    before = everything(store, lease)
    assert commit(store, Page(rows=[row(990)], proven=None), lease, prove=True) == 0
    assert everything(store, lease) == before


def test_an_empty_proof_is_coverage_without_rows(store, lease):
    """A source without trades says so; asking again would be a needless request for ever."""
    commit(store, make_page(800, 1000, empty=range(800, 1000)), lease)
    assert (covered(store, lease), stored(store, lease)) == ([minutes(800, 1000)], 0)
    assert tallies(store, lease.segment.series) == {}


# The cursor


def test_the_cursor_moves_only_where_the_answer_touches_it(store, ahead):
    """A page beyond a hole proves its own end; the cursor must not jump over what was not answered."""
    commit(store, make_page(300, 500), ahead)
    assert segment(store, ahead).segment.cursor == minute(0)
    commit(store, make_page(0, 300), ahead)
    assert segment(store, ahead).segment.cursor == minute(300)
    commit(store, make_page(300, 500), ahead)
    assert segment(store, ahead).segment.cursor == minute(500)


def test_a_page_may_reach_beyond_its_segment(store, lease):
    """A count of existing rows jumps over emptiness, past the old end: all of it is kept, the cursor stays inside."""
    commit(store, make_page(-50, 1000, empty=range(990)), lease)
    assert covered(store, lease) == [minutes(-50, 1000)]
    assert stored(store, lease) == 60
    assert segment(store, lease).segment.cursor == minute(0)


spans = st.tuples(st.integers(-20, 120), st.integers(1, 60)).map(lambda at: Span(at[0], at[0] + at[1]))


@given(st.integers(0, 100), st.none() | spans, st.sampled_from([Direction.BACKWARD, Direction.FORWARD]))
def test_a_cursor_never_leaves_its_bounds_nor_turns_back(cursor, answered, direction):
    """Progress is never lost and never invented, whatever a reply settles."""
    moved = pages.moved(Span(0, 100), cursor, answered, direction.value)
    assert 0 <= moved <= 100
    assert moved <= cursor if direction is Direction.BACKWARD else moved >= cursor
    way = Span(min(moved, cursor), max(moved, cursor)) if moved != cursor else None
    assert way is None or (answered is not None and intersect([way], [answered]) == [way])


def test_a_segment_that_turns_round_starts_from_its_other_end(store, ahead):
    """A historical half that meets emptiness goes on backward, and its ledger tells what it may skip."""
    page = make_page(0, 200, empty=range(10, 200))
    write(store, pages.commit, CANDLES, page, ahead, MORNING, prove=False, direction="backward")
    now = segment(store, ahead).segment
    assert (now.direction, now.cursor) == ("backward", minute(1000))
    commit(store, make_page(700, 1000), ahead)
    assert segment(store, ahead).segment.cursor == minute(700)


# "Nothing before"


def nothing_before(number: int) -> Page:
    return Page(rows=[], proven=None, nothing_before=minute(number))


def test_nothing_before_is_a_dated_fact_and_not_coverage(store, lease):
    """A listing date may turn out wrong: the fact can be withdrawn, coverage could not."""
    commit(store, nothing_before(600), lease, now=minute(2000))
    assert read(store, series.since, lease.segment.series) == (minute(600), minute(2000))
    assert covered(store, lease) == []
    assert segment(store, lease).segment.cursor == minute(1000)
    commit(store, make_page(600, 1000), lease)
    commit(store, nothing_before(600), lease)
    assert segment(store, lease).segment.cursor == minute(0)


def test_nothing_before_only_grows(store, lease):
    """An answer for an earlier instant says less, not otherwise."""
    commit(store, nothing_before(600), lease)
    commit(store, nothing_before(500), lease)
    assert read(store, series.since, lease.segment.series)[0] == minute(600)
    commit(store, nothing_before(700), lease)
    assert read(store, series.since, lease.segment.series)[0] == minute(700)


def test_an_older_row_withdraws_nothing_before(store, lease):
    """The source has grown a history: what was thought to be before its start is missing again."""
    commit(store, nothing_before(600), lease)
    commit(store, make_page(600, 1000), lease)
    assert read(store, series.since, lease.segment.series)[0] == minute(600)
    commit(store, make_page(599, 700), lease, now=minute(3000))
    assert read(store, series.since, lease.segment.series) == (None, minute(3000))


def test_nothing_before_settles_the_rest_of_a_backward_segment(store, lease):
    """With the newer part stored, the start of history ends the segment."""
    commit(store, make_page(600, 1000), lease)
    commit(store, nothing_before(600), lease, prove=True)
    assert segment(store, lease).segment.cursor == minute(0)
    assert read(store, coverage.spans, lease.segment.series, job=lease.segment.job) == [minutes(0, 600)]


def test_a_page_may_bring_rows_and_the_start_of_history(store, lease):
    """A source that tells both in one reply has settled both."""
    page = make_page(600, 1000, nothing_before=minute(600))
    commit(store, page, lease, prove=True)
    assert covered(store, lease) == [minutes(600, 1000)]
    assert read(store, coverage.spans, lease.segment.series, job=lease.segment.job) == [minutes(0, 1000)]
    assert segment(store, lease).segment.cursor == minute(0)


# Proof of a job


def test_a_proof_belongs_to_its_job(store):
    """Mode `all` asks again what is covered: only what this very job has seen counts, whatever others do."""
    one, other = make_job(store, make_wish(owner="one")), make_job(store, make_wish(owner="other"))
    lease = lease_of(store)
    commit(store, make_page(900, 1000), lease, prove=True)
    commit(store, make_page(700, 900), lease, prove=True)
    commit(store, make_page(500, 600), lease, prove=False)
    its_series = lease.segment.series
    assert read(store, coverage.spans, its_series, job=one.id) == [minutes(700, 1000)]
    assert read(store, coverage.spans, its_series, job=other.id) == []
    assert covered(store, lease) == [minutes(500, 600), minutes(700, 1000)]


# Tallies


@given(
    st.sets(st.integers(-1500, 1500), max_size=60),
    st.lists(st.tuples(st.integers(-1500, 1500), st.integers(1, 900)), min_size=1, max_size=8),
)
def test_tallies_equal_counts_after_any_overlapping_pages(store, traded, asked):
    """`verify` compares tallies with rows: a tally that drifts cries wolf, or hides a loss."""
    name = f"S{len(read(store, series.names, CANDLES.name))}"
    make_job(store, make_wish(owner=name, series=(name,), span=minutes(-1600, 2500)))
    lease = lease_of(store, name)
    for start, length in asked:
        every = range(start, start + length)
        commit(store, make_page(start, start + length, empty=set(every) - traded), lease)
    its_series = lease.segment.series
    seen = {at for at in traded if any(start <= at < start + length for start, length in asked)}
    assert stored(store, lease) == len(seen)
    assert tallies(store, its_series) == read(store, rows.tally, CANDLES, its_series, EVER)
    assert covered(store, lease) == union(minutes(start, start + length) for start, length in asked)


@given(
    st.sets(st.integers(0, 1500), max_size=40),
    st.lists(st.tuples(st.booleans(), st.integers(0, 1500), st.integers(1, 600)), min_size=1, max_size=8),
)
@settings(max_examples=50)
def test_tallies_follow_what_is_taken_back(store, traded, changes):
    """Rows outside coverage are vouched for by nobody: they are not counted, until they are proven anew."""
    name = f"S{len(read(store, series.names, CANDLES.name))}"
    make_job(store, make_wish(owner=name, series=(name,), span=minutes(-1, 2500)))
    lease, expected = lease_of(store, name), list[Span]()
    its_series = lease.segment.series
    for proven, start, length in changes:
        part = minutes(start, start + length)
        if proven:
            commit(store, make_page(start, start + length, empty=set(range(start, start + length)) - traded), lease)
            expected = union([*expected, part])
        else:
            write(store, pages.withdraw, CANDLES, its_series, part)
            expected = subtract(expected, [part])
    assert covered(store, lease) == expected
    counted: Counter[int] = Counter()
    for part in expected:
        counted.update(read(store, rows.tally, CANDLES, its_series, part))
    assert tallies(store, its_series) == counted


def test_tallies_hold_before_the_epoch(store):
    """Stock histories reach back before 1970, where division rounds the other way."""
    old = Span(-3 * CANDLES.tally_width, 2 * CANDLES.tally_width)
    make_job(store, make_wish(span=old))
    lease = lease_of(store)
    start, end = (old.start - MORNING) // MINUTE, (old.end - MORNING) // MINUTE
    page = make_page(start, end, empty=(at for at in range(start, end) if at % 7))
    commit(store, page, lease)
    commit(store, page, lease)
    found = tallies(store, lease.segment.series)
    assert found == read(store, rows.tally, CANDLES, lease.segment.series, old)
    assert (set(found), sum(found.values())) == ({-3, -2, -1, 0, 1}, len(page.rows))


# Quarantine


def give_up(store, lease: Lease, start: int, end: int) -> None:
    its = lease.segment
    write(store, quarantine.add, its.series, minutes(start, end), job=its.job, reason="spoilt", at=MORNING)


def test_what_was_given_up_and_is_proven_after_all_is_given_up_no_longer(store, lease):
    """The source has mended its record: the certificate must not go on naming a hole."""
    give_up(store, lease, 850, 851)
    give_up(store, lease, 100, 101)
    commit(store, make_page(800, 1000), lease)
    assert [one.span for one in read(store, quarantine.of_series, lease.segment.series)] == [minutes(100, 101)]
    assert [one.span for _, one in read(store, quarantine.of_job, lease.segment.job)] == [minutes(100, 101)]


def test_a_long_span_that_was_given_up_may_be_proven_page_by_page(store, lease):
    """A round without progress gives up whatever is left, which is longer than any page."""
    give_up(store, lease, 650, 950)
    commit(store, make_page(800, 1000), lease)
    commit(store, make_page(600, 800), lease)
    assert read(store, quarantine.of_series, lease.segment.series) == []


# Stealing


def test_the_page_under_way_during_a_theft_is_committed_and_its_cursor_clipped(store, lease):
    """The victim knows nothing of the cut: its rows and proof are kept, its cursor ends at its new bound."""
    commit(store, make_page(800, 1000), lease)
    assert write(store, segments.steal, lease, minute(400), "test/candle")
    commit(store, make_page(350, 800), lease)
    mine = segment(store, lease)
    assert (mine.segment.start, mine.segment.end, mine.segment.cursor) == (minute(400), minute(1000), minute(400))
    assert covered(store, lease) == [minutes(350, 1000)]
    assert stored(store, lease) == 650


def test_a_stolen_part_is_a_waiting_segment_of_the_same_job(store, lease):
    """The thief's part keeps side, direction and place in the order; nothing is left out between the two."""
    commit(store, make_page(800, 1000), lease)
    assert write(store, segments.steal, lease, minute(400), "test/candle")
    mine, theirs = (one.segment for one in read(store, segments.of_job, lease.segment.job))
    assert (mine.epoch, mine.state) == (lease.epoch, SegmentState.RUNNING)
    assert (theirs.start, theirs.end, theirs.cursor) == (minute(0), minute(400), minute(400))
    assert (theirs.state, theirs.job, theirs.turn) == (SegmentState.WAITING, mine.job, mine.turn)
    assert (theirs.side, theirs.direction, theirs.recheck_from) == (mine.side, mine.direction, mine.recheck_from)
    assert lease_of(store, "thief").segment.id == theirs.id


def test_a_forward_segment_gives_its_newer_part_away(store, ahead):
    """The victim keeps the side on which it is working."""
    commit(store, make_page(0, 200), ahead)
    assert write(store, segments.steal, ahead, minute(600), "test/candle")
    mine, theirs = (one.segment for one in read(store, segments.of_job, ahead.segment.job))
    assert (mine.start, mine.end, mine.cursor) == (minute(0), minute(600), minute(200))
    assert (theirs.start, theirs.end, theirs.cursor) == (minute(600), minute(1000), minute(600))


@pytest.mark.parametrize("at", [0, 800, 900, 1000])
def test_what_is_done_or_does_not_exist_cannot_be_stolen(store, lease, at):
    """A cut behind the cursor would make a part that is already there, or none."""
    commit(store, make_page(800, 1000), lease)
    assert not write(store, segments.steal, lease, minute(at), "test/candle")
    assert len(read(store, segments.of_job, lease.segment.job)) == 1


def test_nobody_steals_from_a_lease_that_is_over(store, lease):
    """The segment may be in other hands, or done."""
    rescued(store, lease)
    assert not write(store, segments.steal, lease, minute(400), "test/candle")


def test_the_victims_are_those_with_the_most_left(store):
    """An idle slot takes half of the largest remaining segment, so that no slow one holds the job."""
    wishes = [make_wish(owner=name, series=(name,)) for name in ("a", "b", "c")]
    for wish in wishes:
        make_job(store, wish)
    leases = [lease_of(store) for _ in wishes]
    commit(store, make_page(100, 1000), leases[0])
    commit(store, make_page(900, 1000), leases[2])

    def left(one: Segment) -> int:
        return one.cursor - one.start

    found = [one.segment for one in read(store, claims.victims, "backfill", None)]
    assert [one.id for one in found] == [leases[1].segment.id, leases[2].segment.id, leases[0].segment.id]
    assert [left(one) for one in found] == sorted(map(left, found), reverse=True)
    mine = read(store, claims.victims, "backfill", leases[0].segment.job)
    assert [one.segment.id for one in mine] == [leases[0].segment.id]
    assert read(store, claims.victims, "live", None) == []


def test_a_failure_in_a_later_step_undoes_the_page(store, lease):
    """A page is committed with whatever else its transaction does, or not at all."""
    before = everything(store, lease)

    def work(tx: Tx) -> None:
        pages.commit(tx, CANDLES, make_page(800, 1000), lease, MORNING, prove=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write(work)
    assert everything(store, lease) == before
