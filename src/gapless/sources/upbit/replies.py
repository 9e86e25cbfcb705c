"""Reading Upbit's replies: strictly, and with every failure sorted by what to do next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from gapless.core.errors import BadReply, HoldJob, Refused, SchemaChanged, SourceError, TryAgain, UnknownSeries
from gapless.core.page import Ask, Page, Row
from gapless.core.span import DAY, Instant, Span, instant, span
from gapless.sources.http import Reply
from gapless.sources.upbit.datasets import Candle, Unit


class _Failure(msgspec.Struct):
    name: int | str
    message: str


class _Failed(msgspec.Struct):
    error: _Failure


def read_rows(unit: Unit, body: bytes, ask: Ask) -> list[Row]:
    """Rows in ascending order, each one checked; raises `BadReply` or worse."""
    try:
        candles = unit.decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _odd_records(unit, body, ask, str(error)) from None
    except msgspec.DecodeError:
        raise TryAgain(
            f"upbit answered with {looks(body)} instead of candles",
            source="upbit",
            hint="if this lasts, check GAPLESS_UPBIT_BASE_URL",
        ) from None
    _check_numbers(body, ask)
    if len(candles) > ask.limit:
        raise _bad(f"{len(candles)} candles where {ask.limit} were asked for", ask)
    return _ordered(unit, candles, ask)


def _ordered(unit: Unit, candles: Sequence[Candle], ask: Ask) -> list[Row]:
    """Rows in ascending order; each candle must be of the market, on the grid, and older than the one before."""
    times = _times(candles)
    before, series, floor = ask.span.end, ask.series, unit.dataset.grid.floor
    for time, candle in zip(times, candles, strict=True):
        if time >= before or candle.market != series or floor(time) != time:
            raise _bad(f"a candle of {candle.market} at {candle.candle_date_time_utc} is out of place", ask)
        before = time
    rows = unit.kind.rows(times, candles)
    rows.reverse()
    return rows


def _odd_records(unit: Unit, body: bytes, ask: Ask, why: str) -> SourceError:
    """Tell spoilt records from an answer that has changed its shape."""
    try:
        records = msgspec.json.decode(body, type=list[dict[str, object]])
    except msgspec.MsgspecError:
        return TryAgain(f"upbit answered with {looks(body)} instead of candles", source="upbit")
    if len(records) > 1 and not any(_fit(record, unit) for record in records):
        return SchemaChanged(
            f"upbit changed its candles: {why}", source="upbit", hint="look for a newer version of gapless"
        )
    _check_numbers(body, ask)
    good: list[Candle] = []
    for record in records:
        candle = _fit(record, unit)
        if candle is None:
            return _poison(unit, record, good, ask, why)
        good.append(candle)
    return TryAgain(f"upbit: {why}", source="upbit")


def _poison(unit: Unit, record: dict[str, object], newer: list[Candle], ask: Ask, why: str) -> SourceError:
    """The newest record that cannot be read: its cell, if it tells its time, and the page of all that is newer."""
    time = _time(str(record.get("candle_date_time_utc")))
    grid = unit.dataset.grid
    if time is None or time >= ask.span.end or grid.floor(time) != time:
        return _bad(why, ask)
    after = span(grid.add(time, 1), ask.span.end)
    page = Page(rows=_ordered(unit, newer, ask), proven=after) if after else None
    return _bad(why, ask, Span(time, grid.add(time, 1)), page)


def _fit(record: dict[str, object], unit: Unit) -> Candle | None:
    try:
        return msgspec.convert(record, unit.kind)
    except msgspec.ValidationError:
        return None


def _bad(why: str, ask: Ask, cell: Span | None = None, page: Page | None = None) -> BadReply:
    return BadReply(f"upbit: {ask.series} {ask.span}: {why}", source="upbit", span=cell, page=page)


_DIGITS = bytes(48 if chr(c) in "0123456789." else 32 for c in range(256))
#: Decimal digits that every float64 keeps (IEEE 754 binary64).
EXACT_DIGITS = 15
_LONG = b"0" * 16
_NUMBER = re.compile(rb"-?[\d.]+(?:[eE][-+]?\d+)?")


def _check_numbers(body: bytes, ask: Ask) -> None:
    """A number that float64 would change fails the page; up to 15 digits none can, so only long ones are looked at."""
    runs = body.translate(_DIGITS)
    at = runs.find(_LONG)
    while at >= 0:
        end = runs.find(b" ", at)
        end = len(runs) if end < 0 else end
        if end - at - body.count(b".", at, end) > EXACT_DIGITS:
            number = _NUMBER.match(body, at - (body[at - 1 : at] == b"-"))
            if number and Decimal(number[0].decode()) != Decimal(repr(float(number[0]))):
                raise _bad(f"the number {number[0].decode()} does not fit a float64", ask)
        at = runs.find(_LONG, end)


#: Start of each day seen, and of each second of a day: two look-ups instead of a parse.
_days: dict[str, Instant] = {}
_seconds: dict[str, int] = {}


#: In the place of a time that cannot be read: later than any page, so it is out of place.
_NEVER: Instant = 1 << 62


def _times(candles: Sequence[Candle]) -> list[Instant]:
    """The times of a page at once: a call for each candle would take as long as the rest."""
    try:
        return [_days[(text := one.candle_date_time_utc)[:11]] + _seconds[text[11:]] for one in candles]
    except KeyError:
        read = [_time(one.candle_date_time_utc) for one in candles]
        return [_NEVER if time is None else time for time in read]


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


def remaining(header: str | None) -> int | None:
    """The `sec` of `group=candles; min=600; sec=9`; `min` is a constant of old times."""
    match = re.search(r"\bsec=(\d+)", header or "")
    return int(match[1]) if match else None


def failure(reply: Reply, series: str) -> SourceError:
    """Sort a status by what to do next."""
    message = _message(reply.body)
    if reply.status in (418, 429):
        return _refused(reply, message)
    if reply.status >= 500 or reply.status == 408:
        return TryAgain(f"upbit has trouble (HTTP {reply.status})", source="upbit")
    if reply.status == 404 and message and series:
        return UnknownSeries(
            f"upbit has no market {series}",
            source="upbit",
            hint="unknown or delisted; `gapless sources upbit` lists the markets",
        )
    if message:
        return HoldJob(f"upbit refused our request: {message} (HTTP {reply.status})", source="upbit")
    return HoldJob(
        f"this is not upbit: HTTP {reply.status} with {looks(reply.body)}",
        source="upbit",
        hint="check GAPLESS_UPBIT_BASE_URL",
    )


def _refused(reply: Reply, message: str) -> Refused:
    # A `Retry-After` that is a date would be new here; the doubling of repeated refusals covers it.
    told = re.fullmatch(r"(\d+)", reply.retry_after or "") or re.search(r"(\d+)\s*(?:s\b|sec)", message)
    fallback = 60.0 if reply.status == 418 else 1.0
    seconds = fallback if told is None else float(told[1])
    return Refused(f"upbit told us to wait (HTTP {reply.status})", source="upbit", seconds=seconds)


def _message(body: bytes) -> str:
    """The message of an error body; empty when it is none of upbit's."""
    try:
        return msgspec.json.decode(body, type=_Failed).error.message
    except msgspec.MsgspecError:
        return ""


def looks(body: bytes) -> str:
    head = body[:200].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<")):
        return "an HTML page"
    return "an empty body" if not head else f"{len(body)} bytes that are no JSON list"
