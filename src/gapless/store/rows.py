"""Data tables: made from datasets in native types, written straight through the driver, read into polars.

Measured here: multi-row VALUES in key order 480,000 rows/s on SQLite, UNNEST arrays 93,000 rows/s on PostgreSQL, where
SQLAlchemy Core with dicts gives 85,000 and 28,000. Time columns are integer microseconds in SQLite and timestamptz in
PostgreSQL; rows come and go with integers.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_right
from collections.abc import Sequence
from datetime import timedelta
from functools import cache, lru_cache
from itertools import chain
from typing import Any

import msgspec

from gapless.core.dataset import Conflict, Dataset, Revisions, Type
from gapless.core.lazily import pl
from gapless.core.page import Row
from gapless.core.span import Instant, Span, span
from gapless.store import arrays
from gapless.store.database import Tx

_SQLITE = {
    Type.FLOAT: "REAL",
    Type.INT: "INTEGER",
    Type.TEXT: "TEXT",
    Type.BOOL: "INTEGER",
    Type.DECIMAL: "TEXT",
    Type.DATE: "TEXT",
    Type.TIME: "INTEGER",
}
_POSTGRES = {
    Type.FLOAT: "double precision",
    Type.INT: "bigint",
    Type.TEXT: "text",
    Type.BOOL: "boolean",
    Type.DECIMAL: "numeric",
    Type.DATE: "date",
    Type.TIME: "timestamptz",
}
NATIVE = {"sqlite": _SQLITE, "postgresql": _POSTGRES}
#: Decimals of an exact amount in a frame.
_DECIMALS = 6
#: Names our lock among the advisory locks of a server.
_MAKING = 726_709
#: Rows in one VALUES statement.
CHUNK = 200
_EPOCH = "timestamptz '1970-01-01 00:00:00+00'"


@cache
def _polars(kind: Type) -> Any:
    """The type of a column in a frame."""
    return {
        Type.FLOAT: pl.Float64,
        Type.INT: pl.Int64,
        Type.TEXT: pl.String,
        Type.BOOL: pl.Boolean,
        Type.DECIMAL: pl.Decimal(38, _DECIMALS),
        Type.DATE: pl.Date,
        Type.TIME: pl.Datetime("us", "UTC"),
    }[kind]


def _quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def names(dataset: Dataset) -> list[str]:
    """The columns of a row in their order: time, further key columns, then the rest."""
    return [
        "time",
        *dataset.key,
        *(column.name for column in dataset.columns if column.name not in dataset.key),
    ]


@lru_cache(maxsize=256)
def _types(dataset: Dataset) -> tuple[Type, ...]:
    typed = {column.name: column.type for column in dataset.columns} | {"time": Type.TIME}
    return tuple(typed[name] for name in names(dataset))


def create(tx: Tx, dataset: Dataset) -> None:
    """Make the data table of a dataset unless it is there."""
    if tx.name == "postgresql":
        # IF NOT EXISTS does not keep two processes from making the same table at the same moment.
        tx.cursor.execute(f"SELECT pg_advisory_xact_lock({_MAKING})")
    native = NATIVE[tx.name]
    nullable = {column.name for column in dataset.columns if column.nullable}
    columns = [f"series {'INTEGER' if tx.name == 'sqlite' else 'bigint'} NOT NULL"]
    # In the order of its bytes whatever the database's language, as on SQLite: certificates hash rows in key order.
    order = ' COLLATE "C"' if tx.name == "postgresql" else ""
    for name, kind in zip(names(dataset), _types(dataset), strict=True):
        ordered = order if kind is Type.TEXT else ""
        columns.append(f'"{name}" {native[kind]}{ordered}{"" if name in nullable else " NOT NULL"}')
    key = ", ".join(_quoted(["series", "time", *dataset.key]))
    tail = " WITHOUT ROWID" if tx.name == "sqlite" else ""
    tx.cursor.execute(f"CREATE TABLE IF NOT EXISTS {dataset.table} ({', '.join(columns)}, PRIMARY KEY ({key})){tail}")
    if tx.name == "postgresql":
        _as_hypertable(tx, dataset)


#: Periods in one chunk of a hypertable; TimescaleDB likes chunks that fit into memory.
CHUNK_PERIODS = 100_000


def _as_hypertable(tx: Tx, dataset: Dataset) -> None:
    """Let TimescaleDB cut a data table into chunks of time, where that extension is in the database.

    Its functions as documented for 2.13 and newer; the extension was not to be had where this was written.
    """
    if tx.cursor.execute("SELECT FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is None:
        return
    tx.cursor.execute(
        "SELECT create_hypertable(%s::regclass, by_range('time', %s::interval), if_not_exists => true,"
        " migrate_data => true)",
        (dataset.table, min(dataset.period * CHUNK_PERIODS, timedelta(days=3650))),
    )


@lru_cache(maxsize=256)
def _conflict(dataset: Dataset, sqlite: bool) -> str:
    """The ON CONFLICT clause of the dataset's policy."""
    key = ["time", *dataset.key]
    rest = _quoted([name for name in names(dataset) if name not in key])
    target = ", ".join(_quoted(["series", *key]))
    if dataset.conflict is Conflict.FIRST or not rest:
        return f"ON CONFLICT ({target}) DO NOTHING"
    table = dataset.table
    sets = ", ".join(f"{name} = excluded.{name}" for name in rest)
    guards = []
    if dataset.conflict is Conflict.CHANGED:
        differs = "IS NOT" if sqlite else "IS DISTINCT FROM"
        mine, theirs = (", ".join(f"{side}.{name}" for name in rest) for side in (table, "excluded"))
        guards.append(f"({mine}) {differs} ({theirs})")
    if dataset.rank:
        guards.append(f'excluded."{dataset.rank}" <= {table}."{dataset.rank}"')
    where = f" WHERE {' AND '.join(guards)}" if guards else ""
    return f"ON CONFLICT ({target}) DO UPDATE SET {sets}{where}"


