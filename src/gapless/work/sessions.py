"""Sessions of the exchange of a symbol: holidays, early closes and summer time, by exchange-calendars."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from gapless.core.valuation.inputs import SESSIONS

#: Exchange by the ending of the symbol; without one it is New York.
_EXCHANGES = {
    "": "XNYS",
    "KS": "XKRX",
    "KQ": "XKRX",
    "T": "XTKS",
    "L": "XLON",
    "TO": "XTSE",
    "HK": "XHKG",
    "PA": "XPAR",
    "DE": "XETR",
    "AS": "XAMS",
    "SW": "XSWX",
    "AX": "XASX",
}
#: As far back as prices are asked for.
FIRST = "1985-01-01"
_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class Exchange:
    """Its sessions (`inputs.SESSIONS`), and the zone in which its days begin."""

    sessions: pl.DataFrame
    zone: str


def exchange_of(symbol: str) -> Exchange:
    """The exchange of a symbol; one whose ending is unknown, such as `BRK-B` or `BF.B`, is New York's."""
    _, _, ending = symbol.rpartition(".")
    name = _EXCHANGES.get(ending if "." in symbol else "", "XNYS")
    with _making:
        return _exchange(name)


@lru_cache(maxsize=16)
def _exchange(name: str) -> Exchange:
    import exchange_calendars

    oldest = exchange_calendars.get_calendar(name).bound_min()
    start = FIRST if oldest is None else max(FIRST, str(oldest.date()))
    made = exchange_calendars.get_calendar(name, start=start)
    days = [one.date() for one in made.sessions]
    closed = [one.to_pydatetime() for one in made.closes]
    frame = pl.DataFrame({"number": range(len(days)), "day": days, "closed": closed})
    return Exchange(frame.cast(pl.Schema(SESSIONS)), str(made.tz))
