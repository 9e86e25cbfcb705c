"""Put the parts together: `gapless.open(url)` gives the library's face."""

from __future__ import annotations

import copy
import getpass
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

from platformdirs import user_data_path

from gapless.app.compute import Undone, compute_wish, computing, fill_inputs, our_own, undo
from gapless.app.dividends import COMMON, dps_series
from gapless.app.running import Running
from gapless.app.validation import Validated, repair, validated, validation
from gapless.app.wishes import Wishes
from gapless.core.actor import Actor, Via
from gapless.core.clock import Clock, SystemClock
from gapless.core.dataset import Dataset
from gapless.core.errors import GaplessError, NotAllowed, SourceError, UsageError
from gapless.core.grid import align
from gapless.core.job import (
    POINT_IN_TIME,
    UNBOUND,
    Bounds,
    Direction,
    Job,
    JobState,
    Kind,
    Mode,
    Priority,
    Queue,
    Wish,
    priority_of,
)
from gapless.core.lazily import pl
from gapless.core.pacing import Backoff
from gapless.core.period import parse
from gapless.core.period import wanted as wanted_period
from gapless.core.plan import Plan
from gapless.core.redact import keep_secret
from gapless.core.rules import Level
from gapless.core.span import DAWN, DOOM, Instant, Span, iso, moment
from gapless.engine import reasons, truth
from gapless.engine.accounts import Accounts
from gapless.engine.catalogue import Catalogue
from gapless.engine.chains import Chains
from gapless.engine.cluster import ClusterBell
from gapless.engine.deliveries import Deliveries
from gapless.engine.embedded import EmbeddedBell
from gapless.engine.follow import Follower
from gapless.engine.forecasts import Forecasts
from gapless.engine.jobs import MARGIN, Jobs, Made
from gapless.engine.names import Names
from gapless.engine.notifications import Notifications
from gapless.engine.progress import Progress, progress
from gapless.engine.recovery import Identity, Watch, living, lock_folder
from gapless.engine.retention import Retention
from gapless.engine.runner import Runner
from gapless.engine.schedules import Schedules
from gapless.engine.templates import Templates
from gapless.engine.units import Units, units
from gapless.engine.worker import Range, Worker
from gapless.logs import be_calm
from gapless.settings import Settings, load
from gapless.sources import SOURCES, connect
from gapless.store import claims, coverage, jobs, pages, payloads, queues, rows
from gapless.store import series as ledger
from gapless.store import settings as shared
from gapless.store.database import Tx
from gapless.store.reports import ReportFile
from gapless.store.sqlite import SQLite
from gapless.store.store import Store, open_store
from gapless.store.templates import Template
from gapless.store.workers import Worker as WorkerRow
from gapless.work.base import Chore
from gapless.work.merge import MERGE, Merge
from gapless.work.migrate import Migrate, Verb
from gapless.work.processes import Limits, Processes
from gapless.work.refetch import REFETCH, Refetch
from gapless.work.reparse import REPARSE, Reparse

if TYPE_CHECKING:
    from gapless.app.agreement import Agreement
    from gapless.app.report import Manner

When = str | date | datetime
#: Seconds of latency assumed before anything was measured.
LATENCY = 0.1


def open(url: str | None = None, *, settings: Settings | None = None, clock: Clock | None = None) -> Gapless:
    """Open the history kept at `url` (default: `GAPLESS_DATABASE_URL`, else a SQLite file in the user's data folder).

    Raises `StoreError` when the database cannot be used and `UsageError` when a setting is wrong.
    """
    be_calm()
    made = settings or load()
    return Gapless(
        open_store(url or made.database_url, durable=made.durable, busy_seconds=made.busy_timeout.total_seconds()),
        made,
        clock or SystemClock(),
    )


def read(
    dataset: str,
    series: str,
    start: When | None = None,
    end: When | None = None,
    *,
    days: float | None = None,
    fill: bool = True,
    as_of: When | None = None,
) -> pl.DataFrame:
    """`Gapless.read` on the default history, opened and closed around it."""
    with open() as history:
        return history.read(dataset, series, start, end, days=days, fill=fill, as_of=as_of)


def get_dps_series(
    stock: str,
    start_year: int,
    end_year: int,
    reprt_code: str = "11011",
    *,
    share_kind: str = COMMON,
    as_of: When | None = None,
    fill: bool = True,
    recheck: int = 0,
) -> pl.DataFrame:
    """`Gapless.get_dps_series` on the default history, opened and closed around it."""
    with open() as history:
        return history.get_dps_series(
            stock,
            start_year,
            end_year,
            reprt_code,
            share_kind=share_kind,
            as_of=as_of,
            fill=fill,
            recheck=recheck,
        )


