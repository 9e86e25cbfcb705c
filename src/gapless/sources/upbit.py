"""Upbit candles (quotation REST API, no key).

What a reply to `(to=T, count=n)` proves; the server counts existing rows, newest first, all starting before T:

| reply | proves |
|---|---|
| n rows | `[oldest, T)` |
| 1 … n-1 rows | `[oldest, T)`; a hint, no proof, that history starts at the oldest |
| `[]` | nothing precedes T: a dated fact of the series (seconds: only back to the retention of 3 months) |
| 404 "Code not found" | unknown or delisted market |
| 429, 418 | nothing; everybody waits |
| anything else | nothing |

All is cut at the frontier: the unfinished candle is never stored. An interval without a trade has no row at all.
Rate: 10 requests a second and address for all candle units together. `Remaining-Req` says `group=candles` in life and
`candle` in the documentation, so the group is not compared. Facts and their sources: the project's notes on Upbit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from gapless.core.dataset import Axis, Column, Dataset, Type
from gapless.core.errors import (
    BadReply,
    HoldJob,
    Refused,
    SchemaChanged,
    SourceError,
    TryAgain,
    UnknownSeries,
)
from gapless.core.grid import WEEKS, Grid, Months, Steps
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Row, Shape
from gapless.core.span import DAY, MINUTE, SECOND, Instant, Span, instant, iso, span
from gapless.sources.http import Http, Reply

PAGE_ROWS = 200
RATE = 10.0

_CANDLE = (
    Column(name="open", type=Type.FLOAT, doc="first trade, quote currency"),
    Column(name="high", type=Type.FLOAT, doc="highest trade"),
    Column(name="low", type=Type.FLOAT, doc="lowest trade"),
    Column(name="close", type=Type.FLOAT, doc="last trade"),
    Column(name="volume", type=Type.FLOAT, doc="traded, base currency"),
    Column(name="value", type=Type.FLOAT, doc="traded, quote currency"),
    Column(name="last_tick_at", type=Type.TIME, doc="when the last trade was stored; may lie just past the end"),
)
_DAILY = (
    Column(name="prev_close", type=Type.FLOAT, nullable=True, doc="close of the day before"),
    Column(name="change", type=Type.FLOAT, nullable=True, doc="close - prev_close"),
    Column(name="change_rate", type=Type.FLOAT, nullable=True, doc="change / prev_close"),
)


class _Candle(msgspec.Struct):
    market: str
    candle_date_time_utc: str
    opening_price: float
    high_price: float
    low_price: float
    trade_price: float
    timestamp: int
    candle_acc_trade_price: float
    candle_acc_trade_volume: float

    def row(self, time: Instant) -> Row:
        return (
            time,
            self.opening_price,
            self.high_price,
            self.low_price,
            self.trade_price,
            self.candle_acc_trade_volume,
            self.candle_acc_trade_price,
            self.timestamp * 1_000,
        )


class _DayCandle(_Candle):
    prev_closing_price: float | None
    change_price: float | None
    change_rate: float | None

    def row(self, time: Instant) -> Row:
        # Named, not super(): zero-argument super costs a cell lookup per row.
        return (*_Candle.row(self, time), self.prev_closing_price, self.change_price, self.change_rate)


class _Failure(msgspec.Struct):
    name: int | str
    message: str


class _Failed(msgspec.Struct):
    error: _Failure


class _Market(msgspec.Struct):
    market: str
    english_name: str


class _Unit(msgspec.Struct, frozen=True):
    path: str
    dataset: Dataset
    kind: type[_Candle]
    decoder: msgspec.json.Decoder[Any]


def _unit(unit: str, path: str, grid: Grid, axis: Axis, period: int, retention: timedelta | None = None) -> _Unit:
    daily = unit == "1d"
    dataset = Dataset(
        name=f"upbit.candles.{unit}",
        source="upbit",
        grid=grid,
        axis=axis,
        columns=_CANDLE + _DAILY if daily else _CANDLE,
        retention=retention,
        period=timedelta(microseconds=period),
        example="KRW-BTC",
        pattern=r"[A-Z0-9]{2,10}-[A-Z0-9.]{1,20}",
    )
    kind = _DayCandle if daily else _Candle
    return _Unit(f"/v1/candles/{path}", dataset, kind, msgspec.json.Decoder(list[kind]))  # type: ignore[valid-type]


def _units() -> dict[str, _Unit]:
    # Three months are at least 89 days; the margin keeps us off an edge that moves while we ask.
    made = [_unit("1s", "seconds", Steps(SECOND), Axis.STEP, SECOND, timedelta(days=89))]
    for minutes in (1, 3, 5, 10, 15, 30, 60, 240):
        step = minutes * MINUTE
        made.append(_unit(f"{minutes}m", f"minutes/{minutes}", Steps(step), Axis.STEP, step))
    made.append(_unit("1d", "days", Steps(DAY), Axis.DAY, DAY))
    made.append(_unit("1w", "weeks", WEEKS, Axis.STEP, 7 * DAY))
    made.append(_unit("1M", "months", Months(1), Axis.MONTH, 30 * DAY))
    made.append(_unit("1y", "years", Months(12), Axis.MONTH, 365 * DAY))
    return {one.dataset.name: one for one in made}


class Upbit:
    """The exchange at api.upbit.com, or whatever stands in for it."""

    name = "upbit"
    default_url = "https://api.upbit.com"
    units = _units()
    datasets: Mapping[str, Dataset] = {name: unit.dataset for name, unit in units.items()}

    def __init__(self, http: Http) -> None:
        self._http = http

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        return self._http.base_url

    def shape(self, dataset: Dataset) -> Shape:  # noqa: ARG002  all units page alike
        """Pages of 200, cut by a count of existing rows."""
        return Shape(rows=PAGE_ROWS)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  all units share one budget
        """All candle units share one budget per address."""
        return Limit(key="upbit/candle", rate=RATE)

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:
        """One page of candles; see the table above for what it proves."""
        unit = self.units[dataset.name]
        query = [("market", ask.series), ("to", iso(ask.span.end)), ("count", str(ask.limit))]
        reply = self._http.get(unit.path, query)
        if reply.status != 200:
            raise _failure(reply, ask.series)
        rows = _rows(unit, reply.body, ask)
        proven = Span(rows[0][0], ask.span.end) if rows else None
        nothing_before = None if rows else ask.span.end
        gone = dataset.unavailable(now)
        if not rows and gone:
            # What the source forgot is empty too: only the part it still remembers is proven.
            proven, nothing_before = span(gone.end, ask.span.end), None
        return Page(
            rows=rows,
            proven=proven,
            nothing_before=nothing_before,
            source_time=reply.source_time,
            remaining=_remaining(reply.remaining),
        )

    def catalogue(self) -> list[tuple[str, str]]:
        """All markets with their English names, from `market/all`."""
        reply = self._http.get("/v1/market/all", [])
        if reply.status != 200:
            raise _failure(reply, "")
        try:
            markets = msgspec.json.decode(reply.body, type=list[_Market])
        except msgspec.MsgspecError as error:
            raise TryAgain(f"upbit: market/all is not what it was: {error}", source="upbit") from None
        return [(one.market, one.english_name) for one in markets]

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()


def _rows(unit: _Unit, body: bytes, ask: Ask) -> list[Row]:
    """Rows in ascending order, each one checked; raises `BadReply` or worse."""
    try:
        candles = unit.decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _odd_records(unit, body, ask, str(error)) from None
    except msgspec.DecodeError:
        raise TryAgain(
            f"upbit answered with {_looks(body)} instead of candles",
            source="upbit",
            hint="if this lasts, check GAPLESS_UPBIT_BASE_URL",
        ) from None
    _check_numbers(body, ask)
    if len(candles) > ask.limit:
        raise _bad(f"{len(candles)} candles where {ask.limit} were asked for", ask)
    return _ordered(unit, candles, ask)


def _ordered(unit: _Unit, candles: Sequence[_Candle], ask: Ask) -> list[Row]:
    """Rows in ascending order; each candle must be of the market, on the grid, and older than the one before."""
    rows: list[Row] = []
    before = ask.span.end
    grid = unit.dataset.grid
    for candle in candles:
        time = _time(candle.candle_date_time_utc)
        if candle.market != ask.series or time is None or time >= before or grid.floor(time) != time:
            raise _bad(f"a candle of {candle.market} at {candle.candle_date_time_utc} is out of place", ask)
        rows.append(candle.row(time))
        before = time
    rows.reverse()
    return rows


def _odd_records(unit: _Unit, body: bytes, ask: Ask, why: str) -> SourceError:
    """Tell spoilt records from an answer that has changed its shape."""
    try:
        records = msgspec.json.decode(body, type=list[dict[str, object]])
    except msgspec.MsgspecError:
        return TryAgain(f"upbit answered with {_looks(body)} instead of candles", source="upbit")
    if len(records) > 1 and not any(_fit(record, unit) for record in records):
        return SchemaChanged(
            f"upbit changed its candles: {why}", source="upbit", hint="look for a newer version of gapless"
        )
    good: list[_Candle] = []
    for record in records:
        candle = _fit(record, unit)
        if candle is None:
            return _poison(unit, record, good, ask, why)
        good.append(candle)
    return TryAgain(f"upbit: {why}", source="upbit")


def _poison(unit: _Unit, record: dict[str, object], newer: list[_Candle], ask: Ask, why: str) -> SourceError:
    """The newest record that cannot be read: its cell, if it tells its time, and the page of all that is newer."""
    time = _time(str(record.get("candle_date_time_utc")))
    grid = unit.dataset.grid
    if time is None or time >= ask.span.end or grid.floor(time) != time:
        return _bad(why, ask)
    after = span(grid.add(time, 1), ask.span.end)
    page = Page(rows=_ordered(unit, newer, ask), proven=after) if after else None
    return _bad(why, ask, Span(time, grid.add(time, 1)), page)


def _fit(record: dict[str, object], unit: _Unit) -> _Candle | None:
    try:
        return msgspec.convert(record, unit.kind)
    except msgspec.ValidationError:
        return None


def _bad(why: str, ask: Ask, cell: Span | None = None, page: Page | None = None) -> BadReply:
    return BadReply(f"upbit: {ask.series} {ask.span}: {why}", source="upbit", span=cell, page=page)


_DIGITS = bytes(48 if chr(c) in "0123456789." else 32 for c in range(256))
_LONG = b"0" * 17
_NUMBER = re.compile(rb"-?\d[\d.]{16,}(?:[eE][-+]?\d+)?")


def _check_numbers(body: bytes, ask: Ask) -> None:
    """A number that float64 would change fails the page; up to 15 digits none can, so only long ones are looked at."""
    if _LONG not in body.translate(_DIGITS):
        return
    for text in _NUMBER.findall(body):
        if Decimal(text.decode()) != Decimal(repr(float(text))):
            raise _bad(f"the number {text.decode()} does not fit a float64", ask)


#: Start of each day seen, and of each second of a day: two look-ups instead of a parse.
_days: dict[str, Instant] = {}
_seconds: dict[str, int] = {}


def _time(text: str) -> Instant | None:
    """`2026-08-03T10:45:00`, UTC without a zone, to an instant; None when it is something else."""
    try:
        return _days[text[:11]] + _seconds[text[11:]]
    except KeyError:
        return _learn(text)


def _learn(text: str) -> Instant | None:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT)(\d\d:\d\d:\d\d)", text)
    if not match:
        return None
    try:
        at = instant(datetime.fromisoformat(text + "+00:00"))
    except ValueError:
        return None
    _days[match[1]] = at - at % DAY
    _seconds[match[2]] = at % DAY
    return at


def _remaining(header: str | None) -> int | None:
    """The `sec` of `group=candles; min=600; sec=9`; `min` is a constant of old times."""
    match = re.search(r"\bsec=(\d+)", header or "")
    return int(match[1]) if match else None


def _failure(reply: Reply, series: str) -> SourceError:
    """Sort a status by what to do next."""
    message = _message(reply.body)
    if reply.status in (418, 429):
        return _refused(reply, message)
    if reply.status >= 500 or reply.status == 408:
        return TryAgain(f"upbit has trouble (HTTP {reply.status})", source="upbit")
    if reply.status == 404 and message:
        return UnknownSeries(
            f"upbit has no market {series}",
            source="upbit",
            hint="unknown or delisted; `gapless sources upbit` lists the markets",
        )
    if message:
        return HoldJob(f"upbit refused our request: {message} (HTTP {reply.status})", source="upbit")
    return HoldJob(
        f"this is not upbit: HTTP {reply.status} with {_looks(reply.body)}",
        source="upbit",
        hint="check GAPLESS_UPBIT_BASE_URL",
    )


def _refused(reply: Reply, message: str) -> Refused:
    told = re.search(r"\d+", reply.retry_after or "") or re.search(r"(\d+)\s*(?:s\b|sec)", message)
    fallback = 60.0 if reply.status == 418 else 1.0
    seconds = fallback if told is None else float(told[1] if told.re.groups else told[0])
    return Refused(f"upbit told us to wait (HTTP {reply.status})", source="upbit", seconds=seconds)


def _message(body: bytes) -> str:
    """The message of an error body; empty when it is none of upbit's."""
    try:
        return msgspec.json.decode(body, type=_Failed).error.message
    except msgspec.MsgspecError:
        return ""


def _looks(body: bytes) -> str:
    head = body[:200].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<")):
        return "an HTML page"
    return "an empty body" if not head else f"{len(body)} bytes that are no JSON list"