@lru_cache(maxsize=1024)
def _values_text(dataset: Dataset, count: int) -> str:
    columns = ", ".join(_quoted(["series", *names(dataset)]))
    # `?` takes the number after the highest one before it: the series is bound once.
    one = f"(?1, {', '.join(['?'] * len(names(dataset)))})"
    return f"INSERT INTO {dataset.table} ({columns}) VALUES {', '.join([one] * count)} {_conflict(dataset, True)}"


@lru_cache(maxsize=256)
def _elements(dataset: Dataset) -> tuple[str, ...]:
    """What PostgreSQL is sent for each column: times as whole numbers."""
    return tuple("bigint" if kind is Type.TIME else _POSTGRES[kind] for kind in _types(dataset))


@lru_cache(maxsize=256)
def _unnest_text(dataset: Dataset) -> str:
    columns = ", ".join(_quoted(["series", *names(dataset)]))
    taken, marks = [], []
    for i, (kind, element) in enumerate(zip(_types(dataset), _elements(dataset), strict=True)):
        taken.append(f"{_EPOCH} + c{i} * interval '1 microsecond'" if kind is Type.TIME else f"c{i}")
        marks.append(f"%b::{element}[]")
    aliases = ", ".join(f"c{i}" for i in range(len(taken)))
    return (
        f"INSERT INTO {dataset.table} ({columns}) SELECT %b::bigint, {', '.join(taken)}"
        f" FROM unnest({', '.join(marks)}) AS page({aliases}) {_conflict(dataset, False)}"
    )


