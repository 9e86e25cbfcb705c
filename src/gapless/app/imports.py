"""Import of tables that a user has: read and checked as a whole first, then written in one transaction, or not at all.

The ledger stays honest: an imported row is covered only where the user vouches for it, and never takes the place of a
row that a source has told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from gapless.app import published
from gapless.core.dataset import Column, Dataset, Type
from gapless.core.errors import UsageError
from gapless.core.lazily import pl
from gapless.core.page import Row
from gapless.core.period import parse
from gapless.core.span import DAWN, DOOM, Instant, Span, instant, iso, subtract, union
from gapless.store import coverage, pages, rows
from gapless.store import series as ledger
from gapless.store.database import Tx

if TYPE_CHECKING:
    from gapless.app.history import Gapless

#: Texts that say that there is no value.
NOTHING = ("", ".", "-", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
DUPLICATES = ("first", "last", "fail")
SERIES, TIME = "series", "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be imported, and how."""

    dataset: str
    #: A CSV or Parquet file, or the address of a database.
    source: str
    #: Of the database.
    table: str = ""
    #: The series of all rows; else the column `series` of the map tells it.
    series: str = ""
    #: Our column -> theirs; columns of the same name need not stand here.
    columns: Mapping[str, str]
    on_duplicate: str = "last"
    #: `none`, `rows` (exactly the periods that have a row) or FROM..TO (all of it: what has no row is empty).
    vouch: str = "none"
    dry_run: bool = False
    #: How a published index is written: `cnn` or `alternative.me`; empty for tables.
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import has come to."""

    rows: int
    series: int
    stored: int
    duplicates: int
    #: Rows of periods that a source has answered for: its word counts.
    passed_over: int
    covered: int


def import_table(history: Gapless, order: Order) -> Imported:
    """Import a table; raises `UsageError` that names the column, the row and the text that do not fit."""
    dataset = history.dataset(order.dataset)
    if order.on_duplicate not in DUPLICATES:
        listed = ", ".join(DUPLICATES)
        raise UsageError(
            f"on-duplicate: {order.on_duplicate!r} is unknown", field="on-duplicate", hint=f"give {listed}"
        )
    if dataset.is_computed:
        raise UsageError(f"dataset: {dataset.name} is computed", field="dataset", hint="`gapless compute`")
    if order.format and (order.columns or order.table):
        raise UsageError("format: tells the columns by itself", field="format", hint="leave --map and --table out")
    frame = _read(order)
    told = _columns(dataset, order, frame.columns)
    by_series, count, duplicates = _rows(history, dataset, order, frame, told)
    spans = {name: _vouched(dataset, order.vouch, listed) for name, listed in by_series.items()}
    if order.dry_run:
        return Imported(rows=count, series=len(by_series), stored=0, duplicates=duplicates, passed_over=0, covered=0)

    def write(tx: Tx) -> tuple[int, int, int]:
        stored = passed = covered = 0
        for name, listed in by_series.items():
            its = ledger.ensure(tx, dataset.name, name)
            kept = listed
            if history.catalogue.source(dataset).base_url:
                known = coverage.spans(tx, its, Span(DAWN, DOOM))
                kept = [row for row in listed if not _inside(known, row[0])]
                passed += len(listed) - len(kept)
                mine = subtract(spans[name], known)
            else:
                mine = spans[name]
            stored += pages.put(tx, dataset, its, kept, mine)
            covered += sum(dataset.grid.count(one.start, one.end) for one in mine)
        return stored, passed, covered

    stored, passed, covered = history.store.write(write, isolated=True)
    return Imported(
        rows=count,
        series=len(by_series),
        stored=stored,
        duplicates=duplicates,
        passed_over=passed,
        covered=covered,
    )


def _inside(spans: list[Span], at: Instant) -> bool:
    from bisect import bisect_right

    place = bisect_right(spans, at, key=lambda one: one.start) - 1
    return place >= 0 and at < spans[place].end


def _read(order: Order) -> pl.DataFrame:
    """The table as text, or as typed as its file is."""
    if order.format:
        return published.read(order.format, order.dataset, order.source)
    try:
        if "://" in order.source:
            return _read_sql(order)
        path = Path(order.source)
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        # As text: what a number is decides the dataset, not the first hundred rows.
        return pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"file: {order.source} cannot be read ({why})", field="file", hint="check the path") from None


def _read_sql(order: Order) -> pl.DataFrame:
    from sqlalchemy import create_engine, quoted_name, select, text
    from sqlalchemy import table as named
    from sqlalchemy.exc import SQLAlchemyError

    if not order.table:
        raise UsageError("table: none is given", field="table", hint="name the table of the database: --table prices")
    address = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", order.source)
    try:
        engine = create_engine(address)
        schema, _, name = order.table.rpartition(".")
        with engine.connect() as connection:
            found = select(text("*")).select_from(named(str(quoted_name(name, quote=True)), schema=schema or None))
            result = connection.execute(found)
            listed = [tuple(one) for one in result]
            columns = list(result.keys())
        engine.dispose()
    except SQLAlchemyError as error:
        # Its text may hold the address with a password.
        raise UsageError(
            f"table: {order.table} cannot be read ({type(error).__name__})", field="table", hint="check both names"
        ) from None
    return pl.DataFrame(listed, schema=columns, orient="row", infer_schema_length=None)


def _columns(dataset: Dataset, order: Order, header: Sequence[str]) -> dict[str, str]:
    """Our columns and theirs; raises `UsageError` with the exact header."""
    ours = [TIME, *rows.names(dataset)[1:], *([] if order.series else [SERIES])]
    shown = ", ".join(repr(one) for one in header)
    for mine, theirs in order.columns.items():
        if mine not in ours:
            raise UsageError(f"map: {mine!r} is no column", field="map", hint=f"there are: {', '.join(ours)}")
        if theirs not in header:
            raise UsageError(f"map: there is no column {theirs!r}", field="map", hint=f"the header is: {shown}")
    told = {one: one for one in ours if one in header} | dict(order.columns)
    needed = {TIME, *dataset.key, *(one.name for one in dataset.columns if not one.nullable)}
    lacking = sorted((needed | ({SERIES} if not order.series else set())) - told.keys())
    if lacking:
        example = f"--map {lacking[0]}=THEIRS" + (" or --series NAME" if SERIES in lacking else "")
        raise UsageError(
            f"map: nothing is told for {', '.join(lacking)}", field="map", hint=f"{example}; the header is: {shown}"
        )
    return told


def _rows(
    history: Gapless, dataset: Dataset, order: Order, frame: pl.DataFrame, told: Mapping[str, str]
) -> tuple[dict[str, list[Row]], int, int]:
    """Rows by series in the order of their key, each checked; how many were read, and how many were told twice."""
    kinds = {one.name: one for one in dataset.columns}
    names = rows.names(dataset)
    values = {mine: frame[theirs].to_list() for mine, theirs in told.items()}
    found: dict[str, dict[tuple[Any, ...], Row]] = {}
    duplicates = 0
    zone = ZoneInfo(dataset.zone)
    for number in range(frame.height):
        place = f"row {number + 1}"
        name = order.series or str(values[SERIES][number] or "").strip()
        at = _time(values[TIME][number], zone, f"{told[TIME]!r}, {place}")
        if dataset.grid.floor(at) != at:
            raise UsageError(
                f"map: {told[TIME]!r}, {place}: no record of {dataset.name} starts at {iso(at)}",
                field="map",
                hint="round the times to the grid of the dataset first",
            )
        cells = [
            _value(values[one][number] if one in values else None, kinds[one], zone, f"{told.get(one, one)!r}, {place}")
            for one in names[1:]
        ]
        row: Row = (at, *cells)
        key = row[: 1 + len(dataset.key)]
        listed = found.setdefault(name, {})
        if key in listed:
            duplicates += 1
            if order.on_duplicate == "fail":
                raise UsageError(
                    f"on-duplicate: {name} has {iso(at)} twice ({place})",
                    field="on-duplicate",
                    hint="give first or last",
                )
            if order.on_duplicate == "first":
                continue
        listed[key] = row
    if not found:
        raise UsageError(f"file: {order.source} has no rows", field="file", hint="check the path")
    history.catalogue.series(dataset, list(found))
    return {name: sorted(listed.values(), key=_key) for name, listed in found.items()}, frame.height, duplicates


def _key(row: Row) -> tuple[Any, ...]:
    return (row[0], *(str(one) for one in row[1:2]))


def _time(value: object, zone: ZoneInfo, place: str) -> Instant:
    if isinstance(value, datetime):
        return instant(value if value.tzinfo else value.replace(tzinfo=zone))
    if isinstance(value, date):
        return instant(datetime(value.year, value.month, value.day, tzinfo=zone))
    text = str(value or "").strip()
    compact = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", text)
    text = "-".join(compact.groups()) if compact else text
    try:
        return parse(text, field="map", zone=str(zone)).start
    except UsageError as error:
        raise UsageError(f"map: {place}: {error.message.removeprefix('map: ')}", field="map", hint=error.hint) from None


def _value(value: object, column: Column, zone: ZoneInfo, place: str) -> object:
    """A value of a column's type; raises `UsageError` with its place and text."""
    if value is None or (isinstance(value, str) and value.strip() in NOTHING):
        if column.nullable:
            return None
        raise UsageError(
            f"map: {place}: there is no value for {column.name}", field="map", hint="leave such rows out of the table"
        )
    try:
        return _typed(value, column.type, zone, place)
    except (ValueError, InvalidOperation):
        raise UsageError(f"map: {place}: {value!r} is no {column.type.value}", field="map", hint="mend it") from None


