"""A worker: slots that run segments, and a control thread that watches over them.

It answers the port that every engine has, `ring · cancel · serve · reconcile`. What differs is the bell: `embedded`
rings in this process and hears the commits of others on the same file, `cluster` is rung by a distributed queue. A ring
says only "work may be there": the slot that hears it claims the best segment by our SQL.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog

from gapless.core.clock import Clock
from gapless.core.errors import GaplessError, StoreError
from gapless.core.job import JobState
from gapless.core.segment import Lease
from gapless.engine import cutting
from gapless.engine.claims import Ready, Taker
from gapless.engine.cutting import Cut
from gapless.engine.jobs import Jobs
from gapless.engine.recovery import BEAT, Identity, Watch, lock_folder
from gapless.engine.runner import Runner
from gapless.store import audit, budgets, claims, jobs, segments
from gapless.store.database import Tx
from gapless.store.store import Store

log = structlog.get_logger("gapless.engine")

#: Seconds between two looks of the control thread at its bell, and at the jobs of what runs here.
LISTEN = 0.05
LOOK = 0.2
#: Beats between two looks for jobs that nobody has finished.
RECONCILE = 4
#: Seconds to sign off in, at least; who cannot is found out by the others.
LEAVING = 3.0
#: Seconds after which a slot beyond the least number goes, when there is nothing for it to do.
LINGER = 30.0


class Bell(Protocol):
    """What wakes idle slots. Every method may be called from any thread."""

    #: Seconds an idle slot sleeps at most, so that a `retry_at` or a chance to steal is not slept through.
    idle: float

    def open(self, queues: Mapping[str, int]) -> None:
        """Begin to listen for these queues, each with so many slots at most."""
        ...

    def heard(self) -> int:
        """A number that grows with each ring: `wait` returns at once if it has grown since."""
        ...

    def wait(self, queue: str, heard: int, seconds: float) -> None:
        """Sleep until a ring, at most so long; what rang for this thread before is answered now."""
        ...

    def leave(self) -> None:
        """This thread is a slot no more: what rang for it is answered."""
        ...

    def ring(self) -> None:
        """Wake the idle slots of this process."""
        ...

    def listen(self) -> None:
        """Pass on what other processes did; called by the control thread all the time."""
        ...

    def reconcile(self) -> None:
        """Mend what was lost on the way; called every few seconds."""
        ...

    def close(self) -> None:
        """Stop listening; nobody waits any more."""
        ...


@dataclass(frozen=True, slots=True)
class Range:
    """How many slots a queue has: never fewer than `least`, up to `most` while there is work for them."""

    least: int
    most: int


@dataclass(slots=True, eq=False)
class _Slot:
    """One thread's place; `lease` is what it runs now."""

    queue: str
    lease: Lease | None = None
    stop: threading.Event | None = None
    thread: threading.Thread | None = None
    since: float = field(default_factory=time.monotonic)