def upsert(tx: Tx, dataset: Dataset, series: int, rows: list[Row]) -> int:
    """Write rows (in ascending key order) by the dataset's conflict policy; returns how many were new or changed."""
    if not rows:
        return 0
    if tx.name == "postgresql":
        tx.cursor.execute(_unnest_text(dataset), (series, *arrays.columns(rows, _elements(dataset))))
        return int(tx.cursor.rowcount)
    stored = 0
    for at in range(0, len(rows), CHUNK):
        chunk = rows[at : at + CHUNK]
        tx.cursor.execute(_values_text(dataset, len(chunk)), [series, *chain.from_iterable(chunk)])
        stored += tx.cursor.rowcount
    return stored


def keys(tx: Tx, dataset: Dataset, series: int, within: Span, version: str) -> set[tuple[Any, ...]]:
    """Time and further key columns of the rows in `within`: of one version, where the dataset keeps several."""
    mark = "?" if tx.name == "sqlite" else "%s"
    taken = ", ".join([micros(tx, "time"), *_quoted(dataset.key)])
    where = f"series = {mark} AND time >= {_bound(tx)} AND time < {_bound(tx)}"
    if dataset.revisions is not None:
        where += f' AND "{dataset.revisions.version}" = {mark}'
    tx.cursor.execute(
        f"SELECT {taken} FROM {dataset.table} WHERE {where}",
        (series, within.start, within.end, *([] if dataset.revisions is None else [version])),
    )
    return {tuple(row) for row in tx.cursor.fetchall()}


def remove(tx: Tx, dataset: Dataset, series: int, lost: set[tuple[Any, ...]]) -> None:
    """Take away the rows with these keys."""
    mark = "?" if tx.name == "sqlite" else "%s"
    same = " AND ".join(f"{name} = {mark}" for name in _quoted(dataset.key))
    tx.cursor.executemany(
        f"DELETE FROM {dataset.table} WHERE series = {mark} AND time = {_bound(tx)}{f' AND {same}' if same else ''}",
        [(series, *key) for key in lost],
    )


def _bound(tx: Tx) -> str:
    """A parameter that is an instant in microseconds."""
    return "?" if tx.name == "sqlite" else f"({_EPOCH} + %s * interval '1 microsecond')"


def between(tx: Tx, within: Span, table: str) -> str:
    """The condition that a row of `table` (a name or alias) lies in `within`, as text: instants are our own numbers."""
    ends = [
        str(at) if tx.name == "sqlite" else f"({_EPOCH} + {at} * interval '1 microsecond')"
        for at in (int(within.start), int(within.end))
    ]
    return f'"{table}".time >= {ends[0]} AND "{table}".time < {ends[1]}'


def micros(tx: Tx, expression: str) -> str:
    """An instant of the table as microseconds."""
    return expression if tx.name == "sqlite" else f"(extract(epoch FROM {expression}) * 1000000)::bigint"


def count(tx: Tx, dataset: Dataset, series: int, within: Span) -> int:
    """Rows with a time in `within`."""
    mark = "?" if tx.name == "sqlite" else "%s"
    tx.cursor.execute(
        f"SELECT count(*) FROM {dataset.table} WHERE series = {mark} AND time >= {_bound(tx)} AND time < {_bound(tx)}",
        (series, within.start, within.end),
    )
    return int(tx.cursor.fetchone()[0])


def cells(tx: Tx, dataset: Dataset, series: Sequence[int], within: Span) -> int:
    """Distinct (series, time) of rows in `within`."""
    listed = ", ".join(str(int(one)) for one in series) or "NULL"
    tx.cursor.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT series, time FROM {dataset.table} WHERE series IN ({listed})"
        f" AND time >= {_bound(tx)} AND time < {_bound(tx)}) AS told",
        (within.start, within.end),
    )
    return int(tx.cursor.fetchone()[0])


