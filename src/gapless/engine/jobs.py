"""Jobs: made from wishes, moved by their owners, finished by the ledger.

A job is done when the ledger says so: when its segments have ended the planner runs again over the pinned span; what is
still missing becomes a new round of segments, and a round that proved nothing new ends the job. Whoever ends a segment
locks the job's row first, so exactly one of them finishes it. A page that completes its segment where many wait keeps
one of those waiting instead: slots that work on one big job need not take turns at its row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

from gapless.core.actor import ENGINE, Actor
from gapless.core.clock import Clock
from gapless.core.dataset import Dataset
from gapless.core.errors import GaplessError, LeaseLost, NotAllowed, NotFound, UsageError
from gapless.core.grid import cells
from gapless.core.job import (
    MOVES,
    UNBOUND,
    Bounds,
    Job,
    JobState,
    Kind,
    Mode,
    Priority,
    Queue,
    Wish,
    is_point_in_time,
)
from gapless.core.pacing import LEAST_RATE, MOST_RATE
from gapless.core.plan import SegmentPlan, SeriesPlan
from gapless.core.segment import Lease, Segment, SegmentState
from gapless.core.span import DOOM, Instant, Span, subtract, union
from gapless.core.words import counted_word
from gapless.engine import notifications
from gapless.engine.catalogue import Catalogue
from gapless.engine.planning import Planner, wish_of
from gapless.store import audit, budgets, coverage, events, jobs, quarantine, rows, segments, series
from gapless.store.database import Tx
from gapless.store.store import Store

T = TypeVar("T")

#: Microseconds before now at which a new job's end is pinned: `Date` headers are floored to the second, and a source's
#: clock that is a moment late must not make the last candle wait.
MARGIN = 1_500_000

#: The events of people's verbs.
ORDERED = {"pause": "job.paused", "resume": "job.resumed", "cancel": "job.cancelled", "retry": "job.retried"}
#: Jobs that are moved in one transaction.
TOGETHER = 200
#: Periods that a follower fetches of a series of which nothing is stored.
FOLLOW_PERIODS = 200
#: Different causes of broken segments that a job tells.
CAUSES = 3


def job_budget(job_id: int) -> str:
    """The budget of a job that has a rate of its own."""
    return f"job/{job_id}"


@dataclass(frozen=True, slots=True)
class Made:
    """A job, and whether an unfinished one was adopted instead of making a second."""

    job: Job
    adopted: bool


def check_rate(rate: object) -> None:
    """Raise `UsageError` for requests a second that nobody can keep to; None: as fast as the source allows."""
    if rate is None:
        return
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not LEAST_RATE <= rate <= MOST_RATE:
        hint = f"give requests per second, from {LEAST_RATE:g} to {MOST_RATE:g}"
        said = f"{rate:g}" if isinstance(rate, int | float) else repr(rate)
        raise UsageError(f"rate: {said} cannot be kept to", field="rate", hint=hint)


class Jobs:
    """Verbs on jobs, done by `actor`. `ring` is called when there may be new work for idle slots."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        clock: Clock,
        ring: Callable[[], None] = lambda: None,
        actor: Actor = ENGINE,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self.planner = Planner(catalogue=catalogue)
        self.ring = ring
        self.actor = actor

    def by(self, actor: Actor) -> Jobs:
        """The same verbs, done by somebody else."""
        return Jobs(self._store, self._catalogue, self._clock, self.ring, actor)

    def create(
        self,
        wish: Wish,
        *,
        queue: Queue | None = None,
        priority: Priority = Priority.NORMAL,
        name: str = "",
        rate: float | None = None,
        bounds: Bounds = UNBOUND,
        hold: bool = False,
    ) -> Made:
        """Make a job for all the wish misses, or adopt the unfinished job of an identical wish."""
        make = self.maker(wish, queue=queue, priority=priority, name=name, rate=rate, bounds=bounds, hold=hold)
        made = self._store.write(make, isolated=True)
        self.ring()
        return made

    def maker(
        self,
        wish: Wish,
        *,
        queue: Queue | None = None,
        priority: Priority = Priority.NORMAL,
        name: str = "",
        rate: float | None = None,
        bounds: Bounds = UNBOUND,
        hold: bool = False,
    ) -> Callable[[Tx], Made]:
        """What `create` does inside a transaction, for a caller who has to do more in it; `ring` after it."""
        bounds.check()
        check_rate(rate)
        assert not wish.kind.is_chore or wish.mode is Mode.ALL, "a chore's ledger is its proof"
        dataset = self._catalogue.dataset(wish.dataset)
        self._store.prepare([dataset])
        now = self._clock.now()

        def make(tx: Tx) -> Made:
            jobs.hold_wish(tx, wish.key)
            adopted = jobs.unfinished(tx, wish.key)
            if adopted is not None:
                return Made(adopted, True)
            self._ensure_budget(tx, dataset, wish.kind)
            ids = series.ensure_all(tx, dataset.name, wish.series)
            planned = self.planner.every(tx, dataset, wish, now, None)
            standing = wish.kind is Kind.FOLLOW
            made = jobs.add(
                tx,
                wish,
                ids,
                now=now,
                queue=(queue or wish.kind.queue).value,
                priority=priority,
                name=name,
                total=0 if standing else sum(one.total for one in planned),
                cached=0 if standing else sum(one.total - one.lacking for one in planned),
                found=_found(tx, dataset, wish, ids, planned),
                rate=rate,
                bounds=bounds,
                hold=hold,
                starts=[self._follow_from(tx, dataset, one, now) for one in ids] if standing else None,
            )
            if rate:
                budgets.set_rate(tx, job_budget(made.id), rate)
            events.add(tx, now, "job.made", f"{wish.dataset}, {len(ids)} series, {wish.span}", job=made.id)
            audit.add(tx, now, self.actor, "job.made", f"job/{made.id}", after=made.state)
            if not standing:
                self._add_segments(tx, made, planned)
                self._settle(tx, made.id, now)
            return Made(jobs.get(tx, made.id) or made, False)

        return make

    def _ensure_budget(self, tx: Tx, dataset: Dataset, kind: Kind) -> None:
        """Make the budget's row, with the source's limit or the settings' rate: one tried once must not stay."""
        budgets.set_limit(tx, self._catalogue.limit(dataset, kind))

    def _follow_from(self, tx: Tx, dataset: Dataset, series_id: int, now: Instant) -> Instant:
        """Where a standing job takes a series up: where its coverage ends, or the last 200 periods."""
        frontier = dataset.frontier(now - MARGIN)
        covered = coverage.spans(tx, series_id)
        return covered[-1].end if covered else dataset.grid.add(frontier, -FOLLOW_PERIODS)

    def _add_segments(self, tx: Tx, job: Job, planned: list[SeriesPlan]) -> int:
        """Insert the segments of a round; the recent half of each series comes first."""
        made = 0
        for one in planned:
            if not one.segments:
                continue
            series_id = series.ensure(tx, job.dataset, one.series)
            for segment in one.segments:
                self.add_segment(tx, job, series_id, segment)
                made += 1
        return made

    def add_segment(self, tx: Tx, job: Job, series_id: int, planned: SegmentPlan) -> None:
        """Insert one waiting segment of a job."""
        dataset = self._catalogue.dataset(job.dataset)
        again = dataset.grid.add(job.end, -job.recheck) if job.recheck and job.end < DOOM else DOOM
        segments.add(
            tx,
            job.id,
            series_id,
            planned,
            queue=job.queue,
            turn=job.turn,
            budget_key=self._catalogue.limit(dataset, Kind(job.kind)).key,
            recheck_from=again,
        )

    def end(
        self,
        lease: Lease,
        state: SegmentState,
        *,
        error: str = "",
        requests: int = 0,
        then: Callable[[Tx], T | None] = lambda _: None,
    ) -> T | None:
        """End a segment, and its job if that was the last one; raises `LeaseLost`.

        `then` follows in the same transaction, such as the claim of the next segment; its result is returned.
        """
        segment, now = lease.segment, self._clock.now()

        def write(tx: Tx) -> T | None:
            jobs.hold(tx, segment.job)
            if not segments.end(tx, lease, state, now, error=error, requests=requests):
                raise LeaseLost(f"segment {segment.id} is in other hands")
            if state is not SegmentState.DONE:
                events.add(
                    tx,
                    now,
                    f"segment.{state.value}",
                    error,
                    job=segment.job,
                    segment=segment.id,
                    level="error",
                )
            self._settle(tx, segment.job, now)
            return then(tx)

        followed = self._store.write(write)
        self.ring()
        return followed

    def end_within(self, tx: Tx, lease: Lease) -> bool:
        """End a segment in the transaction that has completed it, under its fence.

        False when its job is locked just now: whoever ends a segment takes the job first, so nobody may wait here.
        """
        goes_on = segments.keep_waiting(tx, lease.segment.job)
        if not goes_on and not jobs.hold(tx, lease.segment.job, waits=False):
            return False
        now = self._clock.now()
        segments.end(tx, lease, SegmentState.DONE, now)
        if not goes_on:
            self._settle(tx, lease.segment.job, now)
        return True

    def pass_over(self, tx: Tx, lease: Lease, now: Instant) -> bool:
        """End a segment in which nothing is missing, inside its claim, and those of its job that are covered, too.

        False when its job is locked just now.
        """
        if not jobs.hold(tx, lease.segment.job, waits=False):
            return False
        segments.end(tx, lease, SegmentState.DONE, now)
        if Mode(lease.segment.mode) is not Mode.ALL and not is_point_in_time(lease.segment.params):
            segments.pass_covered(tx, lease.segment.job, now)
        self._settle(tx, lease.segment.job, now)
        return True

    def hold_series(self, lease: Lease, error: str, *, requests: int) -> None:
        """The source does not know the series: hold its segments; other series of the job go on."""
        self._hold(lease, error, requests, lambda one: one.series == lease.segment.series)

    def hold(self, lease: Lease, error: str, *, requests: int) -> None:
        """Nothing of the job can go on before its owner has acted."""
        self._hold(lease, error, requests, lambda _: True)

    def _hold(self, lease: Lease, error: str, requests: int, which: Callable[[Segment], bool]) -> None:
        now, segment = self._clock.now(), lease.segment

        def write(tx: Tx) -> None:
            segments.take_all(tx, segment.job)
            jobs.hold(tx, segment.job)
            if not segments.end(tx, lease, SegmentState.HELD, now, error=error, requests=requests):
                raise LeaseLost(f"segment {segment.id} is in other hands")
            segments.hold(tx, [d.segment.id for d in segments.of_job(tx, segment.job) if which(d.segment)], error, now)
            events.add(tx, now, "segment.held", error, job=segment.job, segment=segment.id, level="error")
            self._settle(tx, segment.job, now)

        self._store.write(write)
        self.ring()

    def settle(self, job_id: int) -> None:
        """Finish a job that has no live segments: the reconciler's duty."""
        self._store.write(lambda tx: self._settle(tx, job_id, self._clock.now()), isolated=True)

    def expire(self) -> None:
        """End the jobs that have run for longer than their owners allow; what is under way stores nothing any more."""
        with self._store.read() as tx:
            overdue = jobs.overdue(tx, self._clock.now())
        for one in overdue:
            self._store.write(partial(self._expire, job_id=one), urgent=True, isolated=True)

    def _expire(self, tx: Tx, job_id: int) -> None:
        now = self._clock.now()
        segments.take_all(tx, job_id)
        job = jobs.lock(tx, job_id)
        if job is None or job_id not in jobs.overdue(tx, now):
            return
        allowed = timedelta(microseconds=job.max_runtime or 0)
        self._finish(tx, job, "failed", now, f"it has run for {allowed}, its longest time to run")
        segments.cancel(tx, job_id, now)
        _, stored, requests = segments.counts(tx, job_id)
        jobs.set_totals(tx, job_id, stored, requests)

    def _settle(self, tx: Tx, job_id: int, now: Instant) -> None:
        jobs.hold(tx, job_id)
        if segments.has_live(tx, job_id):
            return None
        job = jobs.get(tx, job_id)
        if job is None or job.kind == Kind.FOLLOW or JobState(job.state) not in MOVES["done"][0]:
            return None
        counted, stored, requests = segments.counts(tx, job_id)
        jobs.set_totals(tx, job_id, stored, requests)
        if counted.get(SegmentState.FAILED) or counted.get(SegmentState.HELD):
            return self._finish_with_errors(tx, job, now)
        planned = self._left(tx, job, now)
        lacking = sum(one.lacking for one in planned)
        first = not counted
        if lacking and (first or lacking < job.lacking or self._is_unasked(tx, job, planned)):
            jobs.set_lacking(tx, job_id, lacking)
            self._add_segments(tx, job, planned)
            return None
        if lacking and Kind(job.kind).is_chore:
            return self._finish(tx, job, "failed", now, f"{counted_word(lacking, 'period')} could not be gone over")
        for one in planned:
            for lost in one.missing:
                its_id = series.ensure(tx, job.dataset, one.series)
                quarantine.add(tx, its_id, lost, job=job_id, reason="no progress", at=now)
        settled = self._left(tx, job, now) if lacking else planned
        given_up = sum(len(one.quarantined) for one in settled)
        if given_up:
            self._finish(tx, job, "incomplete", now, f"{counted_word(given_up, 'span')} quarantined")
        else:
            self._finish(tx, job, "done", now, _note(planned, self._catalogue.dataset(job.dataset)))
        return None

    def _is_unasked(self, tx: Tx, job: Job, planned: list[SeriesPlan]) -> bool:
        """Whether something is missing that no segment of the job was made for: the source has more than it said.

        Each such round makes segments for more of the span, so there is an end to them.
        """
        asked: dict[str, list[Span]] = {}
        for one in segments.of_job(tx, job.id):
            asked.setdefault(one.segment.name, []).append(one.segment.span)
        return any(subtract(one.missing, union(asked.get(one.series, []))) for one in planned)

    def _left(self, tx: Tx, job: Job, now: Instant) -> list[SeriesPlan]:
        """The plan of what a job still misses of its pinned span."""
        names = [name for _, name in jobs.series_of(tx, job.id)]
        dataset, wish = self._catalogue.dataset(job.dataset), wish_of(job, names)
        return self.planner.every(tx, dataset, wish, now, job)

    def _finish_with_errors(self, tx: Tx, job: Job, now: Instant) -> None:
        """Some segments failed or are held: with a complete series beside them the job is incomplete, else failed."""
        broken = [d for d in segments.of_job(tx, job.id) if d.segment.state in ("failed", "held")]
        names = {d.segment.name for d in broken}
        verb = "incomplete" if len(names) < job.series_count else "failed"
        self._finish(tx, job, verb, now, _told_once(broken))

    def _finish(self, tx: Tx, job: Job, verb: str, now: Instant, error: str) -> None:
        if jobs.move(tx, job.id, verb, now, error=error):
            if verb == "done":
                jobs.forget_proof(tx, job.id)
            events.add(tx, now, f"job.{verb}", error, job=job.id, level="info" if verb == "done" else "warning")
            notifications.note(tx, self._require(tx, job.id), verb, occasion=now, now=now)
            audit.add(
                tx, now, replace(ENGINE, reason=error), f"job.{verb}", f"job/{job.id}", before=job.state, after=verb
            )

    def pause(self, job_id: int) -> Job:
        """Forbid the next request of a job; its segments keep their cursors."""
        return self._order(job_id, "pause")

    def resume(self, job_id: int) -> Job:
        """Let a paused job go on."""
        return self._order(job_id, "resume")

    def cancel(self, job_id: int) -> Job:
        """End a job; requests under way are fenced off, what is stored stays."""
        return self._order(job_id, "cancel")

    def retry(self, job_id: int) -> Job:
        """Take a failed, incomplete or cancelled job up again: exactly what it still misses."""
        return self._order(job_id, "retry")

    def start(self, job_id: int) -> Job:
        """Resume if paused, retry if it ended without being done."""
        return self._order(job_id, self._way(self.get(job_id), "start"))

    def _order(self, job_id: int, verb: str) -> Job:
        """Do one verb."""
        changed = self._store.write(lambda tx: self._ordered(tx, job_id, verb), urgent=True, isolated=True)
        self.ring()
        return changed

    def _ordered(self, tx: Tx, job_id: int, verb: str) -> Job:
        """Do a verb, what follows from it included, inside a transaction."""
        now = self._clock.now()
        self._refuse_twin(tx, self._require(tx, job_id), verb)
        segments.take_all(tx, job_id)
        before = jobs.order(tx, job_id, verb, now)
        events.add(tx, now, ORDERED[verb], f"was {before.state}", job=job_id)
        if verb == "cancel":
            segments.cancel(tx, job_id, now)
        after = self._require(tx, job_id)
        audit.add(tx, now, self.actor, ORDERED[verb], f"job/{job_id}", before=before.state, after=after.state)
        if verb == "cancel":
            notifications.note(tx, after, after.state, occasion=now, now=now)
        if verb == "retry":
            self._again(tx, before, now)
        return self._require(tx, job_id)

    def _again(self, tx: Tx, job: Job, now: Instant) -> None:
        """Let what a job has given up wait again, and plan the rest."""
        for series_id, _ in [] if Kind(job.kind).is_chore else jobs.series_of(tx, job.id):
            quarantine.release(tx, series_id, job.span)
        segments.revive(tx, job.id)
        jobs.set_lacking(tx, job.id, job.total + 1)
        self._settle(tx, job.id, now)

    def each(self, job_ids: Sequence[int], verb: str, refuse: Callable[[int, GaplessError], None]) -> int:
        """Do a verb to many jobs, some hundred in a transaction; returns how many obeyed, `refuse` hears of the others.

        `start` is what it is for one: resume, or retry.
        """
        moved = 0
        for at in range(0, len(job_ids), TOGETHER):
            part = job_ids[at : at + TOGETHER]
            done, refused = self._store.write(partial(self._each, job_ids=part, verb=verb), urgent=True, isolated=True)
            moved += done
            for job_id, error in refused:
                refuse(job_id, error)
            self.ring()
        return moved

    def _each(self, tx: Tx, job_ids: Sequence[int], verb: str) -> tuple[int, list[tuple[int, GaplessError]]]:
        refused: list[tuple[int, GaplessError]] = []
        for job_id in job_ids:
            try:
                # Refusals come before anything is written.
                self._ordered(tx, job_id, self._way(self._require(tx, job_id), verb))
            except (NotAllowed, NotFound) as error:
                refused.append((job_id, error))
        return len(job_ids) - len(refused), refused

    def _way(self, job: Job, verb: str) -> str:
        """What `start` means for a job; every other verb is itself."""
        if verb != "start":
            return verb
        return "retry" if JobState(job.state) in MOVES["retry"][0] else "resume"

    def _refuse_twin(self, tx: Tx, job: Job, verb: str) -> None:
        """Two unfinished jobs of one wish would do the same work: the newer one does it."""
        twin = jobs.unfinished(tx, job.wish) if job.is_final and verb == "retry" else None
        if twin is not None:
            raise NotAllowed(
                f"job {job.id} cannot retry: job {twin.id} has the same wish and is {twin.state}",
                hint=f"`gapless jobs show {twin.id}`",
            )

    def set_priority(self, job_id: int, priority: Priority) -> Job:
        """Change the class of a job; its waiting segments take their new place."""

        def write(tx: Tx) -> Job:
            job = self._require(tx, job_id)
            segments.take_all(tx, job_id)
            segments.hurry(tx, job_id, jobs.set_priority(tx, job, priority))
            before = f"priority {Priority(job.priority).name.lower()}"
            self._note_change(tx, job_id, before, f"priority {priority.name.lower()}")
            return self._require(tx, job_id)

        changed = self._store.write(write, urgent=True)
        self.ring()
        return changed

    def set_rate(self, job_id: int, rate: float | None) -> Job:
        """Change how many requests a second a job may send; None leaves it to the source's budget."""
        check_rate(rate)

        def write(tx: Tx) -> Job:
            before = self._require(tx, job_id).rate
            jobs.set_rate(tx, job_id, rate)
            self._note_change(tx, job_id, f"rate {before or 'of its source'}", f"rate {rate or 'of its source'}")
            if rate is not None:
                budgets.set_rate(tx, job_budget(job_id), rate)
            return self._require(tx, job_id)

        return self._store.write(write, urgent=True)

    def _note_change(self, tx: Tx, job_id: int, before: str, after: str) -> None:
        now = self._clock.now()
        events.add(tx, now, "job.changed", after, job=job_id)
        audit.add(tx, now, self.actor, "job.changed", f"job/{job_id}", before=before, after=after)

    def clone(self, job_id: int) -> Made:
        """A new job of the same wish, over the same pinned span."""
        with self._store.read() as tx:
            job = self._require(tx, job_id)
            names = [name for _, name in jobs.series_of(tx, job_id)]
        wish = replace(wish_of(job, names), owner=self.actor.name)
        return self.create(
            wish, queue=Queue(job.queue), priority=Priority(job.priority), name=job.name, bounds=job.bounds
        )

    def get(self, job_id: int) -> Job:
        """A job by id; raises `NotFound`."""
        with self._store.read() as tx:
            return self._require(tx, job_id)

    def _require(self, tx: Tx, job_id: int) -> Job:
        job = jobs.get(tx, job_id)
        if job is None:
            raise NotFound(f"job: there is no job {job_id}", field="job", hint="`gapless jobs` lists them")
        return job

    def left(self, tx: Tx, job: Job) -> list[SeriesPlan]:
        """What a job still misses: read from the ledger, never summed."""
        return self._left(tx, job, self._clock.now())


