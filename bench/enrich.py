"""Valuing events: wall time against the provider's pace, what engine and database take of it, and the one-by-one way.

136,954 events of 5,000 companies, skewed as in life, take 53 minutes at 750 calls a minute. Here the provider's minute
is shorter (`SCALE`), and short runs take a sample of the companies. Engine and database are measured apart, without
questions: making the job, claiming, writing values, proving, ending.
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

import gapless
from bench import rig, table
from gapless.app import Gapless, enriching
from gapless.app.enriching import Columns
from gapless.core.dataset import Dataset
from gapless.core.job import JobState, Kind
from gapless.core.pacing import SAFETY
from gapless.core.segment import Lease
from gapless.core.span import DAY, instant, moment
from gapless.sandbox.process import SandboxProcess
from gapless.sources.fmp.records import ENDPOINTS
from gapless.testing.dart import MovedClock
from gapless.testing.fmp import NOW, fmp_settings
from gapless.work import enrich

EVENTS, COMPANIES = 136_954, 5_000
#: Calls a minute of the provider's plan, and how much faster its minute is here.
PER_MINUTE, SCALE = 750, 3.2
COLUMNS = Columns(ticker="ticker", time="at", kind="kind", id="id")
FIRST, LAST = instant(datetime(2020, 1, 1, tzinfo=UTC)), instant(datetime(2025, 12, 1, tzinfo=UTC))


def run(*, long: bool) -> Iterator[table.Line]:
    """The whole at the provider's pace, the engine apart, and one by one."""
    companies = 400 if long else 40
    with SandboxProcess("fmp", now=NOW, plan="premium", minute_s=60 / SCALE, years=9) as provider:
        yield from _paced(provider, companies)
    yield from _engine(COMPANIES if long else 1_000)


def sizes(companies: int) -> list[int]:
    """Events of each company: a few have hundreds, most a handful; in proportion 136,954 of 5,000."""
    weights = [1 / (place + 20) ** 0.7 for place in range(companies)]
    share = EVENTS * companies / COMPANIES / sum(weights)
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
    with rig.folder() as folder:
        settings = replace(fmp_settings(f"sqlite:///{folder / 'a.db'}", provider), rates={"fmp": rate}, slots=10)
        with gapless.open(settings=settings, clock=MovedClock(NOW)) as history:
            _add(history, rows(companies))
            seconds, job = _timed(history)
            assert job == JobState.DONE, job
        stats = provider.stats()
    calls, least = stats["requests"], len(ENDPOINTS) * companies
    yield table.at_most(
        f"wall time, {sum(sizes(companies)):,} events of {companies:,} companies",
        seconds,
        calls / (rate * SAFETY),
        1.05,
        "s",
        f"{calls:,} calls at {rate * SAFETY:.1f}/s",
    )
    yield table.at_most("calls / questions × companies", calls, least, 1.5, "calls", "pages of targets beside")
    refused = stats["by_status"].get("429", 0)
    yield table.Line(name="refusals", measured=str(refused), limit="", ratio=None, hold="0", ok=refused == 0)
    one_by_one = sum(sizes(companies)) * len(ENDPOINTS) / (rate * SAFETY)
    yield table.at_least("one by one (each event asks for itself)", one_by_one, seconds, 10, "s", "at the same pace")


def _timed(history: Gapless) -> tuple[float, str]:
    began = time.monotonic()
    job = history.create(enriching.wish(history, "bench")).job
    state = history.run(job.id).wait(every=0.05)
    return time.monotonic() - began, state


class _Canned(enrich.Valuing):
    """Values that are there already: what is left is engine and database."""

    told: pl.DataFrame

    def _values(self, answers: Any) -> pl.DataFrame | None:
        return self.told.head(len(answers.events))


class _NoQuestions(enrich.Enrich):
    def work(self, lease: Lease, dataset: Dataset) -> enrich.Valuing:
        return _Canned(self, lease, dataset)


def _engine(companies: int) -> Iterator[table.Line]:
    """Everything but questions and arithmetic."""
    with rig.folder() as folder, SandboxProcess("fmp", now=NOW, years=9) as provider:
        provider.control(unlimited=True)
        settings = replace(fmp_settings(f"sqlite:///{folder / 'b.db'}", provider), slots=4)
        with gapless.open(settings=settings, clock=MovedClock(NOW)) as history:
            listed = rows(companies)
            began = time.monotonic()
            _add(history, listed)
            yield table.Line(
                name=f"import of {len(listed):,} events",
                measured=f"{time.monotonic() - began:.1f} s",
                limit="",
                ratio=None,
                hold="",
            )
            _Canned.told = _sample(history, max(sizes(companies)))
            usual = history.catalogue.chores[Kind.ENRICH]
            assert isinstance(usual, enrich.Enrich)
            history.catalogue.chores[Kind.ENRICH] = _NoQuestions(
                history.store, usual.fmp, history.clock, lambda: usual.limit(history.dataset("events")), endpoints=()
            )
            gc.collect()
            seconds, state = _timed(history)
            assert state == JobState.DONE, state
    share = companies / COMPANIES
    yield table.at_most(
        f"engine and database, {len(listed):,} events of {companies:,}", seconds, 10 * share, 1, "s", "10 s for 5,000"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield table.at_most("memory at its peak", peak, 500, 1, "MB")


def _sample(history: Gapless, count: int) -> pl.DataFrame:
    """Values of one company at so many moments, of real answers."""
    from gapless.core.valuation import value
    from gapless.work.answers import inputs_of
    from gapless.work.sessions import exchange_of

    chore = history.catalogue.chores[Kind.ENRICH]
    assert isinstance(chore, enrich.Enrich)
    told = {one.name: chore.fmp.ask(one, "T0", datetime(2018, 1, 1, tzinfo=UTC).date()).records for one in ENDPOINTS}
    at = pl.Series([FIRST + (LAST - FIRST) * number // count for number in range(count)])
    asked = pl.DataFrame({"event": range(count), "at": at.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")})
    return value(asked, inputs_of(told, exchange_of("T0"), {}, "T0")).sort("event")


def _add(history: Gapless, listed: Sequence[dict[str, Any]]) -> None:
    enriching.add(history, listed, COLUMNS, origin="bench")