def tally(tx: Tx, dataset: Dataset, series: int, within: Span) -> dict[int, int]:
    """Rows of `within` per bucket of the dataset's tally width."""
    mark = "?" if tx.name == "sqlite" else "%s"
    # Floor division: both databases truncate towards zero, and times before the origin would share a bucket with later
    # ones.
    width = dataset.tally_width
    past = f"({micros(tx, 'time')} - {dataset.tally_origin})"
    mod = "%" if tx.name == "sqlite" else "%%"
    bucket = f"({past} - (({past} {mod} {width}) + {width}) {mod} {width}) / {width}"
    tx.cursor.execute(
        f"SELECT {bucket}, count(*) FROM {dataset.table}"
        f" WHERE series = {mark} AND time >= {_bound(tx)} AND time < {_bound(tx)} GROUP BY 1",
        (series, within.start, within.end),
    )
    return {int(at): int(rows) for at, rows in tx.cursor.fetchall()}


def newest(tx: Tx, dataset: Dataset, series: int, limit: int) -> tuple[int, Instant, Instant] | None:
    """Number, first and last time of the newest `limit` rows; None without rows."""
    return _sampled(tx, dataset, "", (series,), limit, newest_first=True)


def beside(
    tx: Tx, dataset: Dataset, series: int, at: Instant, limit: int, *, after: bool
) -> tuple[int, Instant, Instant] | None:
    """Number, first and last time of the `limit` rows next to an instant, from it on or before it; None without."""
    side = f" AND time {'>=' if after else '<'} {_bound(tx)}"
    return _sampled(tx, dataset, side, (series, at), limit, newest_first=not after)


def _sampled(
    tx: Tx, dataset: Dataset, side: str, params: tuple[int, ...], limit: int, *, newest_first: bool
) -> tuple[int, Instant, Instant] | None:
    mark, order = "?" if tx.name == "sqlite" else "%s", " DESC" if newest_first else ""
    tx.cursor.execute(
        f"SELECT count(*), {micros(tx, 'min(time)')}, {micros(tx, 'max(time)')} FROM (SELECT time FROM {dataset.table}"
        f" WHERE series = {mark}{side} ORDER BY time{order} LIMIT {int(limit)}) AS sampled",
        params,
    )
    found, first, last = tx.cursor.fetchone()
    return (int(found), int(first), int(last)) if found else None


def _selected(tx: Tx, name: str, kind: Type) -> str:
    """A column such that both databases give the same Python value for the same record."""
    quoted = f'"{name}"'
    if kind is Type.TIME:
        return micros(tx, quoted)
    if tx.name == "sqlite":
        return quoted
    if kind is Type.FLOAT:
        # SQLite keeps whole numbers as integers and drops the sign of -0.0.
        return f"{quoted} + 0::float8"
    return {Type.DECIMAL: f"{quoted}::text", Type.DATE: f"{quoted}::text", Type.BOOL: f"{quoted}::int"}.get(
        kind, quoted
    )


def _select(tx: Tx, dataset: Dataset, series: int, within: Span, columns: Sequence[str]) -> None:
    types = dict(zip(names(dataset), _types(dataset), strict=True))
    taken = [f'{_selected(tx, name, types[name])} AS "{name}"' for name in columns]
    mark = "?" if tx.name == "sqlite" else "%s"
    order = ", ".join(f'{dataset.table}."{name}"' for name in ["time", *dataset.key])
    tx.cursor.execute(
        f"SELECT {', '.join(taken)} FROM {dataset.table}"
        f" WHERE series = {mark} AND time >= {_bound(tx)} AND time < {_bound(tx)} ORDER BY {order}",
        (series, within.start, within.end),
    )


