"""Somebody's own table of events: read through SQLAlchemy, and written back to by key.

Its address comes from the settings and is never repeated: it may hold a password.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import JSON, Connection, Engine, MetaData, Table, bindparam, create_engine, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from gapless.core.errors import StoreError, UsageError
from gapless.store.sqlite import dbapi

SETTING = "GAPLESS_EVENTS_URL"


def rows(url: str, *, table: str = "", query: str = "") -> Iterator[dict[str, Any]]:
    """The rows of a table, or of a query that only reads; raises `UsageError` and `StoreError`."""
    if bool(table) == bool(query):
        raise UsageError("table: give either a table or a query", field="table", hint="--table NAME or --query SQL")
    with _connected(url) as connection:
        statement = text(query) if query else select(_table(connection, table))
        found = connection.execution_options(stream_results=True).execute(statement)
        if not found.returns_rows:
            raise UsageError("query: it has no rows", field="query", hint="give a SELECT; nothing was changed")
        for row in found:
            yield dict(row._mapping)
        connection.rollback()


def check(url: str, where: Mapping[str, Any]) -> None:
    """Raise `UsageError` unless the table has the key and all columns that are to be written."""
    with _connected(url) as connection:
        found = _table(connection, where["table"])
    wanted = [where["key"], *where["columns"].values()]
    missing = [name for name in wanted if name not in found.c]
    if missing:
        raise UsageError(
            f"columns: {where['table']} has no column {missing[0]!r}",
            field="columns",
            hint=f"it has {', '.join(found.c.keys())}",
        )


def write(url: str, where: Mapping[str, Any], values: Sequence[Mapping[str, Any]]) -> None:
    """Write values by key, in one transaction; done twice it changes nothing more.

    `where` has the `table`, its `key` column, which holds the id that was imported, and `columns`: value → column.
    """
    with _connected(url) as connection:
        found = _table(connection, where["table"])
        key = found.c[where["key"]]
        kind = _python_type(key)
        columns: Mapping[str, str] = where["columns"]
        documents = {name for name, column in columns.items() if isinstance(found.c[column].type, JSON)}
        statement = (
            update(found)
            .where(key == bindparam("its_key"))
            .values({column: bindparam(f"new_{name}") for name, column in columns.items()})
        )
        try:
            keys = [kind(one["id"]) for one in values]
        except ValueError:
            told = f"{where['table']}.{where['key']} is a number, and the ids that were imported are none"
            raise UsageError(told, field="id", hint="import again with --id") from None
        connection.execute(
            statement,
            [
                {"its_key": its}
                | {f"new_{name}": _document(one[name]) if name in documents else one[name] for name in columns}
                for its, one in zip(keys, values, strict=True)
            ],
        )
        connection.commit()


def _document(value: Any) -> Any:
    """What goes into a column of JSON: texts of ours that are JSON, such as `reasons`, as what they say."""
    return msgspec.json.decode(value) if isinstance(value, str) else value


def _python_type(column: Any) -> Any:
    """What makes the imported text a value of the column again."""
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return str
    return kind if kind in (int, float, str) else str


def _table(connection: Connection, name: str) -> Table:
    schema, _, bare = name.rpartition(".")
    try:
        return Table(bare, MetaData(), schema=schema or None, autoload_with=connection)
    except NoSuchTableError:
        raise UsageError(f"table: there is no {name}", field="table", hint=f"check it and {SETTING}") from None


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    if not url:
        raise UsageError(f"{SETTING}: is not set", field=SETTING, hint="give the address of your own database")
    try:
        with _engine(url).connect() as connection:
            yield connection
    except ImportError as error:
        hint = "install the driver of that database, or export the table to a file"
        raise UsageError(f"{SETTING}: {error}", field=SETTING, hint=hint) from None
    except SQLAlchemyError as error:
        # Of the driver's words only the first line: others may repeat values.
        said = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0][:200]
        raise StoreError(
            f"the database of {SETTING}: {said}", hint="check the address, the table and its rights"
        ) from None


@lru_cache(maxsize=4)
def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+psycopg"))
    if parsed.drivername == "sqlite":
        # One SQLite library in a process: two would not see each other's locks.
        return create_engine(parsed, module=dbapi)
    return create_engine(parsed)
