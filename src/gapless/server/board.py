"""Jobs as the faces show them. The ledger is asked for what runs and for the page that is looked at, no more often."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gapless.app import Gapless
from gapless.core.job import Job, JobState, Kind, Priority
from gapless.core.redact import redacted
from gapless.core.span import SECOND, Instant, iso
from gapless.engine.progress import Progress
from gapless.engine.units import Units
from gapless.store import joblist

#: Jobs kept in mind.
KEPT = 20_000
#: Series named in a row.
NAMED = 3
#: Seconds for which numbers of a job that does not run are good: its last page may still come, others may fill it.
RESTING = 15.0
#: A progress that took t seconds to read is read again after this many t, so that no job eats the server.
SPARING = 10.0
#: Seconds that a page of a list spends on reading what it has seen before.
READING = 0.02
#: Seconds over which rates are averaged.
WINDOW = 10.0

_FIXED = (JobState.DONE, JobState.INCOMPLETE, JobState.FAILED, JobState.CANCELLED)


@dataclass(slots=True)
class Look:
    """What was last seen of a job."""

    sign: tuple[Any, ...]
    progress: Progress
    #: Where the dataset's periods are counted.
    units: Units | None
    at: float
    cost: float


@dataclass(slots=True)
class Pace:
    """Rows and requests of a running job over the last seconds."""

    seen: list[tuple[float, int, int]] = field(default_factory=list)

    def add(self, now: float, rows: int, requests: int) -> None:
        """Take counters in."""
        self.seen.append((now, rows, requests))
        while len(self.seen) > 2 and now - self.seen[1][0] >= WINDOW:
            self.seen.pop(0)

    @property
    def per_second(self) -> tuple[float, float]:
        """Rows and requests a second."""
        (then, rows, requests), (now, more_rows, more) = self.seen[0], self.seen[-1]
        passed = now - then
        if passed < 0.2:
            return 0.0, 0.0
        # A retried job counts anew: never below zero.
        return max(0, more_rows - rows) / passed, max(0, more - requests) / passed


class Board:
    """Safe to use from several threads."""

    def __init__(self, history: Gapless) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._local = threading.local()
        self._looks: OrderedDict[int, Look] = OrderedDict()
        self._names: OrderedDict[int, list[str]] = OrderedDict()
        self._paces: dict[int, Pace] = {}
        self._budgets: dict[str, Pace] = {}
        self._beats: dict[str, tuple[int, float]] = {}

    # -- what is seen

    def look(self, job: Job, *, fresh: bool = False) -> Progress:
        """How far a job is, as last seen, or as it is now where that is too old."""
        plain = _plain(job)
        if plain is not None and not fresh:
            return plain
        return self._seen(job, fresh=fresh).progress

    def units(self, job: Job, *, fresh: bool = False) -> Units | None:
        """The (series, period) pairs of a job, as last seen; None where nobody counts them."""
        dataset = self._history.catalogue.datasets.get(job.dataset)
        if job.kind != Kind.REPORT and (dataset is None or not dataset.has_units):
            return None
        return self._seen(job, fresh=fresh).units

    def _seen(self, job: Job, *, fresh: bool) -> Look:
        with self._lock:
            known = self._looks.get(job.id)
        if known is not None and not fresh and (not self.is_due(job, known) or self._is_spared(job, known)):
            return known
        began = time.monotonic()
        progress, units = self._history.progress(job.id), self._history.units(job.id)
        now = time.monotonic()
        made = Look(_sign(job), progress, units, now, now - began)
        with self._lock:
            self._looks[job.id] = made
            self._looks.move_to_end(job.id)
            while len(self._looks) > KEPT:
                self._looks.popitem(last=False)
        return made

    def is_due(self, job: Job, known: Look) -> bool:
        """Whether what was seen is too old."""
        if known.sign != _sign(job):
            return True
        age = time.monotonic() - known.at
        if job.state in _FIXED:
            return False
        if job.state == JobState.RUNNING:
            return age > max(0.4, SPARING * known.cost)
        return age > max(RESTING, SPARING * known.cost)

    def _is_spared(self, job: Job, known: Look) -> bool:
        """Whether the page that this thread makes has read enough, and what was seen before has to do."""
        until: float | None = getattr(self._local, "until", None)
        return until is not None and time.monotonic() > until and known.sign == _sign(job)

    def page(self, listed: Sequence[Job]) -> list[dict[str, Any]]:
        """Jobs as lists show them. A page reads what it has not seen; of the rest as much as `READING` allows."""
        self._local.until = time.monotonic() + READING
        try:
            return [self.row(one) for one in listed]
        finally:
            self._local.until = None

    def last_look(self, job_id: int) -> Look | None:
        """What was last seen, however long ago."""
        with self._lock:
            return self._looks.get(job_id)

    def names(self, job: Job) -> list[str]:
        """The first series of a job."""
        with self._lock:
            known = self._names.get(job.id)
        if known is not None:
            return known
        with self._history.store.read() as tx:
            found = joblist.series_of(tx, job.id, NAMED)
        with self._lock:
            self._names[job.id] = found
            while len(self._names) > KEPT:
                self._names.popitem(last=False)
        return found

    # -- how fast it goes

    def count(self, totals: dict[int, tuple[int, int]]) -> None:
        """Take the counters of all running jobs in."""
        now = time.monotonic()
        with self._lock:
            self._paces = {one: self._paces.get(one, Pace()) for one in totals}
            for one, (rows, requests) in totals.items():
                self._paces[one].add(now, rows, requests)

    def pace(self, job_id: int) -> tuple[float, float]:
        """Rows and requests a second of a job."""
        with self._lock:
            found = self._paces.get(job_id)
            return found.per_second if found is not None and found.seen else (0.0, 0.0)

    def count_budgets(self, requests: dict[str, int]) -> None:
        """Take the counters of all budgets in."""
        now = time.monotonic()
        with self._lock:
            self._budgets = {one: self._budgets.get(one, Pace()) for one in requests}
            for one, number in requests.items():
                self._budgets[one].add(now, 0, number)

    def used(self, key: str) -> float:
        """Departures a second of a budget."""
        with self._lock:
            found = self._budgets.get(key)
            return found.per_second[1] if found is not None and found.seen else 0.0

    def silence(self, worker: str, beat: int) -> float:
        """Seconds since a worker's beat was seen to move."""
        now = time.monotonic()
        with self._lock:
            if self._beats.get(worker, (None, now))[0] != beat:
                self._beats[worker] = (beat, now)
            return round(now - self._beats[worker][1], 1)

    def see(self, beats: dict[str, int]) -> None:
        """Take the beats of all workers in."""
        for worker, beat in beats.items():
            self.silence(worker, beat)
        with self._lock:
            self._beats = {one: seen for one, seen in self._beats.items() if one in beats}

    def speed(self) -> tuple[float, float]:
        """Rows and requests a second of all jobs."""
        with self._lock:
            each = [one.per_second for one in self._paces.values() if one.seen]
        return sum(one for one, _ in each), sum(one for _, one in each)

    def eta(self, job: Job, made: Progress) -> float | None:
        """Seconds left at the pace of the last seconds; None where nothing can be said."""
        _, requests = self.pace(job.id)
        if job.state != JobState.RUNNING or requests <= 0 or made.requests_left <= 0:
            return None
        return round(made.requests_left / requests, 1)

    # -- as JSON

    def row(self, job: Job) -> dict[str, Any]:
        """A job as lists show it."""
        made = self.look(job)
        rows, requests = self.pace(job.id)
        is_standing = job.kind == Kind.FOLLOW
        return {
            "id": job.id,
            "name": job.name,
            "kind": job.kind,
            "dataset": job.dataset,
            "source": job.dataset.partition(".")[0],
            "series": self.names(job),
            "seriesCount": job.series_count,
            "state": job.state,
            "error": redacted(job.error),
            "reason": redacted(job.error or made.trouble),
            "mode": job.mode,
            "direction": job.direction,
            "recheck": job.recheck,
            "priority": Priority(job.priority).name.lower(),
            "queue": job.queue,
            "owner": job.owner,
            "rateLimit": job.rate,
            "maxRetries": job.max_retries,
            "maxRuntime": None if job.max_runtime is None else job.max_runtime / SECOND,
            "start": iso(job.start),
            "end": None if is_standing else iso(job.end),
            "percent": None if is_standing else round(made.percent, 3),
            "forward": round(made.ends[0], 5),
            "backward": round(made.ends[1], 5),
            "processed": made.processed,
            "total": made.total,
            **dict(zip(("ok", "cached", "skip", "fail"), self._counted(job, made), strict=True)),
            "failed": made.failed,
            "rows": made.rows,
            "requests": made.requests,
            "requestsLeft": made.requests_left,
            "segments": made.segments,
            "trouble": redacted(made.trouble),
            "rate": round(requests, 2),
            "rowsPerSecond": round(rows, 1),
            "eta": self.eta(job, made),
            "createdAt": _when(job.created_at),
            "startedAt": _when(job.started_at),
            "endedAt": _when(job.ended_at),
        }

    def _counted(self, job: Job, made: Progress) -> tuple[int, int, int, int]:
        """ok, cached, skip, fail: units where they are counted, else cells."""
        its = self.units(job)
        if its is not None:
            return its.ok, its.cached, its.skip, its.fail
        return max(0, made.processed - made.cached - made.failed), made.cached, 0, made.failed

    def delta(self, job: Job) -> list[Any]:
        """The same in short, for live lists: see `live.FIELDS`."""
        made = self.look(job)
        _, requests = self.pace(job.id)
        return [
            job.id,
            job.state,
            None if job.kind == Kind.FOLLOW else round(made.percent, 3),
            round(made.ends[0], 5),
            round(made.ends[1], 5),
            *self._counted(job, made),
            made.rows,
            made.requests,
            round(requests, 2),
            self.eta(job, made),
        ]


def _plain(job: Job) -> Progress | None:
    """What needs no look at the ledger: a job that is done, or that nobody has begun."""
    if job.state == JobState.DONE:
        return _progress(job, job.total, (0.5, 0.5))
    if job.state == JobState.PENDING and job.started_at is None and (job.cached == 0 or job.kind == Kind.FOLLOW):
        return _progress(job, job.cached, (0.0, 0.0))
    return None


def _progress(job: Job, processed: int, ends: tuple[float, float]) -> Progress:
    is_done = job.state == JobState.DONE
    return Progress(
        job=job,
        processed=processed,
        total=job.total,
        cached=job.cached,
        failed=0,
        rows=job.rows,
        requests=job.requests,
        requests_left=0,
        segments={},
        bar=[1.0 if is_done else 0.0] * 40,
        trouble="",
        ends=ends,
    )


def _sign(job: Job) -> tuple[Any, ...]:
    """What differs when a job has been moved."""
    return (job.state, job.started_at, job.ended_at)


def _when(at: Instant | None) -> str | None:
    return None if at is None else iso(at - at % SECOND)
