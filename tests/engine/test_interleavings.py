"""Any number of workers, any order of their steps: what must hold after every single one of them.

A state machine drives the real store on both databases, one step at a time: workers enter, beat, claim, ask, commit
(late, twice, out of order, under a lease that is gone), give back, fail, are killed, taken for dead and woken again,
while owners make and move jobs, clocks jump and the provider's present grows. Replies come from `Truth`, a pure model
of what a provider has; after each step the ledger, the rows, the leases and the jobs are compared with it.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gapless.core.dataset import Axis, Column, Dataset, Type
from gapless.core.errors import (
    BadReply,
    HoldJob,
    LeaseLost,
    NotAllowed,
    Refused,
    SourceError,
    TryAgain,
    UnknownSeries,
    Unreachable,
)
from gapless.core.grid import Steps, align
from gapless.core.job import FINAL, MOVES, OWNER_VERBS, Direction, JobState, Kind, Mode, Priority, Wish
from gapless.core.pacing import Backoff, Limit, refuse
from gapless.core.page import Ask, Page, Shape
from gapless.core.paging import Window, fresh
from gapless.core.plan import steal_at
from gapless.core.segment import LIVE, Lease, SegmentState
from gapless.core.span import MINUTE, SECOND, Instant, Span, instant, span
from gapless.engine.catalogue import Catalogue
from gapless.engine.claims import Ready, Taker
from gapless.engine.jobs import MARGIN, Jobs
from gapless.engine.progress import progress
from gapless.engine.recovery import BEAT, LEASE, Identity, Watch
from gapless.engine.runner import Runner
from gapless.engine.truth import verify
from gapless.store import budgets, claims, jobs, pages, quarantine, segments, series, workers
from gapless.store.database import Tx
from gapless.store.schema import metadata
from gapless.store.store import Store
from gapless.testing.factories import MORNING
from gapless.work.collect import Asked, Collect, Left, is_unanswered

#: Rows of a full page: small, so that a job of a hundred cells takes a dozen requests.
ROWS = 8
QUEUE = "backfill"
CANDLES = Dataset(
    name="test.candles.1m",
    source="test",
    grid=Steps(MINUTE),
    axis=Axis.STEP,
    columns=(Column(name="close", type=Type.FLOAT),),
)
#: A dataset whose source forgets.
BRIEF = replace(CANDLES, name="test.brief.1m", retention=timedelta(minutes=120))
#: Cell 0: eighty periods before a border between two tallies, so that pages and jobs lie across it.
ZERO = CANDLES.tally_of((MORNING - CANDLES.tally_origin) // CANDLES.tally_width).end - 80 * MINUTE
#: The cell that is unfinished when an example begins, and how far back anything is traded.
PRESENT, DAWN_OF_TRADE = 160, -60
#: Beats after which a silent worker has lost its segments: five seconds.
RESCUED_IN = 10
#: How far the wall clock may be off, in seconds.
OFF = 1800


def time_of(cell: int) -> Instant:
    return ZERO + cell * MINUTE


def cell_of(at: Instant) -> int:
    """The first cell that starts at or after an instant."""
    return -((ZERO - at) // MINUTE)


def cells_of(*parts: Span) -> set[int]:
    return {cell for one in parts for cell in range(cell_of(one.start), cell_of(one.end))}


# The model of the provider


@dataclass
class Truth:
    """All that a provider has, or will have, of one series."""

    name: str
    dataset: Dataset
    #: The first cell with a trade; a reveal moves it back.
    first: int = DAWN_OF_TRADE
    halt: range = range(0)
    #: Of a hundred cells, how many have a trade.
    share: int = 100
    #: Where it begins before anything older is revealed.
    listed: int = field(init=False)

    def __post_init__(self) -> None:
        self.listed = self.first

    def is_traded(self, cell: int) -> bool:
        return cell >= self.first and cell not in self.halt and (cell * 7919) % 100 < self.share

    def close(self, cell: int) -> float:
        return 1000.0 + cell + len(self.name) / 8

    def remembered(self, now: Instant) -> Instant | None:
        """From when on the provider answers."""
        gone = self.dataset.unavailable(now)
        return gone.end if gone else None

    def visible(self, now: Instant) -> Iterator[tuple[Instant, float]]:
        """Rows of a moment, newest first; those that may still change have a value that must never be stored."""
        oldest = max(self.first, cell_of(self.remembered(now) or time_of(self.first)))
        for cell in range(cell_of(now), oldest - 1, -1):
            if time_of(cell) <= now and self.is_traded(cell):
                settled = time_of(cell + 1) + SECOND <= now
                yield time_of(cell), self.close(cell) if settled else -1.0

    def reply(self, ask: Ask, now: Instant) -> Page:
        """The newest rows before the end of what is asked, as Upbit would answer."""
        rows = [one for one in self.visible(now) if one[0] < ask.span.end][: ask.limit][::-1]
        told = now // SECOND * SECOND
        if rows:
            return Page(rows=list(rows), proven=Span(rows[0][0], ask.span.end), source_time=told)
        kept_from = self.remembered(now)
        if kept_from is not None:
            return Page(rows=[], proven=span(kept_from, ask.span.end), source_time=told)
        return Page(rows=[], proven=None, nothing_before=ask.span.end, source_time=told)


def provider() -> dict[str, Truth]:
    """One series of each kind."""
    every = [
        Truth("DENSE", CANDLES),
        Truth("THIN", CANDLES, share=15),
        Truth("HALTED", CANDLES, halt=range(60, 110)),
        Truth("LATE", CANDLES, first=45),
        Truth("THIN-AND-LATE", CANDLES, first=70, share=30),
        Truth("FORGOTTEN", BRIEF, share=80),
    ]
    return {one.name: one for one in every}


class Model:
    """The provider as a source. `fetch` is for the runner: `during` happens while its request is under way."""

    name = "test"
    base_url = "none"
    datasets: ClassVar = {CANDLES.name: CANDLES, BRIEF.name: BRIEF}

    def __init__(self, during: Callable[[Ask], Page]) -> None:
        self._during = during

    def check(self) -> None:
        pass

    def shape(self, dataset: Dataset, series: str) -> Shape:
        return Shape(rows=ROWS)

    def limit(self, dataset: Dataset) -> Limit:
        return Limit(key="test/candle", rate=None)

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:
        return self._during(ask)

    def catalogue(self) -> list[tuple[str, str]]:
        return []

    def close(self) -> None:
        pass


class Time:
    """A wall that jumps and a monotonic clock that only grows; waiting takes no time but theirs."""

    def __init__(self) -> None:
        #: What the provider's clock says, which is right.
        self.true: Instant = time_of(PRESENT) + 30 * SECOND
        self.off = 0

    def now(self) -> Instant:
        return self.true + self.off

    def monotonic(self) -> float:
        return self.true / SECOND

    def wait(self, event: Any, seconds: float) -> bool:
        self.true += round(max(0.0, seconds) * SECOND)
        return event.is_set()


@dataclass(frozen=True)
class Wanted:
    """What an owner asks for."""

    #: One series of those that the example plays with, or all of them.
    whole: bool
    pick: int
    start: int
    length: int
    mode: Mode
    recheck: int
    direction: Direction
    priority: Priority
    hold: bool


WANTED = st.builds(
    Wanted,
    whole=st.booleans(),
    pick=st.integers(0, 1),
    start=st.integers(0, 150),
    length=st.sampled_from([4, 30, 60, 120, 160]),
    mode=st.sampled_from(Mode),
    recheck=st.sampled_from([0, 0, 5, 40]),
    direction=st.sampled_from(Direction),
    priority=st.sampled_from(Priority),
    hold=st.sampled_from([False, False, False, False, True]),
)


# The product: every call into it that depends on a signature


class Product:
    """The store and the engine's parts, as the machine uses them."""

    def __init__(self, store: Store, clock: Time, fetch: Callable[[Ask], Page]) -> None:
        self.store = store
        self.clock = clock
        self.catalogue = Catalogue({"test": Model(fetch)}, scopes={}, rates={})
        self.jobs = Jobs(store, self.catalogue, clock)
        store.prepare([CANDLES, BRIEF])

    def empty(self) -> None:
        """Every example starts from nothing."""

        def clear(tx) -> None:
            for table in [*metadata.tables, CANDLES.table, BRIEF.table]:
                tx.cursor.execute(f"DELETE FROM {table}")

        self.store.write(clear)

    def write(self, verb: Callable[..., Any], *args: Any, **more: Any) -> Any:
        return self.store.write(lambda tx: verb(tx, *args, **more))

    def read(self, question: Callable[..., Any], *args: Any, **more: Any) -> Any:
        with self.store.read() as tx:
            return question(tx, *args, **more)

    def collect(self, lease: Lease) -> Collect:
        dataset = self.catalogue.dataset(lease.segment.dataset)
        return Collect(
            store=self.store, source=self.catalogue.source(dataset), dataset=dataset, series=lease.segment.name
        )

    def taker(self, worker: str) -> Taker:
        return Taker(store=self.store, jobs=self.jobs, clock=self.clock, work=self.collect, queue=QUEUE, worker=worker)

    def take(self, worker: str) -> tuple[Lease, Left | None] | None:
        ready = self.taker(worker).take()
        return None if ready is None else (ready.lease, ready.left)

    def claim(self, worker: str) -> Lease | None:
        """The bare claim, which passes over nothing."""
        return self.write(claims.claim, QUEUE, worker, self.clock.now())

    def ask(self, lease: Lease, left: Left | None, window: Window) -> Asked | None:
        """The next request, of what the last transaction left or of a new look."""
        collect, now = self.collect(lease), self.clock.now()
        if left is None:
            left = self.read(collect.look, lease, now)
        return collect.ask(left, lease.segment.name, window, now)

    def keep(self, asked: Asked, page: Page, lease: Lease, ends: str | None) -> tuple[Left, list[Ready | None]]:
        """Commit a page; with `ends` the last one ends its segment, and that worker claims the next one."""
        over: list[Ready | None] = []

        def end(tx: Tx, left: Left) -> None:
            over.clear()
            if ends is not None and not left.spans and self.jobs.end_within(tx, lease):
                over.append(self.taker(ends).next(tx))

        left = self.collect(lease).keep(asked, page, lease, self.clock.now(), requests=1, also=end)
        return left, over

    def end(self, lease: Lease, state: SegmentState, then: str | None) -> tuple[Lease, Left | None] | None:
        """End a segment; `then` names the worker that claims its next one in the same transaction."""
        if then is None:
            self.jobs.end(lease, state)
            return None
        ready: Ready | None = self.jobs.end(lease, state, then=self.taker(then).next)
        return None if ready is None else (ready.lease, ready.left)

    def release(self, lease: Lease, retry_at: Instant, attempts: int) -> bool:
        return self.write(segments.release, lease, retry_at=retry_at, attempts=attempts, error="trouble")

    def cut_at(self, victim: Lease) -> Instant | None:
        """Where an idle slot would cut a running segment of a dense series: others are hardly ever cut."""
        with self.store.read() as tx:
            collect = self.collect(victim)
            spans = collect.remaining(tx, victim, self.clock.now())
            return steal_at(collect.dataset.grid, spans, collect.shape, 1.0, victim.segment.is_backward)

    def steal(self, victim: Lease, at: Instant) -> bool:
        return self.write(segments.steal, victim, at, "test/candle")

    def victims(self) -> list[Lease]:
        return self.read(claims.victims, QUEUE, None)

    def enter(self, watch: Watch) -> None:
        watch.enter([QUEUE], 2, None)

    def beat(self, watch: Watch) -> bool:
        return watch.beat(2)

    def running(self) -> set[int]:
        with self.store.read() as tx:
            tx.cursor.execute("SELECT id FROM segment WHERE state = 'running'")
            return {row[0] for row in tx.cursor.fetchall()}

    def lease(self, segment_id: int) -> Lease:
        found = self.read(segments.get, segment_id)
        return Lease(segment=found, epoch=found.epoch, worker="")

    def give_up(self, series_id: int, cell: Span, job: int) -> None:
        self.write(quarantine.add, series_id, cell, job=job, reason="spoilt", at=self.clock.now())

    def block(self, seconds: float) -> None:
        self.write(budgets.change, "test/candle", lambda one: (refuse(one, self.clock.now(), seconds), None))

    def withdraw(self, dataset: Dataset, series_id: int, lost: Span) -> None:
        self.write(pages.withdraw, dataset, series_id, lost)

    def run(self, ready: tuple[Lease, Left | None], stop: Any, most: int) -> None:
        """Let the real runner send up to `most` requests."""
        lease, left = ready
        if left is None:
            left = self.read(self.collect(lease).look, lease, self.clock.now())
        backoff = Backoff(first=0.5, retries=1)
        runner = Runner(self.store, self.catalogue, self.jobs, self.clock, backoff, seed=1)
        runner.run(Ready(lease, runner.work(lease), left), stop, most=most)

    def percent(self, job_id: int) -> tuple[float, int]:
        """Progress, and how many cells are still to be settled."""
        found = progress(self.store, self.catalogue, self.jobs, job_id, width=1)
        return found.percent, found.total - found.processed

    def wish(self, names: Iterable[str], dataset: Dataset, wanted: Wanted) -> Wish | None:
        """A wish as a command would make it: on the grid, its end pinned at the frontier."""
        said = Span(time_of(wanted.start), time_of(wanted.start + wanted.length))
        pinned = align(dataset.grid, said, dataset.frontier(self.clock.now() - MARGIN))
        if pinned is None:
            return None
        return Wish(
            owner="me",
            kind=Kind.COLLECT,
            dataset=dataset.name,
            series=tuple(names),
            span=pinned,
            mode=wanted.mode,
            direction=wanted.direction,
            recheck=wanted.recheck,
        )


