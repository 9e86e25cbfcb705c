"""SQLite: WAL, one writer per process, pages of several slots committed together.

One writer with group commit writes 825,000 rows/s here where eight threads fighting for the lock write 261,000. There
is no writer thread: one of the threads with work leads and commits what waits, up to eight works in one transaction,
each in a savepoint of its own, so that one bad page does not sink the others. When its own work is done it wakes those
whose work is done and lets the next one lead: nobody fights for the lock, so nobody is passed over for long.

Checkpoints run beside the writer, in a thread of their own: inside a commit they would hold everybody up for as long as
the disk takes to sync (a tenth of all writing time, measured).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from gapless.core.errors import StoreError
from gapless.store.database import Database, Tx, Work

T = TypeVar("T")

#: Works in one transaction.
GROUP = 8
#: Rows changed and transactions after which the log is copied into the file; some 2,000 pages of minute candles.
CHECKPOINT_ROWS, CHECKPOINT_COMMITS = 60_000, 600
#: Prepared statements that a connection keeps. The driver drops its least used one: beside a hundred texts of many rows
#: (the usual number of places) everything new would be prepared at each call.
STATEMENTS = 400
#: Kilobytes of cache. A commit that has split a page goes over the whole table of the cache (`sqlite3PcacheTruncate`,
#: after `balance_nonroot` has used a page number far away): with 64 MB that took 0.3 ms of a commit of 1 ms.
CACHE = 16_384
#: Pages of log after which a commit copies it itself, should the thread not keep up.
BACKSTOP = 16_000
#: Versions before this carry a rare corruption bug around WAL resets.
SAFE_VERSION = (3, 51, 3)


def driver() -> ModuleType:
    """pysqlite3 where a wheel exists, else the standard module; never both in one process."""
    try:
        import pysqlite3
    except ImportError:
        import sqlite3

        return sqlite3
    return pysqlite3  # type: ignore[no-any-return]


dbapi = driver()


def version() -> str:
    """The version of the SQLite library in use."""
    return str(dbapi.sqlite_version)


def is_safe_version() -> bool:
    """Whether the library is new enough to be trusted with many processes."""
    return bool(dbapi.sqlite_version_info >= SAFE_VERSION)


class _Item(Generic[T]):
    __slots__ = ("done", "error", "isolated", "lane", "result", "turn", "work")

    def __init__(self, work: Work[T], lane: deque[_Item[Any]], isolated: bool) -> None:
        self.work = work
        #: Where it waits.
        self.lane = lane
        self.isolated = isolated
        self.done = False
        #: Held until the work is done, or its thread is to commit it.
        self.turn = threading.Lock()
        self.turn.acquire()
        self.result: T | None = None
        self.error: BaseException | None = None

    def go(self) -> None:
        """Let its thread go on, if it waits."""
        with suppress(RuntimeError):
            self.turn.release()


class SQLite(Database):
    """A database file; several processes may use it at once."""

    name = "sqlite"

    def __init__(self, path: Path, *, durable: bool = False, busy_seconds: float = 30.0) -> None:
        super().__init__()
        self.path = path
        self.address = f"sqlite:///{path}"
        self._synchronous = "FULL" if durable else "NORMAL"
        self._busy = round(busy_seconds * 1000)
        #: Held by whoever writes.
        self._lock = threading.Lock()
        self._mutex = threading.Lock()
        #: Whose thread commits what waits.
        self._leader: _Item[Any] | None = None
        self._urgent: deque[_Item[Any]] = deque()
        self._waiting: deque[_Item[Any]] = deque()
        #: What is being committed.
        self._group: list[_Item[Any]] = []
        self._writer: Any = None
        self._checkpointer: _Checkpointer | None = None
        self._commits = self._changes = 0

    def connect(self) -> Any:
        connection = dbapi.connect(
            str(self.path),
            isolation_level=None,
            check_same_thread=False,
            timeout=self._busy / 1000,
            cached_statements=STATEMENTS,
        )
        for pragma in (
            f"busy_timeout={self._busy}",
            "journal_mode=WAL",
            f"synchronous={self._synchronous}",
            f"cache_size=-{CACHE}",
            f"wal_autocheckpoint={BACKSTOP}",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    def changed(self) -> int:
        value: int = self._mine().execute("PRAGMA data_version").fetchone()[0]
        return value

    def write(self, work: Work[T], *, urgent: bool = False, isolated: bool = False) -> T:
        item = _Item(work, self._urgent if urgent else self._waiting, isolated)
        try:
            with self._mutex:
                item.lane.append(item)
                self._leader = self._leader or item
            if self._leader is not item:
                item.turn.acquire()
            while not item.done:
                self._lead(item)
        except BaseException:
            # Ctrl-C between two steps: nobody may wait for ever for a thread that has gone.
            self._leave(item)
            raise
        if item.error is not None:
            meant = self.explain(item.error)
            if meant is None:
                raise item.error
            raise meant from item.error
        return item.result  # type: ignore[return-value]

    def _lead(self, mine: _Item[Any]) -> None:
        """Commit the next group, in which `mine` may be or not."""
        with self._mutex:
            self._take()
        with self._lock:
            self._commit()
        with self._mutex:
            self._wake(mine)

    def _leave(self, mine: _Item[Any]) -> None:
        """Wait no more; what was broken off is done by others."""
        with self._mutex:
            with suppress(ValueError):
                mine.lane.remove(mine)
            mine.done = True
            if self._leader is mine:
                self._wake(mine)
            elif self._leader is not None:
                # It may have been made the leader a moment ago, and not been told.
                self._leader.go()

    def _wake(self, mine: _Item[Any]) -> None:
        """Let those go whose work is done; whoever led to the end of its own work lets the next one lead."""
        while self._group:
            one = self._group[-1]
            if one.done:
                one.go()
            elif one not in one.lane:
                one.error = None
                one.lane.appendleft(one)
            self._group.pop()
        if mine.done:
            lane = self._urgent or self._waiting
            self._leader = lane[0] if lane else None
            if self._leader is not None:
                self._leader.go()

    def _take(self) -> None:
        """The next works to commit together: urgent ones first, isolated ones alone."""
        while len(self._group) < GROUP:
            lane = self._urgent or self._waiting
            if not lane or (self._group and (lane[0].isolated or self._group[0].isolated)):
                break
            self._group.append(lane[0])
            lane.popleft()

    def _commit(self) -> None:
        """Run the group in one transaction; an error of one rolls back only that one, an error of all fails all."""
        group = self._group
        try:
            if self._writer is None:
                self._writer = self._open()
            cursor = self._writer.cursor()
            if self._writer.in_transaction:
                # A Ctrl-C has broken it off.
                cursor.execute("ROLLBACK")
            cursor.execute("BEGIN IMMEDIATE")
            try:
                for item in group:
                    self._apply(cursor, item, alone=len(group) == 1)
                cursor.execute("COMMIT")
                self._count()
            except BaseException:
                if self._writer.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
        except Exception as error:  # noqa: BLE001  each waiting caller raises it
            for item in group:
                item.error = item.error or error
        for item in group:
            item.done = True

    def _count(self) -> None:
        """Ask for a checkpoint after enough has been written."""
        self._commits += 1
        changes = self._writer.total_changes
        if self._commits >= CHECKPOINT_COMMITS or changes - self._changes >= CHECKPOINT_ROWS:
            self._commits, self._changes = 0, changes
            if self._checkpointer is None:
                self._checkpointer = _Checkpointer(self.connect, self._lock)
            self._checkpointer.wanted.set()

    def close(self) -> None:
        if self._checkpointer is not None:
            self._checkpointer.stop()
            self._checkpointer = None
        super().close()

    def _apply(self, cursor: Any, item: _Item[Any], *, alone: bool) -> None:
        tx = Tx(self.name, cursor)
        if alone:
            item.result = item.work(tx)
            return
        cursor.execute("SAVEPOINT work")
        try:
            item.result = item.work(tx)
            cursor.execute("RELEASE work")
        except Exception as error:
            if not self._writer.in_transaction:
                raise
            cursor.execute("ROLLBACK TO work")
            cursor.execute("RELEASE work")
            item.error = error

    def explain(self, error: BaseException) -> StoreError | None:
        if isinstance(error, StoreError):
            return error
        if not isinstance(error, dbapi.Error):
            return None
        text = str(error).lower()
        for sign, (what, hint) in _SIGNS.items():
            if sign in text:
                return StoreError(f"the database {self.path} {what}", hint=hint)
        return StoreError(f"the database {self.path} failed: {error}", hint="run `gapless doctor`")


class _Checkpointer:
    """Copies the log into the file, beside the writer and then, for the little that is left, instead of it."""

    def __init__(self, connect: Callable[[], Any], writing: threading.Lock) -> None:
        self._connect = connect
        self._writing = writing
        self._over = False
        self.wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gapless-checkpoint", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # An error here loses nothing: the log stays, and the backstop of the writer tells what is wrong.
        with suppress(dbapi.Error):
            connection = self._connect()
            try:
                while self.wanted.wait() and not self._over:
                    self.wanted.clear()
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    # Only a log that is copied to its end starts anew: no page may come in meanwhile.
                    with self._writing:
                        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            finally:
                connection.close()

    def stop(self) -> None:
        """End the thread."""
        self._over = True
        self.wanted.set()
        self._thread.join()


_SIGNS: dict[str, tuple[str, str]] = {
    "locked": ("is locked by another program", "close it, or wait and run the command again"),
    "readonly": ("is read-only", "check the rights of the file and its folder"),
    "full": ("cannot grow: the disk is full", "free some space; the job goes on where it was"),
    "not a database": ("is not a SQLite file", "set GAPLESS_DATABASE_URL to another file"),
    "malformed": ("is damaged", "restore a copy; `gapless doctor` tells more"),
    "unable to open": ("cannot be opened", "check that its folder exists and may be written"),
    "disk i/o": ("cannot be read or written", "check the disk and the rights of its folder"),
}
