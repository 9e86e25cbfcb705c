"""Spans are the arithmetic under every promise: if a union drops an instant, a gap goes unseen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.span import (
    DAWN,
    DOOM,
    SECOND,
    Span,
    instant,
    intersect,
    iso,
    moment,
    span,
    subtract,
    union,
)

spans = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(1, 8)).map(lambda at: Span(at[0], at[0] + at[1])), max_size=8
)
instants = st.integers(DAWN, DOOM)


def inside(parts: list[Span]) -> set[int]:
    """The instants of a list of spans, one by one."""
    return {at for part in parts for at in range(part.start, part.end)}


def as_set(instants: set[int]) -> list[Span]:
    """The one sorted list of disjoint spans that do not touch and hold exactly these instants."""
    starts = sorted(at for at in instants if at - 1 not in instants)
    ends = sorted(at + 1 for at in instants if at + 1 not in instants)
    return [Span(*ends_of) for ends_of in zip(starts, ends, strict=True)]


@given(spans)
def test_a_union_holds_every_instant_once(parts):
    """Coverage is kept as a union: touching spans have to become one, or the ledger grows without end."""
    assert union(parts) == as_set(inside(parts))


@given(spans, spans)
def test_a_difference_is_exactly_what_was_not_taken(wanted, taken):
    """What is missing is a difference: one instant too few is a gap for ever, one too many a needless request."""
    assert subtract(wanted, taken) == as_set(inside(wanted) - inside(taken))


@given(spans, spans)
def test_an_intersection_is_what_both_hold(one, other):
    """Progress is measured by what a wish and the ledger share."""
    assert intersect(one, other) == as_set(inside(one) & inside(other))


@given(spans, spans)
def test_missing_and_present_parts_make_the_whole(wanted, taken):
    """Nothing may be both asked for and counted as there, and nothing may be neither."""
    assert union(subtract(wanted, taken) + intersect(wanted, taken)) == union(wanted)
    assert intersect(subtract(wanted, taken), taken) == []


@given(spans, spans)
def test_two_spans_agree_on_what_they_share(ones, others):
    """`clip`, `overlaps` and `in` are three ways to ask the same thing."""
    for one in ones:
        for other in others:
            shared = inside([one]) & inside([other])
            assert one.overlaps(other) == bool(shared)
            assert one.clip(other) == (as_set(shared)[0] if shared else None)
            assert {at for at in inside([other]) if at in one} == shared


def test_the_end_is_outside():
    """Two spans that meet share nothing, or each border minute would be fetched twice."""
    assert 10 not in Span(0, 10)
    assert not Span(0, 10).overlaps(Span(10, 20))
    assert union([Span(0, 10), Span(10, 20)]) == [Span(0, 20)]


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5)])
def test_an_empty_span_cannot_be_made(start, end):
    """An empty span in the ledger would look like knowledge; `span` says None instead."""
    with pytest.raises(ValueError, match="must end after it starts"):
        Span(start, end)
    assert span(start, end) is None


@given(instants)
def test_an_instant_survives_the_way_to_a_datetime_and_back(at):
    """Microseconds in the database and datetimes at the faces must be the same moment."""
    assert instant(moment(at)) == at
    assert instant(datetime.fromisoformat(iso(at))) == at


def test_any_offset_names_the_same_instant():
    """Seoul's nine o'clock is UTC's midnight; a naive time is nobody's and is refused."""
    seoul = timezone(timedelta(hours=9))
    assert instant(datetime(2026, 3, 2, 9, tzinfo=seoul)) == instant(datetime(2026, 3, 2, tzinfo=UTC))
    with pytest.raises(ValueError, match="without offset"):
        instant(datetime(2026, 3, 2))  # noqa: DTZ001  the naive time is the point


def test_a_time_is_written_with_a_z_and_without_needless_zeros():
    """The text goes into requests, where `+00:00` would be read as a space."""
    at = instant(datetime(2026, 3, 2, 9, 30, tzinfo=UTC))
    assert iso(at) == "2026-03-02T09:30:00Z"
    assert iso(at + 1) == "2026-03-02T09:30:00.000001Z"
    assert str(Span(at, at + SECOND)) == "[2026-03-02T09:30:00Z, 2026-03-02T09:30:01Z)"


def test_a_span_tells_its_ends_as_aware_datetimes():
    """People and frames get datetimes; a naive one there would be read in somebody's local zone."""
    one = Span(0, 90 * SECOND)
    assert (one.start_time, one.end_time) == (
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 1, 30, tzinfo=UTC),
    )
    assert one.length == timedelta(seconds=90)
