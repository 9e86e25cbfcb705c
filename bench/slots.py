"""Many slots on one SQLite file: eight threads that commit pages against one, and how long a commit takes then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from bench import rig, table
from gapless.core.page import Page
from gapless.core.segment import Lease
from gapless.store import pages
from gapless.store.store import Store

SLOTS = 8


def run(*, long: bool) -> Iterator[table.Line]:
    """Rows a second of eight threads and of one, and the slow end of a commit."""
    number = 2_000 if long else 400
    alone: list[float] = []
    together: list[float] = []
    waits: list[float] = []
    for _ in range(3):
        one, _ = _write(1, number)
        all_, took = _write(SLOTS, number)
        alone.append(one)
        together.append(all_)
        waits += took
    yield table.at_least(
        f"{SLOTS} slots writing one file, SQLite",
        table.middle(together),
        table.middle(alone),
        1.0,
        "rows/s",
        "one slot",
    )
    slow = table.quantile(waits, 0.99) * 1e3
    yield table.at_most(f"p99 of a commit, {SLOTS} slots writing", slow, 25, 1, "ms", "fixed")


def _write(slots: int, number: int) -> tuple[float, list[float]]:
    """Rows a second when `number` pages are written by so many threads, and the seconds of each commit."""
    share = number // slots
    feed = list(rig.pages(share))
    with rig.folder() as place, rig.store_at(f"sqlite:///{place / 'file.db'}") as store:
        names = [f"KRW-S{slot}" for slot in range(slots)]
        rig.make_segments(store, names, [rig.minutes_before(rig.END, share * rig.PAGE)])
        leases = [rig.claim(store) for _ in names]
        start = Barrier(slots + 1)
        with ThreadPoolExecutor(slots) as pool:
            running = [pool.submit(_slot, store, lease, feed, start) for lease in leases]
            start.wait()
            began = time.perf_counter()
            took = [one for future in running for one in future.result()]
        return share * slots * rig.PAGE / (time.perf_counter() - began), took


def _slot(store: Store, lease: Lease, feed: list[Page], start: Barrier) -> list[float]:
    took = []
    start.wait()
    for page in feed:
        began = time.perf_counter()
        _commit(store, page, lease)
        took.append(time.perf_counter() - began)
    return took


def _commit(store: Store, page: Page, lease: Lease) -> None:
    store.write(lambda tx: pages.commit(tx, rig.CANDLES, page, lease, rig.END, prove=False))
