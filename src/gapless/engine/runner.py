"""Run a segment: ask, store, go on until it is complete or we are told to stop.

The runner knows nothing of where it runs. It is the worker loop of our error tree: the only place that catches
everything, and turns it into a state that the owner can see.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from gapless.core.clock import Clock
from gapless.core.errors import (
    BadReply,
    LeaseLost,
    Refused,
    Shifted,
    SourceError,
    StoreError,
    TooMuch,
    TryAgain,
    UnknownSeries,
    UsageError,
)
from gapless.core.job import Kind, Queue, is_point_in_time
from gapless.core.pacing import PATIENCE, Backoff, Lane, Later, Limit
from gapless.core.page import Page
from gapless.core.paging import Window, fresh, halved
from gapless.core.segment import Lease, Segment, SegmentState, Side
from gapless.core.span import SECOND, Instant, Span
from gapless.engine import faults
from gapless.engine.budgets import Departed, Gates, Sent
from gapless.engine.catalogue import Catalogue
from gapless.engine.claims import Ready
from gapless.engine.jobs import Jobs, job_budget
from gapless.engine.names import Names
from gapless.store import events, quarantine, segments
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.work.base import Asked, Left, Work
from gapless.work.collect import Collect, is_unanswered

#: Claims the next segment inside the transaction that ends one.
Then = Callable[[Tx], Ready | None]

#: Segments whose windows are kept in mind after they were given back.
LEARNED = 1_000
#: After that what this process cannot do is offered again: to a newer version, or with other settings.
UNFIT = 15 * SECOND
_LANES = {Queue.LIVE: Lane.LIVE, Queue.DAILY: Lane.DAILY}
log = structlog.get_logger("gapless.runner")


@dataclass(slots=True)
class Latency:
    """Seconds a request takes, as a moving average; None before the first."""

    seconds: float | None = None

    def add(self, seconds: float) -> None:
        """Take one measurement in."""
        self.seconds = seconds if self.seconds is None else 0.8 * self.seconds + 0.2 * seconds


@dataclass(slots=True)
class _Run:
    """What a slot remembers while it runs a segment."""

    lease: Lease
    #: What follows in the transaction that ends it.
    then: Then
    #: What it misses, when that is known from the last transaction.
    left: Left | None
    stop: threading.Event
    work: Work
    limit: Limit
    window: Window
    failures: int
    #: Failed requests that no commit has counted yet.
    uncounted: int = 0
    suspects: list[Span] = field(default_factory=list)
    #: Why the suspects are to be given up.
    why: str = ""
    #: Whether the last page proves nothing without the next one.
    is_midway: bool = False
    #: Whether the last page has ended the segment, and what was claimed in that transaction.
    is_over: bool = False
    next: Ready | None = None

    @property
    def gate(self) -> str:
        """The budget of its requests."""
        return self.limit.key


@dataclass(frozen=True, slots=True)
class _Learned:
    """What a slot remembers of a segment that it has given back."""

    epoch: int
    window: Window
    suspects: list[Span]
    why: str


@dataclass(slots=True)
class Ran:
    """What became of a run: how many requests were sent, and the segment that was claimed after it."""

    sent: int = 0
    next: Ready | None = None


class Runner:
    """Runs segments with the parts it is given."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        jobs: Jobs,
        clock: Clock,
        backoff: Backoff,
        seed: int | None = None,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._jobs = jobs
        self._clock = clock
        self._backoff = backoff
        self._chance = random.Random(seed)
        self._names = Names(store, catalogue)
        self.gates = Gates(store, clock)
        self.latency: dict[str, Latency] = {}
        #: Failures in a row by budget, whichever slots met them: more lanes would only fail more often.
        self.troubled: dict[str, int] = {}
        #: What was learned of segments that were given back, for when this process has them again: how far a listing
        #: has been read, and by how much a request was halved to isolate what spoils it.
        self._learned: dict[int, _Learned] = {}

    def run(self, ready: Ready, stop: threading.Event, *, most: int | None = None, then: Then = lambda _: None) -> Ran:
        """Run a segment until it is complete, given back, in other hands, or `most` requests were sent.

        When it is complete, `then` claims the next one in the transaction that ends it.
        """
        lease, ran = ready.lease, Ran()
        try:
            if isinstance(ready.work, Exception):
                self._decline(lease, ready.work)
            else:
                self._run(self._start(lease, ready.work, ready.left, stop, then), ran, most)
        except LeaseLost:
            log.info("lease.lost", segment=lease.segment.id, job=lease.segment.job)
        except StoreError:
            raise
        except Exception as error:
            log.exception("segment.crashed", segment=lease.segment.id, job=lease.segment.job)
            self._end(lease, SegmentState.FAILED, f"a fault in gapless: {type(error).__name__}: {error}", 0)
        return ran

    def _decline(self, lease: Lease, why: Exception) -> None:
        """Give a segment back that another version or other settings can do; raises what is a fault of ours."""
        if not isinstance(why, UsageError):
            raise why
        retry_at = self._clock.now() + UNFIT
        self._store.write(lambda tx: segments.release(tx, lease, retry_at=retry_at, error=str(why)))

    def _run(self, run: _Run, ran: Ran, most: int | None) -> None:
        while not run.stop.is_set() and (most is None or ran.sent < most or run.is_midway):
            try:
                asked = self._next(run)
            except UnknownSeries as error:
                # Before anything is reserved: what cannot be asked costs no departure.
                self._jobs.hold_series(run.lease, str(error), requests=run.uncounted)
                return
            if asked is None:
                ran.next = self._finish(run)
                return
            leaves = self._depart(run)
            if isinstance(leaves, Later):
                self._release(run, leaves.at, f"waiting for the {leaves.reason} of {run.gate}")
                return
            if not isinstance(leaves, Departed):
                continue
            ran.sent += 1
            if not self._page(run, asked, leaves):
                ran.next = run.next
                return
        self._release(run, 0, "")

    def _next(self, run: _Run) -> Asked | None:
        """The next request: of what the last look at the ledger left, or of a new look."""
        now, lease = self._clock.now(), run.lease
        left, run.left = run.left, None
        if left is None or run.suspects:
            with self._store.read() as tx:
                left = run.work.look(tx, lease, now, run.suspects)
        return run.work.ask(left, lease.segment.name, run.window, now)

    def work(self, lease: Lease) -> Work:
        """The work of a segment."""
        dataset = self._catalogue.dataset(lease.segment.dataset)
        kind = Kind(lease.segment.kind)
        if kind.is_chore or kind is Kind.COMPUTE:
            return self._catalogue.chore(kind).work(lease, dataset)
        return Collect(
            store=self._store,
            source=self._catalogue.source(dataset),
            dataset=dataset,
            series=lease.segment.name,
            alias=self._names.of,
            own=is_point_in_time(lease.segment.params),
            until=_wanted_until(lease.segment),
        )

    def limit(self, lease: Lease) -> Limit:
        """The budget of a segment's pages."""
        dataset = self._catalogue.dataset(lease.segment.dataset)
        return self._catalogue.limit(dataset, Kind(lease.segment.kind))

    def _start(self, lease: Lease, work: Work, left: Left | None, stop: threading.Event, then: Then) -> _Run:
        learned = self._learned.pop(lease.segment.id, None)
        if learned is None or lease.epoch != learned.epoch + 1:
            # Whoever had it in between may have got further.
            learned = _Learned(lease.epoch, fresh(work.shape), [], "")
        return _Run(
            lease=lease,
            then=then,
            left=left,
            stop=stop,
            work=work,
            limit=self.limit(lease),
            window=learned.window,
            failures=lease.segment.attempts,
            suspects=learned.suspects,
            why=learned.why,
        )

    def _depart(self, run: _Run) -> object:
        lane = _LANES.get(Queue(run.lease.segment.queue), Lane.BACKFILL)
        if run.lease.segment.rate:
            paced = self.gates.gate(job_budget(run.lease.segment.job), lane).depart(run.stop)
            if not isinstance(paced, Departed):
                return paced
        return self.gates.gate(run.gate, lane).depart(run.stop)

    def _page(self, run: _Run, asked: Asked, departed: Departed) -> bool:
        """One request and what follows from it; False when the segment has left our hands."""
        began = time.monotonic()
        try:
            with self.gates.sending(run.limit, departed) as sent:
                page = run.work.fetch(asked)
        except Refused as error:
            self._refused(run, error)
            return False
        except TooMuch as error:
            self.gates.answered(sent)
            return self._too_much(run, asked, error)
        except SourceError as error:
            return self._failed(run, asked, sent, error)
        self.troubled.pop(run.gate, None)
        self._measure(run.gate, time.monotonic() - began)
        self.gates.answered(sent, remaining=page.remaining)
        if is_unanswered(asked, page):
            self._too_early(run, asked)
            return False
        self._keep(run, asked, page)
        return not run.is_over

    def _measure(self, gate: str, seconds: float) -> None:
        """Note how long a request took; from the first one on idle slots can tell whether stealing pays."""
        known = self.latency.setdefault(gate, Latency())
        first = known.seconds is None
        known.add(seconds)
        if first:
            self._jobs.ring()

    def _keep(self, run: _Run, asked: Asked, page: Page) -> None:
        """Commit a page. The last one of a segment ends it in the same transaction, and claims the next one."""

        def end(tx: Tx, left: Left) -> None:
            # The transaction may be repeated.
            run.is_over = not left.spans and not run.suspects and self._jobs.end_within(tx, run.lease)
            run.next = run.then(tx) if run.is_over else None

        now, requests = self._clock.now(), 1 + run.uncounted
        run.left = run.work.keep(asked, page, run.lease, now, requests=requests, also=end)
        if run.is_over:
            self._jobs.ring()
        self._quarantine(run)
        run.window = run.work.window(run.window, asked, page)
        run.is_midway = page.walk is not None and page.proven is None
        run.failures = run.uncounted = 0

    def _refused(self, run: _Run, error: Refused) -> None:
        until = self.gates.refused(run.gate, error.seconds, is_quota=error.is_quota)
        run.uncounted += 1
        self._note(run, "budget.blocked", str(error), "warning")
        self._release(run, until, str(error))

    def _too_early(self, run: _Run, asked: Asked) -> None:
        """The source's clock is behind ours: the end of the span may still change there."""
        run.uncounted += 1
        self._release(run, self._clock.now() + SECOND, f"{asked.ask.span} may still change at the source")

    def _too_much(self, run: _Run, asked: Asked, error: TooMuch) -> bool:
        """A good answer that proves nothing: half of the span is asked for at once, a single cell is given up."""
        run.uncounted += 1
        if _cells(run, asked) > 1:
            run.window = halved(run.window, _cells(run, asked))
        else:
            self._give_up(run, asked, error, why="it holds more records than one reply tells")
        return True

    def _failed(self, run: _Run, asked: Asked, sent: Sent, error: SourceError) -> bool:
        run.failures += 1
        run.uncounted += 1
        run.is_midway = False
        if isinstance(error, Shifted):
            run.window = replace(run.window, walk=None)
        self._note(run, "request.failed", str(error), "warning")
        self.gates.failed(sent)
        self._slow_down(run, error)
        decision = faults.decide(
            error,
            failures=run.failures,
            window=replace(run.window, limit=min(run.window.limit, _cells(run, asked))),
            suspects=len(run.suspects),
            backoff=self._backoff_of(run.lease.segment),
            chance=self._chance,
            standing=run.lease.segment.kind == Kind.FOLLOW,
            chore=Kind(run.lease.segment.kind).is_chore,
        )
        return self._act(run, asked, error, decision)

    def _backoff_of(self, segment: Segment) -> Backoff:
        """How often a segment is tried again: as its job says, else the settings."""
        return self._backoff if segment.max_retries is None else replace(self._backoff, retries=segment.max_retries)

    def _slow_down(self, run: _Run, error: SourceError) -> None:
        """Where everything fails, going on at full speed wastes quota; what can be read is no such trouble."""
        failures = self.troubled[run.gate] = self.troubled.get(run.gate, 0) + isinstance(error, TryAgain)
        seconds = self._backoff.silence(failures)
        if seconds and isinstance(error, TryAgain):
            self.gates.slowed(run.gate, seconds)
            self._note(run, "source.slowed", f"{failures} failures in a row: silent for {seconds:g} s", "warning")

    def _act(self, run: _Run, asked: Asked, error: SourceError, decision: faults.Decision) -> bool:
        """Carry a decision out; False when the segment has left our hands."""
        match decision:
            case faults.Retry(seconds):
                return self._retry(run, seconds, str(error))
            case faults.Halve():
                run.window = halved(run.window, _cells(run, asked))
                return True
            case faults.GiveUpCell():
                self._give_up(run, asked, error)
                return True
            case faults.FailSegment():
                self._end(run.lease, SegmentState.FAILED, str(error), run.uncounted)
            case faults.HoldSeries():
                self._jobs.hold_series(run.lease, str(error), requests=run.uncounted)
            case faults.HoldWork():
                self._jobs.hold(run.lease, str(error), requests=run.uncounted)
        return False

    def _retry(self, run: _Run, seconds: float, why: str) -> bool:
        if seconds > PATIENCE:
            self._release(run, self._clock.now() + round(seconds * SECOND), why)
            return False
        self._clock.wait(run.stop, seconds)
        return True

    def _give_up(
        self, run: _Run, asked: Asked, error: SourceError, *, why: str = "its record spoils every reply"
    ) -> None:
        """Set the spoilt cell aside; what the reply proves beside it is kept."""
        grid, span = run.work.dataset.grid, asked.ask.span
        cell = error.span if isinstance(error, BadReply) and error.span is not None else None
        if cell is None:
            newest = Span(grid.add(span.end, -1), span.end)
            cell = newest if asked.is_backward else Span(span.start, grid.add(span.start, 1))
        run.suspects.append(cell)
        run.why = why
        self._note(
            run,
            "span.given_up",
            f"{cell} of {run.lease.segment.name}: {why} ({error.message})",
            "error",
        )
        if isinstance(error, BadReply) and error.page is not None:
            self._keep(run, asked, run.work.cut(error.page, asked))
        elif isinstance(error, BadReply) and error.span is not None:
            self._quarantine(run)
            run.failures = 0

    def _quarantine(self, run: _Run) -> None:
        """Write suspects down once a good reply has shown that it was them, not the source."""
        if not run.suspects:
            return
        segment, now, cells = run.lease.segment, self._clock.now(), list(run.suspects)

        def write(tx: Tx) -> None:
            if segments.fence(tx, run.lease) is None:
                raise LeaseLost(f"segment {segment.id} is in other hands")
            for cell in cells:
                quarantine.add(tx, segment.series, cell, job=segment.job, reason=run.why, at=now)

        self._store.write(write)
        run.suspects.clear()
        run.left = None

    def _finish(self, run: _Run) -> Ready | None:
        self._quarantine(run)
        return self._jobs.end(run.lease, SegmentState.DONE, requests=run.uncounted, then=run.then)

    def _end(self, lease: Lease, state: SegmentState, error: str, requests: int) -> None:
        self._jobs.end(lease, state, error=error, requests=requests)

    def _release(self, run: _Run, retry_at: Instant, why: str) -> None:
        def give_back(tx: Tx) -> bool:
            return segments.release(
                tx,
                run.lease,
                retry_at=retry_at,
                attempts=run.failures,
                error=why,
                requests=run.uncounted,
            )

        self._store.write(give_back)
        if run.suspects or run.window.walk is not None or run.window.limit < run.work.shape.rows:
            if len(self._learned) >= LEARNED:
                self._learned.pop(next(iter(self._learned)))
            self._learned[run.lease.segment.id] = _Learned(run.lease.epoch, run.window, run.suspects, run.why)

    def _note(self, run: _Run, name: str, message: str, level: str) -> None:
        now, segment = self._clock.now(), run.lease.segment
        log.log(30 if level == "warning" else 40, name, job=segment.job, segment=segment.id, message=message)
        self._store.write(
            lambda tx: events.add(tx, now, name, message, job=segment.job, segment=segment.id, level=level)
        )


def _cells(run: _Run, asked: Asked) -> int:
    span = asked.ask.span
    return run.work.dataset.grid.count(span.start, span.end)


def _wanted_until(segment: Segment) -> Instant | None:
    """Where the wanted span of its job ends, if a segment reaches it: a historical half ends in its middle."""
    return segment.end if segment.side == Side.RECENT or not segment.may_turn else None
