"""Orders: what is wished for becomes a checked wish, a job, and a job that runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from operator import index
from typing import Any, SupportsIndex

from gapless.app.parts import Parts
from gapless.app.running import Running
from gapless.core.dataset import Dataset
from gapless.core.errors import GaplessError, SourceError, UsageError
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
from gapless.core.period import wanted as wanted_period
from gapless.core.plan import Plan
from gapless.core.span import Span, iso
from gapless.engine import truth
from gapless.engine.embedded import EmbeddedBell
from gapless.engine.jobs import MARGIN, Made
from gapless.engine.names import Names
from gapless.engine.progress import Progress, progress
from gapless.engine.units import Units, units
from gapless.engine.worker import Worker
from gapless.store import jobs, pages, payloads
from gapless.store.database import Tx

#: A number names a year, as text does.
When = str | int | date | datetime
#: Seconds of latency assumed before anything was measured.
LATENCY = 0.1


class Orders(Parts):
    """A history to which orders are given."""

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
        named, said = wanted_period(text_of(start, "from"), text_of(end, "to"), days, now=now, zone=dataset.zone)
        frontier = min({dataset.frontier(now - MARGIN, name) for name in names or [""]})
        aligned = align(dataset.grid, named, frontier)
        if aligned is None:
            raise UsageError(
                "from: nothing of this span is final yet",
                field="from",
                hint=f"records of {dataset.name} are final up to {iso(frontier)}",
            )
        return aligned, said

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
        names = self.catalogue.series(dataset, listed(series), report)
        self._take_back(dataset)
        asked, said = self.span(dataset, start, end, days, names)
        return self._wish(
            dataset,
            list(names),
            asked,
            said,
            # The ledger of a chore is what its own job has gone over.
            Mode.ALL if kind.is_chore else choice(Mode, mode, "mode"),
            choice(Direction, direction, "direction"),
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
            recheck=_periods(recheck),
            said=said,
        )

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
        its, queue = priority_of(priority), None if queue is None else choice(Queue, queue, "queue")
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

    def planned(self, tx: Tx, wish: Wish) -> Plan:
        """What a wish needs."""
        return self.jobs.planner.plan(tx, wish, self.clock.now(), LATENCY, self.settings.slots)

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

    def start(self, wish: Wish, *, name: str = "") -> Running:
        """Make the job of a checked wish and begin it, here or, on PostgreSQL, where a worker serves it."""
        return self._start(self.create(wish, name=name), here=None)

    def run(self, job_id: int) -> Running:
        """Run an existing job in this process."""
        job = self.jobs.get(job_id)
        if not job.is_final:
            self._ready_for(job)
        return self._start(Made(self.jobs.get(job_id), True))

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

    def _ready_for(self, job: Job) -> None:
        dataset, kind = self._prepared(job.dataset), Kind(job.kind)
        if kind in (Kind.COLLECT, Kind.FOLLOW):
            with self.store.read() as tx:
                names = [name for _, name in jobs.series_of(tx, job.id)]
            self.ready(dataset, names)
        else:
            self.catalogue.check(dataset, kind)

    def watch(self, job_id: int) -> Running:
        """Hold a job in hand that others work on."""
        return Running(self, job_id, None, adopted=True)

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


def text_of(when: When | None, field: str) -> str | None:
    if when is None or isinstance(when, str):
        return when
    if isinstance(when, date):
        return when.isoformat()
    # Also the numbers of pandas.
    if isinstance(when, SupportsIndex):
        return str(index(when))
    raise UsageError(
        f"{field}: {when!r} is no time", field=field, hint="give a date, a datetime with its zone, or text"
    )


def _periods(recheck: object) -> int:
    """How many of the last periods are asked again, as anybody may say it."""
    if not isinstance(recheck, SupportsIndex) or index(recheck) < 0:
        raise UsageError(
            f"recheck: {recheck!r} is no number of periods", field="recheck", hint="give 0 or more of the last ones"
        )
    return index(recheck)


def listed(series: str | Iterable[str]) -> list[str]:
    """Names, wherever they come from; what is none is refused by the catalogue, with the dataset's example."""
    if isinstance(series, str) or not isinstance(series, Iterable):
        return [series]
    return list(series)


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


def choice(kind: type[Any], value: Any, field: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        listed = ", ".join(one.value for one in kind)
        raise UsageError(f"{field}: {value!r} is unknown", field=field, hint=f"give one of: {listed}") from None
