"""Requests that a fill sends, counted by the simulated provider, against the fewest that could do."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from bench import rig, table
from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.core.span import MINUTE, Instant, Span
from gapless.sandbox.process import SandboxProcess
from gapless.store import coverage, rows, series
from gapless.store.database import Tx

#: A gap test has a fixed draw of its own.
SEED = 20_240_101
#: Minutes of the history out of which gaps are taken.
GAPS_IN = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One market, asked for thirty days, and what may come on top of the fewest requests."""

    name: str
    market: str
    start: str
    end: str
    direction: str = "both"
    ratio: float = 1.0
    extra: int = 0


CASES = (
    Case(name="dense", market="KRW-BTC", start="2024-02-01T00:00Z", end="2024-03-02T00:00Z"),
    Case(name="thin", market="KRW-THIN", start="2024-02-01T00:00Z", end="2024-03-02T00:00Z"),
    Case(
        name="thin, forward",
        market="KRW-THIN",
        start="2024-02-01T00:00Z",
        end="2024-03-02T00:00Z",
        direction="forward",
        ratio=1.2,
    ),
    Case(name="halted", market="KRW-HALT", start="2024-02-26T00:00Z", end="2024-03-27T00:00Z", extra=4),
    Case(
        name="halted, forward",
        market="KRW-HALT",
        start="2024-02-26T00:00Z",
        end="2024-03-27T00:00Z",
        direction="forward",
        extra=4,
    ),
    # One for the start of the history. The older half, which goes forward, meets the emptiness before it: as before a
    # halt, which may cost four; it turns round after one.
    Case(name="listed in mid-range", market="KRW-NEW", start="2024-02-01T00:00Z", end="2024-03-02T00:00Z", extra=2),
)


def run(*, long: bool) -> Iterator[table.Line]:
    """Every case, then the scattered gaps."""
    turns = 5 if long else 1
    with SandboxProcess(rate=0) as provider:
        for case in CASES:
            worst = max((_filled(provider, case) for _ in range(turns)), key=lambda pair: pair[0])
            yield _line(case.name, *worst, case.ratio, case.extra)
        worst = max((_gaps(provider, SEED + turn) for turn in range(turns)), key=lambda pair: pair[0] - pair[1])
        yield _line("1,000 random gaps", *worst, 1.0, 0)


def _line(name: str, sent: int, least: int, ratio: float, extra: int) -> table.Line:
    hold = f"≤ +{extra}" if extra else f"≤ {ratio:.2f}"
    return table.Line(
        name=f"requests, {name}",
        measured=f"{sent:,}",
        limit=f"{least:,} least possible",
        ratio=sent / least,
        hold=hold,
        ok=sent <= least * ratio + extra,
    )


def _filled(provider: SandboxProcess, case: Case) -> tuple[int, int]:
    """Requests sent and the fewest possible."""
    with rig.folder() as place, rig.history_at(f"sqlite:///{place / 'history.db'}", provider.url) as history:
        sent = _fill(history, provider, case.market, case.start, case.end, case.direction)
        frame = history.read(rig.CANDLES.name, case.market, case.start, case.end, fill=False)
        asked, _ = history.span(rig.CANDLES, case.start, case.end)
        return sent, _least(frame["time"].dt.epoch("us").to_list(), asked)


def _fill(history: Gapless, provider: SandboxProcess, market: str, start: str, end: str, direction: str) -> int:
    provider.control(reset_stats=True)
    state = history.backfill(rig.CANDLES.name, market, start, end, direction=direction).wait(every=0.02)
    if state is not JobState.DONE:
        raise RuntimeError(f"the fill of {market} is {state}")
    sent: int = provider.stats()["requests"]
    return sent


def _least(times: Sequence[Instant], asked: Span) -> int:
    """Greedy from the newest end: each reply holds the 200 newest records before an instant, and proves down to the
    oldest of them; so no other way of asking proves the span with fewer.
    """
    count, at = 0, asked.end
    while at > asked.start:
        before = bisect_left(times, at)
        at = times[before - rig.PAGE] if before >= rig.PAGE else asked.start
        count += 1
    return count


def _gaps(provider: SandboxProcess, seed: int) -> tuple[int, int]:
    """A covered history with a thousand minutes taken out of it."""
    asked = rig.minutes_before(rig.END, GAPS_IN)
    taken = sorted(Random(seed).sample(range(asked.start, asked.end, MINUTE), 1_000))
    with rig.folder() as place, rig.history_at(f"sqlite:///{place / 'history.db'}", provider.url) as history:
        history.dataset(rig.CANDLES.name)
        history.store.write(lambda tx: _cover(tx, asked, taken))
        start, end = asked.start_time.isoformat(), asked.end_time.isoformat()
        return _fill(history, provider, "KRW-BTC", start, end, "both"), _least_of_gaps(taken)


def _cover(tx: Tx, asked: Span, taken: Sequence[Instant]) -> None:
    series_id = series.ensure(tx, rig.CANDLES.name, "KRW-BTC")
    # Rows too: without them the planner would take the series for a thin one.
    for page in rig.pages(GAPS_IN // rig.PAGE, asked.end):
        rows.upsert(tx, rig.CANDLES, series_id, page.rows)
    at = asked.start
    for gap in [*taken, asked.end]:
        if at < gap:
            coverage.extend(tx, series_id, Span(at, gap))
        at = gap + MINUTE


def _least_of_gaps(taken: Sequence[Instant]) -> int:
    """Points on a line, covered by intervals of 200 minutes: from the first point not yet covered, again and again."""
    count, covered_to = 0, 0
    for gap in taken:
        if gap >= covered_to:
            count, covered_to = count + 1, gap + rig.PAGE * MINUTE
    return count
