"""Comparing the values of events with those of their sector: one pass over all that are valued, without a question.

No provider tells to which sector a company belonged when, so the owner says it with each event: a column of the import.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from gapless.core.errors import UsageError
from gapless.core.events import EVENTS
from gapless.core.span import iso
from gapless.core.valuation.sectors import to_sector
from gapless.store import valued
from gapless.store.database import Tx
from gapless.store.valued import Compared

if TYPE_CHECKING:
    from gapless.app.history import Gapless

#: Companies written in one transaction.
TOGETHER = 100
_NO_SECTOR = "no sector was imported with the event"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a comparison came to."""

    events: int
    #: Those that have a distance now; the others have a reason.
    compared: int
    sectors: int


def compare(app: Gapless, fact: str = "sector") -> Outcome:
    """Write for each valued event its distance to its sector's median; `fact`: the imported column that names it.

    May be done again at any time: the same values give the same result. Raises `UsageError` where none has the fact.
    """
    app.dataset(EVENTS.name)
    with app.store.read() as tx:
        listed = valued.every(tx)
    sectors: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(listed):
        sectors[_sector(one.facts, fact)].append(place)
    without = sectors.pop("", [])
    if not sectors:
        hint = "import a column that names the sector of each event, then say it with --fact"
        raise UsageError(f"fact: no valued event has {fact!r}", field="fact", hint=hint)
    results: dict[int, list[Compared]] = defaultdict(list)
    for place in without:
        results[listed[place].series].append(Compared(listed[place], None, _json({"reason": _NO_SECTOR})))
    for compared in (one for places in sectors.values() for one in _of_sector(listed, places)):
        results[compared.event.series].append(compared)
    _write(app, results)
    told = sum(one.distance is not None for some in results.values() for one in some)
    return Outcome(len(listed), told, len(sectors))


def _of_sector(listed: Sequence[valued.Valued], places: Sequence[int]) -> list[Compared]:
    events = [listed[place] for place in places]
    frame = pl.DataFrame(
        {
            "event": places,
            "company": [one.series for one in events],
            "at": [one.time for one in events],
            "per": [one.per for one in events],
        },
        schema={"event": pl.Int64, "company": pl.Int64, "at": pl.Int64, "per": pl.Float64},
    ).with_columns(pl.col("at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    told = to_sector(frame).with_columns(pl.col("sector_from", "sector_to").dt.epoch("us"))
    return [
        Compared(
            listed[place],
            distance,
            _json({"reason": why} if distance is None else {"from": iso(first), "to": iso(last), "peers": peers}),
        )
        for place, distance, first, last, peers, why in told.iter_rows()
    ]


def _write(app: Gapless, results: dict[int, list[Compared]]) -> None:
    each = sorted(results.items())
    for at in range(0, len(each), TOGETHER):
        app.store.write(partial(_store, some=each[at : at + TOGETHER]))


def _store(tx: Tx, some: Sequence[tuple[int, Sequence[Compared]]]) -> None:
    for series, compared in some:
        valued.compare(tx, series, compared)


def _sector(facts: str, fact: str) -> str:
    told: dict[str, Any] = msgspec.json.decode(facts)
    return str(told.get(fact) or "").strip()


def _json(told: dict[str, Any]) -> str:
    return msgspec.json.encode(told).decode()
