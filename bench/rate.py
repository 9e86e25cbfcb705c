"""Wall time of a fill against the rate that its budget allows, and the refusals that it causes.

The cases run side by side, each with a provider and a history of its own: a minute of each costs a few seconds of a
processor, and over fewer requests (`REQUESTS`) the two pages in flight at the end would count as much as the pacing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench import rig, table
from gapless.core.job import JobState
from gapless.core.pacing import SAFETY
from gapless.sandbox.process import SandboxProcess

#: Requests a second of the provider's limit, and slots enough for a latency of 300 ms: rate × latency + 1.
RATE, SLOTS = 10, 8
REQUESTS = 600
MARKETS = ("KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL")
#: How far the provider stretches its windows, at most (its default).
JITTER_MS = 20


@dataclass(frozen=True, slots=True)
class Case:
    """So many series at one latency, under one kind of window."""

    series: int
    latency_ms: int
    window: str


SHORT = (
    Case(1, 0, "clock"),
    Case(1, 60, "sliding"),
    Case(1, 300, "clock"),
    Case(4, 0, "sliding"),
    Case(4, 60, "clock"),
    Case(4, 300, "sliding"),
)
OTHER = {"clock": "sliding", "sliding": "clock"}
LONG = (*SHORT, *(Case(one.series, one.latency_ms, OTHER[one.window]) for one in SHORT))


def run(*, long: bool) -> Iterator[table.Line]:
    """Every case, then the refusals of all of them."""
    refused = sent = 0
    cases = LONG if long else SHORT
    with ThreadPoolExecutor(len(cases)) as pool:
        filled = list(pool.map(_fill, cases))
    for case, (seconds, stats) in zip(cases, filled, strict=True):
        sent += stats["requests"]
        refused += stats["refused_429"] + stats["refused_418"]
        bound = (stats["requests"] - 1) / (RATE * SAFETY) + case.latency_ms / 1e3
        yield table.at_most(
            f"wall time, {case.series} series at {case.latency_ms} ms, {case.window} window",
            seconds,
            bound,
            1.02 if case.series > 1 else 1.05,
            "s",
            f"{stats['requests']} at {RATE * SAFETY:g}/s",
        )
    yield table.Line(
        name="refusals",
        measured=f"{refused}",
        limit=f"{sent:,} requests",
        ratio=None,
        hold="0",
        ok=refused == 0,
    )


def _fill(case: Case) -> tuple[float, dict[str, Any]]:
    """Seconds from the order to the end of the job, and what the provider saw."""
    asked = rig.minutes_before(rig.END, REQUESTS // case.series * rig.PAGE)
    start, end = asked.start_time.isoformat(), asked.end_time.isoformat()
    names = MARKETS[: case.series]
    with (
        rig.folder() as place,
        SandboxProcess(rate=RATE, window=case.window, latency_ms=case.latency_ms, jitter_ms=JITTER_MS) as provider,
        rig.history_at(f"sqlite:///{place / 'history.db'}", provider.url, rate=RATE, slots=SLOTS) as history,
    ):
        for name in names:
            provider.warm(name, "1m", start, end)
        began = time.monotonic()
        state = history.backfill(rig.CANDLES.name, names, start, end).wait(every=0.02)
        took = time.monotonic() - began
        if state is not JobState.DONE:
            raise RuntimeError(f"the fill is {state}")
        return took, provider.stats()
