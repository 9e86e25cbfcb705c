"""A place beside a database where a copy is made, and the moment in which it takes the database's place.

So a copy that was broken off is never mistaken for a history: SQLite keeps it in `FILE.copying` until it is renamed,
PostgreSQL in a schema `…_gapless_copy` until its tables move over in one transaction. The next copy goes on with it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from psycopg import errors, sql

from gapless.core.dataset import Dataset
from gapless.core.errors import StoreError
from gapless.store import parts
from gapless.store.database import Database, Tx
from gapless.store.postgres import Postgres
from gapless.store.schema import metadata
from gapless.store.sqlite import SQLite, dbapi
from gapless.store.store import HEAD, revision, upgrade

#: Whoever holds this lock of a PostgreSQL database makes a copy in it.
_LOCK = 726708


class Aside(ABC):
    """The place beside `target`; whoever has it is the only one who copies there."""

    def __init__(self, target: Database, made: Database) -> None:
        self.target = target
        #: The store in the making; without tables before `prepare`.
        self.made = made

    def prepare(self) -> None:
        """Have tables there: those of a copy that was broken off, else new ones."""
        try:
            known = revision(self.made)
        except StoreError:
            known = ""
        if known not in (None, HEAD):
            self.discard()
        upgrade(self.made)

    @abstractmethod
    def discard(self) -> None:
        """Remove what is there."""

    @abstractmethod
    def publish(self, datasets: Sequence[Dataset], *, replace: bool) -> None:
        """Put the copy in the target's place at once; without `replace` only if nothing was stored there meanwhile."""

    @abstractmethod
    def is_same(self, source: Database) -> bool:
        """Whether `source` is the very database that is to be written."""


class FileAside(Aside):
    """`FILE.copying` beside a SQLite file."""

    target: SQLite
    made: SQLite

    def __init__(self, target: SQLite) -> None:
        super().__init__(target, SQLite(target.path.with_name(f"{target.path.name}.copying")))

    def discard(self) -> None:
        self.made.close()
        for tail in ("", "-wal", "-shm", "-journal", ".lock"):
            Path(f"{self.made.path}{tail}").unlink(missing_ok=True)
        self.made = SQLite(self.made.path)

    def publish(self, datasets: Sequence[Dataset], *, replace: bool) -> None:
        self.made.close()
        connection = self.made.connect()
        # A single file, complete without a log beside it.
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        connection.close()
        _sync(self.made.path)
        if self.target.path.exists():
            self._step_back(datasets, replace)
        self.made.path.replace(self.target.path)
        _sync(self.target.path.parent)
        Path(f"{self.made.path}.lock").unlink(missing_ok=True)

    def _step_back(self, datasets: Sequence[Dataset], replace: bool) -> None:
        """Close the log of the old file: SQLite would take it for the new one's. It only can while nobody else is in.

        Whoever opens the file in the instant between this and the rename has the old one; workers were looked for.
        """
        self.target.close()
        connection = dbapi.connect(str(self.target.path), isolation_level=None, timeout=2.0)
        try:
            connection.execute("PRAGMA journal_mode=DELETE").fetchall()
            if not replace and not parts.is_empty(Tx("sqlite", connection.cursor()), datasets):
                raise filled_meanwhile(self.target.address)
        except dbapi.OperationalError as error:
            raise StoreError(
                f"{self.target.address} is open in another program",
                hint="close it and run the command again: the copy is ready",
            ) from error
        finally:
            connection.close()

    def is_same(self, source: Database) -> bool:
        if not isinstance(source, SQLite):
            return False
        with suppress(OSError):
            return source.path.samefile(self.target.path)
        return source.path.resolve() == self.target.path.resolve()


class SchemaAside(Aside):
    """A schema beside the one that a PostgreSQL history is kept in."""

    target: Postgres

    def __init__(self, target: Postgres, holder: Any) -> None:
        #: The connection that holds the lock.
        self._holder = holder
        self._mine = _schema(holder)
        # Names of PostgreSQL have at most 63 bytes.
        self._name = f"{self._mine[:40]}_gapless_copy"
        super().__init__(target, _InSchema(target.url, self._name))

    def prepare(self) -> None:
        try:
            self._holder.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self._name)))
        except errors.InsufficientPrivilege as error:
            raise StoreError(
                f"{self.target.address}: the user may not make the schema {self._name}",
                hint="grant it CREATE on the database; the copy is made beside the tables and then takes their place",
            ) from error
        super().prepare()

    def discard(self) -> None:
        self.made.close()
        name = sql.Identifier(self._name)
        self._holder.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE; CREATE SCHEMA {}").format(name, name))

    def publish(self, datasets: Sequence[Dataset], *, replace: bool) -> None:
        def work(tx: Tx) -> None:
            run = tx.cursor.execute
            # The copy itself was not waited for; with this commit all of it is on disk.
            run("SET LOCAL synchronous_commit = on")
            made = _things(tx, self._name)
            ours = {(kind, name) for kind, name, _ in made}
            ours |= {("TABLE", name) for name in (*metadata.tables, *(one.table for one in datasets))}
            old = [(kind, spelled) for kind, name, spelled in _things(tx, self._mine) if (kind, name) in ours]
            run(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(self._mine)))
            for kind, spelled in old:
                if kind == "TABLE":
                    run(f"LOCK TABLE {spelled} IN ACCESS EXCLUSIVE MODE")
            if not replace and not parts.is_empty(tx, datasets):
                raise filled_meanwhile(self.target.address)
            for kind, spelled in old:
                run(f"DROP {kind} {spelled}")
            for kind, _, spelled in made:
                run(
                    sql.SQL("ALTER {} {} SET SCHEMA {}").format(
                        sql.SQL(kind), sql.SQL(spelled), sql.Identifier(self._mine)
                    )
                )
            run(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(self._name)))

        self.made.write(work)

    def is_same(self, source: Database) -> bool:
        """Ask the servers: an address has many spellings. A lock taken here is seen in the same database only."""
        if not isinstance(source, Postgres):
            return False
        key = secrets.randbits(62)
        self._holder.execute("SELECT pg_advisory_lock(%s)", (key,))
        with source.read() as tx:
            tx.cursor.execute("SELECT current_schema(), pg_try_advisory_xact_lock(%s)", (key,))
            schema, is_elsewhere = tx.cursor.fetchone()
        self._holder.execute("SELECT pg_advisory_unlock(%s)", (key,))
        return not is_elsewhere and schema == self._mine


