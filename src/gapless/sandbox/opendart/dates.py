"""Days, fiscal periods and receipt numbers. A day is a number such as 20240331, in Korean time.

Chosen, because the notes are silent: a fiscal year is named after the calendar year in which it begins, so that year
2023 of a company that closes in March ends on 31 March 2024. An annual report is due at the end of the third month
after the year, the others 45 days after their period. Receipts are given from 08:00 to 18:00 Korean time, and a
filing is public at once: its number tells the moment.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from gapless.sandbox.clock import SECOND

KST_S = 9 * 3_600
OPENS_S, OPEN_S = 8 * 3_600, 10 * 3_600
QUARTER, HALF, THREE_QUARTERS, ANNUAL = "11013", "11012", "11014", "11011"
#: In the order of the year; the n-th ends after n quarters.
REPORTS = (QUARTER, HALF, THREE_QUARTERS, ANNUAL)
#: Fiscal years of which there are reports, and the first one whose tables are served.
FIRST, LAST, SERVED_FROM = 2013, 2032, 2015
#: Later than every day.
NEVER = 99_991_231
#: Receipts of a day.
SLOTS = 1_000_000


def number(day: date) -> int:
    """20240331."""
    return day.year * 10_000 + day.month * 100 + day.day


def day_of(text: str) -> date:
    """The date of a text such as 20240331; raises `ValueError`."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no day such as 20240331")
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def today(now_us: int) -> int:
    """The Korean day of a moment."""
    return number(_korean(now_us).date())


def latest_receipt(now_us: int) -> int:
    """The highest receipt number that can be public by now."""
    now = _korean(now_us)
    seconds = now.hour * 3_600 + now.minute * 60 + now.second - OPENS_S
    slot = min(max(seconds * SLOTS // OPEN_S, 0), SLOTS)
    return number(now.date()) * SLOTS + slot - 1


def public_at(receipt: int) -> int:
    """The moment, in microseconds UTC, from which a receipt is public."""
    day = day_of(str(receipt // SLOTS))
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - KST_S
    return (midnight + OPENS_S + -(-(receipt % SLOTS + 1) * OPEN_S // SLOTS)) * SECOND


@lru_cache(maxsize=8_192)
def period_end(closes: int, year: int, report: str) -> date:
    """The last day that a report of a fiscal year tells of; the year ends in the month `closes`."""
    return _month_end(year, closes % 12 + 3 * (REPORTS.index(report) + 1))


@lru_cache(maxsize=8_192)
def due(closes: int, year: int, report: str) -> date:
    """The day by which it has to be filed."""
    end = period_end(closes, year, report)
    return _month_end(end.year, end.month + 3) if report == ANNUAL else end + timedelta(days=45)


def working(day: date, *, before: bool) -> date:
    """The day itself, or the nearest one before or after it that is not on a weekend."""
    over = day.weekday() - 4
    if over <= 0:
        return day
    return day - timedelta(days=over) if before else day + timedelta(days=3 - over)


def _month_end(year: int, month: int) -> date:
    """Of a month counted from January of `year`; it may be above 12."""
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def _korean(now_us: int) -> datetime:
    return datetime.fromtimestamp(now_us // SECOND + KST_S, UTC)
