"""Planning ten million missing minutes: its cost grows with ranges, not with minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench import rig, table
from gapless.app import Gapless
from gapless.core.span import MINUTE, Span
from gapless.store import coverage, rows, series
from gapless.store.database import Tx

MISSING = 10_000_000
#: Covered ranges of the fragmented history, each of so many minutes.
RANGES, COVERED = 1_000, 300
#: What DESIGN.md holds, in milliseconds.
HOLD = 200.0
NOWHERE = "http://127.0.0.1:9"


def run(*, long: bool) -> Iterator[table.Line]:
    """One series with nothing stored, one in fragments, and fifty series."""
    turns = 21 if long else 7
    with rig.folder() as place, rig.history_at(f"sqlite:///{place / 'history.db'}", NOWHERE) as history:
        history.dataset(rig.CANDLES.name)
        whole = rig.minutes_before(rig.END, MISSING)
        yield _line(history, "nothing stored", ["KRW-NONE"], whole, turns)
        fifty = [f"KRW-S{i}" for i in range(50)]
        yield _line(history, "fifty series", fifty, rig.minutes_before(rig.END, MISSING // 50), turns)
        wider = rig.minutes_before(rig.END, MISSING + RANGES * COVERED)
        history.store.write(lambda tx: _fragment(tx, wider))
        yield _line(history, f"{RANGES:,} covered ranges", ["KRW-BTC"], wider, turns)


def _line(history: Gapless, name: str, names: list[str], asked: Span, turns: int) -> table.Line:
    spent = [_time(history, names, asked) for _ in range(turns)]
    return table.Line(
        name=f"plan of {MISSING:,} minutes, {name}",
        measured=f"{table.middle(spent):,.1f} ms",
        limit=f"{HOLD:g} ms",
        ratio=table.middle(spent) / HOLD,
        hold=f"≤ {HOLD:g} ms",
        ok=table.middle(spent) <= HOLD,
    )


def _time(history: Gapless, names: list[str], asked: Span) -> float:
    start, end = asked.start_time.isoformat(), asked.end_time.isoformat()
    began = time.perf_counter()
    made = history.plan(rig.CANDLES.name, names, start, end)
    took = time.perf_counter() - began
    if made.missing != MISSING:
        raise RuntimeError(f"{made.missing:,} minutes are missing")
    return took * 1e3


def _fragment(tx: Tx, whole: Span) -> None:
    """Covered ranges with rows, at even distances."""
    series_id = series.ensure(tx, rig.CANDLES.name, "KRW-BTC")
    step = (whole.end - whole.start) // MINUTE // RANGES * MINUTE
    for i in range(RANGES):
        end = whole.end - i * step
        coverage.extend(tx, series_id, Span(end - COVERED * MINUTE, end))
    for page in rig.pages(COVERED // rig.PAGE, whole.end):
        rows.upsert(tx, rig.CANDLES, series_id, page.rows)
