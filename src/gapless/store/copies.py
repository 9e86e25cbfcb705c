"""Copies of a whole history: made beside the target, compared with the source part by part, then put in its place.

The source is one consistent view from beginning to end, whoever goes on writing to it. What a broken-off copy has left
is read again and compared, and only what differs is written anew: so the same copy goes on, and any other replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy.exc import ArgumentError

from gapless.core.dataset import Dataset
from gapless.core.errors import StoreError, UsageError
from gapless.store import parts, rows
from gapless.store.aside import Aside, FileAside, beside
from gapless.store.database import Database, Tx
from gapless.store.parts import Part, Seal, Sealing
from gapless.store.sqlite import SQLite, dbapi
from gapless.store.store import HEAD, Store, revision
from gapless.store.store import database as database_of

#: Pages of a SQLite file copied at a time: 4 MB.
PAGES = 1024


@dataclass(frozen=True, slots=True)
class Step:
    """How far a copy is: what it does, and `done` of `total`, in rows or pages."""

    doing: str
    done: int
    total: int


Tick = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy has come to."""

    source: str
    target: str
    #: Every part with its seal, the same on both sides.
    parts: tuple[tuple[Part, Seal], ...]
    #: Rows that were there already: from a copy that was broken off, or all of them.
    kept: int
    #: Tables of other programs beside the history; they stay where they are.
    left: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(seal.rows for _, seal in self.parts)


def place(url: str, field: str, *, durable: bool = False, busy_seconds: float = 30.0) -> Database:
    """The database of an address that a user gave as `field`; raises `UsageError`. Nothing is opened."""
    hint = "use sqlite:///FILE, a file, or postgresql://USER:PASSWORD@HOST/NAME"
    if not url.strip():
        raise UsageError(f"{field}: is empty", field=field, hint=hint)
    try:
        return database_of(url, durable=durable, busy_seconds=busy_seconds)
    except UsageError as error:
        raise UsageError(error.message.replace(error.field, field), field=field, hint=hint) from None
    except (ArgumentError, ValueError):
        # The address is not repeated: it may hold a password.
        raise UsageError(f"{field}: the address is not understood", field=field, hint=hint) from None


def existing(database: Database, field: str, *, read_only: bool = False) -> Store:
    """Open the history that is copied from; unlike others it is never made, nor upgraded. Raises `UsageError`."""
    if isinstance(database, SQLite):
        if not database.path.is_file():
            raise UsageError(f"{field}: there is no file {database.path}", field=field, hint="check the path")
        if read_only:
            database = _ReadOnly(database.path)
    try:
        found = _revision(database, field)
        if found is None:
            raise StoreError(f"{database.address} holds no history", hint=f"name another as {field}")
        if found != HEAD:
            raise StoreError(
                f"{database.address} is behind this program",
                hint=f"run `gapless db upgrade --database {database.address}`",
            )
    except BaseException:
        database.close()
        raise
    return Store(database)


class _ReadOnly(SQLite):
    """A file that stays as it is, to the last byte."""

    def connect(self) -> Any:
        address = f"file:{quote(str(self.path))}?mode=ro"
        return dbapi.connect(address, uri=True, isolation_level=None, check_same_thread=False)


def _revision(database: Database, field: str) -> str | None:
    try:
        return revision(database)
    except StoreError as error:
        if "GAPLESS_DATABASE_URL" not in error.hint:
            raise
        raise StoreError(error.message, hint=f"name another database as {field}") from error


@dataclass(frozen=True, slots=True)
class Order:
    """A copy that is wanted: from an open store to a database, which need not exist."""

    source: Store
    target: Database
    datasets: Sequence[Dataset]
    #: What people call the target.
    field: str = "to"
    #: Put the copy in the place of another history.
    replace: bool = False
    #: Raises unless the target may be written now; called with the store that is there, empty or not.
    check: Callable[[Store], None] = lambda _: None
    tick: Tick = lambda _: None


