"""Claiming and finishing segments in which nothing is missing: what the engine costs where no source is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench import rig, table
from gapless.app import Gapless
from gapless.core.clock import SystemClock
from gapless.core.job import JobState, Queue
from gapless.core.pacing import Backoff
from gapless.core.segment import SegmentState
from gapless.core.span import MINUTE
from gapless.engine.claims import Taker
from gapless.engine.runner import Runner
from gapless.store import claims, coverage, series
from gapless.store.database import Tx
from gapless.store.store import database

#: What DESIGN.md holds, in segments a second.
HOLD = 5_000
SERIES, MINUTES = 20, 1_000


def run(*, long: bool) -> Iterator[table.Line]:
    """One slot on one file, for a small job and for a large one."""
    with rig.folder() as place:
        # The first statements of a process are compiled.
        _rate(place, SERIES)
    for number in (500, 10_000 if long else 4_000):
        with rig.folder() as place:
            rate, bare = _rate(place, number), _bare(place, number)
        with rig.folder() as place, rig.history_at(f"sqlite:///{place / 'history.db'}", rig.NOWHERE) as history:
            single = one_by_one(history, number)
        yield table.Line(
            name=f"the same one by one, job of {number:,} segments, SQLite",
            measured=f"{single:,.0f}/s",
            limit=f"{bare:,.0f}/s, two bare updates",
            ratio=single / bare,
            hold="",
        )
        yield table.Line(
            name=f"claim and finish, job of {number:,} segments, SQLite",
            measured=f"{rate:,.0f}/s",
            limit=f"{bare:,.0f}/s, two bare updates",
            ratio=rate / bare,
            hold=f"≥ {HOLD:,}/s",
            ok=rate >= HOLD,
        )


def one_by_one(history: Gapless, number: int) -> float:
    """Segments a second when each is claimed and ended in a transaction of its own, as those with work are."""
    make_covered(history, number)
    began = time.perf_counter()
    while lease := history.store.write(lambda tx: claims.claim(tx, Queue.BACKFILL, "bench", history.clock.now())):
        history.jobs.end(lease, SegmentState.DONE)
    return number / (time.perf_counter() - began)


def _rate(place: Path, number: int) -> float:
    """Segments a second."""
    with rig.history_at(f"sqlite:///{place / 'history.db'}", rig.NOWHERE) as history:
        job = make_covered(history, number)
        began = time.perf_counter()
        finish_all(history)
        took = time.perf_counter() - began
        if history.jobs.get(job).state != JobState.DONE:
            raise RuntimeError(f"the job is {history.jobs.get(job).state}")
    return number / took


def finish_all(history: Gapless) -> None:
    """What one slot does: it takes segments until none is left."""
    runner = Runner(history.store, history.catalogue, history.jobs, SystemClock(), Backoff())
    taker = Taker(
        store=history.store,
        jobs=history.jobs,
        clock=history.clock,
        work=runner.work,
        queue=Queue.BACKFILL,
        worker="bench",
    )
    stop = threading.Event()
    ready = taker.take()
    while ready:
        ready = runner.run(ready, stop, then=taker.next).next or taker.take()


def make_covered(history: Gapless, number: int) -> int:
    """A job of so many segments in a history that is covered; its id."""
    history.dataset(rig.CANDLES.name)
    names = [f"KRW-S{i}" for i in range(SERIES)]
    parts = number // SERIES
    whole = rig.minutes_before(rig.END, parts * MINUTES)

    def cover(tx: Tx) -> None:
        for name in names:
            coverage.extend(tx, series.ensure(tx, rig.CANDLES.name, name), whole)

    history.store.write(cover)
    ends = range(whole.end, whole.start, -MINUTES * MINUTE)
    return rig.make_segments(history.store, names, [rig.minutes_before(end, MINUTES) for end in ends])


def _bare(place: Path, number: int) -> float:
    """Segments a second when each costs two updates by its id, each in its own transaction."""
    opened = database(f"sqlite:///{place / 'bare.db'}")
    connection = opened.connect()
    try:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE segment (id INTEGER PRIMARY KEY, state TEXT, epoch INTEGER)")
        cursor.execute("BEGIN")
        cursor.executemany("INSERT INTO segment VALUES (?, 'waiting', 0)", [(i,) for i in range(number)])
        cursor.execute("COMMIT")
        began = time.perf_counter()
        for i in range(number):
            for state in ("running", "done"):
                cursor.execute("BEGIN IMMEDIATE")
                cursor.execute("UPDATE segment SET state = ?, epoch = epoch + 1 WHERE id = ?", (state, i))
                cursor.execute("COMMIT")
        return number / (time.perf_counter() - began)
    finally:
        connection.close()
        opened.close()
