"""Events: brought in from files and tables, valued by a job, and written back to the table they came from."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from gapless.core.errors import HoldJob, StoreError, TryAgain, UsageError
from gapless.core.events import EVENTS, VALUED
from gapless.core.job import Direction, Kind, Mode, Wish
from gapless.core.pacing import Limit
from gapless.core.span import DOOM, SECOND, Instant, Span, instant
from gapless.sources.fmp import Fmp
from gapless.store import series as ledger
from gapless.store import valued
from gapless.store.database import Tx
from gapless.store.valued import Imported
from gapless.work.enrich import Enrich
from gapless.work.sessions import exchange_of

if TYPE_CHECKING:
    from gapless.app.history import Gapless

URL_SETTING = "GAPLESS_EVENTS_URL"
#: Where a job over all events begins.
FIRST = instant(datetime(1970, 1, 1, tzinfo=UTC))
#: Companies imported in one transaction.
TOGETHER = 100
#: Years in which an event can lie.
FIRST_YEAR, LAST_YEAR = 1800, 2200
_FIELDS = ("ticker", "time", "kind", "id", "origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which column of a table is what; an empty name is none. All others become facts."""

    ticker: str = "ticker"
    time: str = "event_date"
    kind: str = ""
    id: str = ""
    origin: str = ""
    #: Of dates, and of times without offset; empty: dates are the exchange's, times without offset are refused.
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """What an import came to."""

    rows: int
    companies: int
    #: New, or changed since the last import.
    stored: int