def copy(order: Order) -> Copied:
    """Copy row by row, between any two databases; goes on with a copy that was broken off.

    Raises `StoreError` when the target holds another history, and when what was written is not what was read.
    """
    return _made(order, _by_rows)


def take_over(order: Order) -> Copied:
    """Copy from SQLite to SQLite by the pages of the file, which is fastest and takes everything along."""
    return _made(order, _by_pages)


def _made(order: Order, make: Callable[[Order, Tx, Aside], Copied]) -> Copied:
    with beside(order.target) as aside:
        if aside.is_same(order.source.database):
            raise UsageError(
                f"{order.field}: {order.target.address} is the source itself", field=order.field, hint="name another"
            )
        with order.source.read() as tx:
            done = _look(order, tx)
            if done is None:
                done = make(order, tx, aside)
                aside.publish(order.datasets, replace=order.replace)
        return done


def _look(order: Order, source: Tx) -> Copied | None:
    """What is in the target: None when a copy may be made, the copy itself when it is there already."""
    target = order.target
    if isinstance(target, SQLite):
        if target.path.is_dir():
            raise StoreError(f"{target.path} is a folder", hint="name a file in it")
        if not target.path.exists():
            return None
    try:
        if _revision(target, order.field) is None:
            return None
        with target.read() as tx:
            is_empty = parts.is_empty(tx, order.datasets)
            if not is_empty:
                sealed, difference = compare(source, tx, order.datasets, order.tick)
                if not difference:
                    return Copied(order.source.address, target.address, tuple(sealed), sum(s.rows for _, s in sealed))
                if not order.replace:
                    raise StoreError(f"{target.address} holds another history ({difference})", hint=_another(order))
            _check_replaceable(tx, order)
        order.check(Store(target))
    finally:
        target.close()
    return None


def _another(order: Order) -> str:
    return f"name an empty database as {order.field}" + (", or replace it with --force" if order.field != "to" else "")


def _check_replaceable(tx: Tx, order: Order) -> None:
    """Raise `StoreError` where tables that are not of this history would be lost."""
    others = parts.refuse_strangers(tx, order.target.address, order.datasets)
    if others and tx.name == "sqlite":
        raise StoreError(
            f"{order.target.address} also holds tables of another program ({', '.join(others)})",
            hint=f"name another database as {order.field}",
        )


def compare(
    source: Tx, target: Tx, datasets: Sequence[Dataset], tick: Tick = lambda _: None
) -> tuple[list[tuple[Part, Seal]], str]:
    """The seals of all parts that are equal on both sides, up to the first difference, which is told in words."""
    here, there = parts.of_history(source, datasets), parts.of_history(target, datasets)
    odd = sorted({part.label for part in here} ^ {part.label for part in there})
    if odd:
        return [], f"{odd[0]} is only in one of them"
    total = sum(parts.count(source, part) for part in here)
    sealed: list[tuple[Part, Seal]] = []
    for part in here:
        tick(Step(f"comparing {part.label}", sum(seal.rows for _, seal in sealed), total))
        wanted, found = parts.count(source, part), parts.count(target, part)
        if wanted != found:
            return sealed, f"{part.label}: {wanted:,} rows in the source, {found:,} in the target"
        mine, theirs = parts.seal(source, part, settled=True), parts.seal(target, part)
        if mine != theirs:
            return sealed, f"{part.label}: the rows differ"
        sealed.append((part, mine))
    return sealed, ""


# -- row by row


def _by_rows(order: Order, source: Tx, aside: Aside) -> Copied:
    left = parts.refuse_strangers(source, order.source.address, order.datasets)
    aside.prepare()
    wanted = parts.of_history(source, order.datasets)
    _make_room(aside.made, source, wanted, order.datasets)
    filling = _Filling(source, aside.made, order.tick, sum(parts.count(source, part) for part in wanted))
    sealed = [(part, filling.fill(part)) for part in wanted]
    aside.made.write(parts.count_on, isolated=True)
    return Copied(order.source.address, order.target.address, tuple(sealed), filling.kept, tuple(left))


