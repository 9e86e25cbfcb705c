"""Days of trading, by the calendars of exchange-calendars. Loading one takes seconds: done once, when needed."""

from __future__ import annotations

import threading
import warnings
from datetime import date, timedelta
from functools import lru_cache

_loading = threading.Lock()


def sessions(name: str, first: date, last: date) -> frozenset[date]:
    """Days of trading of a market around `first` … `last`; whole years are loaded."""
    with _loading:
        return _sessions(name, first.year, last.year)


@lru_cache(maxsize=32)
def _sessions(name: str, first: int, last: int) -> frozenset[date]:
    with warnings.catch_warnings():
        # It uses what pandas is about to change; that is theirs to mend.
        warnings.simplefilter("ignore")
        import exchange_calendars

        start = date(first, 1, 1) - timedelta(days=10)
        calendar = exchange_calendars.get_calendar(name, start=start, end=date(last, 12, 31))
    return frozenset(one.date() for one in calendar.sessions)
