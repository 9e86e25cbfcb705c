"""Sessions of the exchange of a symbol: holidays, early closes and summer time, by exchange-calendars."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gapless.core.lazily import pl
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
#: As far back as prices are asked for, and where calendars begin that do not know those years.
STARTS = ("1985-01-01", "2000-01-01", "2010-01-01")
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
    made = _since(name)
    days = [one.date() for one in made.sessions]
    closed = [one.to_pydatetime() for one in made.closes]
    frame = pl.DataFrame({"number": range(len(days)), "day": days, "closed": closed})
    return Exchange(frame.cast(pl.Schema(SESSIONS)), str(made.tz))


def _since(name: str) -> Any:
    """The calendar of an exchange, as far back as it is known."""
    import exchange_calendars

    for start in STARTS[:-1]:
        # A calendar that begins later refuses at once; making it with its usual start first takes seconds for some.
        with suppress(ValueError):
            return exchange_calendars.get_calendar(name, start=start)
    return exchange_calendars.get_calendar(name, start=STARTS[-1])
