"""Open a database: make or check its schema, and hand it out ready for use."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from gapless.core.dataset import Dataset
from gapless.core.errors import StoreError, UsageError
from gapless.store import columns, rows
from gapless.store.database import Database, Tx
from gapless.store.postgres import Postgres
from gapless.store.sqlite import SQLite, dbapi

T = TypeVar("T")

#: The revisions of `migrations/`; a file is named after its own.
_KNOWN = sorted(one.name[1:5] for one in (Path(__file__).parent / "migrations" / "versions").glob("v*.py"))
#: The one that this program needs.
HEAD = _KNOWN[-1]
#: How an address begins that has lost a colon or a slash.
_SLIP = re.compile(r"(sqlite|postgres(ql)?)(\+\w+)?(:|//)")
#: Alembic keeps what it is doing in its modules: two migrations of one process would meet there.
_ALEMBIC = threading.Lock()


class Store:
    """A database with the schema of this program."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._ready: set[str] = set()
        self._making = threading.Lock()

    @property
    def address(self) -> str:
        """Where it is, without a password."""
        return self.database.address

    @property
    def url(self) -> str:
        """What opens it again, in another process; on PostgreSQL it holds the password."""
        database = self.database
        return f"sqlite:///{database.path}" if isinstance(database, SQLite) else str(getattr(database, "url", ""))

    def read(self) -> AbstractContextManager[Tx]:
        """A consistent view."""
        return self.database.read()

    def write(self, work: Callable[[Tx], T], *, urgent: bool = False, isolated: bool = False) -> T:
        """Run `work` in a transaction; see `Database.write`."""
        return self.database.write(work, urgent=urgent, isolated=isolated)

    def prepare(self, datasets: Iterable[Dataset]) -> None:
        """Make the data tables of datasets that are to be used; one without columns has none.

        Raises `StoreError` for a table with other columns than are declared.
        """
        with self._making:
            for dataset in datasets:
                if dataset.columns and dataset.table not in self._ready:
                    self._make(dataset)
                    self._ready.add(dataset.table)

    def _make(self, dataset: Dataset) -> None:
        def make(tx: Tx) -> None:
            rows.create(tx, dataset)
            columns.check(tx, dataset)

        self.database.write(make, isolated=True)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()


def database(url: str, *, durable: bool = False, busy_seconds: float = 30.0) -> Database:
    """The database of a URL: `sqlite:///path`, a bare path, or `postgresql://…`. Raises `UsageError`."""
    if url.startswith(("postgresql://", "postgresql+psycopg://", "postgres://")):
        return Postgres("postgresql://" + url.split("://", 1)[1])
    if url.startswith("sqlite:///"):
        url = unquote(url.removeprefix("sqlite:///"))
    elif "://" in url or _SLIP.match(url):
        # A file of such a name would be an empty history that nobody asked for.
        scheme = re.split(r"[:/]", url, maxsplit=1)[0]
        raise UsageError(
            f"GAPLESS_DATABASE_URL: {scheme}… is no address of a database",
            field="GAPLESS_DATABASE_URL",
            hint="use sqlite:///FILE or postgresql://…",
        )
    return SQLite(Path(url).expanduser().absolute(), durable=durable, busy_seconds=busy_seconds)


def open_store(url: str, *, durable: bool = False, create: bool = True, busy_seconds: float = 30.0) -> Store:
    """Open a store; with `create` an empty or older database gets its tables, without it is refused.

    Raises `StoreError` for a database that is out of reach, newer than the program, behind it, or not ours.
    """
    opened = database(url, durable=durable, busy_seconds=busy_seconds)
    try:
        if isinstance(opened, SQLite):
            _folder(opened.path)
        if revision(opened) != HEAD:
            upgrade(opened, create=create)
    except BaseException:
        opened.close()
        raise
    return Store(opened)


def _folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder {path.parent} cannot be made ({error.strerror})", hint="set GAPLESS_DATABASE_URL"
        ) from None
    if path.is_dir():
        raise StoreError(f"{path} is a folder", hint="name a file: sqlite:///FOLDER/gapless.db")


def revision(opened: Database) -> str | None:
    """The schema's revision; None in an empty database. Raises `StoreError` where the tables are not ours."""
    with opened.read() as tx:
        if opened.name == "sqlite":
            tx.cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        else:
            tx.cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        tables = {row[0] for row in tx.cursor.fetchall()}
        if "alembic_version" not in tables:
            if tables & {"job", "segment", "series"} or (opened.name == "sqlite" and tables):
                raise StoreError(f"{opened.address} holds tables of another program", hint="set GAPLESS_DATABASE_URL")
            return None
        tx.cursor.execute("SELECT version_num FROM alembic_version")
        row = tx.cursor.fetchone()
    found = None if row is None else str(row[0])
    if found is not None and found not in _KNOWN:
        raise StoreError(
            f"{opened.address} is newer than this program (schema {found}, known up to {HEAD})",
            hint="upgrade gapless, or use the version that wrote it",
        )
    if found is not None and "coverage" not in tables:
        raise StoreError(f"{opened.address} holds tables of another program", hint="set GAPLESS_DATABASE_URL")
    return found


def upgrade(opened: Database, *, create: bool = True) -> None:
    """Bring the schema to `HEAD`, one process at a time."""
    with _alone(opened):
        if revision(opened) == HEAD:
            return
        if not create:
            raise StoreError(f"{opened.address} is behind this program", hint="run `gapless db upgrade`")
        with _ALEMBIC, opened.explained():
            _migrate(opened)


def _migrate(opened: Database) -> None:
    # Alembic takes a third of a second to import: only those who migrate pay for it.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", "gapless.store:migrations")
    if opened.name == "sqlite":
        engine = create_engine("sqlite://", creator=opened.connect, module=dbapi, poolclass=NullPool)
    else:
        engine = create_engine("postgresql+psycopg://", creator=opened.connect, poolclass=NullPool)
    with engine.connect() as connection:
        if opened.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.connection.dbapi_connection.autocommit = False  # type: ignore[union-attr]
            connection.execute(text("SELECT pg_advisory_xact_lock(726707)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    engine.dispose()


@contextmanager
def _alone(opened: Database) -> Iterator[None]:
    """Two processes that open a new file at the same moment must not both make its tables."""
    if not isinstance(opened, SQLite):
        yield
        return
    import fcntl

    try:
        handle = os.open(f"{opened.path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreError(
            f"the folder of {opened.path} cannot be written ({error.strerror})", hint="check its rights"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
