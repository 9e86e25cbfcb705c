"""A history as people hold it in their hands: `gapless.open(url)` gives the library's face."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from gapless.app.compute import Undone, compute_wish, computing, fill_inputs, undo
from gapless.app.dividends import COMMON, dps_series
from gapless.app.orders import Orders, When, choice, listed, text_of
from gapless.app.running import Running
from gapless.app.validation import Validated, repair, validated, validation
from gapless.app.wishes import Wishes
from gapless.core.actor import Actor
from gapless.core.clock import Clock, SystemClock
from gapless.core.dataset import Dataset
from gapless.core.errors import NotAllowed, SourceError, UsageError
from gapless.core.grid import align
from gapless.core.job import (
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
)
from gapless.core.lazily import pl
from gapless.core.period import parse, wanted
from gapless.core.plan import Plan
from gapless.core.rules import Level
from gapless.core.span import DAWN, DOOM, Instant, Span, moment
from gapless.engine import truth
from gapless.engine.chains import Chains
from gapless.engine.follow import Follower
from gapless.engine.jobs import MARGIN, Made
from gapless.engine.schedules import Schedules
from gapless.engine.templates import Templates
from gapless.logs import be_calm
from gapless.settings import Settings, load
from gapless.store import coverage, rows
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.reports import ReportFile
from gapless.store.store import open_store
from gapless.store.templates import Template
from gapless.work.base import Chore
from gapless.work.merge import MERGE, Merge
from gapless.work.migrate import Migrate, Verb
from gapless.work.refetch import REFETCH, Refetch
from gapless.work.reparse import REPARSE, Reparse

if TYPE_CHECKING:
    from gapless.app.agreement import Agreement
    from gapless.app.report import Manner


def open(
    url: str | PathLike[str] | None = None, *, settings: Settings | None = None, clock: Clock | None = None
) -> Gapless:
    """Open the history kept at `url`, or in the SQLite file of a path.

    Default: `GAPLESS_DATABASE_URL`, else a SQLite file in the user's data folder.

    Raises `StoreError` when the database cannot be used and `UsageError` when a setting is wrong.
    """
    be_calm()
    made = settings or load()
    return Gapless(
        open_store(
            fspath(url or made.database_url), durable=made.durable, busy_seconds=made.busy_timeout.total_seconds()
        ),
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
    progress: bool = False,
) -> pl.DataFrame:
    """`Gapless.read` on the default history, opened and closed around it."""
    with open() as history:
        return history.read(dataset, series, start, end, days=days, fill=fill, as_of=as_of, progress=progress)


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


class Gapless(Orders):
    """One history: read it, plan, fill, and ask what is true of it. Safe to use from several threads."""

    def chores(self) -> dict[Kind, Callable[[], Chore]]:
        return {
            Kind.VALIDATE: lambda: validation(self.store, self.catalogue, self.clock),
            Kind.COMPUTE: lambda: computing(self.store, self.catalogue, self.clock, self._children),
            Kind.MIGRATE: self._migrating,
            Kind.ENRICH: self._enriching,
            Kind.REPORT: self._reporting,
        }

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
        if found.is_imported:
            asked = self._kept(found, start, end, days)
        else:
            asked, _ = self.span(found, start, end, days, [name])
            if fill:
                self._fill_for_reading(found, name, asked, recheck, progress)
        with self.store.read() as tx:
            series_id = ledger.find(tx, found.name, name)
            if series_id is None:
                return rows.empty(found)
            return rows.frame(tx, found, series_id, asked, day=day)

    def _kept(self, dataset: Dataset, start: When | None, end: When | None, days: float | None) -> Span:
        """A span of imported rows, up to their last one: those of days to come are rows too."""
        until = self.clock.now() if end is None and days is not None else DOOM
        asked, _ = wanted(text_of(start, "from"), text_of(end, "to"), days, now=until, zone=dataset.zone)
        return align(dataset.grid, asked, DOOM) or asked

    def day(self, dataset: Dataset, as_of: When) -> str:
        """The last day that a time names, in the dataset's zone."""
        if dataset.revisions is None:
            raise UsageError(
                f"as_of: {dataset.name} keeps no revisions",
                field="as_of",
                hint="its records are final; leave it out",
            )
        named = parse(text_of(as_of, "as_of") or "", field="as_of", zone=dataset.zone)
        return moment(named.end - 1).astimezone(ZoneInfo(dataset.zone)).date().isoformat()

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
        """Covered spans of a series: `start`, `end` (UTC), `cells`, `rows`, and `present`: the cells with a row."""
        found = self.dataset(dataset)
        self._check_ledger(found)
        (name,) = self.catalogue.series(found, [series])
        with self.store.read() as tx:
            parts = truth.covered(tx, found, name)
        utc = pl.Datetime("us", "UTC")
        return pl.DataFrame(
            [(one.start_time, one.end_time, *counted) for one, *counted in parts],
            schema={
                "start": utc,
                "end": utc,
                "cells": pl.Int64,
                "rows": pl.Int64,
                "present": pl.Int64,
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
        self._check_ledger(dataset)
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

    def _check_ledger(self, dataset: Dataset) -> None:
        if not dataset.has_ledger:
            hint = f"`gapless read {dataset.name}` shows what is there"
            raise UsageError(
                f"dataset: {dataset.name} are imported; what is missing nobody knows", field="dataset", hint=hint
            )

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
        names = self.series(found) if series is None else list(self.catalogue.series(found, listed(series)))
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

    def undo(self, job_id: int, after: When | None = None) -> Undone:
        """Take the rows of a compute job away again, with their ledger; with `after` only those from a day on."""
        return undo(self, job_id, text_of(after, "after"))

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

        return agreement(self, mine, theirs, text_of(start, "from"), text_of(end, "to"), days)

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
        asked = choice(Level, str(level).lower(), "level")
        names = self.series(found) if series is None else list(self.catalogue.series(found, listed(series)))
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

        told = [(dataset, listed(series)), *(also or {}).items()]
        wish = report_wish(self, told, start, end, days=days, periods=periods, manner=manner or Manner(), folder=folder)
        check_stored(self, wish)
        return self._start(self.create(wish, priority=priority, name=name, bounds=bounds), here=here)

    def report_files(self, job_id: int) -> list[tuple[ReportFile, Path]]:
        """The files that a job has written, and where they stand."""
        from gapless.app.report import files, place

        job = self.jobs.get(job_id)
        return [(one, place(self, job, one)) for one in files(self, job_id)]

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


def _first(tx: Tx, dataset: Dataset, name: str) -> Instant | None:
    """Where the rows or the coverage of a series begin, on the grid."""
    series_id = ledger.find(tx, dataset.name, name)
    if series_id is None:
        return None
    rowed = rows.bounds(tx, dataset, series_id)
    covered = coverage.spans(tx, series_id, Span(DAWN, DOOM))
    first = [*([rowed[0]] if rowed else []), *(one.start for one in covered[:1])]
    return dataset.grid.floor(min(first)) if first else None