# What the database says


@dataclass
class Seen:
    """Everything in the database that a step may change, as sets of cells where that is simpler."""

    jobs: dict[int, Any]
    job_series: dict[int, list[int]]
    segments: dict[int, Any]
    coverage: dict[int, list[Span]]
    proof: dict[tuple[int, int], list[Span]]
    quarantine: list[tuple[int, int, Span, int, str]]
    tally: dict[tuple[int, int], int]
    rows: dict[int, dict[int, float]]
    since: dict[int, tuple[Instant | None, Instant | None]]
    names: dict[int, str]
    workers: set[str]
    events: list[tuple[int, int, str]]

    def covered(self, one: int) -> set[int]:
        return cells_of(*self.coverage.get(one, []))

    def proven(self, job: int, one: int) -> set[int]:
        return cells_of(*self.proof.get((job, one), []))

    def given_up(self, one: int, job: int | None = None) -> set[int]:
        parts = [part for _, its, part, who, _ in self.quarantine if its == one and job in (None, who)]
        return cells_of(*parts)


@dataclass(frozen=True)
class Bit:
    """The part of a segment's row that the invariants need."""

    id: int
    job: int
    series: int
    span: Span
    cursor: Instant
    direction: str
    state: str
    epoch: int
    worker: str | None

    @property
    def remaining(self) -> set[int]:
        """The cells it has still to go through."""
        if self.direction == Direction.BACKWARD:
            return set(range(cell_of(self.span.start), cell_of(self.cursor)))
        return set(range(cell_of(self.cursor), cell_of(self.span.end)))


