"""Connections and transactions on SQLite and PostgreSQL, behind one small face.

Everything the store does is a function of a `Tx`. `write` runs such a function in a transaction, once or (after a
deadlock) again, so it must not mind being repeated. Driver errors become `StoreError` with the next step.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from gapless.core.errors import StoreError
from gapless.store.sql import Statement

T = TypeVar("T")
Work = Callable[["Tx"], T]


class Tx:
    """A transaction, or a consistent read, on one connection."""

    __slots__ = ("cursor", "name")

    def __init__(self, name: str, cursor: Any) -> None:
        #: `sqlite` or `postgresql`.
        self.name = name
        #: The driver's cursor.
        self.cursor = cursor

    def _execute(self, statement: Statement, params: dict[str, Any]) -> Any:
        return self.cursor.execute(statement.text(self.name), params)

    def rows(self, statement: Statement, **params: Any) -> list[tuple[Any, ...]]:
        """All rows, as tuples."""
        self._execute(statement, params)
        found: list[tuple[Any, ...]] = self.cursor.fetchall()
        return found

    def one(self, statement: Statement, **params: Any) -> tuple[Any, ...] | None:
        """The first row, if any."""
        self._execute(statement, params)
        found: tuple[Any, ...] | None = self.cursor.fetchone()
        return found

    def value(self, statement: Statement, **params: Any) -> Any:
        """The only value of the only row."""
        row = self.one(statement, **params)
        return None if row is None else row[0]

    def run(self, statement: Statement, **params: Any) -> int:
        """How many rows were changed."""
        self._execute(statement, params)
        changed: int = self.cursor.rowcount
        return changed

    @contextmanager
    def together(self) -> Iterator[None]:
        """Statements inside whose results nobody asks for travel in one round trip, where there are round trips."""
        if self.name == "sqlite":
            yield
            return
        with self.cursor.connection.pipeline():
            yield

    def each(self, statement: Statement, params: list[dict[str, Any]]) -> None:
        """The statement once for each set of values."""
        if params:
            self.cursor.executemany(statement.text(self.name), params)


class Database(ABC):
    """One database, shared by the threads of this process."""

    #: `sqlite` or `postgresql`.
    name: str
    #: The address, fit for people: no password.
    address: str
    #: What opens a consistent view.
    begin_view = "BEGIN"

    def __init__(self) -> None:
        self._local = threading.local()
        self._opened: list[Any] = []
        self._opening = threading.Lock()

    @abstractmethod
    def connect(self) -> Any:
        """A new driver connection in autocommit mode."""

    @abstractmethod
    def write(self, work: Work[T], *, urgent: bool = False, isolated: bool = False) -> T:
        """Run `work` in a transaction; `urgent` goes before waiting pages, `isolated` never shares a transaction."""

    @abstractmethod
    def explain(self, error: BaseException) -> StoreError | None:
        """What a driver's error means to a user; None when it is not one of the driver's."""

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A consistent view of the database; nothing may be written. Reads inside a read share its view."""
        outer: Tx | None = getattr(self._local, "view", None)
        if outer is not None:
            yield outer
            return
        with self.explained():
            cursor = self._view()
            self._local.view = Tx(self.name, cursor)
            try:
                yield self._local.view
            finally:
                self._local.view = None
                if not self.is_broken(cursor.connection):
                    cursor.execute("ROLLBACK")
                    cursor.close()

    def _view(self) -> Any:
        """A cursor in a new view; a connection that was cut since its last use is replaced once."""
        for _ in range(2):
            connection = self._mine()
            try:
                cursor = connection.cursor()
                cursor.execute(self.begin_view)
            except Exception:
                if not self.is_broken(connection):
                    raise
                self.drop(connection)
            else:
                return cursor
        raise StoreError(f"{self.address} does not keep a connection open", hint="check the server")

    def is_broken(self, connection: Any) -> bool:  # noqa: ARG002  SQLite's never are
        """Whether the server has cut a connection."""
        return False

    def drop(self, connection: Any) -> None:
        """Forget a broken connection; the next use opens a new one."""
        with self._opening:
            if connection in self._opened:
                self._opened.remove(connection)
        self._local.connection = None

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of the driver into `StoreError`."""
        try:
            yield
        except Exception as error:
            # SQLAlchemy, which runs the migrations, wraps the driver's error.
            meant = self.explain(getattr(error, "orig", None) or error)
            if meant is None:
                raise
            raise meant from error

    def _mine(self) -> Any:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._open()
        return connection

    def _open(self) -> Any:
        with self.explained():
            connection = self.connect()
        with self._opening:
            self._opened.append(connection)
        return connection

    def changed(self) -> int:
        """A number that differs after another process has committed, where the database tells; else 0."""
        return 0

    def release(self) -> None:
        """Close the connection of this thread: it ends."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            self.drop(connection)
            connection.close()

    def close(self) -> None:
        """Close every connection of this process."""
        with self._opening:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
        self._local = threading.local()
