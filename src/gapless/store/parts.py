"""What a history consists of, and how its rows leave one database and enter another.

A part is a table of the schema, or one series of a data table. It is read in the order of its key, as the same Python
values from both databases, so that its count and its SHA-256 are equal wherever it is kept. No more than a few batches
are in memory. Measured: 280,000 rows/s into PostgreSQL by binary COPY, 500,000 out of it by a binary server cursor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import Table

from gapless.core.dataset import Dataset, Type
from gapless.core.errors import StoreError
from gapless.core.segment import SegmentState
from gapless.core.span import Span
from gapless.store import columns, rows
from gapless.store.database import Tx
from gapless.store.schema import metadata, segment, worker
from gapless.store.sql import dialect

Values = tuple[Any, ...]

#: Rows read, hashed and written at a time.
BATCH = 10_000
#: Alembic's own table, which says the revision of the schema.
REVISION = "alembic_version"
#: Tables beside the schema that hold nothing of a history: the doorbell's, which rings anew for what comes in.
OWN = "gapless_"
#: Rows about processes, not about history.
_STAYS = {worker.name}
_RUNNING, _WAITING = SegmentState.RUNNING.value, SegmentState.WAITING.value
#: No worker comes along, so what runs in the source waits in the copy; the raised epoch fences off whoever ran it.
SETTLED = {
    (segment.name, "state"): f"CASE state WHEN '{_RUNNING}' THEN '{_WAITING}' ELSE state END",
    (segment.name, "epoch"): f"epoch + CASE state WHEN '{_RUNNING}' THEN 1 ELSE 0 END",
    (segment.name, "worker"): f"CASE state WHEN '{_RUNNING}' THEN NULL ELSE worker END",
}
#: PostgreSQL counts microseconds from 2000 on in its binary format.
_MILLENNIUM = 946_684_800_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A column type: what PostgreSQL calls it, and what is done to its values on the way there and back."""

    #: The type named in a binary COPY.
    wire: str
    #: The expression that gives the value that SQLite holds.
    read: str = "{}"
    write: Callable[[Any], Any] | None = None


#: By the name of the type in PostgreSQL.
KINDS = {
    "bigint": Kind("int8"),
    "integer": Kind("int4"),
    "smallint": Kind("int2"),
    # SQLite drops the sign of -0.0.
    "double precision": Kind("float8", "{} + 0::float8"),
    "text": Kind("text"),
    "bytea": Kind("bytea"),
    "boolean": Kind("bool", "{}::int", bool),
    "numeric": Kind("numeric", "{}::text", Decimal),
    "date": Kind("date", "{}::text", date.fromisoformat),
    "timestamp with time zone": Kind(
        "int8", "(extract(epoch FROM {}) * 1000000)::bigint", lambda micros: micros - _MILLENNIUM
    ),
}
_OF_DATASETS = {
    Type.FLOAT: "double precision",
    Type.INT: "bigint",
    Type.TEXT: "text",
    Type.BOOL: "boolean",
    Type.DECIMAL: "numeric",
    Type.DATE: "date",
    Type.TIME: "timestamp with time zone",
}
_SYNONYMS = {"float": "double precision", "varchar": "text", "timestamptz": "timestamp with time zone"}


@dataclass(frozen=True, slots=True)
class Part:
    """A table of the schema, or one series of a data table."""

    table: str
    #: Every column with its type, a name in `KINDS`.
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    #: The series of a data table.
    series: int | None = None
    #: What people call it.
    label: str = ""
    #: Of a series only this.
    within: Span | None = None

    def where(self, tx: Tx) -> str:
        """What picks its rows."""
        if self.series is None:
            return ""
        inside = "" if self.within is None else f" AND {rows.between(tx, self.within, self.table)}"
        return f" WHERE series = {self.series}{inside}"


@dataclass(frozen=True, slots=True)
class Seal:
    """How many rows a part has, and the SHA-256 over them in key order: equal on both databases."""

    rows: int
    sha256: str