def _instant(value: Any) -> Instant:
    return instant(value) if isinstance(value, datetime) else value


def look(tx) -> Seen:
    """Read it all: plain statements, so that a fault in the store's own cannot hide."""

    def every(text: str) -> list[Any]:
        tx.cursor.execute(text)
        return tx.cursor.fetchall()

    bits = [
        Bit(row[0], row[1], row[2], Span(row[3], row[4]), *row[5:])
        for row in every('SELECT id, job, series, start, "end", "cursor", direction, state, epoch, worker FROM segment')
    ]
    coverage, proof, stored = defaultdict(list), defaultdict(list), defaultdict(dict)
    for one, start, end in every('SELECT series, start, "end" FROM coverage ORDER BY series, start'):
        coverage[one].append(Span(start, end))
    for job, one, start, end in every('SELECT job, series, start, "end" FROM proof ORDER BY job, series, start'):
        proof[job, one].append(Span(start, end))
    for table in (CANDLES.table, BRIEF.table):
        for one, at, close in every(f"SELECT series, time, close FROM {table}"):
            cell = cell_of(_instant(at))
            assert cell not in stored[one], f"two rows of series {one} in cell {cell}"
            stored[one][cell] = close
    of_job = defaultdict(list)
    for job, one in every("SELECT job, series FROM job_series"):
        of_job[job].append(one)
    known = every("SELECT id, name, since, since_at FROM series")
    given_up = every('SELECT id, series, start, "end", job, reason FROM quarantine')
    return Seen(
        jobs={one.id: one for one in jobs.recent(tx)},
        job_series=of_job,
        segments={bit.id: bit for bit in bits},
        coverage=coverage,
        proof=proof,
        quarantine=[(row[0], row[1], Span(row[2], row[3]), row[4], row[5]) for row in given_up],
        tally={(one, bucket): count for one, bucket, count in every("SELECT series, bucket, rows FROM tally")},
        rows=stored,
        since={row[0]: (row[2], row[3]) for row in known},
        names={row[0]: row[1] for row in known},
        workers={row[0] for row in every("SELECT id FROM worker")},
        events=every("SELECT id, job, name FROM event WHERE job IS NOT NULL ORDER BY id"),
    )


# What must hold


#: Moves that the engine makes by itself; an owner's verb is allowed only in the step in which it was said.
ENGINE_VERBS = frozenset(MOVES) - OWNER_VERBS
#: Events that begin and end a run of a job, and the state that an end leaves.
BEGINS = ("job.made", "job.retried")
ENDS = {
    "job.done": JobState.DONE,
    "job.incomplete": JobState.INCOMPLETE,
    "job.failed": JobState.FAILED,
    "job.cancelled": JobState.CANCELLED,
}


@dataclass
class Step:
    """What the machine knows of the step that was just taken."""

    #: Cells that replies proved, by name of their series.
    proved: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    #: Cells whose facts were taken back on purpose.
    withdrawn: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    verbs: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: Whether the wall clock went back, and the source seems to remember what it had forgotten.
    went_back: bool = False
    #: Series of which an older row has come.
    older: set[str] = field(default_factory=set)