def chore(app: Gapless) -> Enrich:
    """The work of valuing, with the parts of a history."""
    fmp = app.catalogue.sources[Fmp.name]
    assert isinstance(fmp, Fmp)

    def limit() -> Limit:
        return app.catalogue.budget(Fmp.name, fmp.limit())

    def write_back(where: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        from gapless.app.outside import write

        try:
            write(app.settings.events_url, where, rows)
        except StoreError as error:
            # Not our own database: this company waits and is tried again, others go on.
            raise TryAgain(error.message, source="events", hint=error.hint) from None
        except UsageError as error:
            raise HoldJob(error.message, source="events", hint=error.hint) from None

    return Enrich(app.store, fmp, app.clock, limit, write_back)


def read_file(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV or Parquet file; raises `UsageError`."""
    import polars as pl

    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"file: {path.name} is neither .csv nor .parquet", field="file", hint="convert it first")
    try:
        # Text stays text: a ticker such as 005930 or TRUE is no number.
        frame = pl.read_parquet(path) if path.suffix.lower() == ".parquet" else pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = str(error).partition("\n")[0]
        raise UsageError(f"file: {path} cannot be read: {why}", field="file", hint="check the file") from None
    if frame.is_empty():
        raise UsageError(f"file: {path} has no rows", field="file", hint="check the file")
    return frame.to_dicts()


def add(app: Gapless, rows: Iterable[Mapping[str, Any]], columns: Columns, *, origin: str) -> Added:
    """Import events; all of them or, with a `UsageError` that names the row and the column, none."""
    zone = _zone(columns.zone)
    found: dict[str, list[Imported]] = defaultdict(list)
    total = 0
    for number, row in enumerate(rows, 1):
        ticker, event = _event(row, columns, zone, number, origin)
        found[ticker].append(event)
        total += 1
    app.dataset(EVENTS.name)
    moved = _moved(app, found, origin) if columns.id and not columns.origin else []
    stored = 0
    listed = sorted(found.items())
    for at in range(0, len(listed), TOGETHER):
        stored += app.store.write(partial(_store, some=listed[at : at + TOGETHER]))
    app.store.write(lambda tx: valued.remove(tx, moved))
    return Added(total, len(found), stored)


def _moved(app: Gapless, found: Mapping[str, Sequence[Imported]], origin: str) -> list[valued.Placed]:
    """Where events of this origin stand that have another time, kind or company now; an id stands for one event."""
    places: dict[str, tuple[str, Instant, str]] = {}
    for ticker, listed in found.items():
        for one in listed:
            place = ticker, one.time, one.kind
            if places.setdefault(one.id, place) != place:
                hint = "an id stands for one event: correct the rows, or leave --id away"
                raise UsageError(f"id: {one.id!r} is said of two events", field="id", hint=hint)
    with app.store.read() as tx:
        stored = valued.placed(tx, origin)
    return [one for one in stored if places.get(one.id, one.place) != one.place]


def _store(tx: Tx, some: Sequence[tuple[str, Sequence[Imported]]]) -> int:
    stored = 0
    for ticker, events in some:
        unique = {(one.time, one.kind, one.id): one for one in events}
        stored += valued.add(tx, ledger.ensure(tx, EVENTS.name, ticker), [unique[key] for key in sorted(unique)])
    return stored


def _event(
    row: Mapping[str, Any], columns: Columns, zone: ZoneInfo | None, number: int, origin: str
) -> tuple[str, Imported]:
    def said(field: str) -> str:
        name = getattr(columns, field)
        if name and name not in row:
            hint = f"the columns are {', '.join(row)}"
            raise UsageError(f"{field}: there is no column {name!r}", field=field, hint=hint)
        return str(row[name]).strip() if name and row[name] is not None else ""

    # The provider's tickers are upper-case: written otherwise, it would be a company of its own.
    ticker = said("ticker").upper()
    if not EVENTS.is_series(ticker):
        raise UsageError(f"ticker: row {number} has {ticker!r}", field="ticker", hint=f"such as {EVENTS.example}")
    said("time")
    time, certainty = _time(row[columns.time], zone, ticker, number)
    used = {getattr(columns, name) for name in _FIELDS}
    facts = msgspec.json.encode({name: row[name] for name in row if name not in used}, order="sorted", enc_hook=str)
    kind = said("kind") or "event"
    key = said("id")
    if columns.id and not key:
        raise UsageError(f"id: row {number} has none", field="id", hint="give each event an id, or leave --id away")
    event = Imported(
        time=time,
        kind=kind,
        id=key or hashlib.blake2b(facts, digest_size=8).hexdigest(),
        origin=said("origin") or origin,
        certainty=certainty,
        facts=facts.decode(),
    )
    return ticker, event


def _time(value: object, zone: ZoneInfo | None, ticker: str, number: int) -> tuple[Instant, str]:
    """The instant of an event; of a date its beginning, so that nothing of that day can enter a value.

    Of a local time that comes twice, at the end of summer time, the first.
    """
    told = _told(value.strip()) if isinstance(value, str) else value
    if isinstance(told, datetime):
        if told.tzinfo is None and zone is None:
            raise UsageError(
                f"time: row {number} has {value!s} without an offset", field="time", hint="say its zone with --zone"
            )
        _check_year(told, number)
        return instant(told if told.tzinfo else told.replace(tzinfo=zone)), "exact"
    if isinstance(told, date):
        _check_year(told, number)
        place = zone or ZoneInfo(exchange_of(ticker).zone)
        return instant(datetime(told.year, told.month, told.day, tzinfo=place)), "day"
    raise UsageError(
        f"time: row {number} has {value!r}", field="time", hint="give ISO dates: 2024-05-02T16:30:00-04:00"
    )


def _told(text: str) -> date | datetime | None:
    """A date or a time in ISO 8601, with or without its dashes; None for what is neither."""
    for kind in (date, datetime):
        with suppress(ValueError):
            return kind.fromisoformat(text)
    return None


def _check_year(told: date, number: int) -> None:
    """0001-01-01 and 9999-12-31 stand for "unknown" in many a database."""
    if not FIRST_YEAR <= told.year <= LAST_YEAR:
        hint = f"give a date from {FIRST_YEAR} to {LAST_YEAR}, or leave the row out"
        raise UsageError(f"time: row {number} has {told.isoformat()}", field="time", hint=hint)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"zone: {name!r} is unknown", field="zone", hint="such as America/New_York") from None


def wish(
    app: Gapless,
    owner: str,
    tickers: Sequence[str] = (),
    *,
    overwrite: bool = False,
    write_back: Mapping[str, Any] | None = None,
) -> Wish:
    """The wish to value the events of some companies, or of all that have events without values."""
    dataset = app.dataset(EVENTS.name)
    now = app.clock.now()
    with app.store.read() as tx:
        waiting = [name for name, _ in valued.companies(tx, now, all_of_them=overwrite)]
        every = {name for name, _ in valued.companies(tx, DOOM, all_of_them=True)} if tickers else set()
    if not tickers:
        names = waiting
    else:
        asked, due = app.catalogue.series(dataset, list(tickers)), set(waiting)
        strange = next((name for name in asked if name not in every), None)
        if strange is not None:
            hint = "`gapless enrich import` adds some; check the ticker"
            raise UsageError(f"tickers: {strange} has no events", field="tickers", hint=hint)
        names = [name for name in asked if name in due]
    if not names:
        raise UsageError(
            "events: none that have happened are without values",
            field="events",
            hint="`gapless enrich import` adds some, --overwrite values (and writes back) them anew",
        )
    if write_back is not None:
        _check_write_back(app, write_back)
    params: dict[str, Any] = {"valuation": True, "overwrite": overwrite}
    if write_back is not None:
        params["writeBack"] = dict(write_back)
    return Wish(
        owner=owner,
        kind=Kind.ENRICH,
        dataset=EVENTS.name,
        series=tuple(names),
        span=Span(FIRST, now - now % SECOND),
        mode=Mode.ALL,
        direction=Direction.BACKWARD,
        said="valuation",
        params=msgspec.json.encode(params, order="sorted").decode(),
    )


def _check_write_back(app: Gapless, where: Mapping[str, Any]) -> None:
    from gapless.app.outside import check

    unknown = sorted(set(where["columns"]) - set(VALUED))
    if unknown:
        raise UsageError(
            f"columns: there is no value {unknown[0]!r}", field="columns", hint=f"give some of: {', '.join(VALUED)}"
        )
    check(app.settings.events_url, where)