#: Views before the tables that they show, functions after those whose triggers call them, types last.
_THINGS = """
WITH here AS (SELECT oid, nspname AS schema FROM pg_namespace WHERE nspname = %s)
SELECT kind, name, spelled FROM (
    SELECT CASE relkind WHEN 'v' THEN 1 ELSE 2 END AS place, CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind,
           relname::text AS name, format('%%I.%%I', schema, relname) AS spelled
    FROM pg_class JOIN here ON here.oid = relnamespace WHERE relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT 3, 'FUNCTION', proname::text,
           format('%%I.%%I(%%s)', schema, proname, pg_get_function_identity_arguments(pg_proc.oid))
    FROM pg_proc JOIN here ON here.oid = pronamespace WHERE prokind = 'f'
    UNION ALL
    SELECT 4, 'TYPE', typname::text, format('%%I.%%I', schema, typname)
    FROM pg_type JOIN here ON here.oid = typnamespace WHERE typtype = 'e'
) AS things ORDER BY place, name
"""


def _things(tx: Tx, schema: str) -> list[tuple[str, str, str]]:
    """What a schema holds: the kind, the name, and how it is spelled in statements; in an order to drop them."""
    tx.cursor.execute(_THINGS, (schema,))
    found: list[tuple[str, str, str]] = tx.cursor.fetchall()
    return found


class _InSchema(Postgres):
    """PostgreSQL, seen from one schema."""

    def __init__(self, url: str, schema: str) -> None:
        super().__init__(url)
        self._schema = schema

    def connect(self) -> Any:
        connection = super().connect()
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self._schema)))
        connection.execute("SET synchronous_commit = off")
        # Nobody else is in this schema, and a batch may take a while to be read at the other end.
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        return connection


@contextmanager
def beside(target: Database) -> Iterator[Aside]:
    """The place beside a database, held by nobody else."""
    held = _beside_file(target) if isinstance(target, SQLite) else _beside_schema(target)
    with held as aside:
        try:
            yield aside
        finally:
            aside.made.close()


@contextmanager
def _beside_file(target: SQLite) -> Iterator[Aside]:
    try:
        target.path.parent.mkdir(parents=True, exist_ok=True)
        # The lock of those who make tables in a new file: whoever opens it now waits for the copy.
        handle = os.open(f"{target.path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{target.path} cannot be made ({error.strerror})", hint="check its folder") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise _taken(target) from None
        try:
            yield FileAside(target)
        finally:
            # Whoever waits for the lock looks again when it has it, and finds a history or nothing.
            Path(f"{target.path}.lock").unlink(missing_ok=True)
    finally:
        os.close(handle)


@contextmanager
def _beside_schema(target: Database) -> Iterator[Aside]:
    assert isinstance(target, Postgres)
    with target.explained():
        holder = target.connect()
    try:
        # A copy that was killed a moment ago may hold it until its server process has noticed.
        holder.execute("SET lock_timeout = '5s'")
        try:
            holder.execute("SELECT pg_advisory_lock(%s, hashtext(current_schema()))", (_LOCK,))
        except errors.LockNotAvailable:
            raise _taken(target) from None
        holder.execute("SET lock_timeout = 0")
        yield SchemaAside(target, holder)
    finally:
        holder.close()


def _taken(target: Database) -> StoreError:
    return StoreError(f"another process is copying to {target.address}", hint="wait for it, or stop it")


def filled_meanwhile(address: str) -> StoreError:
    """What to say when somebody stored rows in the target while the copy was made."""
    return StoreError(
        f"{address} was filled by somebody while the copy was made", hint="name a database that nobody else uses"
    )


def _schema(connection: Any) -> str:
    found = connection.execute("SELECT current_schema()").fetchone()[0]
    if found is None:
        raise StoreError("the schema in the search_path of the target does not exist", hint="make it first")
    return str(found)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