def _select_best(
    tx: Tx, dataset: Dataset, revisions: Revisions, series: int, within: Span, columns: Sequence[str], day: str | None
) -> None:
    """Of each record the version that counts: the best rank, then the latest.

    With `day` only versions that were known on it count; of a record that has later ones only, all but its key is null:
    what was known then is not known now.
    """
    types = dict(zip(names(dataset), _types(dataset), strict=True))
    key = ["time", *(name for name in dataset.key if name != revisions.version)]
    mark = "?" if tx.name == "sqlite" else "%s"
    known = "1 = 1" if day is None else f'"{revisions.known}" <= {mark if tx.name == "sqlite" else "%s::date"}'
    taken = [
        f'{one} AS "{name}"' if name in key else f'CASE WHEN is_known THEN {one} END AS "{name}"'
        for name in columns
        for one in [_selected(tx, name, types[name])]
    ]
    inner = (
        f"SELECT *, {known} AS is_known FROM {dataset.table}"
        f" WHERE series = {mark} AND time >= {_bound(tx)} AND time < {_bound(tx)}"
    )
    order = f'is_known DESC, "{revisions.rank}", "{revisions.version}" DESC'
    ranked = (
        f"SELECT *, row_number() OVER (PARTITION BY {', '.join(_quoted(key))} ORDER BY {order}) AS place"
        f" FROM ({inner}) AS told"
    )
    tx.cursor.execute(
        f"SELECT {', '.join(taken)} FROM ({ranked}) AS ranked WHERE place = 1"
        f" ORDER BY {', '.join(f'ranked.{name}' for name in _quoted(key))}",
        (*([] if day is None else [day]), series, within.start, within.end),
    )


def newest_values(tx: Tx, dataset: Dataset, series: int, key: str, value: str) -> dict[str, str]:
    """The value of each key in the newest row of each record; a later row takes a key over, an empty one has none."""
    mark = "?" if tx.name == "sqlite" else "%s"
    record = ", ".join(_quoted(dataset.key))
    tx.cursor.execute(
        f'SELECT "{key}", "{value}" FROM (SELECT *, row_number() OVER (PARTITION BY {record} ORDER BY time DESC)'
        f" AS place FROM {dataset.table} WHERE series = {mark}) AS ranked"
        f""" WHERE place = 1 AND "{key}" <> '' ORDER BY time, {record}""",
        (series,),
    )
    return {str(one): str(other) for one, other in tx.cursor.fetchall()}


def latest_values(tx: Tx, dataset: Dataset, key: str, value: str) -> dict[str, str]:
    """The value of each key (a text that is not empty) in the newest row that has it, of all series."""
    newest = ", ".join(f"{name} DESC" for name in ["time", *_quoted(dataset.key)])
    tx.cursor.execute(
        f'SELECT "{key}", "{value}" FROM (SELECT *, row_number() OVER (PARTITION BY "{key}" ORDER BY {newest}) AS place'
        f""" FROM {dataset.table} WHERE "{key}" <> '') AS ranked WHERE place = 1"""
    )
    return {str(one): str(other) for one, other in tx.cursor.fetchall()}


def frame(
    tx: Tx,
    dataset: Dataset,
    series: int,
    within: Span,
    *,
    day: str | None = None,
    columns: Sequence[str] = (),
) -> pl.DataFrame:
    """Rows of `within` in time order as a polars frame: `time` (UTC, µs) and the dataset's columns, or only `columns`.

    Of versions the one that counts (on `day`, an ISO date, if it is given). The driver builds tuples and polars takes
    them column by column: no Python loop over rows. Raises `TypeError` for a value that is not of its column's type
    (see `mistyped`).
    """
    every = names(dataset)
    types = dict(zip(every, _types(dataset), strict=True))
    columns = columns or every
    if dataset.revisions is None:
        _select(tx, dataset, series, within, columns)
    else:
        _select_best(tx, dataset, dataset.revisions, series, within, columns, day)
    parts = [empty(dataset).select(columns)]
    while rows := _portion(tx):
        made = zip(columns, zip(*rows, strict=True), strict=True)
        parts.append(pl.DataFrame([_column(name, types[name], list(values)) for name, values in made]))
    return pl.concat(parts)


#: SQLite's driver gives the interpreter up and takes it back at every row: two threads that read at once take twice as
#: long as one after the other (measured). So they take turns, portion by portion.
_reading = threading.Lock()


