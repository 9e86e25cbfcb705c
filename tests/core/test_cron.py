"""When schedules run: daylight saving, times that were missed, words that mean nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.cron import MOST_MISSED, Cron, cron
from gapless.core.errors import UsageError
from gapless.core.span import DAY, HOUR, MINUTE, Instant, instant, iso

NEW_YORK = "America/New_York"
#: The clock jumps from 02:00 to 03:00 on 8 March 2026, and from 02:00 back to 01:00 on 1 November.
SPRING = instant(datetime(2026, 3, 8, 0, 0, tzinfo=UTC))
AUTUMN = instant(datetime(2026, 11, 1, 0, 0, tzinfo=UTC))


def times(one: Cron, start: Instant, end: Instant) -> list[str]:
    """All times in `[start, end)`."""
    found, at = [], one.after(start - 1)
    while at < end:
        found.append(iso(at)[5:16])
        at = one.after(at)
    return found


def test_a_time_that_the_clock_jumps_over_comes_right_after_the_jump():
    """A daily collection must not be left out once a year."""
    assert times(cron("30 2 * * *", NEW_YORK), SPRING, SPRING + 2 * DAY) == ["03-08T07:00", "03-09T06:30"]


def test_a_time_that_comes_twice_is_taken_once():
    """The first of the two."""
    assert times(cron("30 1 * * *", NEW_YORK), AUTUMN, AUTUMN + 2 * DAY) == ["11-01T05:30", "11-02T06:30"]


def test_every_hour_is_every_hour_that_passes():
    """23 of them in spring, 25 in autumn."""
    hourly = cron("0 * * * *", NEW_YORK)
    assert len(times(hourly, SPRING + 5 * HOUR, SPRING + 28 * HOUR)) == 23
    assert len(times(hourly, AUTUMN + 4 * HOUR, AUTUMN + 29 * HOUR)) == 25


def test_seoul_is_nine_hours_ahead():
    """The zone of most of what is scheduled here."""
    assert times(cron("0 9 * * MON-FRI", "Asia/Seoul"), SPRING, SPRING + 3 * DAY) == ["03-09T00:00", "03-10T00:00"]


def test_what_was_missed_is_counted_and_over():
    """After a night without a process: one look, and the next time lies ahead."""
    hourly = cron("0 * * * *", "UTC")
    due = hourly.due(SPRING, SPRING + 5 * HOUR + 10 * MINUTE)
    assert (due.times, due.next_at) == (6, SPRING + 6 * HOUR)
    assert hourly.due(SPRING + HOUR, SPRING).times == 0
    years = cron("* * * * *", "UTC").due(SPRING, SPRING + 900 * DAY)
    assert (years.times, years.next_at) == (MOST_MISSED, SPRING + 900 * DAY + MINUTE)


EXPRESSIONS = [
    "* * * * *",
    "*/7 * * * *",
    "0 * * * *",
    "30 1,2 * * *",
    "15,45 1-3 * * *",
    "0 */3 * * *",
    "0 9 * * MON-FRI",
    "30 2 * * SUN",
    "0 0 1 * *",
]


@given(
    expression=st.sampled_from(EXPRESSIONS),
    zone=st.sampled_from(["UTC", "Asia/Seoul", NEW_YORK, "Europe/London", "Australia/Lord_Howe"]),
    change=st.sampled_from([SPRING, AUTUMN, instant(datetime(2026, 4, 4, 12, 0, tzinfo=UTC))]),
    minutes=st.integers(-600, 3000),
    later=st.integers(0, 3000),
)
def test_a_catch_up_runs_once_and_goes_on_as_if_nothing_had_been(expression, zone, change, minutes, later):
    """Whenever a process looks: what is next lies ahead, and is what a process that never slept waits for."""
    one, start = cron(expression, zone), change + minutes * MINUTE
    now = start + later * MINUTE
    first = one.after(start)
    assert first > start
    awake, count = first, 0
    while awake <= now and count < MOST_MISSED:
        awake, count = one.after(awake), count + 1
    due = one.due(first, now)
    assert due.times == count
    assert due.next_at > now
    if count < MOST_MISSED:
        assert due.next_at == awake
    assert due.next_at == one.after(max(now, start))


@pytest.mark.parametrize(
    ("expression", "zone", "field"),
    [
        ("0 9 * *", "UTC", "cron"),
        ("0 0 9 * * *", "UTC", "cron"),
        ("61 * * * *", "UTC", "cron"),
        ("0 0 30 2 *", "UTC", "cron"),
        ("whenever", "UTC", "cron"),
        ("", "UTC", "cron"),
        ("0 9 * * *", "Asia/Soul", "zone"),
        ("0 9 * * *", "", "zone"),
        ("0 9 * * *", "../../etc/passwd", "zone"),
    ],
)
def test_what_means_nothing_is_refused_by_field(expression, zone, field):
    """Before it is stored, not at nine in the morning."""
    with pytest.raises(UsageError) as told:
        cron(expression, zone)
    assert told.value.field == field
    assert told.value.hint