class Gapless:
    """One history: read it, plan, fill, and ask what is true of it. Safe to use from several threads."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        keep_secret(*settings.api_keys.values(), settings.admin_password)
        self.store = store
        self.settings = settings
        self.clock = clock
        sources = {
            name: connect(name, settings.base_url(name), settings.timeout, settings.api_keys.get(name, ""))
            for name in SOURCES
        } | our_own(settings.chunk_size)
        self.catalogue = Catalogue(sources, scopes=settings.scopes, rates=settings.rates, dailies=settings.dailies)
        self._children = Processes(settings.slots, _child_limits(settings))
        self.catalogue.chores |= {
            Kind.VALIDATE: lambda: validation(store, self.catalogue, clock),
            Kind.COMPUTE: lambda: computing(store, self.catalogue, clock, self._children),
            Kind.MIGRATE: self._migrating,
            Kind.ENRICH: self._enriching,
            Kind.REPORT: self._reporting,
        }
        #: Who acts here; see `acting`.
        self.actor = Actor(name=owner(), via=Via.LOCAL)
        self.jobs = Jobs(store, self.catalogue, clock, self._ring, self.actor)
        self.deliveries = Deliveries(store, clock)
        self.forecasts = Forecasts(store, self.catalogue, self.jobs, clock)
        self._engines: list[Worker] = []
        self._lock = threading.Lock()
        Watch(store, clock, Identity(lock_folder(store), works=False)).bury()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _migrating(self) -> Migrate:
        # It knows how to open another history: more than most commands have to load.
        from gapless.work.bring import COPY, Bring

        reparse = Reparse(store=self.store, clock=self.clock, source=self.catalogue.source)
        merge = Merge(store=self.store, clock=self.clock)
        bring = Bring(store=self.store)
        refetch = Refetch(store=self.store, clock=self.clock)
        verbs: dict[str, Verb] = {REPARSE: reparse, MERGE: merge, COPY: bring, REFETCH: refetch}
        return Migrate(store=self.store, verbs=verbs)

    def _enriching(self) -> Chore:
        from gapless.app import enriching

        return enriching.chore(self)

    def _reporting(self) -> Chore:
        from gapless.app.report import reporting

        return reporting(self, self._children)

    def acting(self, actor: Actor) -> Gapless:
        """The same history in somebody else's hands: jobs made and moved through it are theirs. Not to be closed."""
        hands = copy.copy(self)
        hands.actor, hands.jobs = actor, self.jobs.by(actor)
        return hands

    @property
    def accounts(self) -> Accounts:
        """Accounts, sessions and tokens."""
        return Accounts(self.store, self.clock, self.actor)

    @property
    def templates(self) -> Templates:
        """Wishes under names."""
        return Templates(self.store, self.clock, Wishes(self), self.actor)

    @property
    def schedules(self) -> Schedules:
        """Templates that run by the clock."""
        return Schedules(self.store, self.clock, self.templates, self._ring, self.actor)

    @property
    def chains(self) -> Chains:
        """Jobs that follow jobs."""
        return Chains(self.store, self.clock, self.jobs, Wishes(self), self.actor)

    @property
    def notifications(self) -> Notifications:
        """Whom to tell."""
        return Notifications(self.store, self.clock, self.actor)

    @property
    def retention(self) -> Retention:
        """For how long things are kept."""
        return Retention(self.store, self.clock, self.actor)

    def server_key(self) -> str:
        """The key with which the servers of this history sign sessions, made once."""
        return self.store.write(lambda tx: shared.agree(tx, "session.key", secrets.token_hex(32)), urgent=True)

    def close(self) -> None:
        """Stop what runs in this process (its segments are given back) and close the database."""
        with self._lock:
            engines, self._engines = self._engines, []
        for engine in engines:
            engine.stop()
        self._children.close()
        for source in self.catalogue.sources.values():
            source.close()
        self.deliveries.close()
        self.store.close()

    # -- what is stored

    def dataset(self, name: str) -> Dataset:
        """A dataset of rows by name; its table is ready for use."""
        found = self._prepared(name)
        if not found.columns:
            raise UsageError(
                f"dataset: {name} are files, not rows", field="dataset", hint="the jobs that write them list them"
            )
        return found

    def _prepared(self, name: str) -> Dataset:
        """What a job is about."""
        found = self.catalogue.dataset(name)
        self.store.prepare([found])
        return found

    def span(
        self,
        dataset: Dataset,
        start: When | None,
        end: When | None,
        days: float | None = None,
        names: Sequence[str] = (),
    ) -> tuple[Span, str]:
        """The span on the dataset's grid that was asked for, up to the frontier of all `names`, and how it was said."""
        now = self.clock.now()
        named, said = wanted_period(_text(start, "from"), _text(end, "to"), days, now=now, zone=dataset.zone)
        frontier = min({dataset.frontier(now - MARGIN, name) for name in names or [""]})
        aligned = align(dataset.grid, named, frontier)
        if aligned is None:
            raise UsageError(
                "from: nothing of this span is final yet",
                field="from",
                hint=f"records of {dataset.name} are final up to {iso(frontier)}",
            )
        return aligned, said

    def read(
        self,
        dataset: str,
        series: str,
        start: When | None = None,
        end: When | None = None,
        *,
        days: float | None = None,
        fill: bool = True,
        as_of: When | None = None,
        report: str = "",
        recheck: int = 0,
        progress: bool = False,
    ) -> pl.DataFrame:
        """Rows of a series in `[start, end)` as a polars frame: database first, fetching only what is missing.

        Columns: `time` (start of the record, UTC, microseconds) and the dataset's own. `fill=False` never touches the
        network; `progress=True` draws a bar; `recheck` asks so many of the last periods again. `as_of` shows what was
        known on that day: records that only later reports tell are there, with nulls. Raises `SourceError` when the
        missing part could not be fetched.
        """
        found = self.dataset(dataset)
        (name,) = self.catalogue.series(found, [series], report)
        day = None if as_of is None else self.day(found, as_of)
        asked, _ = self.span(found, start, end, days, [name])
        if fill:
            self._fill_for_reading(found, name, asked, recheck, progress)
        with self.store.read() as tx:
            series_id = ledger.find(tx, found.name, name)
            if series_id is None:
                return rows.empty(found)
            return rows.frame(tx, found, series_id, asked, day=day)

    def day(self, dataset: Dataset, as_of: When) -> str:
        """The last day that a time names, in the dataset's zone."""
        if dataset.revisions is None:
            raise UsageError(
                f"as_of: {dataset.name} keeps no revisions",
                field="as_of",
                hint="its records are final; leave it out",
            )
        named = parse(_text(as_of, "as_of") or "", field="as_of", zone=dataset.zone)
        return moment(named.end - 1).astimezone(ZoneInfo(dataset.zone)).date().isoformat()

    def ready(self, dataset: Dataset, names: Sequence[str], *, progress: bool = False) -> None:
        """Make sure that series can be asked for: their source's settings, and today's directory of them.

        A directory of an earlier day will do where the source does not answer. Raises `UsageError`, `SourceError`.
        """
        self.catalogue.source(dataset).check()
        if dataset.directory is not None and any(map(dataset.directory.translates, names)):
            self.directory(dataset, progress=progress)

    def directory(self, dataset: Dataset, *, progress: bool = False) -> None:
        """Make sure that today's directory of a dataset that has one is stored, or at least an older one."""
        directory = dataset.directory
        assert directory is not None, dataset.name
        told = self.dataset(directory.dataset)
        end = told.frontier(self.clock.now() - MARGIN)
        try:
            self._fill_for_reading(told, directory.series, Span(told.grid.add(end, -1), end), 0, progress)
        except SourceError:
            if not Names(self.store, self.catalogue).words(directory):
                raise

    def get_dps_series(
        self,
        stock: str,
        start_year: int,
        end_year: int,
        reprt_code: str = "11011",
        *,
        share_kind: str = COMMON,
        as_of: When | None = None,
        fill: bool = True,
        recheck: int = 0,
    ) -> pl.DataFrame:
        """Dividends per share of a Korean stock by fiscal year: database first, OpenDART for what is missing."""
        return dps_series(
            self,
            stock,
            start_year,
            end_year,
            reprt_code=reprt_code,
            share_kind=share_kind,
            as_of=as_of,
            fill=fill,
            recheck=recheck,
        )

    def _take_back(self, dataset: Dataset) -> None:
        """What the source had not got when it was asked, and might have by now, is missing again."""
        now = self.clock.now()
        with self.store.read() as tx:
            is_any = dataset.parser > 0 and bool(payloads.due(tx, dataset.name, now))
        if is_any:
            self.store.write(lambda tx: pages.take_back(tx, dataset, now))

    def _fill_for_reading(self, dataset: Dataset, name: str, asked: Span, recheck: int, progress: bool) -> None:
        self._take_back(dataset)
        wish = self._wish(dataset, [name], asked, "", Mode.MISSING, Direction.BOTH, recheck)
        if not self._lacks(wish):
            return
        self.ready(dataset, [name], progress=progress)
        handle = self._start(self.jobs.create(wish, queue=Queue.LIVE, priority=Priority.HIGH, name="read"))
        try:
            state = handle.wait(progress=progress)
        except BaseException:
            # Nobody waits for it any more; one that others wait for too is theirs.
            if not handle.adopted:
                with suppress(GaplessError):
                    handle.cancel()
            raise
        if state in (JobState.FAILED, JobState.CANCELLED, JobState.PAUSED):
            job = handle.job
            raise SourceError(
                job.error or f"the read's job {job.id} is {job.state}",
                source=dataset.source,
                hint="fill=False (--no-fill) reads what is stored",
            )

    def plan(
        self,
        dataset: str,
        series: str | Sequence[str],
        start: When | None = None,
        end: When | None = None,
        *,
        days: float | None = None,
        mode: Mode | str = Mode.MISSING,
        direction: Direction | str = Direction.BOTH,
        recheck: int = 0,
        report: str = "",
        point_in_time: bool = False,
    ) -> Plan:
        """What a backfill would do: exact spans, requests, seconds. Asks no source."""
        found = self.dataset(dataset)
        wish = self.wish(
            found,
            series,
            start,
            end,
            days=days,
            mode=mode,
            direction=direction,
            recheck=recheck,
            report=report,
            point_in_time=point_in_time,
        )
        with self.store.read() as tx:
            return self.planned(tx, wish)

    def planned(self, tx: Tx, wish: Wish) -> Plan:
        """What a wish needs."""
        return self.jobs.planner.plan(tx, wish, self.clock.now(), LATENCY, self.settings.slots)

    def zone_of(self, template: Template) -> str:
        """Whose clock a schedule of a template follows if nobody says: that of its dataset."""
        dataset = self.catalogue.datasets.get(str(template.settings.get("dataset", "")))
        return dataset.zone if dataset else "UTC"

    def series(self, dataset: Dataset) -> list[str]:
        """All series of a dataset that the store knows."""
        with self.store.read() as tx:
            return ledger.names(tx, dataset.name)

    def coverage_end(self, dataset: str, series: str) -> Instant | None:
        """Where the newest covered span of a series ends."""
        with self.store.read() as tx:
            parts = truth.covered(tx, self.catalogue.dataset(dataset), series)
        return parts[-1][0].end if parts else None

    def coverage(self, dataset: str, series: str) -> pl.DataFrame:
        """Covered spans of a series: `start`, `end` (UTC), `cells`, `rows`."""
        found = self.dataset(dataset)
        with self.store.read() as tx:
            parts = truth.covered(tx, found, series)
        utc = pl.Datetime("us", "UTC")
        return pl.DataFrame(
            [(one.start_time, one.end_time, cells, count) for one, cells, count in parts],
            schema={
                "start": utc,
                "end": utc,
                "cells": pl.Int64,
                "rows": pl.Int64,
            },
            orient="row",
        )

    def gaps(
        self,
        dataset: str,
        series: str,
        start: When | None = None,
        end: When | None = None,
        *,
        days: float | None = None,
    ) -> pl.DataFrame:
        """All of a span without a row: `word` (missing, empty …), `start`, `end` (UTC), `cells`, `note`."""
        found = self.dataset(dataset)
        parts = self.stretches(found, series, start, end, days)
        utc = pl.Datetime("us", "UTC")
        return pl.DataFrame(
            [(one.word.value, one.span.start_time, one.span.end_time, one.cells, one.note) for one in parts],
            schema={
                "word": pl.String,
                "start": utc,
                "end": utc,
                "cells": pl.Int64,
                "note": pl.String,
            },
            orient="row",
        )

    def stretches(
        self,
        dataset: Dataset,
        name: str,
        start: When | None,
        end: When | None,
        days: float | None,
        report: str = "",
    ) -> list[truth.Stretch]:
        """The gaps of a span; without one, from the first row or covered instant of the series to now."""
        (name,) = self.catalogue.series(dataset, [name], report)
        now = self.clock.now()
        with self.store.read() as tx:
            if start is None and days is None:
                asked = self._known(dataset, name, now, tx)
                if asked is None:
                    raise UsageError(
                        f"series: nothing is stored of {name}",
                        field="series",
                        hint="give --from to see what is missing",
                    )
            else:
                asked, _ = self.span(dataset, start, end, days, [name])
            return truth.gaps(tx, dataset, name, asked, now)

    def _known(self, dataset: Dataset, name: str, now: Instant, tx: Tx) -> Span | None:
        parts = truth.covered(tx, dataset, name)
        if not parts:
            return None
        return Span(parts[0][0].start, max(dataset.frontier(now - MARGIN, name), parts[-1][0].end))

    def verify(
        self, dataset: str, series: str | Sequence[str] | None = None, *, repair: bool = False
    ) -> truth.Verified:
        """Compare the ledger with the rows; `repair` takes back what does not agree, for the next fill."""
        found = self.dataset(dataset)
        names = self.series(found) if series is None else list(self.catalogue.series(found, _listed(series)))
        return truth.verify(self.store, found, names, repair=repair)

    def compute(
        self,
        dataset: str,
        series: str | Sequence[str] = "",
        start: When | None = None,
        end: When | None = None,
        *,
        days: float | None = None,
        params: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        fill: bool = True,
        hold: bool = False,
        priority: Priority | str = Priority.NORMAL,
        name: str = "",
        progress: bool = False,
        here: bool | None = None,
    ) -> Running:
        """Start computing derived series; what their inputs miss is fetched first, unless `fill` is off.

        `params`: `market`, `weights`, `window`, `least`, `enough`, `universe`, `strategy`, `chunk`. `overwrite`
        computes days again that are computed already. Days whose inputs stay incomplete are given up, with the reason:
        the job ends incomplete, and `retry` takes exactly those. Raises `UsageError`.
        """
        wish = compute_wish(self, dataset, series, start, end, days, params or {}, overwrite=overwrite)
        if fill and not hold:
            fill_inputs(self, wish, progress=progress)
        made = self.create(wish, priority=priority, name=name, hold=hold)
        return self._start(made, here=here) if not hold else self.watch(made.job.id)

    def start(self, wish: Wish, *, name: str = "") -> Running:
        """Make the job of a checked wish and begin it, here or, on PostgreSQL, where a worker serves it."""
        return self._start(self.create(wish, name=name), here=None)

    def undo(self, job_id: int, after: When | None = None) -> Undone:
        """Take the rows of a compute job away again, with their ledger; with `after` only those from a day on."""
        return undo(self, job_id, _text(after, "after"))

    def compare(
        self,
        mine: str,
        theirs: str,
        start: When | None = None,
        end: When | None = None,
        *,
        days: float | None = None,
    ) -> Agreement:
        """How far two stored daily series, each named DATASET:SERIES, agree on the days on which both have a value."""
        from gapless.app.agreement import agreement

        return agreement(self, mine, theirs, _text(start, "from"), _text(end, "to"), days)

    def validation_wish(
        self,
        dataset: str,
        series: str | Sequence[str] | None = None,
        start: When | None = None,
        end: When | None = None,
        *,
        days: float | None = None,
        level: Level | str = Level.STANDARD,
        chunk: int | None = None,
    ) -> Wish:
        """A checked wish to validate; without series all that are stored, without a span all of it.

        `chunk`: periods that are looked at in one transaction.
        """
        if chunk is not None and not 1 <= chunk <= 100_000:
            raise UsageError(f"chunk: {chunk} is no number of periods", field="chunk", hint="give 1 to 100000")
        found = self.dataset(dataset)
        asked = _choice(Level, str(level).lower(), "level")
        names = self.series(found) if series is None else list(self.catalogue.series(found, _listed(series)))
        if start is None and days is None:
            with self.store.read() as tx:
                first = [at for one in names if (at := _first(tx, found, one)) is not None]
            if not first:
                raise UsageError(
                    f"series: nothing is stored of {', '.join(names) or found.name}",
                    field="series",
                    hint="`gapless fill` fetches it",
                )
            start = moment(min(first))
        params = {"level": asked.value} | ({} if chunk is None else {"chunk": chunk})
        return self.wish(found, names, start, end, days=days, kind=Kind.VALIDATE, params=params)

    def validate(
        self,
        dataset: str,
        series: str | Sequence[str] | None = None,
        start: When | None = None,
        end: When | None = None,
        *,
        days: float | None = None,
        level: Level | str = Level.STANDARD,
        progress: bool = False,
    ) -> Validated:
        """Look for what is wrong with stored rows, and wait. Raises `SourceError` if it did not come to its end."""
        wish = self.validation_wish(dataset, series, start, end, days=days, level=level)
        handle = self._start(self.create(wish))
        if handle.wait(progress=progress) is not JobState.DONE:
            job = handle.job
            raise SourceError(job.error or f"job {job.id} is {job.state}", source=wish.dataset)
        return self.validated(handle.id)

    def validated(self, job_id: int) -> Validated:
        """What a validation has found so far."""
        return validated(self.store, self.jobs.get(job_id))

    def repair(self, job_id: int) -> Running | None:
        """Take back what a validation found to be wrong and fetch it again; None where there is nothing to fetch.

        Raises `UsageError` for what comes from no source, `NotAllowed` for a job that is no validation.
        """
        made = self.mend(job_id)
        return None if made is None else self._start(made)

    def mend(self, job_id: int) -> Made | None:
        """The same, and leave the fetching to whoever serves the queue."""
        job = self.jobs.get(job_id)
        if job.kind != Kind.VALIDATE:
            raise NotAllowed(f"job {job_id} is no validation", hint="`gapless validate` makes one")
        if not self.catalogue.source(self.dataset(job.dataset)).base_url:
            raise UsageError(
                f"repair: {job.dataset} comes from no source", field="repair", hint="compute or import it again"
            )
        spans = repair(self.store, self.catalogue, job, self.clock.now(), self.actor)
        if not spans:
            return None
        whole = Span(min(one.start for one in spans.values()), max(one.end for one in spans.values()))
        dataset = self.catalogue.dataset(job.dataset)
        wish = self._wish(dataset, list(spans), whole, "", Mode.MISSING, Direction.BOTH, 0)
        self.ready(dataset, list(spans))
        return self.jobs.create(wish, name=f"repair of job {job.id}")

    @property
    def reports_folder(self) -> Path:
        """Where report jobs that name no folder have theirs."""
        if self.settings.reports_dir:
            return Path(self.settings.reports_dir).expanduser().absolute()
        database = self.store.database
        return (
            Path(f"{database.path}.reports") if isinstance(database, SQLite) else user_data_path("gapless") / "reports"
        )

    def report(
        self,
        dataset: str,
        series: str | Sequence[str] = (),
        start: When | None = None,
        end: When | None = None,
        *,
        days: float | None = None,
        periods: Sequence[str] = (),
        also: Mapping[str, Sequence[str]] | None = None,
        manner: Manner | None = None,
        folder: Path | None = None,
        priority: Priority | str = Priority.NORMAL,
        name: str = "",
        bounds: Bounds = UNBOUND,
        here: bool | None = None,
    ) -> Running:
        """Start writing reports on series (of other datasets, too: `also`) into a folder, or into the job's own.

        `report_files` tells what it has written. Raises `UsageError`, also where nothing is stored to report on.
        """
        from gapless.app.report import Manner, check_stored, report_wish

        told = [(dataset, _listed(series)), *(also or {}).items()]
        wish = report_wish(self, told, start, end, days=days, periods=periods, manner=manner or Manner(), folder=folder)
        check_stored(self, wish)
        return self._start(self.create(wish, priority=priority, name=name, bounds=bounds), here=here)

    def report_files(self, job_id: int) -> list[tuple[ReportFile, Path]]:
        """The files that a job has written, and where they stand."""
        from gapless.app.report import files, place

        job = self.jobs.get(job_id)
        return [(one, place(self, job, one)) for one in files(self, job_id)]

    # -- work

    def wish(
        self,
        dataset: Dataset,
        series: str | Sequence[str],
        start: When | None,
        end: When | None,
        *,
        days: float | None = None,
        mode: Mode | str = Mode.MISSING,
        direction: Direction | str = Direction.BOTH,
        recheck: int = 0,
        report: str = "",
        point_in_time: bool = False,
        kind: Kind = Kind.COLLECT,
        params: Mapping[str, Any] | None = None,
    ) -> Wish:
        """A checked wish; raises `UsageError` that names the field. `params` is what a kind of work asks for itself.

        `point_in_time`: a period counts as covered only by a statement of its own.
        """
        names = self.catalogue.series(dataset, _listed(series), report)
        self._take_back(dataset)
        asked, said = self.span(dataset, start, end, days, names)
        if recheck < 0:
            raise UsageError("recheck: is negative", field="recheck", hint="give the number of periods")
        return self._wish(
            dataset,
            list(names),
            asked,
            said,
            # The ledger of a chore is what its own job has gone over.
            Mode.ALL if kind.is_chore else _choice(Mode, mode, "mode"),
            _choice(Direction, direction, "direction"),
            recheck,
            kind,
            {**(params or {}), **_point_in_time(dataset, mode, wanted=point_in_time)},
        )

    def _wish(
        self,
        dataset: Dataset,
        names: list[str],
        asked: Span,
        said: str,
        mode: Mode,
        direction: Direction,
        recheck: int,
        kind: Kind = Kind.COLLECT,
        params: Mapping[str, Any] | None = None,
    ) -> Wish:
        return Wish(
            owner=self.actor.name,
            kind=kind,
            params=json.dumps(params or {}, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
            dataset=dataset.name,
            series=tuple(names),
            span=asked,
            mode=mode,
            direction=direction,
            recheck=recheck,
            said=said,
        )

    def backfill(
        self,
        dataset: str,
        series: str | Sequence[str],
        start: When | None = None,
        end: When | None = None,
        *,
        days: float | None = None,
        mode: Mode | str = Mode.MISSING,
        direction: Direction | str = Direction.BOTH,
        recheck: int = 0,
        priority: Priority | str = Priority.NORMAL,
        name: str = "",
        rate: float | None = None,
        bounds: Bounds = UNBOUND,
        report: str = "",
        point_in_time: bool = False,
        queue: Queue | None = None,
        here: bool | None = None,
    ) -> Running:
        """Start filling in the background; an identical unfinished job is taken up instead, on whatever queue it is.

        On PostgreSQL the workers do it; without any, or with `here=True`, the slots of this process.
        """
        found = self.dataset(dataset)
        wish = self.wish(
            found,
            series,
            start,
            end,
            days=days,
            mode=mode,
            direction=direction,
            recheck=recheck,
            report=report,
            point_in_time=point_in_time,
        )
        made = self.create(wish, queue=queue, priority=priority, name=name, rate=rate, bounds=bounds)
        return self._start(made, here=here)

    def create(
        self,
        wish: Wish,
        *,
        queue: Queue | None = None,
        priority: Priority | str = Priority.NORMAL,
        name: str = "",
        rate: float | None = None,
        bounds: Bounds = UNBOUND,
        hold: bool = False,
        progress: bool = False,
    ) -> Made:
        """Make a job that can begin: `ready` says what that takes for one that asks a source."""
        self.ready_for(wish, progress=progress)
        its = priority_of(priority)
        return self.jobs.create(wish, queue=queue, priority=its, name=name, rate=rate, bounds=bounds, hold=hold)

    def ready_for(self, wish: Wish, *, progress: bool = False) -> None:
        """Make sure that the job of a wish can begin."""
        dataset = self._prepared(wish.dataset)
        if wish.kind is not Kind.COLLECT:
            self.catalogue.check(dataset, wish.kind)
        elif self._lacks(wish):
            self.ready(dataset, wish.series, progress=progress)

    def _lacks(self, wish: Wish) -> bool:
        with self.store.read() as tx:
            return self.jobs.planner.plan(tx, wish, self.clock.now(), LATENCY, 1).missing > 0

    def follow_wish(self, dataset: Dataset, names: Sequence[str]) -> Wish:
        """The wish of a standing job."""
        start = dataset.frontier(self.clock.now() - MARGIN)
        return Wish(
            owner=self.actor.name,
            kind=Kind.FOLLOW,
            dataset=dataset.name,
            series=self.catalogue.series(dataset, list(names)),
            span=Span(dataset.grid.add(start, -1), dataset.grid.add(start, 10**6)),
            said="follow",
        )

    def follow(self, dataset: str, series: Sequence[str], say: Callable[[str], None], stop: threading.Event) -> Job:
        """Keep series complete up to the frontier until `stop` is set; the standing job is shared by its followers."""
        found = self.dataset(dataset)
        made = self.jobs.create(
            self.follow_wish(found, series), queue=Queue.LIVE, priority=Priority.HIGH, name="follow"
        )
        self.ready(found, series)
        job = self.jobs.resume(made.job.id) if made.job.state == JobState.PAUSED else made.job
        engine = self.engine({Queue.LIVE: max(1, min(self.settings.slots, len(series)))}, only=job.id)
        try:
            Follower(self.store, self.catalogue, self.jobs, self.clock, job, say).run(stop)
        finally:
            self.release(engine)
        return job

    def engine(self, slots: Mapping[Queue, int], *, only: int | None = None) -> Worker:
        """Start worker slots in this process, on either database."""
        ranges = {queue.value: Range(count, count) for queue, count in slots.items()}
        self.store.prepare(self.catalogue.datasets.values() if only is None else [])
        return self._serve(Worker(*self._parts(), ranges, EmbeddedBell(self.store), only=only))

    def worker(self, queues: Sequence[Queue], slots: Range, *, name: str = "") -> Worker:
        """Serve queues from this process: rung by its own file on SQLite, by the cluster's queue on PostgreSQL.

        Raises `StoreError` without the packages of the cluster, `UsageError` when a living worker has the name.
        """
        ranges = {queue.value: slots for queue in queues}
        self.store.prepare(self.catalogue.datasets.values())
        bell = ClusterBell(self.store) if self.is_shared else EmbeddedBell(self.store)
        return self._serve(Worker(*self._parts(), ranges, bell, name=name))

    @property
    def is_shared(self) -> bool:
        """Whether workers on other machines may use this database."""
        return self.store.database.name == "postgresql"

    def _parts(self) -> tuple[Store, Runner, Jobs, Clock]:
        return self.store, self._runner(), self.jobs, self.clock

    def _serve(self, engine: Worker) -> Worker:
        engine.serve()
        with self._lock:
            self._engines.append(engine)
        return engine

    def _runner(self) -> Runner:
        backoff = Backoff(first=self.settings.retry_delay.total_seconds(), retries=self.settings.max_retries)
        return Runner(self.store, self.catalogue, self.jobs, self.clock, backoff)

    def step(self, job_id: int, limit: int) -> int:
        """Do at most `limit` requests of a job in the calling thread and return how many were done.

        For embedding in somebody's own loop: a pause or cancel is seen between two requests.
        """
        job = self.jobs.get(job_id)
        self._ready_for(job)
        runner, done, never = self._runner(), 0, threading.Event()
        engine = Worker(self.store, runner, self.jobs, self.clock, {}, EmbeddedBell(self.store), only=job_id)
        engine.serve()
        try:
            taker = engine.taker(job.queue)
            while done < limit and (ready := taker.take()):
                done += runner.run(ready, never, most=limit - done).sent
        finally:
            engine.stop()
        return done

    def release(self, engine: Worker) -> None:
        """Stop slots that `engine` started."""
        with self._lock:
            if engine in self._engines:
                self._engines.remove(engine)
        engine.stop()

    def run(self, job_id: int) -> Running:
        """Run an existing job in this process."""
        job = self.jobs.get(job_id)
        if not job.is_final:
            self._ready_for(job)
        return self._start(Made(self.jobs.get(job_id), True))

    def _ready_for(self, job: Job) -> None:
        dataset, kind = self._prepared(job.dataset), Kind(job.kind)
        if kind in (Kind.COLLECT, Kind.FOLLOW):
            with self.store.read() as tx:
                names = [name for _, name in jobs.series_of(tx, job.id)]
            self.ready(dataset, names)
        else:
            self.catalogue.check(dataset, kind)

    def set_limit(self, queue: Queue, limit: int | None) -> None:
        """Let at most so many slots of all processes run segments of a queue; None lifts the limit."""
        self.store.write(lambda tx: queues.set_limit(tx, queue.value, limit), urgent=True)
        self._ring()

    def allow_running(self, most: int) -> None:
        """Let at most so many jobs of the whole history run at once; the others wait `pending`."""
        self.store.write(lambda tx: shared.put(tx, claims.RUNNING_JOBS, str(most)), urgent=True)
        self._ring()

    def watch(self, job_id: int) -> Running:
        """Hold a job in hand that others work on."""
        return Running(self, job_id, None, adopted=True)

    def serving(self, job_id: int) -> list[WorkerRow]:
        """Workers, of this process or others, that take segments of a job.

        On PostgreSQL, where nobody may be there to bury the dead, those whose beat is seen to move.
        """
        job = self.jobs.get(job_id)
        if self.is_shared:
            return living(self.store, self.clock, lambda tx: reasons.serving(tx, job))
        with self.store.read() as tx:
            return reasons.serving(tx, job)

    def _start(self, made: Made, *, here: bool | None = True) -> Running:
        """Run a job in this process, or (`here` false, or None and somebody serves it) leave it to the workers."""
        job = made.job
        if made.adopted and job.state == JobState.PAUSED:
            job = self.jobs.resume(job.id)
        self._prepared(job.dataset)
        if here is None:
            here = not (self.is_shared and self.serving(job.id))
        if not here:
            return Running(self, job.id, None, adopted=made.adopted)
        if self.settings.slots < 1 and not job.is_final:
            raise UsageError("slots: without slots nothing runs", field="slots", hint="set GAPLESS_SLOTS to 1 or more")
        slots = self.settings.slots
        if job.kind == Kind.ENRICH:
            from gapless.work.enrich import MOST_AT_ONCE

            slots = min(slots, MOST_AT_ONCE)
        engine = None if job.is_final else self.engine({Queue(job.queue): slots}, only=job.id)
        return Running(self, job.id, engine, adopted=made.adopted)

    def progress(self, job_id: int, *, width: int = 40) -> Progress:
        """How far a job is."""
        self._prepared(self.jobs.get(job_id).dataset)
        return progress(self.store, self.catalogue, self.jobs, job_id, width=width)

    def units(self, job_id: int) -> Units | None:
        """The (series, period) pairs of a job; None where nobody counts them."""
        self._prepared(self.jobs.get(job_id).dataset)
        return units(self.store, self.catalogue, self.jobs, job_id)

    def certificate(self, job_id: int) -> dict[str, Any]:
        """What a job vouches for; `differences` of two tell what has changed since."""
        job = self.jobs.get(job_id)
        self._prepared(job.dataset)
        if job.kind == Kind.REPORT:
            from gapless.app.report import certificate

            return certificate(self, job)
        return truth.certificate(self.store, self.catalogue, self.jobs, job_id)

    def _ring(self) -> None:
        with self._lock:
            engines = list(self._engines)
        for engine in engines:
            engine.ring()


def _child_limits(settings: Settings) -> Limits:
    return Limits(
        seconds=settings.child_time.total_seconds(),
        cpu_seconds=settings.child_cpu.total_seconds(),
        memory=settings.child_memory,
    )


def owner() -> str:
    """Who makes jobs here: the user of the operating system."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}"


def _text(when: When | None, field: str) -> str | None:
    if when is None or isinstance(when, str):
        return when
    if isinstance(when, date):
        return when.isoformat()
    raise UsageError(
        f"{field}: {when!r} is no time", field=field, hint="give a date, a datetime with its zone, or text"
    )


def _listed(series: str | Iterable[str]) -> list[str]:
    """Names, wherever they come from; what is none is refused by the catalogue, with the dataset's example."""
    if isinstance(series, str) or not isinstance(series, Iterable):
        return [series]
    return list(series)


def _first(tx: Tx, dataset: Dataset, name: str) -> Instant | None:
    """Where the rows or the coverage of a series begin, on the grid."""
    series_id = ledger.find(tx, dataset.name, name)
    if series_id is None:
        return None
    rowed = rows.bounds(tx, dataset, series_id)
    covered = coverage.spans(tx, series_id, Span(DAWN, DOOM))
    first = [*([rowed[0]] if rowed else []), *(one.start for one in covered[:1])]
    return dataset.grid.floor(min(first)) if first else None


def _point_in_time(dataset: Dataset, mode: Mode | str, *, wanted: bool) -> dict[str, bool]:
    if not wanted:
        return {}
    if dataset.revisions is None:
        raise UsageError(
            f"point-in-time: {dataset.name} tells each record once", field="point-in-time", hint="leave it out"
        )
    if mode == Mode.ALL:
        raise UsageError(
            "point-in-time: goes with mode missing", field="point-in-time", hint="--recheck K asks again what is there"
        )
    return {POINT_IN_TIME: True}


def _choice(kind: type[Any], value: Any, field: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        listed = ", ".join(one.value for one in kind)
        raise UsageError(f"{field}: {value!r} is unknown", field=field, hint=f"give one of: {listed}") from None