def of_history(tx: Tx, datasets: Iterable[Dataset]) -> list[Part]:
    """Everything of a history: the tables of the schema, then the series of each data table."""
    names = {int(one): str(name) for one, name in _all(tx, "SELECT id, name FROM series")}
    listed = [_of_table(table) for table in metadata.sorted_tables if table.name not in _STAYS]
    for dataset in of_data(tx, datasets):
        for series_id in _series_in(tx, dataset.table):
            label = f"{dataset.name} {names.get(series_id, f'of the unknown series {series_id}')}"
            listed.append(Part(dataset.table, _columns(dataset), ("series", "time", *dataset.key), series_id, label))
    return listed


def of_series(dataset: Dataset, series: int, within: Span) -> Part:
    """A span of one series."""
    return Part(dataset.table, _columns(dataset), ("series", "time", *dataset.key), series, dataset.name, within)


def of_data(tx: Tx, datasets: Iterable[Dataset]) -> list[Dataset]:
    """The datasets that have a data table here, by its name; raises `StoreError` for one that lacks columns."""
    here = tables(tx)
    found = sorted((one for one in datasets if one.table in here), key=lambda one: one.table)
    for dataset in found:
        columns.check(tx, dataset, writes=False)
    return found


def strangers(tx: Tx, datasets: Iterable[Dataset]) -> list[str]:
    """Tables that belong to nothing we know, in order."""
    unknown = tables(tx) - set(metadata.tables) - {REVISION} - {one.table for one in datasets}
    return sorted(name for name in unknown if not name.startswith(OWN))


