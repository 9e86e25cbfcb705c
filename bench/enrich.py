"""Valuing events: wall time against the provider's pace, the one-by-one way, and what engine and database take of it.

136,954 events of 5,000 companies, skewed as in life, take 53 minutes at 750 calls a minute. Here the provider's minute
is shorter (`SCALE`), and a run takes a sample of the companies in the same proportions. Engine and database are
measured apart, without questions and arithmetic: making the job, claiming, writing values, proving, ending.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import polars as pl

import gapless
from bench import rig, table
from gapless.app import Gapless, enriching
from gapless.app.enriching import Columns
from gapless.core.dataset import Dataset
from gapless.core.events import EVENTS
from gapless.core.job import JobState, Kind
from gapless.core.pacing import SAFETY
from gapless.core.segment import Lease
from gapless.core.span import DAY, instant, moment
from gapless.core.valuation import value
from gapless.sandbox.process import SandboxProcess
from gapless.sources.fmp.records import ENDPOINTS
from gapless.store import series as ledger
from gapless.store import valued
from gapless.testing.dart import MovedClock
from gapless.testing.databases import fresh_database, postgres_server
from gapless.testing.fmp import NOW, fmp_settings
from gapless.work import enrich
from gapless.work.answers import inputs_of
from gapless.work.sessions import exchange_of

NUMBER, COMPANIES = 136_954, 5_000
#: Calls a minute of the provider's plan, and how much faster its minute is here.
PER_MINUTE, SCALE = 750, 3.2
#: Slots where engine and database are measured apart.
SLOTS = 4
#: Events of the sample that goes one by one.
ALONE = 12
COLUMNS = Columns(ticker="ticker", time="at", kind="kind", id="id")
FIRST, LAST = instant(datetime(2020, 1, 1, tzinfo=UTC)), instant(datetime(2025, 12, 1, tzinfo=UTC))


def run(*, long: bool) -> Iterator[table.Line]:
    """The whole at the provider's pace, one by one, and the engine apart on both databases."""
    companies = 1_000 if long else 250
    with SandboxProcess("fmp", now=NOW, plan="premium", minute_s=60 / SCALE, years=9) as provider:
        yield from _paced(provider, companies)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield table.at_most("memory of it all at its peak", peak, 500, 1, "MB")
    with rig.folder() as folder:
        yield from _engine(COMPANIES if long else 1_000, *[f"sqlite:///{folder / name}" for name in ("b.db", "c.db")])
        yield from _statements(f"sqlite:///{folder / 'd.db'}")
    with postgres_server() as server, fresh_database(server) as url, fresh_database(server) as other:
        yield from _engine(COMPANIES if long else 500, url, other)


def sizes(companies: int) -> list[int]:
    """Events of each company: a few have hundreds, most a handful; in proportion 136,954 of 5,000."""
    weights = [1 / (place + 20) ** 0.7 for place in range(companies)]
    share = NUMBER * companies / COMPANIES / sum(weights)
    return [max(1, round(share * weight)) for weight in weights]


def rows(companies: int) -> list[dict[str, Any]]:
    """Events spread over six years."""
    made = []
    for place, count in enumerate(sizes(companies)):
        for number in range(count):
            at = FIRST + (LAST - FIRST) * (number + 1) // (count + 1) + place * 7_919_000_000 % DAY
            made.append({"id": f"{place}-{number}", "ticker": f"T{place}", "at": moment(at), "kind": "earnings"})
    return made


def _paced(provider: SandboxProcess, companies: int) -> Iterator[table.Line]:
    rate = PER_MINUTE / 60 * SCALE
    listed = rows(companies)
    # Loading a calendar takes seconds, once a process: nothing in an hour, much in a minute.
    exchange_of("T0")
    with rig.folder() as folder:
        settings = replace(fmp_settings(f"sqlite:///{folder / 'a.db'}", provider), rates={"fmp": rate}, slots=10)
        with gapless.open(settings=settings, clock=MovedClock(NOW)) as history:
            _add(history, listed)
            seconds = _timed(history)
            stats = provider.stats()
            calls, refused = stats["requests"], stats["by_status"].get("429", 0)
            each = _one_by_one(history)
    yield table.at_most(
        f"wall time, {len(listed):,} events of {companies:,} companies",
        seconds,
        calls / (rate * SAFETY),
        1.05,
        "s",
        f"{calls:,} calls at {rate * SAFETY:.1f}/s",
    )
    yield table.at_most("calls / questions × companies", calls, len(ENDPOINTS) * companies, 1.5, "calls", "with pages")
    yield table.Line(name="refusals", measured=str(refused), limit="", ratio=None, hold="0", ok=refused == 0)
    yield table.at_least(
        f"one by one, from {ALONE} events", each * len(listed), seconds, 10, "s", "by company, at the same pace"
    )


