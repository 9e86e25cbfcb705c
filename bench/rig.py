"""What several benchmarks stand on: folders, stores, segments that are held, pages that are made up."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import gapless
from gapless.app import Gapless
from gapless.core.job import Direction, Kind, Priority, Queue, Wish
from gapless.core.page import Page, Row
from gapless.core.plan import SegmentPlan
from gapless.core.segment import Lease, Side
from gapless.core.span import DAY, DOOM, MINUTE, Instant, Span, instant
from gapless.settings import Settings
from gapless.sources.upbit import Upbit
from gapless.store import claims, jobs, segments, series
from gapless.store.database import Tx
from gapless.store.store import Store, open_store

#: Minute candles: eight columns, pages of 200.
CANDLES = Upbit.datasets["upbit.candles.1m"]
PAGE = 200
#: Where made-up histories end.
END = instant(datetime(2026, 1, 1, tzinfo=UTC))
BUDGET = "upbit/candle"
#: A provider that nobody asks.
NOWHERE = "http://127.0.0.1:9"


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that goes when the benchmark ends."""
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as made:
        yield Path(made)


@contextmanager
def store_at(url: str) -> Iterator[Store]:
    """A store with the table of minute candles."""
    store = open_store(url)
    try:
        store.prepare([CANDLES])
        yield store
    finally:
        store.close()


@contextmanager
def history_at(url: str, provider: str, *, rate: float | None = None, slots: int = 4) -> Iterator[Gapless]:
    """The library's face on a database and a simulated provider."""
    settings = Settings(database_url=url, base_urls={"upbit": provider}, rates={"upbit": rate}, slots=slots)
    with gapless.open(settings=settings) as history:
        yield history


def minutes_before(end: Instant, number: int) -> Span:
    """The `number` minutes before `end`."""
    return Span(end - number * MINUTE, end)


def make_segments(store: Store, names: Sequence[str], spans: Sequence[Span], *, queue: Queue = Queue.BACKFILL) -> int:
    """A job with a waiting segment, new to old, for each of `spans` in each series; returns its id."""
    whole = Span(min(one.start for one in spans), max(one.end for one in spans))
    wish = Wish(owner="bench", kind=Kind.COLLECT, dataset=CANDLES.name, series=tuple(names), span=whole)
    planned = [
        SegmentPlan(start=one.start, end=one.end, direction=Direction.BACKWARD, side=Side.RECENT) for one in spans
    ]

    def make(tx: Tx) -> int:
        ids = [series.ensure(tx, CANDLES.name, name) for name in names]
        cells = len(ids) * CANDLES.grid.count(whole.start, whole.end)
        job = jobs.add(
            tx,
            wish,
            ids,
            now=END,
            queue=queue,
            priority=Priority.NORMAL,
            name="",
            total=cells,
            cached=0,
        )
        for one in ids:
            for plan in planned:
                segments.add(tx, job.id, one, plan, queue=queue, turn=job.turn, budget_key=BUDGET, recheck_from=DOOM)
        return job.id

    return store.write(make)


def claim(store: Store) -> Lease:
    """The lease of the next waiting segment; there must be one."""
    lease = store.write(lambda tx: claims.claim(tx, Queue.BACKFILL, "bench", END))
    assert lease is not None
    return lease


def pages(number: int, end: Instant = END) -> Iterator[Page]:
    """Full pages of made-up candles, the newest first."""
    for at in range(end, end - number * PAGE * MINUTE, -PAGE * MINUTE):
        first = at - PAGE * MINUTE
        yield Page(rows=[_row(first + i * MINUTE) for i in range(PAGE)], proven=Span(first, at))


def _row(time: Instant) -> Row:
    price = 90_000_000.0 + time // MINUTE % 10_007 * 1_000
    volume = (time // MINUTE % 997 + 1) / 1e4
    return (time, price, price + 3_000, price - 2_000, price + 1_000, volume, volume * price, time + MINUTE - DAY % 7)
