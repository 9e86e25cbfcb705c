"""What a reply is worth: nothing at or after the frontier is stored, covered or believed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gapless.core.page import Page
from gapless.testing.factories import make_page, minute, minutes


def test_a_page_is_cut_at_the_frontier():
    """The unfinished candle still changes: stored and covered it would be wrong for ever."""
    page = make_page(0, 10).before(minute(7))
    assert page.proven == minutes(0, 7)
    assert [row[0] for row in page.rows] == [minute(number) for number in range(7)]


def test_a_page_before_the_frontier_is_kept_as_it_is():
    """History is not cut."""
    page = make_page(0, 10)
    assert page.before(minute(10)) == page


def test_a_page_past_the_frontier_proves_nothing():
    """A source whose clock is behind ours answers for a time that it has not lived."""
    page = make_page(5, 10).before(minute(5))
    assert (page.rows, page.proven) == ([], None)


def test_nothing_before_is_believed_only_up_to_the_frontier():
    """An empty reply before a listing says nothing of the minutes that the source has not seen yet."""
    empty = Page(rows=[], proven=None, nothing_before=minute(10))
    assert empty.before(minute(7)).nothing_before == minute(7)
    assert empty.before(minute(10)) == empty


def test_a_cut_page_still_tells_the_source_s_clock_and_budget():
    """Those facts do not depend on the frontier."""
    page = Page(rows=[], proven=minutes(0, 10), source_time=minute(4), remaining=3).before(minute(4))
    assert (page.source_time, page.remaining) == (minute(4), 3)


@given(st.integers(0, 30), st.integers(1, 30), st.sets(st.integers(0, 59)), st.integers(-5, 65))
def test_rows_and_proof_end_before_any_frontier(start, length, empty, frontier):
    """Wherever the frontier falls, no row and no proof reaches it, and nothing older is lost."""
    page = make_page(start, start + length, empty=empty)
    cut = page.before(minute(frontier))
    assert cut.rows == [row for row in page.rows if row[0] < minute(frontier)]
    assert page.proven is not None
    assert cut.proven == page.proven.clip(minutes(-100, frontier))
