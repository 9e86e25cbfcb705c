"""Copy, back up and restore whole histories: who may do it when, and by which way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

from gapless.app.compute import our_own
from gapless.core.clock import Clock, SystemClock
from gapless.core.dataset import Dataset
from gapless.core.errors import NotAllowed, UsageError
from gapless.engine.catalogue import Catalogue
from gapless.engine.recovery import BEAT, LEASE, Identity, lock_folder
from gapless.settings import Settings
from gapless.sources import SOURCES, connect
from gapless.store import copies, workers
from gapless.store.copies import Copied, Order, Step
from gapless.store.database import Database
from gapless.store.sqlite import SQLite
from gapless.store.store import Store
from gapless.store.workers import Worker

Tick = Callable[[Step], None]


def copy(
    settings: Settings,
    source: str,
    target: str,
    *,
    force: bool = False,
    tick: Tick = lambda _: None,
    clock: Clock | None = None,
) -> Copied:
    """Copy the history at `source` to `target`, between SQLite and PostgreSQL in any direction, and compare the two.

    The same call again goes on with a copy that was broken off. Workers in the source are refused, since they would
    leave the copy behind; `force` takes what is there when the copy begins. Raises `NotAllowed`, `UsageError` and
    `StoreError`.
    """
    watch = clock or SystemClock()
    with _opened(_place(settings, source, "from"), "from") as store:
        if not force:
            _check_idle(watch, "stop them, or copy what is there now with --force", store)
        check = partial(_check_idle, watch, "stop them first")
        return copies.copy(Order(store, _place(settings, target, "to"), datasets_of(settings), check=check, tick=tick))


def backup(settings: Settings, file: str, *, tick: Tick = lambda _: None) -> Copied:
    """Write the history of `settings` to a new SQLite file, as it is at this moment, while others go on working.

    The file is a history that can be opened like any other. Raises `UsageError` and `StoreError`.
    """
    target = _file(settings, file)
    if target.path.exists():
        raise UsageError(f"file: {target.path} exists", field="file", hint="name a new one, or remove it")
    if not target.path.parent.is_dir():
        hint = "make it, or name another place"
        raise UsageError(f"file: there is no folder {target.path.parent}", field="file", hint=hint)
    with _opened(_place(settings, settings.database_url, "database"), "database") as store:
        return _by_fastest_way(Order(store, target, datasets_of(settings), field="file", tick=tick))


def restore(
    settings: Settings,
    file: str,
    *,
    force: bool = False,
    tick: Tick = lambda _: None,
    clock: Clock | None = None,
) -> Copied:
    """Put the history of a backup into the database of `settings`; with `force` in the place of another one.

    Raises `NotAllowed` while workers live there, `UsageError` and `StoreError`.
    """
    target = _place(settings, settings.database_url, "database")
    check = partial(_check_idle, clock or SystemClock(), "stop them first")
    with _opened(_file(settings, file), "file", read_only=True) as store:
        return _by_fastest_way(
            Order(store, target, datasets_of(settings), field="database", replace=force, check=check, tick=tick)
        )


def living(store: Store, clock: Clock) -> list[Worker]:
    """Workers of a store that live: their lock file is held, or their beats go on."""
    me, folder = Identity(lock_folder(store), works=False), lock_folder(store)

    def entered() -> list[Worker]:
        with store.read() as tx:
            return [one for one in workers.every(tx) if not me.is_dead(one.id)]

    first = entered()
    held = [one for one in first if folder is not None and (folder / one.id).exists()]
    if held or not first:
        return held
    # They are on other machines, or were: who is silent for as long as a lease has lost its segments.
    beats, never, until = {one.id: one.beat for one in first}, threading.Event(), clock.monotonic() + LEASE
    while clock.monotonic() < until:
        clock.wait(never, BEAT)
        moved = [one for one in entered() if beats.get(one.id) != one.beat]
        if moved:
            return moved
    return []


def datasets_of(settings: Settings) -> list[Dataset]:
    """Every dataset that this program knows."""
    sources = {name: connect(name, settings.base_url(name), settings.timeout) for name in SOURCES} | our_own()
    try:
        return list(Catalogue(sources, scopes={}, rates={}).datasets.values())
    finally:
        for source in sources.values():
            source.close()


def _check_idle(clock: Clock, hint: str, store: Store) -> None:
    found = living(store, clock)
    if found:
        named = ", ".join(f"{one.name} (pid {one.pid} on {one.host})" for one in found)
        raise NotAllowed(f"{store.address} is being worked on by {named}", hint=hint)


def _by_fastest_way(order: Order) -> Copied:
    both = isinstance(order.source.database, SQLite) and isinstance(order.target, SQLite)
    return copies.take_over(order) if both else copies.copy(order)


@contextmanager
def _opened(database: Database, field: str, *, read_only: bool = False) -> Iterator[Store]:
    with closing(copies.existing(database, field, read_only=read_only)) as store:
        yield store


def _place(settings: Settings, url: str, field: str) -> Database:
    return copies.place(url, field, durable=settings.durable, busy_seconds=settings.busy_timeout.total_seconds())


def _file(settings: Settings, file: str) -> SQLite:
    found = _place(settings, file, "file")
    if not isinstance(found, SQLite):
        raise UsageError("file: a backup is a SQLite file", field="file", hint="`gapless db copy` takes addresses")
    return found