class Invariants:
    """Compares each state of the database with the one before, and with the model."""

    def __init__(self, truths: dict[str, Truth], clock: Time) -> None:
        self.truths = truths
        self.clock = clock
        self.before: Seen | None = None
        self.step = Step()
        #: The epoch under which each running segment is held, and by whom.
        self.leases: dict[int, tuple[int, str]] = {}
        #: Cells that were answered to a job, and asked by it in its present run.
        self.answered: dict[tuple[int, str], set[int]] = defaultdict(set)
        self.asked: dict[tuple[int, str], set[int]] = defaultdict(set)
        #: Rows that a withdrawal left behind without anybody who vouches for them.
        self.orphans: dict[str, set[int]] = defaultdict(set)
        self.missed: dict[tuple[int, int], set[int]] = {}
        #: Cells that came back after their segment had passed them: the next round plans them.
        self.regained: dict[tuple[int, int], set[int]] = defaultdict(set)
        self.reached: dict[int, float] = {}
        #: From where on each job must have found every row: what the provider showed when the job was made.
        self.owed_from: dict[tuple[int, str], int] = {}

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is the live one, by the machine's own book."""
        return self.leases.get(lease.segment.id, (None, ""))[0] == lease.epoch

    def check(self, seen: Seen, percent: Callable[[int], tuple[float, int]]) -> None:
        """All of it."""
        self.ledger(seen)
        self.rows(seen)
        self.tallies(seen)
        self.held(seen)
        self.states(seen)
        self.finishes(seen)
        self.given_up(seen)
        self.work(seen, percent)
        self.before, self.step = seen, Step()

    def ledger(self, seen: Seen) -> None:
        """Coverage grows only by what a reply proved, shrinks only where a fact was withdrawn, and stays merged."""
        for parts in [*seen.coverage.values(), *seen.proof.values()]:
            assert all((one - ZERO) % MINUTE == 0 for part in parts for one in (part.start, part.end)), parts
            assert all(a.end < b.start for a, b in pairwise(parts)), f"not merged: {parts}"
        for one, name in seen.names.items():
            now, then = seen.covered(one), self.before.covered(one) if self.before else set()
            assert now - then <= self.step.proved[name], f"{name}: nobody proved {now - then - self.step.proved[name]}"
            assert then - now <= self.step.withdrawn[name], f"{name}: lost {then - now - self.step.withdrawn[name]}"
        for (job, one), parts in seen.proof.items():
            extra = cells_of(*parts) - self.answered[job, seen.names[one]]
            assert not extra, f"job {job} was never answered {extra} of {seen.names[one]}"

    def rows(self, seen: Seen) -> None:
        """Every covered cell has exactly the provider's row, or the provider has none; nothing else is stored."""
        for one, name in seen.names.items():
            truth, covered, stored = self.truths[name], seen.covered(one), seen.rows.get(one, {})
            self.orphans[name] -= covered
            self.orphans[name] |= {cell for cell in self.step.withdrawn[name] - covered if cell in stored}
            expected = {cell: truth.close(cell) for cell in covered if truth.is_traded(cell)}
            assert {cell: close for cell, close in stored.items() if cell in covered} == expected, name
            assert stored.keys() - covered <= self.orphans[name], f"{name}: rows outside coverage"
            assert not covered or time_of(max(covered) + 1) <= self.clock.true, f"{name}: covers what is not over"
            since, _ = seen.since[one]
            assert since is None or not stored or time_of(min(stored)) >= since, f"{name}: rows before the history"

    def tallies(self, seen: Seen) -> None:
        """The tallies count exactly the rows inside coverage."""
        counted: dict[tuple[int, int], int] = defaultdict(int)
        for one, name in seen.names.items():
            dataset, covered = self.truths[name].dataset, seen.covered(one)
            for cell in seen.rows.get(one, {}).keys() & covered:
                counted[one, (time_of(cell) - dataset.tally_origin) // dataset.tally_width] += 1
        assert {key: number for key, number in seen.tally.items() if number} == counted

    def held(self, seen: Seen) -> None:
        """Exactly the leases of the book live; no cell lies under two of them; epochs never fall."""
        running = [bit for bit in seen.segments.values() if bit.state == SegmentState.RUNNING]
        assert {bit.id: (bit.epoch, bit.worker) for bit in running} == self.leases
        for one, other in combinations(running, 2):
            if one.series == other.series:
                assert not one.remaining & other.remaining, f"segments {one.id} and {other.id} hold the same cells"
        for bit in self.before.segments.values() if self.before else ():
            assert seen.segments[bit.id].epoch >= bit.epoch, f"the epoch of segment {bit.id} fell"

    def states(self, seen: Seen) -> None:
        """Jobs move only along the table, and only by verbs that somebody said."""
        for job in seen.jobs.values():
            old = self.before.jobs.get(job.id) if self.before else None
            allowed = ENGINE_VERBS | self.step.verbs[job.id]
            was = JobState(old.state) if old else JobState.PENDING
            if old is None and "hold" in allowed:
                was = JobState.PAUSED
            assert job.state in _reachable(was, allowed), f"job {job.id}: {was} became {job.state} by {allowed}"
            has_live = any(bit.job == job.id and bit.state in LIVE for bit in seen.segments.values())
            assert job.state not in FINAL or not has_live, f"job {job.id} is {job.state} and has live segments"

    def finishes(self, seen: Seen) -> None:
        """Each run of a job ends exactly once, with one event that says what the state says."""
        for job in seen.jobs.values():
            told = [name for _, its, name in seen.events if its == job.id and (name in BEGINS or name in ENDS)]
            assert told[0] == "job.made"
            assert all((name in ENDS) == bool(i % 2) for i, name in enumerate(told)), f"job {job.id}: {told}"
            state = ENDS.get(told[-1])
            assert state == job.state if state else job.state not in FINAL, f"job {job.id} is {job.state}: {told}"
            if job.state == JobState.DONE and len(told) > self._ended(job.id):
                self.complete(seen, job)

    def _ended(self, job: int) -> int:
        """How many events had begun or ended a run of a job before this step."""
        events = self.before.events if self.before else []
        return sum(1 for _, its, name in events if its == job and (name in BEGINS or name in ENDS))

    def complete(self, seen: Seen, job: Any) -> None:
        """A job that has just become done misses nothing, and has every row that its provider showed."""
        gone = self._gone(job)
        for one in seen.job_series[job.id]:
            name = seen.names[one]
            left = self.missing(seen, job, one, self.answered[job.id, name])
            assert not left, f"job {job.id} is done and misses {sorted(left)} of {name}"
            truth, stored = self.truths[name], seen.rows.get(one, {})
            owed = {cell for cell in cells_of(job.span) if truth.is_traded(cell)} - gone
            owed = {cell for cell in owed if cell >= self.owed_from[job.id, name]}
            assert owed <= stored.keys(), f"job {job.id} is done and has no rows for {owed - stored.keys()} of {name}"

    def _gone(self, job: Any) -> set[int]:
        dataset = CANDLES if job.dataset == CANDLES.name else BRIEF
        gone = dataset.unavailable(self.clock.now())
        return {cell for cell in cells_of(job.span) if gone and time_of(cell) < gone.end}

    def missing(self, seen: Seen, job: Any, one: int, proven: set[int]) -> set[int]:
        """What a job misses of a series, told from the tables alone."""
        wanted = cells_of(job.span)
        since, said_at = seen.since[one]
        whole = job.mode == Mode.ALL
        if since is not None and not (whole and (said_at or 0) < job.created_at):
            wanted = {cell for cell in wanted if time_of(cell) >= since}
        wanted -= self._gone(job) | seen.given_up(one, None if job.mode == Mode.MISSING else job.id)
        if whole:
            return wanted - proven
        again = {cell for cell in wanted if cell >= cell_of(job.end) - job.recheck}
        return (wanted - again - seen.covered(one)) | (again - (proven & seen.covered(one)))

    def given_up(self, seen: Seen) -> None:
        """Nothing is given up for lack of progress that was never asked."""
        known = {row[0] for row in self.before.quarantine} if self.before else set()
        for its_id, one, part, job, reason in seen.quarantine:
            if its_id not in known and reason == "no progress":
                never = cells_of(part) - self.asked[job, seen.names[one]]
                assert not never, f"job {job} gave {never} of {seen.names[one]} up without a request"

    def work(self, seen: Seen, percent: Callable[[int], tuple[float, int]]) -> None:
        """What an unfinished job misses waits in its segments; progress is what is left, and only grows."""
        for job in seen.jobs.values():
            if "retry" in self.step.verbs[job.id]:
                self.reached.pop(job.id, None)
            if job.state == JobState.DONE:
                continue
            lacking, shrunk = 0, False
            for one in seen.job_series[job.id]:
                left = self.missing(seen, job, one, seen.proven(job.id, one))
                lacking += len(left)
                shrunk |= self._follow(seen, job, one, left)
            if job.state in FINAL:
                continue
            share, reported = percent(job.id)
            assert reported == lacking, f"job {job.id} says that {reported} cells are left; it misses {lacking}"
            assert share <= 100, f"job {job.id} is at {share} %"
            if not shrunk:
                assert share >= self.reached.get(job.id, 0.0), f"job {job.id} fell back to {share} %"
            self.reached[job.id] = share

    def _follow(self, seen: Seen, job: Any, one: int, left: set[int]) -> bool:
        """Each missing cell is still ahead of a segment; returns whether cells came back, for a reason."""
        key = (job.id, one)
        back = left - self.missed.get(key, left)
        assert back <= self._excused(seen, job, one), f"job {job.id} misses {sorted(back)} of {seen.names[one]} again"
        self.missed[key] = left
        self.regained[key] = (self.regained[key] | back) & left
        bits = [bit for bit in seen.segments.values() if (bit.job, bit.series) == key]
        if any(bit.state in LIVE for bit in bits):
            ahead = set().union(*(bit.remaining for bit in bits if bit.state != SegmentState.DONE))
            lost = left - ahead - self.regained[key]
            assert not lost, f"job {job.id}: no segment goes for {sorted(lost)} of {seen.names[one]}"
        return bool(back)

    def _excused(self, seen: Seen, job: Any, one: int) -> set[int]:
        """Cells that may be missing again: somebody took back what was known of them."""
        name = seen.names[one]
        excused = set(self.step.withdrawn[name])
        if self.before:
            # Given up no more: another job was taken up again, or has proven it; who re-checks wants it, too.
            excused |= self.before.given_up(one)
        if name in self.step.older and self.before:
            since, _ = self.before.since[one]
            excused |= {cell for cell in cells_of(job.span) if since is not None and time_of(cell) < since}
        if self.step.went_back and job.dataset == BRIEF.name:
            excused |= cells_of(job.span)
        return excused


def _reachable(state: JobState, verbs: Iterable[str]) -> set[JobState]:
    """States that a job can have got to by these verbs, each said as often as need be."""
    found, last = {state}, set()
    while found != last:
        last = set(found)
        found |= {MOVES[verb][1] for verb in verbs if verb in MOVES and MOVES[verb][0] & found}
    return found


# The machine


@dataclass
class Slot:
    """Where a thread of a worker stands."""

    lease: Lease | None = None
    left: Left | None = None
    asked: Asked | None = None
    page: Page | None = None
    window: Window = field(default_factory=lambda: fresh(Shape(rows=ROWS)))

    def hold(self, found: tuple[Lease, Left | None] | None) -> None:
        """Begin with a segment, or with none."""
        self.lease, self.left = found or (None, None)
        self.asked = self.page = None
        self.window = fresh(Shape(rows=ROWS))


@dataclass
class Process:
    """A worker; one that is not awake takes no steps until somebody wakes it."""

    watch: Watch
    awake: bool = True
    #: When its last beat was committed, on the clock that only grows.
    beaten: float = 0.0
    slots: list[Slot] = field(default_factory=lambda: [Slot(), Slot()])

    @property
    def id(self) -> str:
        return self.watch.me.id


#: What may go wrong with a request of the runner, and what others may do while it is under way.
TROUBLES: dict[str, SourceError] = {
    "trouble": TryAgain("no reply", source="test"),
    "unreachable": Unreachable("nobody there", source="test"),
    "refused": Refused("wait", source="test", seconds=1.0),
    "unreadable": BadReply("odd", source="test"),
    "unknown": UnknownSeries("no such series", source="test"),
    "key": HoldJob("no", source="test"),
}
HOLDS = frozenset({"unknown", "key"})
EVENTS = ["", "", "spoilt", "spoilt", "trouble", "unreadable", "stop", "rescue", "again", "work", *sorted(OWNER_VERBS)]
EVENTS += ["refused", "unreachable", *sorted(HOLDS)]

#: What is wanted when nobody says anything better.
MORE = [
    Wanted(True, 0, start, 160, mode, recheck, Direction.BOTH, Priority.NORMAL, False)
    for start, mode, recheck in [(0, Mode.ALL, 0), (30, Mode.MISSING, 90), (60, Mode.MISSING_AND_FAILED, 40)]
]
#: The series that one example plays with.
FOCUS = [("LATE",), ("THIN-AND-LATE",), ("DENSE",), ("HALTED",), ("THIN",), ("FORGOTTEN",), ("LATE", "HALTED")]
NUMBER = st.integers(0, 7)
CELL = st.integers(0, PRESENT + 20)


def event(**drawn: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule: something happens, and then the slots take a few steps, each when its number comes up."""

    def wrap(happen: Callable[..., None]) -> Any:
        def act(self: Interleavings, then: list[int], **known: Any) -> None:
            happen(self, **known)
            self.all_holds()
            self.keep_busy(then[0])
            for pick in then:
                self.all_holds()
                self.work(pick)

        act.__name__, act.__doc__ = happen.__name__, happen.__doc__
        return rule(then=st.lists(NUMBER, min_size=1, max_size=10), **drawn)(act)

    return wrap


class Interleavings(RuleBasedStateMachine):
    """One step of anybody at a time."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.clock = Time()
        self.truths = provider()
        self.product = Product(store, self.clock, self.fetched)
        self.book = Invariants(self.truths, self.clock)
        self.focus: tuple[str, ...] = ()
        #: The wall clock was set back: a fact may look younger than it is.
        self.went_back = False
        self.processes: list[Process] = []
        self.late: list[tuple[Asked, Page, Lease]] = []
        self.cuts: list[tuple[Lease, Instant]] = []
        #: What happens while the runner's requests are under way, the lease it runs, and what went wrong in there.
        self.during: list[tuple[str, int]] = []
        self.running: Lease | None = None
        self.stop = threading.Event()
        self.raised: AssertionError | None = None
        #: The newest quarantine when that lease was lost.
        self.lost_at: int | None = None
        self.product.empty()

    @property
    def step(self) -> Step:
        return self.book.step

    @property
    def leases(self) -> dict[int, tuple[int, str]]:
        return self.book.leases

    @property
    def seen(self) -> Seen:
        found = self.book.before
        assert found is not None
        return found

    @invariant()
    def all_holds(self) -> None:
        """Look at everything."""
        self.book.check(self.product.read(look), self.product.percent)

    def unchanged(self) -> None:
        """Whoever has lost a lease changes nothing at all."""
        assert self.product.read(look) == self.seen, "a lost lease left something behind"

    def slot(self, pick: int, *, busy: bool | None = None) -> tuple[Process, Slot] | None:
        """A slot of a worker that is awake, with or without a lease if that matters."""
        every = [
            (one, slot)
            for one in self.processes
            for slot in one.slots
            if one.awake and busy in (None, slot.lease is not None)
        ]
        return every[pick % len(every)] if every else None

    def series_of(self, name: str) -> int | None:
        return next((one for one, its in self.seen.names.items() if its == name), None)

    @initialize(
        workers=st.integers(2, 3),
        focus=st.sampled_from(FOCUS),
        wanted=st.lists(WANTED, min_size=2, max_size=4),
    )
    def begin(self, workers: int, focus: tuple[str, ...], wanted: list[Wanted]) -> None:
        """There is something to do, and somebody to do it; few series, so that all get into each other's way."""
        self.focus = focus
        for _ in range(workers):
            self.enter()
        for one in wanted:
            self.all_holds()
            self.make(one)

    # Owners

    @precondition(lambda self: len(self.seen.jobs) < 6)
    @event(wanted=WANTED)
    def wish(self, wanted: Wanted) -> None:
        """Somebody wants something more."""
        self.make(wanted)

    def keep_busy(self, pick: int) -> None:
        """An example in which nobody has anything to do shows nothing: somebody waits, goes on, or wants more."""
        if any(job.state in (JobState.PENDING, JobState.RUNNING) for job in self.seen.jobs.values()):
            if not self.leases and not self.product.taker("").is_any():
                self.clock.true += 30 * SECOND
            return
        paused = [job.id for job in self.seen.jobs.values() if job.state == JobState.PAUSED]
        if paused:
            self.order_of(paused[pick % len(paused)], "resume")
        elif len(self.seen.jobs) < 8:
            self.make(MORE[pick % len(MORE)])

    def make(self, wanted: Wanted) -> None:
        """A wish; an identical one adopts its unfinished job."""
        names = self.focus if wanted.whole else [self.focus[wanted.pick % len(self.focus)]]
        dataset = self.truths[names[0]].dataset
        wish = self.product.wish(names, dataset, wanted)
        if wish is None:
            return
        # Facts are dated: what was said of the start of a history a moment ago is older than the wish.
        self.clock.true += SECOND
        twins = self.twins(wish.key)
        made = self.product.jobs.create(wish, priority=wanted.priority, hold=wanted.hold)
        assert made.adopted == bool(twins)
        if made.adopted:
            assert made.job.id in twins
            return
        self.step.verbs[made.job.id] |= {"hold"} if wanted.hold else set()
        for name in names:
            truth = self.truths[name]
            asks_anew = wanted.mode is Mode.ALL and not self.went_back
            self.book.owed_from[made.job.id, name] = truth.first if asks_anew else truth.listed

    @precondition(lambda self: self.seen.jobs)
    @event(pick=NUMBER, verb=st.sampled_from([*sorted(OWNER_VERBS), "resume", "retry", "settle", "urgent", "low"]))
    def order(self, pick: int, verb: str) -> None:
        """What people ask of a job at any moment; the reconciler may look at any of them, too."""
        job = list(self.seen.jobs)[pick % len(self.seen.jobs)]
        if verb == "settle":
            self.product.jobs.settle(job)
        elif verb in OWNER_VERBS:
            self.order_of(job, verb)
        else:
            self.product.jobs.set_priority(job, Priority.LOW if verb == "low" else Priority.HIGH)

    def twins(self, wish: str) -> set[int]:
        """The unfinished job of a wish; there is never a second one."""
        every = self.product.read(jobs.recent)
        return {one.id for one in every if one.wish == wish and one.state not in FINAL}

    def order_of(self, job_id: int, verb: str) -> None:
        job = self.product.jobs.get(job_id)
        do = getattr(self.product.jobs, verb)
        if job.state not in MOVES[verb][0] or (verb == "retry" and self.twins(job.wish)):
            with pytest.raises(NotAllowed):
                do(job_id)
            return
        self.step.verbs[job_id].add(verb)
        if verb == "retry":
            for key in [key for key in self.book.asked if key[0] == job_id]:
                del self.book.asked[key]
        do(job_id)
        if verb == "cancel":
            self.lose(lambda bit: bit.job == job_id, fenced=True)

    def lose(self, which: Callable[[Bit], bool], *, fenced: bool = False) -> None:
        """Strike leases from the book; fenced ones were ended by others, who have to raise the epoch."""
        held = self.product.read(look).segments
        for one in [one for one in self.leases if which(held[one])]:
            epoch, _ = self.leases.pop(one)
            assert not fenced or held[one].epoch > epoch

    # The world

    @event(seconds=st.sampled_from([1, 5, 60, 600]), off=st.sampled_from([None, None, 0, -OFF, -60, 60, OFF]))
    def wait(self, seconds: int, off: int | None) -> None:
        """Time passes, and with it the provider's present; the wall clock may be set to the wrong time."""
        self.clock.true += seconds * SECOND
        if off is not None:
            self.step.went_back = off * SECOND + seconds * SECOND < self.clock.off
            self.went_back |= self.step.went_back
            self.clock.off = off * SECOND

    @precondition(lambda self: self.seen.jobs)
    @event(event=st.sampled_from(["withdraw", "withdraw", "reveal", "block"]), pick=NUMBER, start=CELL)
    def happens(self, event: str, pick: int, start: int) -> None:
        """A repair takes a stretch of coverage back; the provider finds older history, or tells somebody to wait."""
        known = sorted(self.seen.coverage)
        if event == "withdraw" and known:
            one = known[pick % len(known)]
            name, lost = self.seen.names[one], Span(time_of(start), time_of(start + 1 + 5 * pick))
            self.step.withdrawn[name] |= cells_of(lost)
            self.product.withdraw(self.truths[name].dataset, one, lost)
        elif event == "reveal":
            truth = self.truths[self.focus[0]]
            truth.first = truth.listed - (25 if "LATE" in truth.name else 0)
        elif event == "block":
            self.product.block(float(pick))

    # Workers

    def enter(self) -> None:
        """A process starts."""
        me = Identity(None)
        # Not random: an example has to run the same way each time.
        me.id = f"{len(self.processes):04}"
        one = Process(Watch(self.product.store, self.clock, me), beaten=self.clock.monotonic())
        self.product.enter(one.watch)
        self.processes.append(one)

    @event(event=st.sampled_from(["enter", "kill", "wake", "misjudge", "misjudge"]), pick=NUMBER)
    def fate(self, event: str, pick: int) -> None:
        """A worker starts, stops in the middle of whatever it was doing, goes on, or is taken for dead though it lives.

        What is killed keeps its leases; what is woken takes its next steps as if nothing had been.
        """
        asleep = [one for one in self.processes if not one.awake]
        holders = [one for one in self.processes if any(who == one.id for _, who in self.leases.values())]
        if event == "enter" and len(self.processes) < 4:
            self.enter()
        elif event == "misjudge" and holders:
            self.rescue(holders[pick % len(holders)], self.processes[-1])
        elif event == "kill" and holders:
            holders[pick % len(holders)].awake = False
        elif event == "wake" and asleep:
            asleep[pick % len(asleep)].awake = True

    def rescue(self, one: Process, by: Process) -> None:
        """Take the segments of a worker away, whether it lives or not."""
        row = next((row for row in self.product.read(workers.every) if row.id == one.id), None)
        if row is not None:
            by.watch.rescue(row)
            lost = {lost for lost, (_, who) in self.leases.items() if who == one.id}
            self.lose(lambda bit: bit.id in lost, fenced=True)

    @event(rounds=st.integers(1, 9))
    def beat(self, rounds: int) -> None:
        """All that are awake beat and look for the dead; enough rounds of it and the others are found."""
        self.beats(rounds)

    def beats(self, rounds: int) -> None:
        for _ in range(rounds):
            self.clock.true += round(BEAT * SECOND)
            for one in [one for one in self.processes if one.awake]:
                self.beat_of(one)

    def beat_of(self, one: Process) -> None:
        if not self.product.beat(one.watch):
            # Others took it for dead: what it held is theirs, and it enters anew.
            self.product.enter(one.watch)
        one.beaten = self.clock.monotonic()
        known = {row.id for row in self.product.read(workers.every)}
        one.watch.look()
        for lost in [lost for lost in self.leases if lost not in self.product.running()]:
            _, holder = self.leases.pop(lost)
            dead = next(other for other in self.processes if other.id == holder)
            is_silent = self.clock.monotonic() - dead.beaten >= LEASE - BEAT
            assert is_silent or holder not in known, "a living worker was taken for dead"

    # Steps of a slot

    def work(self, pick: int) -> None:
        """A slot that runs something, or one of those that are free, takes its next step."""
        awake = [(one, slot) for one in self.processes if one.awake for slot in one.slots]
        busy = [found for found in awake if found[1].lease]
        idle = [found for found in awake if not found[1].lease]
        if idle and (not busy or self.product.taker("").is_any()):
            busy.append(idle[pick % len(idle)])
        if busy:
            self.advance(*busy[pick % len(busy)], bare=pick % 4 == 0)

    def advance(self, process: Process, slot: Slot, *, bare: bool = False) -> bool:
        """One step; False when there is nothing to do."""
        self.clock.true += SECOND // 20
        if slot.lease is None:
            return self.take(process, slot, bare=bare)
        if slot.asked is None:
            self.ask(process, slot)
        elif slot.page is None:
            self.receive(slot)
        else:
            self.commit(process, slot)
        return True

    def take(self, process: Process, slot: Slot, *, bare: bool) -> bool:
        if bare:
            lease = self.product.claim(process.id)
            found = None if lease is None else (lease, None)
        else:
            found = self.product.take(process.id)
        return self.hand(process, slot, found)

    def hand(self, process: Process, slot: Slot, found: tuple[Lease, Left | None] | None) -> bool:
        """Give a slot what it has claimed."""
        slot.hold(found)
        if found is None:
            return False
        one = slot.lease.segment
        assert one.id not in self.leases
        old = self.seen.segments.get(one.id)
        assert old is None or slot.lease.epoch > old.epoch, "a claim has to raise the epoch"
        self.leases[one.id] = (slot.lease.epoch, process.id)
        return True

    def ask(self, process: Process, slot: Slot) -> None:
        """Choose the next request; nothing left ends the segment."""
        lease, left, slot.left = slot.lease, slot.left, None
        holds = self.book.holds(lease)
        if left is None and not holds:
            with pytest.raises(LeaseLost):
                self.product.ask(lease, left, slot.window)
            self.hand(process, slot, None)
            return
        slot.asked = self.product.ask(lease, left, slot.window)
        if slot.asked is None:
            self.end(process, slot, SegmentState.DONE, chained=cell_of(lease.segment.start) % 2 == 0)
            return
        self.book.asked[lease.segment.job, lease.segment.name] |= cells_of(slot.asked.ask.span)

    def end(self, process: Process, slot: Slot, state: SegmentState, *, chained: bool = False) -> None:
        lease, found = slot.lease, None
        if not self.book.holds(lease):
            with pytest.raises(LeaseLost):
                self.product.end(lease, state, None)
            self.unchanged()
        else:
            del self.leases[lease.segment.id]
            found = self.product.end(lease, state, process.id if chained else None)
        self.hand(process, slot, found)

    def receive(self, slot: Slot) -> None:
        """The reply comes, true at this moment; its page is cut at the frontier of the moment of asking."""
        page = self.truths[slot.lease.segment.name].reply(slot.asked.ask, self.clock.true)
        slot.page = self.product.collect(slot.lease).cut(page, slot.asked)
        if is_unanswered(slot.asked, slot.page):
            self.give_back(slot, SECOND, 0)

    def commit(self, process: Process, slot: Slot) -> None:
        asked, page, lease = slot.asked, slot.page, slot.lease
        left, over = self.keep(asked, page, lease, process.id if cell_of(lease.segment.start) % 3 else None)
        slot.asked = slot.page = None
        self.late = [*self.late[-4:], (asked, page, lease)]
        if left is None:
            slot.lease = None
            return
        if over:
            del self.leases[lease.segment.id]
            self.hand(process, slot, None if over[0] is None else (over[0].lease, over[0].left))
            return
        slot.left = left
        slot.window = self.product.collect(lease).window(slot.window, asked, page)

    def keep(
        self, asked: Asked, page: Page, lease: Lease, ends: str | None = None
    ) -> tuple[Left | None, list[Ready | None]]:
        """Commit a page: all of it under a live lease, else nothing."""
        if not self.book.holds(lease):
            with pytest.raises(LeaseLost):
                self.product.keep(asked, page, lease, ends)
            self.unchanged()
            return None, []
        self.note(page, lease)
        return self.product.keep(asked, page, lease, ends)

    def note(self, page: Page, lease: Lease) -> None:
        """Write down what a reply proves."""
        name = lease.segment.name
        proved = cells_of(*([page.proven] if page.proven else []))
        self.step.proved[name] |= proved
        if page.nothing_before is not None:
            proved |= set(range(2 * DAWN_OF_TRADE, cell_of(page.nothing_before)))
        self.book.answered[lease.segment.job, name] |= proved
        since, _ = self.product.read(series.since, lease.segment.series)
        if since is not None and page.rows and page.rows[0][0] < since:
            self.step.older.add(name)

    @precondition(lambda self: self.late)
    @event(pick=NUMBER)
    def again(self, pick: int) -> None:
        """A page comes a second time, or long after others."""
        self.keep(*self.late[pick % len(self.late)])

    @event(
        slip=st.sampled_from(["look", "release", "later", "fail", "hold", "unknown", "spoil", "forget"]), pick=NUMBER
    )
    def trouble(self, slip: str, pick: int) -> None:
        """A slot looks at the ledger anew, gives its segment back, fails, or loses sight of what it holds."""
        found = self.slot(pick, busy=True)
        if not found:
            return
        process, slot = found
        if slip == "look":
            slot.left = None
        elif slip in ("release", "later"):
            self.give_back(slot, 30 * SECOND if slip == "later" else 0, pick % 3)
        elif slip == "fail":
            self.end(process, slot, SegmentState.FAILED)
        elif slip == "spoil":
            self.spoil(slot)
        elif slip == "forget":
            self.forget(slot)
        else:
            self.hold(slot, whole=slip == "hold")

    def give_back(self, slot: Slot, later: int, attempts: int) -> None:
        lease = slot.lease
        holds = self.book.holds(lease)
        assert self.product.release(lease, self.clock.now() + later if later else 0, attempts) == holds
        if holds:
            del self.leases[lease.segment.id]
        else:
            self.unchanged()
        slot.hold(None)

    def hold(self, slot: Slot, *, whole: bool) -> None:
        """The source refuses our key, or does not know the series."""
        segment = slot.lease.segment
        verb = self.product.jobs.hold if whole else self.product.jobs.hold_series
        if self.book.holds(slot.lease):
            verb(slot.lease, "no", requests=1)
            self.lose(lambda bit: bit.job == segment.job and (whole or bit.series == segment.series))
        else:
            with pytest.raises(LeaseLost):
                verb(slot.lease, "no", requests=1)
            self.unchanged()
        slot.hold(None)

    def spoil(self, slot: Slot) -> None:
        """A record spoils its reply: its cell is given up, once the source has answered beside it."""
        if slot.asked is None or not self.book.holds(slot.lease):
            return
        asked, segment = slot.asked.ask.span, slot.lease.segment
        grid, backward = CANDLES.grid, slot.asked.is_backward
        cell = Span(grid.add(asked.end, -1), asked.end) if backward else Span(asked.start, grid.add(asked.start, 1))
        self.product.give_up(segment.series, cell, segment.job)
        slot.asked = slot.page = slot.left = None

    def forget(self, slot: Slot) -> None:
        """A slot met an error of the database; its worker gives back what none of its slots runs."""
        lease = slot.lease
        slot.hold(None)
        self.product.write(segments.abandon, lease.segment.id, lease.epoch)
        if self.book.holds(lease):
            del self.leases[lease.segment.id]

    @precondition(lambda self: self.leases)
    @event(pick=NUMBER, cell=CELL)
    def aim(self, pick: int, cell: int) -> None:
        """An idle slot chooses where to cut; others may be faster before it does."""
        one = sorted(self.leases)[pick % len(self.leases)]
        victims = self.product.victims()
        assert {victim.segment.id for victim in victims} <= self.leases.keys()
        at = next((at for victim in victims if (at := self.product.cut_at(victim))), None)
        victim = next((victim for victim in victims if victim.segment.id == one), None) or self.product.lease(one)
        self.cuts = [*self.cuts[-3:], (victim, time_of(cell)), *([(victims[0], at)] if at else [])]

    @precondition(lambda self: self.cuts)
    @event(pick=NUMBER)
    def cut(self, pick: int) -> None:
        """Cut a running segment: the victim keeps what it works on, the rest waits."""
        victim, at = self.cuts.pop(pick % len(self.cuts))
        bit = self.seen.segments[victim.segment.id]
        inside = cell_of(at) in bit.remaining and at not in (bit.span.start, bit.cursor)
        cuts = self.book.holds(victim) and inside
        assert self.product.steal(victim, at) == cuts
        if not cuts:
            self.unchanged()

    # The real runner

    @precondition(lambda self: self.seen.jobs)
    @event(pick=NUMBER, most=st.integers(1, 8), during=st.lists(st.tuples(st.sampled_from(EVENTS), NUMBER), max_size=8))
    def run(self, pick: int, most: int, during: list[tuple[str, int]]) -> None:
        """The runner itself sends some requests, with something happening during each of them."""
        found = self.slot(pick, busy=False)
        if not found or not self.take(*found, bare=False):
            return
        _, slot = found
        lease, self.during, self.stop = slot.lease, list(during), threading.Event()
        self.running, self.lost_at, self.raised = lease, None, None
        ready = (lease, slot.left)
        slot.hold(None)
        self.product.run(ready, self.stop, most)
        self.running = None
        if self.raised is not None:
            raise self.raised
        after = self.product.read(look)
        if self.book.holds(lease):
            assert after.segments[lease.segment.id].state != SegmentState.RUNNING, "the runner kept its lease"
            del self.leases[lease.segment.id]
        if any(event in HOLDS for event, _ in during):
            self.lose(lambda bit: bit.job == lease.segment.job and bit.state == SegmentState.HELD)
        if self.lost_at is not None:
            fresh = [row for row in after.quarantine if row[0] > self.lost_at and row[3] == lease.segment.job]
            assert not fresh, f"{fresh} was given up under a lease that was lost"

    def fetched(self, ask: Ask) -> Page:
        """A request of the runner is under way: something happens, then the reply comes."""
        try:
            return self.reply_of(ask)
        except AssertionError as error:
            # The runner turns whatever it does not know into a failed segment.
            self.raised = error
            raise

    def reply_of(self, ask: Ask) -> Page:
        lease = self.running
        assert lease is not None
        self.all_holds()
        self.book.asked[lease.segment.job, ask.series] |= cells_of(ask.span)
        event, pick = self.during.pop(0) if self.during else ("", 0)
        self.happen(event, pick, lease)
        self.all_holds()
        if not self.book.holds(lease) and self.lost_at is None:
            self.lost_at = max((row[0] for row in self.seen.quarantine), default=0)
        page = self.truths[ask.series].reply(ask, self.clock.true)
        if event == "spoilt" and page.rows:
            raise self.spoilt(ask, page, lease)
        if event in TROUBLES:
            raise TROUBLES[event]
        self.note_of_runner(page, lease)
        return page

    def note_of_runner(self, page: Page, lease: Lease) -> None:
        if self.book.holds(lease):
            self.note(page.before(CANDLES.frontier(page.source_time)), lease)

    def happen(self, event: str, pick: int, lease: Lease) -> None:
        """What others do meanwhile."""
        if event in OWNER_VERBS:
            self.order_of(lease.segment.job, event)
        elif event == "stop":
            self.stop.set()
        elif event == "rescue":
            holder = next(one for one in self.processes if one.id == lease.worker)
            self.rescue(holder, self.processes[pick % len(self.processes)])
        elif event == "again" and self.late:
            self.again(pick)
        elif event == "work":
            self.work(pick)

    def spoilt(self, ask: Ask, page: Page, lease: Lease) -> SourceError:
        """One record cannot be read; what the reply proves after it is kept."""
        middle = page.rows[len(page.rows) // 2][0]
        behind = middle + MINUTE
        rest = None
        if behind < ask.span.end:
            rows = [row for row in page.rows if row[0] >= behind]
            rest = replace(page, rows=rows, proven=Span(behind, ask.span.end))
            self.note_of_runner(rest, lease)
        return BadReply("spoilt", source="test", span=Span(middle, behind), page=rest)

    # The end

    def teardown(self) -> None:
        """Healthy workers bring every job to its end; taken up again, every one gets all that it wants."""
        if sys.exc_info()[0] is not None or self.book.before is None:
            return
        for one in self.processes:
            one.awake = False
        self.clock.true += (OFF + 60) * SECOND
        self.step.went_back, self.clock.off = self.clock.off > 0, 0
        self.all_holds()
        self.enter()
        self.recover()
        for job in self.seen.jobs.values():
            if job.state == JobState.PAUSED:
                self.order_of(job.id, "resume")
        self.finish_all()
        for _ in self.seen.jobs:
            # Of several jobs with one wish only one at a time can be taken up again.
            for job in self.unfinished():
                self.order_of(job, "retry")
                self.all_holds()
            self.finish_all()
        assert not self.unfinished(), "with a healthy source a retry has to end well"
        for dataset in (CANDLES, BRIEF):
            names = [name for name, truth in self.truths.items() if truth.dataset is dataset]
            assert not verify(self.product.store, dataset, names).findings

    def unfinished(self) -> list[int]:
        return [job.id for job in self.seen.jobs.values() if job.state != JobState.DONE]

    def recover(self) -> None:
        """Silence is enough to free whatever the others held."""
        for _ in range(RESCUED_IN):
            self.beats(1)
        self.all_holds()
        assert not self.leases, "a lease outlives its worker"

    def finish_all(self) -> None:
        """Work, and let time pass when there is nothing to do, until every job has ended."""
        process = self.processes[-1]
        for number in range(4000):
            slot, other = process.slots[number % 2], process.slots[1 - number % 2]
            lease = slot.lease
            busy = self.advance(process, slot)
            if slot.lease is not lease or number % 20 == 0:
                self.all_holds()
            if busy or other.lease:
                continue
            self.all_holds()
            if all(job.state in FINAL for job in self.seen.jobs.values()):
                return
            for job in self.seen.jobs:
                self.product.jobs.settle(job)
            self.clock.true += 60 * SECOND
        raise AssertionError(f"jobs do not end: { {job.id: job.state for job in self.seen.jobs.values()} }")


def explore(store: Store, examples: int, steps: int, **more: Any) -> None:
    run_state_machine_as_test(
        lambda: Interleavings(store),
        settings=settings(settings(), max_examples=examples, stateful_step_count=steps, **more),
    )


#: Examples of the short and of the long version: a step costs four times as much on a server.
SHORT = {"sqlite": 18, "postgresql": 7}
LONG = {"sqlite": 800, "postgresql": 200}


def test_no_order_of_steps_loses_or_invents_anything(store):
    """What one worker does must not depend on what all the others happen to do in between."""
    explore(store, SHORT[store.database.name], 20)


@pytest.mark.soak
def test_no_order_of_steps_loses_or_invents_anything_for_long(store):
    """The same with longer stories, other ones each time."""
    explore(store, LONG[store.database.name], 40, derandomize=False, print_blob=True)
