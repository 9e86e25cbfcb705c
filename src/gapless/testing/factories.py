"""Small valid things to start a test from. A test names only what matters to it; the rest has a default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from gapless.core.dataset import Axis, Column, Dataset, Type
from gapless.core.grid import Steps
from gapless.core.job import Direction, Job, Kind, Priority, Queue, Wish
from gapless.core.page import Page, Row
from gapless.core.plan import SegmentPlan
from gapless.core.segment import Lease, Side
from gapless.core.span import MINUTE, Instant, Span, instant
from gapless.store import claims, jobs, pages, segments, series
from gapless.store.database import Tx
from gapless.store.store import Store

T = TypeVar("T")

#: Minute 0 of every test: a Monday morning, in the middle of a tally (they are a thousand minutes wide).
MORNING = instant(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
BUDGET = "test/candle"

CANDLES = Dataset(
    name="test.candles.1m",
    source="test",
    grid=Steps(MINUTE),
    axis=Axis.STEP,
    columns=(
        Column(name="close", type=Type.FLOAT),
        Column(name="volume", type=Type.FLOAT),
        Column(name="last_tick_at", type=Type.TIME),
    ),
)


def minute(number: int) -> Instant:
    """The instant `number` minutes after (or before) `MORNING`."""
    return MORNING + number * MINUTE


def minutes(start: int, end: int) -> Span:
    """A span in minutes after `MORNING`."""
    return Span(minute(start), minute(end))


def row(number: int, *, close: float | None = None) -> Row:
    """The candle of one minute."""
    at = minute(number)
    return (at, 100.0 + number if close is None else close, 0.5, at + MINUTE - 1)


def make_page(start: int, end: int, *, empty: Iterable[int] = (), nothing_before: Instant | None = None) -> Page:
    """A reply that proves the minutes `[start, end)`, with a candle in each that is not `empty`."""
    holes = set(empty)
    rows = [row(number) for number in range(start, end) if number not in holes]
    return Page(rows=rows, proven=minutes(start, end), nothing_before=nothing_before)


def make_wish(**changes: Any) -> Wish:
    """A wish for a thousand minutes of one series."""
    wish: dict[str, Any] = {
        "owner": "owner",
        "kind": Kind.COLLECT,
        "dataset": CANDLES.name,
        "series": ("KRW-BTC",),
        "span": minutes(0, 1000),
    }
    return Wish(**{**wish, **changes})


def make_job(
    store: Store,
    wish: Wish | None = None,
    *,
    parts: Sequence[tuple[int, int]] | None = None,
    direction: Direction = Direction.BACKWARD,
    queue: Queue = Queue.BACKFILL,
    priority: Priority = Priority.NORMAL,
    now: Instant = MORNING,
    hold: bool = False,
) -> Job:
    """A job with a waiting segment for each of `parts` (in minutes; else the whole span) in each of its series."""
    wish = wish or make_wish()
    spans = [wish.span] if parts is None else [minutes(*part) for part in parts]
    side = Side.RECENT if direction is Direction.BACKWARD else Side.HISTORY
    planned = [SegmentPlan(start=one.start, end=one.end, direction=direction, side=side) for one in spans]

    def make(tx: Tx) -> Job:
        ids = [series.ensure(tx, wish.dataset, name) for name in wish.series]
        job = jobs.add(tx, wish, ids, now=now, queue=queue, priority=priority, name="", total=1000, cached=0, hold=hold)
        recheck_from = CANDLES.grid.add(wish.span.end, -wish.recheck)
        for one in ids:
            for plan in planned:
                segments.add(
                    tx,
                    job.id,
                    one,
                    plan,
                    queue=queue,
                    turn=job.turn,
                    budget_key=BUDGET,
                    recheck_from=recheck_from,
                )
        return job

    store.prepare([CANDLES])
    return store.write(make)


def claim(
    store: Store, worker: str = "worker", *, queue: Queue = Queue.BACKFILL, now: Instant = MORNING
) -> Lease | None:
    """What a free slot of `worker` gets at `now`."""
    return store.write(lambda tx: claims.claim(tx, queue, worker, now))


def lease_of(store: Store, worker: str = "worker", **more: Any) -> Lease:
    """The lease of a segment that is sure to be claimable."""
    lease = claim(store, worker, **more)
    assert lease is not None
    return lease


def commit(store: Store, page: Page, lease: Lease, *, now: Instant = MORNING, prove: bool = False) -> int:
    """Commit a page of `CANDLES` under a lease; how many rows were new or changed."""
    return store.write(lambda tx: pages.commit(tx, CANDLES, page, lease, now, prove=prove))[0]


def read(store: Store, question: Callable[..., T], *args: Any, **more: Any) -> T:
    """The answer of a store function that only looks."""
    with store.read() as tx:
        return question(tx, *args, **more)


def write(store: Store, verb: Callable[..., T], *args: Any, **more: Any) -> T:
    """The answer of a store function that changes something, in a transaction of its own."""
    return store.write(lambda tx: verb(tx, *args, **more))