def _typed(value: object, kind: Type, zone: ZoneInfo, place: str) -> object:
    text = str(value).strip()
    match kind:
        case Type.FLOAT:
            number = float(text.replace(",", ""))
            if not math.isfinite(number):
                raise ValueError
            return number
        case Type.INT:
            whole = float(text.replace(",", ""))
            if not whole.is_integer():
                raise ValueError
            return int(whole)
        case Type.BOOL:
            if text.lower() not in ("true", "false", "1", "0"):
                raise ValueError
            return text.lower() in ("true", "1")
        case Type.TIME:
            return _time(value, zone, place)
        case Type.DATE:
            return date.fromisoformat(text).isoformat()
        case Type.DECIMAL:
            # Exact, whatever it is written like.
            return format(Decimal(text.replace(",", "")), "f")
    return text


def _vouched(dataset: Dataset, vouch: str, listed: list[Row]) -> list[Span]:
    """The spans that the user vouches for, on the grid."""
    grid = dataset.grid
    if vouch == "none":
        return []
    if vouch == "rows":
        return union(Span(row[0], grid.add(row[0], 1)) for row in listed)
    start, dots, end = vouch.partition("..")
    if not dots:
        raise UsageError(f"vouch: {vouch!r} is not understood", field="vouch", hint="give none, rows or FROM..TO")
    first = parse(start, field="vouch", zone=dataset.zone)
    last = parse(end, field="vouch", zone=dataset.zone)
    if first.start >= last.end:
        raise UsageError("vouch: ends before it starts", field="vouch", hint="swap them")
    return [Span(grid.ceil(first.start), grid.ceil(last.end))]
