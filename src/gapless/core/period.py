"""Reading spans as people write them: instants, dates, months, years.

An instant end is excluded; a bare year, month or date names the whole period and is included. Bare dates are in the
dataset's zone; a date-time without offset is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gapless.core.errors import UsageError
from gapless.core.span import DAY, HOUR, MINUTE, SECOND, Instant, Span, instant

#: Older than any series; arithmetic on earlier times leaves the calendar.
_OLDEST = instant(datetime(1800, 1, 1, tzinfo=UTC))
_BARE = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")
#: A date as OpenDART and KRX write it.
_TOGETHER = re.compile(r"\s*(\d{4})(\d\d)(\d\d)\s*")


def parse(text: str, *, field: str, zone: str = "UTC") -> Span:
    """The span that a text names: a whole period for bare dates, one microsecond for an instant.

    Raises `UsageError` naming `field`.
    """
    bare = _bare(text)
    try:
        if bare:
            return _period(*bare.groups(), zone=ZoneInfo(zone))
        at = datetime.fromisoformat(text.strip())
        start = instant(at.astimezone(UTC)) if at.tzinfo else None
    except (ValueError, OverflowError):
        raise UsageError(
            f"{field}: {text!r} is not a time",
            field=field,
            hint="write 2024, 2024-01, 2024-01-31 or 2024-01-31T09:00:00Z",
        ) from None
    if start is None:
        raise UsageError(f"{field}: {text!r} has no offset", field=field, hint=f"append Z for UTC or +09:00: {text}Z")
    return Span(start, start + 1)


def _bare(text: str) -> re.Match[str] | None:
    return _BARE.fullmatch(text.strip()) or _TOGETHER.fullmatch(text)


def lasting(text: str, *, field: str) -> int:
    """Microseconds that a text such as `90s`, `30m`, `2h` or `1d` names; raises `UsageError` naming `field`."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*([smhd])", text.strip())
    if found is None:
        raise UsageError(f"{field}: {text!r} is not a duration", field=field, hint="write 90s, 30m, 2h or 1d")
    return round(float(found[1]) * {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}[found[2]])


def _period(year: str, month: str | None, day: str | None, *, zone: ZoneInfo) -> Span:
    first = date(int(year), int(month or 1), int(day or 1))
    if day:
        after = first + timedelta(days=1)
    elif month:
        after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    else:
        after = date(first.year + 1, 1, 1)
    return Span(_midnight(first, zone), _midnight(after, zone))


def _midnight(day: date, zone: ZoneInfo) -> Instant:
    return instant(datetime(day.year, day.month, day.day, tzinfo=zone))


def wanted(
    start: str | None, end: str | None, days: float | None, *, now: Instant, zone: str = "UTC"
) -> tuple[Span, str]:
    """The span that `--from`, `--to` and `--days` name, and how it was said where it moves with the clock.

    Raises `UsageError` for a missing or reversed span, and for one that starts in the future.
    """
    until = now if end is None else _end(end, zone)
    if days is not None:
        if start is not None:
            raise UsageError("days: cannot be given with from", field="days", hint="give one of them")
        if not _is_fitting(days):
            raise UsageError(f"days: {days!r} is not a number of days", field="days", hint="give 1 to 40000")
        begin = until - round(days * DAY)
    elif start is not None:
        begin = parse(start, field="from", zone=zone).start
    else:
        raise UsageError("from: no span is given", field="from", hint="give --from DATE or --days N")
    if begin < _OLDEST:
        raise UsageError("from: is before 1800", field="from", hint="nothing is as old as that")
    if begin >= now:
        raise UsageError("from: the span lies in the future", field="from", hint="nothing exists there yet")
    if begin >= until:
        raise UsageError("from: is not before to", field="from", hint="swap them")
    said = "" if end is not None else f"{start or f'days={days:g}'}..now"
    return Span(begin, until), said


def _is_fitting(days: Any) -> bool:
    return isinstance(days, int | float) and 0 < days <= 40_000


def _end(text: str, zone: str) -> Instant:
    named = parse(text, field="to", zone=zone)
    return named.end if _bare(text) else named.start