class Worker:
    """Slots for queues in this process; `only` narrows them to one job."""

    def __init__(
        self,
        store: Store,
        runner: Runner,
        verbs: Jobs,
        clock: Clock,
        slots: Mapping[str, Range],
        bell: Bell,
        *,
        only: int | None = None,
        name: str = "",
    ) -> None:
        self._store = store
        self._runner = runner
        self._jobs = verbs
        self._clock = clock
        self._only = only
        self._name = name
        self._ranges = dict(slots)
        self._least = sum(one.least for one in slots.values())
        self._bell = bell
        #: Replaced as a whole under the lock, read without it.
        self._slots: list[_Slot] = []
        self._changing = threading.Lock()
        self._stealing = {queue: threading.Lock() for queue in slots}
        self._closing = threading.Event()
        self._orphans: dict[int, int] = {}
        self.watch = Watch(store, clock, Identity(lock_folder(store)))
        self._takers = {queue: self.taker(queue) for queue in slots}
        self._control_thread = threading.Thread(target=self._control, name="gapless-control", daemon=True)
        #: What keeps this process from working.
        self.failure: BaseException | None = None
        self._failed = 0.0

    def taker(self, queue: str) -> Taker:
        """Takes segments of a queue in this worker's name."""
        return Taker(
            store=self._store,
            jobs=self._jobs,
            clock=self._clock,
            work=self._runner.work,
            queue=queue,
            worker=self.watch.me.id,
            only=self._only,
        )

    def serve(self) -> None:
        """Start the threads; work begins at once. Raises `UsageError` when the name is taken."""
        self._enter()
        self.reconcile(self.watch.look())
        self._bell.open({queue: one.most for queue, one in self._ranges.items()})
        self._control_thread.start()
        for queue, one in self._ranges.items():
            for _ in range(one.least):
                self._add(queue)

    def _enter(self) -> None:
        self.watch.enter(sorted(self._ranges), max(len(self._slots), self._least), self._only, self._name)

    def _add(self, queue: str) -> None:
        slot = _Slot(queue)
        with self._changing:
            self._slots = [*self._slots, slot]
        slot.thread = threading.Thread(target=self._work, args=(slot,), name=f"gapless-{queue}", daemon=True)
        slot.thread.start()

    def ring(self) -> None:
        """Wake the idle slots: there may be work."""
        self._bell.ring()

    def cancel(self, job_ids: set[int]) -> None:
        """Stop what runs here of these jobs before its next request."""
        for slot in self._slots:
            if slot.lease is not None and slot.stop is not None and slot.lease.segment.job in job_ids:
                slot.stop.set()

    def stop(self, *, patience: float = 10.0) -> None:
        """Let the pages under way finish, give the segments back, sign off."""
        self._closing.set()
        for slot in self._slots:
            if slot.stop is not None:
                slot.stop.set()
        self.ring()
        deadline = time.monotonic() + patience
        for thread in [*(slot.thread for slot in self._slots), self._control_thread]:
            if thread is not None and thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._bell.close()
        # In a thread, too: on a network that swallows everything a statement never returns.
        leaving = threading.Thread(target=self._leave, name="gapless-leave", daemon=True)
        leaving.start()
        leaving.join(max(LEAVING, deadline - time.monotonic()))

    def _leave(self) -> None:
        try:
            self.watch.leave()
        except StoreError as error:
            log.warning("worker.leave_failed", error=str(error))
        finally:
            self._store.database.release()

    @property
    def idle(self) -> bool:
        """Whether no slot runs anything."""
        return all(slot.lease is None for slot in self._slots)

    @property
    def slots(self) -> int:
        """How many slots there are just now."""
        return len(self._slots)

    def reconcile(self, job_ids: list[int] | None = None) -> None:
        """Finish running jobs that have no live segment, whoever was to do it; let the bell mend itself."""
        with self._store.read() as tx:
            lone = jobs.lone(tx) if job_ids is None else [one for one in job_ids if not segments.has_live(tx, one)]
            waits = bool(audit.unsealed(tx))
        for one in lone:
            self._jobs.settle(one)
        self._jobs.expire()
        if waits:
            self._store.write(audit.seal)
        self._bell.reconcile()

    # -- slots

    def _work(self, slot: _Slot) -> None:
        busy = False
        while not self._closing.is_set() and self._is_wanted(slot):
            heard = self._bell.heard()
            try:
                ready = self._claim(slot.queue, looks_first=not busy) or self._steal(slot.queue)
                busy = ready is not None
                if ready is not None:
                    self._run(slot, ready)
                    continue
            except GaplessError as error:
                self._fail(error)
            except Exception:
                # A slot that died unseen would leave its work to nobody.
                log.exception("slot.crashed", queue=slot.queue)
            self._bell.wait(slot.queue, heard, self._bell.idle)
        self._bell.leave()
        self._store.database.release()

    def _is_wanted(self, slot: _Slot) -> bool:
        """Whether a slot stays: one beyond the least number goes after a while without work."""
        if time.monotonic() - slot.since < LINGER:
            return True
        with self._changing:
            mine = [one for one in self._slots if one.queue == slot.queue]
            if len(mine) <= self._ranges[slot.queue].least or slot is not mine[-1]:
                return True
            self._slots = [one for one in self._slots if one is not slot]
            return False

    def _run(self, slot: _Slot, ready: Ready | None) -> None:
        """Run a segment, and those that are claimed in the transaction that ends the one before."""
        then = self._takers[slot.queue].next
        try:
            while ready is not None:
                slot.stop, slot.lease = threading.Event(), ready.lease
                if self._closing.is_set():
                    slot.stop.set()
                ready = self._runner.run(ready, slot.stop, then=then).next
        finally:
            slot.lease = slot.stop = None
            slot.since = time.monotonic()
            self.ring()

    def _claim(self, queue: str, *, looks_first: bool) -> Ready | None:
        """The next segment; an idle slot looks first, so that it does not take the write lock four times a second."""
        taker = self._takers[queue]
        return None if looks_first and not taker.is_any() else taker.take()

    def _steal(self, queue: str) -> Ready | None:
        """Nothing waits: cut the largest running segment, unless its lanes fill the budget already.

        One slot at a time: those who look at once would find the same place.
        """
        with self._stealing[queue]:
            return self._claim(queue, looks_first=False) if self._cut_best(queue) else None

    def _cut_best(self, queue: str) -> bool:
        with self._store.read() as tx:
            if claims.is_full(tx, queue):
                return False
            best: tuple[Lease, Cut, str] | None = None
            for victim in claims.victims(tx, queue, self._only):
                found = self._cut(victim, claims.lanes(tx, victim.segment.series), tx)
                if found is not None and (best is None or found[0].is_safe):
                    best = victim, *found
                if best is not None and best[1].is_safe:
                    break
        if best is None:
            return False
        robbed, cut, key = best
        return self._store.write(lambda tx: segments.steal(tx, robbed, cut.at, key))

    def _cut(self, victim: Lease, lanes: int, tx: Tx) -> tuple[Cut, str] | None:
        limit = self._runner.limit(victim)
        latency = self._runner.latency.get(limit.key)
        budget = budgets.load(tx, limit.key)
        if latency is None or latency.seconds is None or budget is None or limit.key in self._runner.troubled:
            return None
        step = budget.step / 1_000_000
        if step and lanes >= latency.seconds / step + 1:
            return None
        work = self._runner.work(victim)
        cut = cutting.find(tx, self._jobs.planner, work, victim, self._clock.now(), latency.seconds)
        return None if cut is None else (cut, limit.key)

    def _fail(self, error: GaplessError) -> None:
        """The database is in trouble: say it once, and try again until somebody stops us."""
        with self._changing:
            is_first, self.failure, self._failed = self.failure is None, error, time.monotonic()
        if is_first:
            log.error("engine.trouble", error=str(error))

    # -- control

    def _control(self) -> None:
        """Listen to other processes, watch what runs here, beat and rescue."""
        looked, beaten, round_ = 0.0, 0.0, 0
        while not self._closing.wait(LISTEN):
            try:
                now = time.monotonic()
                self._bell.listen()
                looks = now - looked >= LOOK
                if looks:
                    looked = now
                    self._look()
                if now - beaten >= BEAT:
                    beaten = now
                    round_ += 1
                    self._beat(reconcile=round_ % RECONCILE == 0)
                if looks and self.failure is not None and now - self._failed > 2 * self._bell.idle:
                    # A look that succeeds is not enough: on a full disk only writing fails.
                    self.failure = None
                    log.info("engine.recovered")
            except GaplessError as error:
                self._fail(error)
        self._store.database.release()

    def _look(self) -> None:
        """Stop what was paused, cancelled, taken away, given another rate or place, or must make room for others."""
        running = [(slot, slot.lease, slot.stop) for slot in self._slots]
        with self._store.read() as tx:
            held = segments.held_by(tx, self.watch.me.id)
            now = self._clock.now()
            waiting = {queue: claims.peek(tx, queue, now, only=self._only) for queue in self._ranges}
            # The last of a full queue, wherever it runs, makes room.
            last = {queue: claims.last_running(tx, queue) for queue in waiting if claims.is_full(tx, queue)}
        for slot, lease, stop in running:
            if lease is None or stop is None or slot.lease is not lease:
                continue
            its, mine = held.get(lease.segment.id), lease.segment
            if its is None or its.epoch != lease.epoch:
                stop.set()
                continue
            if its.job_state == JobState.PENDING:
                # Paused and resumed before we looked: we have not stopped, so the job runs.
                self._store.write(partial(jobs.move, job_id=mine.job, verb="claim", now=now))
            is_active = its.job_state in (JobState.RUNNING, JobState.PENDING)
            if not is_active or (its.job_rate, its.turn) != (mine.rate, mine.turn):
                stop.set()
        if self._ranges:
            # Without slots of its own the caller's thread runs what is held (`Gapless.step`).
            self._abandon(held, {lease.segment.id for _, lease, _ in running if lease is not None})
        self._yield(running, waiting, last)
        self._grow(running, {queue: first for queue, first in waiting.items() if queue not in last})

    def _abandon(self, held: dict[int, segments.HeldBy], running: set[int]) -> None:
        """Give back what the database says we hold, but no slot runs: its slot met an error of the database.

        Only at the second look: a slot takes its lease up a moment after the claim.
        """
        orphans = {one: its.epoch for one, its in held.items() if one not in running}
        for one, epoch in orphans.items():
            if self._orphans.get(one) == epoch:
                self._store.write(partial(segments.abandon, segment_id=one, epoch=epoch))
        self._orphans = orphans

    def _yield(
        self,
        running: list[tuple[_Slot, Lease | None, threading.Event | None]],
        waiting: dict[str, tuple[int, int] | None],
        last_of_full: dict[str, int | None],
    ) -> None:
        """Between pages a slot gives way to a claimable segment of a higher class that finds no free slot."""
        for queue, first in waiting.items():
            mine = [(lease, stop) for slot, lease, stop in running if slot.queue == queue]
            busy = [(lease, stop) for lease, stop in mine if lease is not None and stop is not None]
            if first is None or self._only is not None or not busy:
                continue
            last, stop = max(busy, key=lambda one: (one[0].segment.turn, one[0].segment.id))
            if queue in last_of_full:
                has_to = last_of_full[queue] == last.segment.id
            else:
                has_to = len(busy) >= self._ranges[queue].most
            turn, priority = first
            if has_to and priority < last.segment.priority and turn < last.segment.turn:
                stop.set()

    def _grow(
        self,
        running: list[tuple[_Slot, Lease | None, threading.Event | None]],
        waiting: dict[str, tuple[int, int] | None],
    ) -> None:
        """Add a slot where all are busy, more is claimable and there may be more."""
        for queue, first in waiting.items():
            mine = [lease for slot, lease, _ in running if slot.queue == queue]
            if first is not None and None not in mine and len(mine) < self._ranges[queue].most:
                self._add(queue)

    def _beat(self, *, reconcile: bool) -> None:
        if not self.watch.beat(len(self._slots)):
            # Others took us for dead; whatever we hold is theirs. Enter anew under the same id.
            self.cancel({slot.lease.segment.job for slot in self._slots if slot.lease is not None})
            self._enter()
        jobs_freed = self.watch.look()
        if jobs_freed:
            self.ring()
        if reconcile:
            self.reconcile()