def tables(tx: Tx) -> set[str]:
    """The names of all tables."""
    if tx.name == "sqlite":
        found = _all(
            tx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
    else:
        found = _all(tx, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    return {str(name) for (name,) in found}


def is_empty(tx: Tx, datasets: Iterable[Dataset]) -> bool:
    """Whether no table holds a row; those who look after it (workers) do not count."""
    mine = [name for name in metadata.tables if name not in _STAYS] + [one.table for one in datasets]
    here = tables(tx)
    return not any(_all(tx, f'SELECT 1 FROM "{name}" LIMIT 1') for name in mine if name in here)


def count(tx: Tx, part: Part) -> int:
    """How many rows it has."""
    return int(_all(tx, f'SELECT count(*) FROM "{part.table}"{part.where(tx)}')[0][0])


def batches(tx: Tx, part: Part, *, settled: bool = False) -> Iterator[list[Values]]:
    """Its rows in key order, `BATCH` at a time; with `settled` as they enter a copy."""
    cursor = tx.cursor.connection.cursor(**({} if tx.name == "sqlite" else {"name": "part", "binary": True}))
    try:
        cursor.execute(
            f'SELECT {_selected(tx, part, settled)} FROM "{part.table}"{part.where(tx)} ORDER BY {_order(tx, part)}'
        )
        while found := cursor.fetchmany(BATCH):
            yield found
    finally:
        cursor.close()


class Sealing:
    """A seal in the making."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = hashlib.sha256()

    def add(self, batch: Sequence[Values]) -> None:
        """Take the next rows in; batches have one size, so that the marks between them stand at the same rows."""
        self._digest.update(msgspec.msgpack.encode(batch))
        self.rows += len(batch)

    def seal(self) -> Seal:
        """What it has come to."""
        return Seal(self.rows, self._digest.hexdigest())


def seal(tx: Tx, part: Part, *, settled: bool = False) -> Seal:
    """Read a part and seal it."""
    made = Sealing()
    for batch in batches(tx, part, settled=settled):
        made.add(batch)
    return made.seal()


def write(tx: Tx, part: Part, batch: Sequence[Values]) -> None:
    """Add rows that `batches` gave."""
    names = ", ".join(f'"{name}"' for name, _ in part.columns)
    if tx.name == "sqlite":
        one = f"({', '.join(['?'] * len(part.columns))})"
        for at in range(0, len(batch), rows.CHUNK):
            chunk = batch[at : at + rows.CHUNK]
            values = ", ".join([one] * len(chunk))
            tx.cursor.execute(f'INSERT INTO "{part.table}" ({names}) VALUES {values}', list(chain.from_iterable(chunk)))
        return
    with tx.cursor.copy(f'COPY "{part.table}" ({names}) FROM STDIN (FORMAT BINARY)') as into:
        into.set_types([KINDS[kind].wire for _, kind in part.columns])
        for row in _converted(part, batch):
            into.write_row(row)


def clear(tx: Tx, part: Part) -> None:
    """Remove its rows."""
    tx.cursor.execute(f'DELETE FROM "{part.table}"{part.where(tx)}')


def settle(tx: Tx) -> None:
    """Make a store that was taken over page by page what a copy is: no workers, nothing that runs."""
    for table in sorted(_STAYS):
        tx.cursor.execute(f'DELETE FROM "{table}"')
    for table in sorted({name for name, _ in SETTLED}):
        sets = ", ".join(f'"{column}" = {value}' for (name, column), value in SETTLED.items() if name == table)
        tx.cursor.execute(f'UPDATE "{table}" SET {sets}')


def count_on(tx: Tx) -> None:
    """PostgreSQL: let new rows get ids above those that came with a copy. SQLite does so by itself."""
    if tx.name == "sqlite":
        return
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.identity is not None:
                sequence, newest = (
                    f"pg_get_serial_sequence('\"{table.name}\"', '{column.name}')",
                    f'max("{column.name}")',
                )
                tx.cursor.execute(
                    f'SELECT setval({sequence}, {newest}) FROM "{table.name}" HAVING {newest} IS NOT NULL'
                )


def _all(tx: Tx, text: str) -> list[Values]:
    tx.cursor.execute(text)
    found: list[Values] = tx.cursor.fetchall()
    return found


def _of_table(table: Table) -> Part:
    # SQLAlchemy's own kind of text goes no further.
    name, columns = str(table.name), tuple((str(one.name), _kind(table, one.name)) for one in table.columns)
    return Part(name, columns, tuple(str(one.name) for one in table.primary_key.columns), label=name)


def _kind(table: Table, column: str) -> str:
    said = table.c[column].type.compile(dialect=dialect("postgresql")).lower().split("(")[0]
    kind = _SYNONYMS.get(said, said)
    assert kind in KINDS, f"{table.name}.{column}: say in KINDS how a {said} is copied"
    return kind


def _columns(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    typed = {column.name: column.type for column in dataset.columns} | {"time": Type.TIME}
    return (("series", "bigint"), *((name, _OF_DATASETS[typed[name]]) for name in rows.names(dataset)))


def _series_in(tx: Tx, table: str) -> list[int]:
    """The series that have rows in a data table: one look at its index for each, however many rows there are."""
    found = _all(
        tx,
        f'WITH RECURSIVE met(series) AS (SELECT min(series) FROM "{table}" UNION ALL SELECT'
        f' (SELECT min(series) FROM "{table}" WHERE series > met.series) FROM met WHERE met.series IS NOT NULL)'
        " SELECT series FROM met WHERE series IS NOT NULL",
    )
    return [int(one) for (one,) in found]


def _selected(tx: Tx, part: Part, settled: bool) -> str:
    listed = []
    for name, kind in part.columns:
        value = SETTLED.get((part.table, name), f'"{name}"') if settled else f'"{name}"'
        listed.append(value if tx.name == "sqlite" else KINDS[kind].read.format(value))
    return ", ".join(listed)


def _order(tx: Tx, part: Part) -> str:
    """By the key; texts by their bytes, whatever language a PostgreSQL database sorts in."""
    kinds = dict(part.columns)
    by_bytes = ' COLLATE "C"' if tx.name == "postgresql" else ""
    return ", ".join(f'"{name}"{by_bytes if kinds[name] == "text" else ""}' for name in part.key)


def _converted(part: Part, batch: Sequence[Values]) -> Iterable[Values]:
    """Rows as PostgreSQL wants them, column by column."""
    ways = {at: KINDS[kind].write for at, (_, kind) in enumerate(part.columns) if KINDS[kind].write}
    if not ways or not batch:
        return batch
    turned: list[Sequence[Any]] = list(zip(*batch, strict=True))
    for at, way in ways.items():
        assert way is not None
        turned[at] = [None if value is None else way(value) for value in turned[at]]
    return zip(*turned, strict=True)


def refuse_strangers(tx: Tx, address: str, datasets: Iterable[Dataset]) -> list[str]:
    """Raise `StoreError` where data would be left behind; returns the tables that are somebody else's."""
    unknown = strangers(tx, datasets)
    data = [name for name in unknown if name.startswith("data_")]
    if data:
        raise StoreError(
            f"{address} holds {', '.join(data)}, of a dataset that this program does not know",
            hint="use the version or the sources that wrote it, or drop the table",
        )
    return unknown