def _one_by_one(history: Gapless) -> float:
    """Seconds an event takes that asks everything for itself and is written alone."""
    alone = [
        {"id": f"alone-{place}", "ticker": f"A{place}", "at": moment(LAST), "kind": "earnings"}
        for place in range(ALONE)
    ]
    _add(history, alone)
    return sum(_timed(history, [str(one["ticker"])]) for one in alone) / ALONE


def _timed(history: Gapless, tickers: Sequence[str] = ()) -> float:
    began = time.monotonic()
    job = history.create(enriching.wish(history, "bench", tickers)).job
    state = history.run(job.id).wait(every=0.05)
    assert state == JobState.DONE, state
    return time.monotonic() - began


class _Canned(enrich.Valuing):
    """Values that are there already: what is left is engine and database."""

    told: pl.DataFrame

    def _values(self, answers: Any) -> pl.DataFrame | None:
        return self.told.head(len(answers.events))


class _NoQuestions(enrich.Enrich):
    def work(self, lease: Lease, dataset: Dataset) -> enrich.Valuing:
        return _Canned(self, lease, dataset)


@contextmanager
def _unasking(url: str, listed: Sequence[dict[str, Any]], most: int) -> Iterator[Gapless]:
    """A history whose events have values without a question and without arithmetic; `most` events a company."""
    with SandboxProcess("fmp", now=NOW, years=9) as provider:
        provider.control(unlimited=True)
        settings = replace(fmp_settings(url, provider), slots=SLOTS)
        with gapless.open(settings=settings, clock=MovedClock(NOW)) as history:
            _add(history, listed)
            _Canned.told = _sample(history, most)
            usual = enriching.chore(history)
            free = _NoQuestions(
                history.store, usual.fmp, history.clock, lambda: usual.limit(history.dataset("events")), endpoints=()
            )
            history.catalogue.chores[Kind.ENRICH] = lambda: free
            yield history


def _engine(companies: int, url: str, other: str) -> Iterator[table.Line]:
    """Everything but questions and arithmetic, and beside it, in the `other` database, the bulk updates alone."""
    listed = rows(companies)
    with _unasking(url, listed, max(sizes(companies))) as history:
        gc.collect()
        seconds, name = _timed(history), history.store.database.name
    with _unasking(other, listed, max(sizes(companies))) as history:
        gc.collect()
        bare = _bare(history, companies)
    what = f"engine and {name}, {len(listed):,} events of {companies:,}"
    yield table.at_most(what, seconds, 10 * companies / COMPANIES, 1, "s", "10 s for 5,000")
    yield table.at_most(f"engine and {name} / updates alone", seconds, bare, 4, "s", "no job, ledger or fence")


def _bare(history: Gapless, companies: int) -> float:
    """Seconds for reading the events of each company and writing their values, as many at once."""
    store, now = history.store, history.clock.now()

    def write(series: int) -> None:
        with store.read() as tx:
            found = valued.of_company(tx, series, now, all_of_them=False)
        made = enrich.valued_rows(found, _Canned.told.head(len(found)), now)
        store.write(lambda tx: valued.write(tx, series, made))

    with store.read() as tx:
        numbers = [ledger.find(tx, EVENTS.name, f"T{place}") for place in range(companies)]
    began = time.monotonic()
    with ThreadPoolExecutor(SLOTS) as pool:
        list(pool.map(write, filter(None, numbers)))
    return time.monotonic() - began


def _statements(url: str) -> Iterator[table.Line]:
    """How often the values of a company are written: SQLite tells every statement that it begins."""
    companies = 50
    listed, seen = rows(companies), list[str]()
    with _unasking(url, listed, max(sizes(companies))) as history:
        history.store.write(lambda tx: tx.cursor.connection.set_trace_callback(lambda said: seen.append(said[:80])))
        _timed(history)
    kinds = [said.split(" SET ")[0] for said in seen]
    # One prepared statement with many rows is told once for each row.
    bulk = f"UPDATE {EVENTS.table}"
    updates = sum(kind == bulk != before for before, kind in pairwise(["", *kinds]))
    others = sum(kind != bulk for kind in kinds)
    yield table.at_most("updates of events / companies", updates, companies, 1, "")
    yield table.Line(
        name="other statements a company", measured=f"{others / companies:.1f}", limit="", ratio=None, hold=""
    )


def _sample(history: Gapless, count: int) -> pl.DataFrame:
    """Values of one company at so many moments, of real answers."""
    chore = enriching.chore(history)
    told = {one.name: chore.fmp.ask(one, "T0", datetime(2018, 1, 1, tzinfo=UTC).date()).records for one in ENDPOINTS}
    at = pl.Series([FIRST + (LAST - FIRST) * number // count for number in range(count)])
    asked = pl.DataFrame({"event": range(count), "at": at.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")})
    return value(asked, inputs_of(told, exchange_of("T0"), {}, "T0")).sort("event")


def _add(history: Gapless, listed: Sequence[dict[str, Any]]) -> None:
    enriching.add(history, listed, COLUMNS, origin="bench")
