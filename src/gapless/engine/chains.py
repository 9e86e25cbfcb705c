"""Chains: when job A is done, job B is made; and when B is done, C.

A link is a row that waits for one job. Whoever finds that the job has ended makes the next one, in the transaction that
moves the link: once, whoever else looks, and also when the process that ended the job has died since.
"""

from __future__ import annotations

from gapless.core.actor import Actor, Via
from gapless.core.clock import Clock
from gapless.core.errors import GaplessError, NotAllowed, NotFound, UsageError
from gapless.core.job import Job, Queue
from gapless.core.span import SECOND
from gapless.engine.jobs import Jobs, Made
from gapless.engine.templates import Starter
from gapless.store import audit, chains, events, jobs
from gapless.store.chains import Chain, Step
from gapless.store.database import Tx
from gapless.store.store import Store

#: Seconds until a step is tried again that a source or the database was in the way of.
AGAIN = 60
AFTER = ("done", "ended")


class Chains:
    """Verbs on chains, done by `actor`."""

    def __init__(self, store: Store, clock: Clock, verbs: Jobs, starter: Starter, actor: Actor) -> None:
        self._store = store
        self._clock = clock
        self._jobs = verbs
        self._starter = starter
        self._actor = actor

    def add(self, job_id: int, steps: tuple[Step, ...], *, after: str = "done") -> int:
        """Let steps follow a job, one after the other; `after` "ended" also when it is incomplete or failed.

        Returns the link's id. Raises `UsageError` for a step that cannot become a job.
        """
        if after not in AFTER:
            raise UsageError(f"after: {after!r} is unknown", field="after", hint=f"give one of: {', '.join(AFTER)}")
        if not steps:
            raise UsageError("steps: none is given", field="steps", hint="give at least one")
        for step in steps:
            self._starter.check(step, alone=False)
        now = self._clock.now()

        def write(tx: Tx) -> int:
            if jobs.lock(tx, job_id) is None:
                raise NotFound(f"job: there is no job {job_id}", field="job", hint="`gapless jobs` lists them")
            said = f"{after}: {', '.join(one.name or one.kind for one in steps)}"
            audit.add(tx, now, self._actor, "chain.added", f"job/{job_id}", after=said)
            return chains.add(tx, job_id, self._actor.name, after, steps, now)

        return self._store.write(write)

    def every(self, job_id: int | None = None, *, most: int = 200, below: int = 2**62) -> list[Chain]:
        """The newest links with an id below `below`, or all that lead from or to a job."""
        if job_id is not None:
            self._jobs.get(job_id)
        with self._store.read() as tx:
            return chains.every(tx, most, below=below) if job_id is None else chains.of_job(tx, job_id)

    def get(self, chain_id: int) -> Chain:
        """A link by its number; raises `NotFound`."""
        with self._store.read() as tx:
            found = chains.get(tx, chain_id)
        if found is None:
            raise NotFound(
                f"chain: there is no chain {chain_id}", field="chain", hint="`gapless chain list` shows them"
            )
        return found

    def remove(self, chain_id: int) -> None:
        """Take a link away that still waits; raises `NotAllowed`."""
        self.get(chain_id)

        def write(tx: Tx) -> bool:
            is_gone = chains.remove(tx, chain_id)
            if is_gone:
                audit.add(tx, self._clock.now(), self._actor, "chain.removed", f"chain/{chain_id}")
            return is_gone

        if not self._store.write(write):
            raise NotAllowed(f"chain {chain_id} does not wait any more", hint="`gapless chain list` shows them")

    def tick(self) -> list[Job]:
        """Make the jobs whose turn has come; returns those that this process made."""
        with self._store.read() as tx:
            due = chains.due(tx, self._clock.now())
        made = [one.job for link in due if (one := self._start(link)) is not None]
        if made:
            self._starter.ring()
        return made

    def _start(self, link: Chain) -> Made | None:
        before, now = self._jobs.get(link.job), self._clock.now()
        # What follows a scheduled job stays on the queue that backfills cannot fill.
        queue = Queue.DAILY if before.queue == Queue.DAILY else None
        try:
            actor = Actor(name=link.owner, via=Via.CHAIN, reason=f"after job {link.job}")
            make = self._starter.prepare(link.steps[0], actor=actor, queue=queue, before=before)
        except UsageError as error:
            why = str(error)
            self._store.write(lambda tx: self._fail(tx, link, why))
            return None
        except GaplessError as error:
            why = str(error)
            self._store.write(lambda tx: chains.later(tx, link.id, now + AGAIN * SECOND, why))
            return None

        def write(tx: Tx) -> Made | None:
            if not chains.take(tx, link.id, now):
                return None
            made = make(tx)
            chains.started(tx, link.id, made.job.id)
            if link.steps[1:]:
                chains.add(tx, made.job.id, link.owner, link.after, link.steps[1:], now)
            events.add(tx, now, "chain.started", f"job {made.job.id} follows", job=link.job)
            return made

        return self._store.write(write, isolated=True)

    def _fail(self, tx: Tx, link: Chain, why: str) -> None:
        now = self._clock.now()
        if chains.fail(tx, link.id, why, now):
            events.add(tx, now, "chain.failed", why, job=link.job, level="error")
