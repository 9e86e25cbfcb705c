"""Reading spans as people write them (RULES 1): a bare date is a whole period, an instant end is not included."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.errors import UsageError
from gapless.core.period import parse, wanted
from gapless.core.span import DAY, HOUR, MINUTE, Span, instant


def at(*when: int) -> int:
    return instant(datetime(*when, tzinfo=UTC))


NOW = at(2026, 3, 2, 9)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", at(2024, 1, 1), at(2025, 1, 1)),
        ("2024-02", at(2024, 2, 1), at(2024, 3, 1)),
        ("2024-12", at(2024, 12, 1), at(2025, 1, 1)),
        ("2024-02-29", at(2024, 2, 29), at(2024, 3, 1)),
        (" 2024-12-31 ", at(2024, 12, 31), at(2025, 1, 1)),
        ("20240229", at(2024, 2, 29), at(2024, 3, 1)),
    ],
)
def test_a_bare_date_names_its_whole_period(text, start, end):
    """Who writes `--to 2025` means all of it."""
    assert parse(text, field="from") == Span(start, end)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("2024-01-31T09:00:00Z", at(2024, 1, 31, 9)),
        ("2024-01-31T09:00:00+09:00", at(2024, 1, 31)),
        ("2024-01-31 09:00:00-05:00", at(2024, 1, 31, 14)),
        ("2024-01-31T09:00Z", at(2024, 1, 31, 9)),
        ("2024-01-31T09:00:00.000001Z", at(2024, 1, 31, 9) + 1),
    ],
)
def test_a_time_with_an_offset_names_an_instant(text, start):
    """One moment, wherever its clock hangs."""
    assert parse(text, field="from") == Span(start, start + 1)


def test_a_bare_date_is_read_in_the_zone_of_the_dataset():
    """A Korean trading day starts at 15:00 UTC of the day before."""
    day = Span(at(2024, 1, 30, 15), at(2024, 1, 31, 15))
    assert parse("2024-01-31", field="from", zone="Asia/Seoul") == day
    assert parse("2024", field="from", zone="Asia/Seoul").start == at(2023, 12, 31, 15)


def test_a_day_is_as_long_as_its_zone_says():
    """The day the clocks change has 23 hours; two midnights are what is meant."""
    day = parse("2026-03-08", field="from", zone="America/New_York")
    assert day.end - day.start == 23 * HOUR


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "",
        "2024-13",
        "20241301",
        "2024-00",
        "2024-02-30",
        "2023-02-29",
        "2024-1-1",
        "24",
        "0000",
        "2024/01/31",
        "31.01.2024",
        "2024-01-31T25:00:00Z",
        "2024-01-31T09:00:00+9",
        "1704067200",
    ],
)
def test_what_is_no_time_is_refused_with_an_example(text):
    """A guess would fetch another span than the owner meant."""
    with pytest.raises(UsageError, match="to: ") as caught:
        parse(text, field="to")
    assert caught.value.field == "to"
    assert caught.value.hint


def test_a_time_without_offset_is_refused():
    """Nine o'clock where? Seoul and UTC are nine hours of wrong data apart."""
    with pytest.raises(UsageError, match="has no offset") as caught:
        parse("2024-01-31T09:00:00", field="from")
    assert "2024-01-31T09:00:00Z" in caught.value.hint


@given(
    st.text(max_size=24)
    | st.text("0123456789-:+TZ. ", max_size=26)
    | st.tuples(st.datetimes(), st.sampled_from(["", "Z", "+09:00", "-12:00", "+9"])).map(
        lambda at: f"{at[0].isoformat()}{at[1]}"
    )
)
def test_any_text_is_a_span_or_a_usage_error(text):
    """Whatever is typed: an answer or an explanation, never a traceback."""
    try:
        named = parse(text, field="from")
    except UsageError:
        return
    assert named.start < named.end


def test_the_earliest_and_the_latest_times_are_refused_in_words():
    """Ends of the calendar that an offset pushes out of it are typing errors like any other."""
    for text in ("0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00"):
        with pytest.raises(UsageError):
            parse(text, field="from")


def test_a_bare_end_is_included_and_an_instant_end_is_not():
    """`--from 2015 --to 2025` holds eleven years; `--to …T00:00:00Z` ends at that instant."""
    assert wanted("2015", "2025", None, now=NOW)[0] == Span(at(2015, 1, 1), at(2026, 1, 1))
    assert wanted("2024-01-01", "2024-12-31", None, now=NOW)[0] == Span(at(2024, 1, 1), at(2025, 1, 1))
    assert wanted("2024", "2024-12-31T00:00:00Z", None, now=NOW)[0] == Span(at(2024, 1, 1), at(2024, 12, 31))


def test_days_count_back_from_the_end():
    """The last thirty days before now, or before a given end."""
    assert wanted(None, None, 30, now=NOW)[0] == Span(NOW - 30 * DAY, NOW)
    assert wanted(None, "2024-01-31", 1, now=NOW)[0] == Span(at(2024, 1, 31), at(2024, 2, 1))
    assert wanted(None, None, 0.5, now=NOW)[0] == Span(NOW - 12 * HOUR, NOW)


def test_a_wish_until_now_is_remembered_as_it_was_said():
    """Said again a minute later it is the same wish, though the clock has moved on."""
    assert wanted(None, None, 30, now=NOW)[1] == wanted(None, None, 30, now=NOW + MINUTE)[1] != ""
    assert wanted("2024", None, None, now=NOW)[1] == wanted("2024", None, None, now=NOW + MINUTE)[1] != ""
    assert wanted("2024", None, None, now=NOW)[1] != wanted("2025", None, None, now=NOW)[1]
    assert wanted("2024", "2025", None, now=NOW)[1] == ""


def test_an_end_in_the_future_is_allowed():
    """This month is still running: the frontier cuts it later."""
    assert wanted("2026-03", "2026-03", None, now=NOW)[0] == Span(at(2026, 3, 1), at(2026, 4, 1))


@pytest.mark.parametrize(
    ("start", "end", "days", "field"),
    [
        (None, None, None, "from"),
        (None, "2024", None, "from"),
        ("2024", None, 3, "days"),
        (None, None, 0, "days"),
        (None, None, -1, "days"),
        (None, None, float("nan"), "days"),
        (None, None, float("inf"), "days"),
        (None, None, 40_001, "days"),
        ("2025", "2024", None, "from"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", None, "from"),
        ("2027", None, None, "from"),
        ("2026-03-03", "2026-03-04", None, "from"),
        ("soon", None, None, "from"),
        ("2024", "later", None, "to"),
        ("2024", "2024-06-01T00:00:00", None, "to"),
    ],
)
def test_a_span_that_cannot_be_meant_is_refused_with_the_word_to_change(start, end, days, field):
    """The message names the option: nobody should have to read the manual to find the typo."""
    with pytest.raises(UsageError, match=f"^{field}: ") as caught:
        wanted(start, end, days, now=NOW)
    assert caught.value.field == field
    assert caught.value.hint
