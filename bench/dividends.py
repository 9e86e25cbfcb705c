"""Dividends of a market: requests against the least possible, wall time against the rate, and cached years."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import gapless
from bench import rig, table
from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.core.pacing import SAFETY
from gapless.core.span import Span
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.listings import world as listed
from gapless.sandbox.process import SandboxProcess
from gapless.settings import Settings
from gapless.sources.opendart.datasets import year_start
from gapless.store import coverage, series
from gapless.store.database import Tx
from gapless.testing.dart import (
    DISCLOSURES,
    DIVIDENDS,
    MovedClock,
    calls,
    dart_settings,
    holders,
    least_calls,
    open_dart,
)
from gapless.testing.databases import fresh_database, postgres_server

NOW = "2024-06-14T03:00:00Z"
YEARS = range(2013, 2024)
FROM, TO = "2013", "2023"
#: Requests a second of the paced run, and slots enough for them.
RATE, SLOTS = 10, 8
#: Stocks of the cached run: ten thousand and some stock-years.
CACHED, HOLD = 984, 2.0


def run(*, long: bool) -> Iterator[table.Line]:
    """A fill of a market, a paced one, filings of a year, and ten thousand cached stock-years on both databases."""
    companies = 1_000 if long else 250
    market = listed(companies=companies)
    with SandboxProcess("opendart", companies=companies, now=NOW, quota=0, per_minute=0) as dart:
        yield _requests(market, dart)
        yield _paced(market, dart, 600 if long else 150)
        yield _filings(dart)
    with rig.folder() as place:
        yield _passed(f"sqlite:///{place / 'cached.db'}", "SQLite")
    with postgres_server() as server, fresh_database(server) as url:
        yield _passed(url, "PostgreSQL")


@contextmanager
def _history(dart: SandboxProcess, **how: object) -> Iterator[Gapless]:
    dart.control(now=NOW, reset_stats=True)
    with rig.folder() as place, open_dart(f"sqlite:///{place / 'dart.db'}", dart.url, MovedClock(NOW), **how) as made:
        yield made


def _fill(history: Gapless, dataset: str, names: list[str], start: str, end: str) -> float:
    """Seconds that it takes."""
    began = time.monotonic()
    state = history.backfill(dataset, names, start, end).wait(every=0.02)
    if state is not JobState.DONE:
        raise RuntimeError(f"the fill is {state}")
    return time.monotonic() - began


def _requests(market: World, dart: SandboxProcess) -> table.Line:
    with _history(dart) as history:
        companies = holders(market, history.clock.now())
        _fill(history, DIVIDENDS, [one.stock for one in companies], FROM, TO)
        least = least_calls(market, companies, YEARS, history.clock.now())
        return table.at_most(
            f"requests, dividends of {len(companies)} stocks, {len(YEARS)} years",
            calls(dart),
            least,
            1.05,
            "calls",
            "by one who knows which reports there are",
        )


def _paced(market: World, dart: SandboxProcess, requests: int) -> table.Line:
    """The directory is fetched before: it is no part of the pace."""
    with _history(dart, rates={"dart": RATE}, slots=SLOTS) as history:
        stocks = [one.stock for one in holders(market, history.clock.now())]
        _fill(history, DIVIDENDS, stocks[:1], "2023", "2023")
        dart.control(reset_stats=True, latency_ms=60)
        seconds = _fill(history, DIVIDENDS, stocks[1 : 1 + requests // 4], FROM, TO)
        sent = calls(dart)
        dart.control(latency_ms=0)
        bound = (sent - 1) / (RATE * SAFETY) + 0.06
        return table.at_most(
            "wall time, dividends at 60 ms", seconds, bound, 1.02, "s", f"{sent} at {RATE * SAFETY:g}/s"
        )


def _filings(dart: SandboxProcess) -> table.Line:
    """A window of 89 days ends with a page that is not full: six of them, and one more where two halves meet."""
    with _history(dart) as history:
        _fill(history, DISCLOSURES, ["all"], "2023-01-01", "2024-05-31")
        found = history.read(DISCLOSURES, "all", "2023-01-01", "2024-05-31", fill=False).height
        least = -(-found // 100)
        return table.Line(
            name=f"requests, {found:,} filings of a market",
            measured=f"{calls(dart, 'list.json')} calls",
            limit=f"{least} full pages",
            ratio=calls(dart, "list.json") / least,
            hold="≤ + a window",
            ok=calls(dart, "list.json") <= least + 8,
        )


def _passed(url: str, name: str) -> table.Line:
    """From the wish to the end of its job and the count of its units, all of it cached."""
    names = [f"{i:06d}" for i in range(CACHED)]
    settings: Settings = dart_settings(url, rig.NOWHERE)
    with gapless.open(settings=settings, clock=MovedClock(NOW)) as history:
        dataset = history.dataset(DIVIDENDS)
        history.store.write(lambda tx: _cover(tx, names), isolated=True)
        spent = []
        for _ in range(5):
            began = time.perf_counter()
            made = history.create(history.wish(dataset, names, FROM, TO))
            counted = history.units(made.job.id)
            spent.append(time.perf_counter() - began)
            if counted is None or counted.cached != CACHED * len(YEARS) or made.job.state != JobState.DONE:
                raise RuntimeError("not all of it was passed over")
    units = CACHED * len(YEARS)
    return table.at_most(f"{units:,} cached stock-years, {name}", table.middle(spent), HOLD, 1.0, "s")


def _cover(tx: Tx, names: list[str]) -> None:
    for one in names:
        its = series.ensure(tx, DIVIDENDS, f"{one}/11011")
        coverage.extend(tx, its, Span(year_start(YEARS[0]), year_start(YEARS[-1] + 1)))
