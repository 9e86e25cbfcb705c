"""What the ledger costs: the commit of a page against a bare upsert of the same rows in its own transaction.

On SQLite either side also copies its log into the file from time to time: ours beside the writer, the bare one in the
commit that fills `LOG_PAGES`. That hits a few commits hard, so that the mean counts, not the median.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from statistics import fmean

from bench import rig, table
from gapless.core.page import Page
from gapless.store import pages, rows
from gapless.store.database import Tx
from gapless.store.store import database
from gapless.testing.databases import fresh_database, postgres_server

#: Pages of a block; the two sides take turns.
BLOCK = 20
#: Pages of log after which the bare side copies it; ours does after some 2,000. Rarely: usual are 1,000 to 4,000.
LOG_PAGES = 4_000


def run(*, long: bool) -> Iterator[table.Line]:
    """The ratio on SQLite and on PostgreSQL."""
    blocks = 400 if long else 150
    with rig.folder() as place:
        ours, bare = (f"sqlite:///{place / name}" for name in ("ours.db", "bare.db"))
        yield _compare("page commit, SQLite", ours, bare, blocks, 1.2)
    with postgres_server() as server, fresh_database(server) as ours, fresh_database(server) as bare:
        yield _compare("page commit, PostgreSQL", ours, bare, blocks, 1.4)


def _compare(name: str, ours_url: str, bare_url: str, blocks: int, hold: float) -> table.Line:
    feed = rig.pages((blocks + 1) * BLOCK)
    with _ours(ours_url, (blocks + 1) * BLOCK) as ours, _bare(bare_url) as bare:
        spent: dict[Callable[[Page], object], list[float]] = {ours: [], bare: []}
        for turn in range(blocks + 1):
            block = list(islice(feed, BLOCK))
            # Who goes first changes, so that neither always finds the warmer processor.
            for side in (ours, bare) if turn % 2 else (bare, ours):
                took = _time(side, block)
                if turn:
                    spent[side].append(took)
    return table.at_most(name, fmean(spent[ours]), fmean(spent[bare]), hold, "µs", "bare upsert")


def _time(commit: Callable[[Page], object], block: list[Page]) -> float:
    """Microseconds a page."""
    began = time.perf_counter()
    for page in block:
        commit(page)
    return (time.perf_counter() - began) / len(block) * 1e6


@contextmanager
def _ours(url: str, number: int) -> Iterator[Callable[[Page], object]]:
    with rig.store_at(url) as store:
        rig.make_segments(store, ["KRW-BTC"], [rig.minutes_before(rig.END, number * rig.PAGE)])
        lease = rig.claim(store)
        yield lambda page: store.write(lambda tx: pages.commit(tx, rig.CANDLES, page, lease, rig.END, prove=False))


@contextmanager
def _bare(url: str) -> Iterator[Callable[[Page], object]]:
    """The same statement on a connection with the same settings, and nothing else."""
    opened = database(url)
    opened.write(lambda tx: rows.create(tx, rig.CANDLES))
    connection = opened.connect()
    if opened.name == "sqlite":
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
    begin = "BEGIN IMMEDIATE" if opened.name == "sqlite" else "BEGIN"

    def upsert(page: Page) -> None:
        cursor = connection.cursor()
        cursor.execute(begin)
        rows.upsert(Tx(opened.name, cursor), rig.CANDLES, 1, page.rows)
        cursor.execute("COMMIT")

    try:
        yield upsert
    finally:
        connection.close()
        opened.close()