def _make_room(made: Database, source: Tx, wanted: Sequence[Part], datasets: Sequence[Dataset]) -> None:
    """Make the data tables, and take away what a broken-off copy of something else has left."""
    needed = parts.of_data(source, datasets)

    def work(tx: Tx) -> None:
        for dataset in datasets:
            if dataset not in needed:
                tx.cursor.execute(f"DROP TABLE IF EXISTS {dataset.table}")
        for dataset in needed:
            rows.create(tx, dataset)
        known = {(part.table, part.series) for part in wanted}
        for part in parts.of_history(tx, needed):
            if (part.table, part.series) not in known:
                parts.clear(tx, part)

    made.write(work, isolated=True)


class _Filling:
    """Brings one part after the other over, and looks at each again."""

    def __init__(self, source: Tx, made: Database, tick: Tick, total: int) -> None:
        self._source = source
        self._made = made
        self._tick = tick
        self._total = total
        self._done = 0
        #: Rows that were there already, and were right.
        self.kept = 0

    def fill(self, part: Part) -> Seal:
        """Make a part in the copy equal to the source's; raises `StoreError` when it does not come out so."""
        with self._made.read() as tx:
            had = parts.count(tx, part)
            # Rows are written in the order of their key: what is there should be the beginning.
            begun = parts.seal(tx, part) if had else Sealing().seal()
        if begun != self._beginning(part, had):
            self._made.write(lambda tx: parts.clear(tx, part), isolated=True)
            had = 0
        wanted = self._bring(part, had)
        with self._made.read() as tx:
            found = begun if wanted.rows == had else parts.seal(tx, part)
        if found != wanted:
            raise StoreError(
                f"{part.label}: what was read back is not what was written ({wanted.rows:,} rows)",
                hint=f"check the disk and memory of {self._made.address}, then run the command again",
            )
        self.kept += had
        self._done += wanted.rows
        return wanted

    def _beginning(self, part: Part, rows: int) -> Seal:
        """The seal of so many rows of the source, as far as a batch ends there."""
        sealing = Sealing()
        if rows:
            for batch in parts.batches(self._source, part, settled=True):
                sealing.add(batch)
                if sealing.rows >= rows:
                    break
        return sealing.seal()

    def _bring(self, part: Part, kept: int) -> Seal:
        sealing = Sealing()
        for batch in parts.batches(self._source, part, settled=True):
            new = batch[max(0, kept - sealing.rows) :]
            if new:
                self._made.write(lambda tx, new=new: parts.write(tx, part, new), isolated=True)  # type: ignore[misc]
            sealing.add(batch)
            self._tick(Step(f"copying {part.label}", self._done + sealing.rows, self._total))
        return sealing.seal()


# -- by pages


def _by_pages(order: Order, source: Tx, aside: Aside) -> Copied:
    assert isinstance(aside, FileAside)
    aside.discard()
    # The first look pins the view; a copy of pages begins again whenever the file changes under an unpinned one.
    total = sum(parts.count(source, part) for part in parts.of_history(source, order.datasets))
    into = aside.made.connect()
    try:
        with aside.made.explained():
            into.execute("PRAGMA synchronous=OFF")
            source.cursor.connection.backup(
                into, pages=PAGES, progress=lambda _, left, of: order.tick(Step("copying pages", of - left, of))
            )
    finally:
        into.close()
    aside.made.write(parts.settle, isolated=True)
    with aside.made.read() as tx:
        sealed, difference = compare(source, tx, order.datasets, order.tick)
        tx.cursor.execute("PRAGMA quick_check")
        sound = tx.cursor.fetchone()[0]
    if difference or sound != "ok":
        raise StoreError(
            f"{aside.made.address} is not what was read ({difference or sound})",
            hint="check the disk, then run the command again; `gapless doctor` looks at the source",
        )
    order.tick(Step("comparing", total, total))
    return Copied(order.source.address, order.target.address, tuple(sealed), 0)