def _told_once(broken: list[segments.Detail]) -> str:
    """Each cause once, with the series that it holds up."""
    causes: dict[str, tuple[str, list[str]]] = {}
    for one in broken:
        name = one.segment.name
        _, names = causes.setdefault(one.error.replace(name, ""), (one.error, []))
        if name not in names:
            names.append(name)
    count = len({one.segment.name for one in broken})
    if count == 1:
        return broken[0].error
    told = [(f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''}", error) for error, names in causes.values()]
    if len(told) == 1:
        return f"{count} series ({told[0][0]}): {told[0][1]}"
    parts = [f"{names}: {error}" for names, error in told[:CAUSES]]
    return f"{count} series. {' · '.join(parts)}{' · …' if len(told) > CAUSES else ''}"


def _found(tx: Tx, dataset: Dataset, wish: Wish, ids: list[int], planned: list[SeriesPlan]) -> int:
    """Cells that are not asked for and have a record, where units are counted."""
    if not dataset.has_units or wish.mode is Mode.ALL:
        return 0
    again = [(one, part) for one, its in zip(ids, planned, strict=True) for part in its.missing] if wish.recheck else []
    return rows.cells(tx, dataset, ids, wish.span) - sum(rows.cells(tx, dataset, [one], part) for one, part in again)


def _note(planned: list[SeriesPlan], dataset: Dataset) -> str:
    """What a finished job could not have: spans that the source has forgotten."""
    gone = sum(cells(dataset.grid, one.unavailable) for one in planned)
    return f"{gone:,} periods are unavailable: the source has forgotten them" if gone else ""