def _portion(tx: Tx) -> list[tuple[Any, ...]]:
    with _reading:
        rows: list[tuple[Any, ...]] = tx.cursor.fetchmany(5_000)
    return rows


def empty(dataset: Dataset) -> pl.DataFrame:
    """A frame without rows and with the dataset's columns."""
    return pl.DataFrame(
        schema={name: _polars(kind) for name, kind in zip(names(dataset), _types(dataset), strict=True)}
    )


def _column(name: str, kind: Type, values: list[Any]) -> pl.Series:
    if kind is Type.TIME:
        return pl.Series(name, values, dtype=pl.Int64).cast(_polars(kind))
    if kind is Type.BOOL:
        return pl.Series(name, values, dtype=pl.Int64).cast(pl.Boolean)
    if kind is Type.DATE:
        return pl.Series(name, values, dtype=pl.String).str.to_date("%Y-%m-%d")
    if kind is Type.DECIMAL:
        return pl.Series(name, values, dtype=pl.String).str.to_decimal(scale=_DECIMALS).cast(_polars(kind))
    return pl.Series(name, values, dtype=_polars(kind))


def bounds(tx: Tx, dataset: Dataset, series: int) -> tuple[Instant, Instant] | None:
    """First and last time of a series; None without rows."""
    mark = "?" if tx.name == "sqlite" else "%s"
    tx.cursor.execute(
        f"SELECT {micros(tx, 'min(time)')}, {micros(tx, 'max(time)')} FROM {dataset.table} WHERE series = {mark}",
        (series,),
    )
    first, last = tx.cursor.fetchone()
    return None if first is None else (int(first), int(last))


def delete(tx: Tx, dataset: Dataset, series: int, within: Span) -> int:
    """Take rows away; the ledger is the caller's."""
    mark = "?" if tx.name == "sqlite" else "%s"
    tx.cursor.execute(
        f"DELETE FROM {dataset.table} WHERE series = {mark} AND time >= {_bound(tx)} AND time < {_bound(tx)}",
        (series, within.start, within.end),
    )
    return int(tx.cursor.rowcount)


#: What SQLite may hold in a column of a type; PostgreSQL holds nothing else than the type.
_STORAGE = {
    Type.FLOAT: ("real", "integer"),
    Type.INT: ("integer",),
    Type.TEXT: ("text",),
    Type.BOOL: ("integer",),
    Type.DECIMAL: ("text",),
    Type.DATE: ("text",),
    Type.TIME: ("integer",),
}


def mistyped(tx: Tx, dataset: Dataset, series: int, within: Span) -> list[tuple[Instant, str, str]]:
    """(time, column, what is there) of values that are not of their column's type: SQLite takes anything."""
    if tx.name != "sqlite":
        return []
    odd = {
        name: ", ".join(f"'{one}'" for one in (*_STORAGE[kind], "null"))
        for name, kind in zip(names(dataset), _types(dataset), strict=True)
        if name != "time"
    }
    if not odd:
        return []
    cases = " ".join(f"WHEN typeof(\"{name}\") NOT IN ({known}) THEN '{name}'" for name, known in odd.items())
    tx.cursor.execute(
        f"SELECT time, odd FROM (SELECT time, CASE {cases} END AS odd FROM {dataset.table}"
        " WHERE series = ? AND time >= ? AND time < ?) WHERE odd IS NOT NULL ORDER BY time",
        (series, within.start, within.end),
    )
    kinds = {column.name: column.type.value for column in dataset.columns}
    return [(int(at), str(name), f"{name} is no {kinds[name]}") for at, name in tx.cursor.fetchall()]


