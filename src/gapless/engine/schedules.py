"""Schedules: templates that run by the clock.

Any number of processes look; whoever moves `next_at` on makes the run, and does both in one transaction: so a time that
has come leads to one job, also when a process dies in the middle. Times that passed while nobody looked are caught up
by one run. A run is refused while the job of the one before is not over.
"""

from __future__ import annotations

from collections.abc import Callable

from gapless.core.actor import Actor, Via
from gapless.core.clock import Clock
from gapless.core.cron import Cron, Due, cron
from gapless.core.errors import GaplessError, NotAllowed, NotFound, UsageError
from gapless.core.job import Job, Queue
from gapless.core.names import checked_name
from gapless.core.span import SECOND
from gapless.engine.jobs import Made
from gapless.engine.templates import Making, Templates
from gapless.store import audit, events, jobs, schedules, templates
from gapless.store.database import Tx
from gapless.store.schedules import Schedule
from gapless.store.store import Store

#: Seconds until a run is tried again that a source or the database was in the way of.
AGAIN = 60


class Schedules:
    """Verbs on schedules, done by `actor`."""

    def __init__(self, store: Store, clock: Clock, known: Templates, ring: Callable[[], None], actor: Actor) -> None:
        self._store = store
        self._clock = clock
        self._templates = known
        self._ring = ring
        self._actor = actor

    def add(self, name: str, template: str, expression: str, zone: str) -> Schedule:
        """Run a template by the clock of a zone from now on; raises `UsageError` that names the field."""
        checked_name(name)
        when, found, now = cron(expression, zone), self._templates.get(template), self._clock.now()
        self._templates.check(found)

        def write(tx: Tx) -> None:
            if templates.get(tx, found.id) is None:
                raise NotFound(f"template: there is no template {template}", field="template")
            if not schedules.add(tx, name, self._actor.name, found.id, when.expression, zone, when.after(now), now):
                raise UsageError(
                    f"name: there is a schedule {name}", field="name", hint="remove it first, or give another name"
                )
            after = f"{template} at {when.expression} in {zone}"
            audit.add(tx, now, self._actor, "schedule.added", f"schedule/{name}", after=after)

        self._store.write(write)
        return self.get(name)

    def every(self) -> list[Schedule]:
        """All schedules by name."""
        with self._store.read() as tx:
            return schedules.every(tx)

    def get(self, name: str) -> Schedule:
        """A schedule by its name; raises `UsageError`."""
        with self._store.read() as tx:
            found = schedules.by_name(tx, name)
        if found is None:
            raise NotFound(
                f"schedule: there is no schedule {name}", field="schedule", hint="`gapless schedule list` shows them"
            )
        return found

    def template_name(self, one: Schedule) -> str:
        """What a schedule runs."""
        with self._store.read() as tx:
            found = templates.get(tx, one.template)
        return "" if found is None else found.name

    def enable(self, name: str, *, enabled: bool) -> Schedule:
        """Switch a schedule on or off; what would have run while it was off is not caught up."""
        found = self.get(name)
        next_at = Cron(found.cron, found.zone).after(self._clock.now())
        now, verb = self._clock.now(), "enabled" if enabled else "disabled"

        def write(tx: Tx) -> None:
            schedules.enable(tx, name, enabled=enabled, next_at=next_at)
            audit.add(tx, now, self._actor, f"schedule.{verb}", f"schedule/{name}")

        self._store.write(write)
        return self.get(name)

    def remove(self, name: str) -> None:
        """Forget a schedule; its jobs stay."""
        self.get(name)

        def write(tx: Tx) -> None:
            if schedules.remove(tx, name):
                audit.add(tx, self._clock.now(), self._actor, "schedule.removed", f"schedule/{name}")

        self._store.write(write)

    def run_now(self, name: str) -> Made:
        """Make a run out of turn; raises `NotAllowed` while the job of the run before is not over."""
        found = self.get(name)
        make = self._prepare(found, self._actor)

        def write(tx: Tx) -> Made:
            busy = _busy(tx, found)
            if busy is not None:
                raise NotAllowed(
                    f"job {busy.id} of schedule {name} is {busy.state}", hint=f"`gapless jobs show {busy.id}`"
                )
            made = make(tx)
            schedules.ran(tx, found.id, made.job.id)
            return made

        made = self._store.write(write, isolated=True)
        self._ring()
        return made

    def tick(self) -> list[Job]:
        """Make the runs whose time has come; returns the jobs that this process made."""
        with self._store.read() as tx:
            due = schedules.due(tx, self._clock.now())
        made = [job for one in due if (job := self._fire(one)) is not None]
        if made:
            self._ring()
        return made

    def _fire(self, one: Schedule) -> Job | None:
        now = self._clock.now()
        try:
            make = self._prepare(one, Actor(name=one.owner, via=Via.SCHEDULE, reason=f"schedule {one.name}"))
        except UsageError as error:
            why, due = str(error), Cron(one.cron, one.zone).due(one.next_at, now)
            self._store.write(lambda tx: self._refuse(tx, one, due, why))
            return None
        except GaplessError as error:
            why = str(error)
            self._store.write(lambda tx: schedules.later(tx, one, now + AGAIN * SECOND, why))
            return None
        return self._store.write(lambda tx: self._run(tx, one, make), isolated=True)

    def _prepare(self, one: Schedule, actor: Actor) -> Making:
        with self._store.read() as tx:
            template = templates.get(tx, one.template)
        assert template is not None, "templates with schedules are not removed"
        return self._templates.prepare(template, actor=actor, queue=Queue.DAILY)

    def _run(self, tx: Tx, one: Schedule, make: Making) -> Job | None:
        now = self._clock.now()
        due = Cron(one.cron, one.zone).due(one.next_at, now)
        if not schedules.pass_on(tx, one, due.next_at, due.times - 1):
            return None
        busy = _busy(tx, one)
        made = None if busy is not None else make(tx)
        if made is not None and made.adopted:
            busy, made = made.job, None
        if made is None:
            assert busy is not None
            schedules.refused(tx, one.id, f"job {busy.id} was {busy.state}")
            message = f"schedule {one.name}: it was {busy.state} when the next run was due"
            events.add(tx, now, "schedule.refused", message, job=busy.id, level="warning")
            return None
        schedules.ran(tx, one.id, made.job.id)
        caught_up = f", {due.times} times at once" if due.times > 1 else ""
        events.add(tx, now, "schedule.ran", f"schedule {one.name}{caught_up}", job=made.job.id)
        return made.job

    def _refuse(self, tx: Tx, one: Schedule, due: Due, why: str) -> None:
        if schedules.pass_on(tx, one, due.next_at, due.times - 1):
            schedules.refused(tx, one.id, why)


def _busy(tx: Tx, one: Schedule) -> Job | None:
    """The job of the run before, if it is not over."""
    now = schedules.by_name(tx, one.name)
    last = None if now is None or now.last_job is None else jobs.get(tx, now.last_job)
    return last if last is not None and not last.is_final else None