def content(tx: Tx, dataset: Dataset, series: int, within: Span) -> tuple[int, str]:
    """How many rows lie in `within`, and a SHA-256 over their JSON in key order: equal on both databases."""
    _select(tx, dataset, series, within, names(dataset))
    digest, total = hashlib.sha256(), 0
    while rows := tx.cursor.fetchmany(10_000):
        # Chunks of one size, so that the brackets between them always stand at the same rows.
        digest.update(msgspec.json.encode(rows))
        total += len(rows)
    return total, digest.hexdigest()


def jumps(tx: Tx, dataset: Dataset, series: int, within: Span) -> list[tuple[Instant | None, Instant]]:
    """Neighbouring rows of `within` more than one period apart: (time, next time); the first one is (None, time)."""
    mark = "?" if tx.name == "sqlite" else "%s"
    at = micros(tx, "time")
    step = dataset.period.total_seconds() * 1_000_000
    tx.cursor.execute(
        f"SELECT prior, here FROM (SELECT lag({at}) OVER (ORDER BY time) AS prior, {at} AS here"
        f" FROM {dataset.table} WHERE series = {mark} AND time >= {_bound(tx)} AND time < {_bound(tx)}) AS steps"
        f" WHERE prior IS NULL OR here - prior > {int(step)} ORDER BY here",
        (series, within.start, within.end),
    )
    found: list[tuple[Instant | None, Instant]] = tx.cursor.fetchall()
    return found


def empties(tx: Tx, dataset: Dataset, series: int, covered: Span) -> list[Span]:
    """Cells of a covered span without a row: the source has none there."""
    grid = dataset.grid
    found: list[Span] = []
    for prior, here in jumps(tx, dataset, series, covered):
        hole = span(covered.start if prior is None else grid.add(prior, 1), here)
        if hole:
            found.append(hole)
    last = newest_in(tx, dataset, series, covered)
    tail = span(covered.start if last is None else grid.add(last, 1), covered.end)
    return [*found, tail] if tail else found


def newest_in(tx: Tx, dataset: Dataset, series: int, within: Span) -> Instant | None:
    """Time of the newest row in `within`."""
    mark = "?" if tx.name == "sqlite" else "%s"
    tx.cursor.execute(
        f"SELECT {micros(tx, 'max(time)')} FROM {dataset.table}"
        f" WHERE series = {mark} AND time >= {_bound(tx)} AND time < {_bound(tx)}",
        (series, within.start, within.end),
    )
    value = tx.cursor.fetchone()[0]
    return None if value is None else int(value)


def samples(tx: Tx, dataset: Dataset, series: int, within: Span, edges: Sequence[Instant]) -> list[Instant]:
    """The first row of each stretch between two neighbouring edges that has one.

    One look at the index for each, however many rows there are.
    """
    mark = "?" if tx.name == "sqlite" else "%s"
    at_us = micros(tx, "time")
    look = (
        f"SELECT {at_us} FROM {dataset.table} WHERE series = {mark} AND time >= {_bound(tx)} AND time < {_bound(tx)}"
        " ORDER BY time LIMIT 1"
    )
    found: list[Instant] = []
    at, number = within.start, 0
    while at < within.end:
        row = tx.cursor.execute(look, (series, at, within.end)).fetchone()
        if row is None:
            break
        found.append(int(row[0]))
        number = bisect_right(edges, found[-1], lo=number)
        if number >= len(edges):
            break
        at = edges[number]
    return found


def nth_newest(tx: Tx, dataset: Dataset, series: int, within: Span, number: int) -> Instant | None:
    """The time of the row that is the `number`-th from the end of a span; None where there are fewer."""
    mark = "?" if tx.name == "sqlite" else "%s"
    tx.cursor.execute(
        f"SELECT {micros(tx, 'time')} FROM {dataset.table} WHERE series = {mark} AND time >= {_bound(tx)}"
        f" AND time < {_bound(tx)} ORDER BY time DESC LIMIT 1 OFFSET {int(number) - 1}",
        (series, within.start, within.end),
    )
    row = tx.cursor.fetchone()
    return None if row is None else int(row[0])
