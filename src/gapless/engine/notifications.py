"""Notifications: whom to tell when a job ends or waits.

An event becomes a row for each notification that wants it, in the transaction in which it happens: nothing is lost and
nothing is told twice, and the job waits for nobody. `engine/deliveries.py` takes the rows from there.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

import msgspec

from gapless.core.actor import Actor
from gapless.core.clock import Clock
from gapless.core.errors import NotFound, UsageError
from gapless.core.job import Job, Priority
from gapless.core.names import checked_name
from gapless.core.pacing import waits_until
from gapless.core.span import SECOND, Instant, iso
from gapless.engine.deliveries import checked_address
from gapless.store import audit, budgets, deliveries, jobs, notifications, segments
from gapless.store.database import Tx
from gapless.store.notifications import Notification
from gapless.store.store import Store

#: What can be told of a job.
EVENTS = ("done", "incomplete", "failed", "cancelled", "waiting")
USUAL = ("done", "incomplete", "failed", "waiting")
#: Seconds that a job must have to wait for it to be worth telling.
LONG = 60.0
#: Of the Standard Webhooks specification, whose headers we send.
PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Added:
    """A new notification, and its secret, which is shown this once."""

    notification: Notification
    secret: str = field(repr=False)


class Notifications:
    """Verbs on notifications, done by `actor`."""

    def __init__(self, store: Store, clock: Clock, actor: Actor) -> None:
        self._store = store
        self._clock = clock
        self._actor = actor

    def add(self, name: str, url: str, events: tuple[str, ...] = USUAL, *, secret: str = "") -> Added:
        """Tell an address from now on; http and https are webhooks, all else is apprise's. Raises `UsageError`."""
        kind = checked_address(url)
        for event in events:
            if event not in EVENTS:
                hint = f"give some of: {', '.join(EVENTS)}"
                raise UsageError(f"events: {event!r} is unknown", field="events", hint=hint)
        if not events:
            raise UsageError("events: none is given", field="events", hint=f"give some of: {', '.join(EVENTS)}")
        checked_name(name)
        key = _secret(secret) if kind == "webhook" else ""
        said, now = ",".join(dict.fromkeys(events)), self._clock.now()

        def write(tx: Tx) -> None:
            if not notifications.add(tx, name, self._actor.name, kind, url, key, said, now):
                raise UsageError(
                    f"name: there is a notification {name}", field="name", hint="remove it first, or give another name"
                )
            audit.add(tx, now, self._actor, "notification.added", f"notification/{name}", after=f"{kind}: {said}")

        self._store.write(write)
        return Added(self.get(name), key)

    def every(self) -> list[Notification]:
        """All of them by name."""
        with self._store.read() as tx:
            return notifications.every(tx)

    def get(self, name: str) -> Notification:
        """One by its name; raises `UsageError`."""
        with self._store.read() as tx:
            found = notifications.by_name(tx, name)
        if found is None:
            raise NotFound(
                f"name: there is no notification {name}", field="name", hint="`gapless notification list` shows them"
            )
        return found

    def enable(self, name: str, *, enabled: bool) -> None:
        """Tell it of what happens from now on, or of nothing."""
        self.get(name)
        self._change(name, "enabled" if enabled else "disabled", partial(notifications.enable, enabled=enabled))

    def remove(self, name: str) -> None:
        """Forget it."""
        self.get(name)
        self._change(name, "removed", notifications.remove)

    def _change(self, name: str, verb: str, change: Callable[[Tx, str], bool]) -> None:
        def write(tx: Tx) -> None:
            if change(tx, name):
                audit.add(tx, self._clock.now(), self._actor, f"notification.{verb}", f"notification/{name}")

        self._store.write(write)

    def tick(self) -> None:
        """Notice jobs that have to wait for long: a source that told us to, or a spent quota."""
        now = self._clock.now()
        with self._store.read() as tx:
            if not notifications.wanting(tx, "waiting"):
                return
            until = {one.key: waits_until(one, now) for one in budgets.every(tx)}
            held = [
                (jobs.get(tx, its), at)
                for key, at in until.items()
                if at > now + LONG * SECOND
                for its in segments.stopped_by(tx, key)
            ]
        for job, at in held:
            if job is not None:
                self._store.write(partial(note, job=job, event="waiting", occasion=at, now=now))


def note(tx: Tx, job: Job, event: str, *, occasion: Instant, now: Instant) -> None:
    """Let an event of a job be told to all who want it; the same occasion is told once, whoever notes it again."""
    wanting = notifications.wanting(tx, event)
    if not wanting:
        return
    body = msgspec.json.encode(_body(job, event, occasion, now)).decode()
    for one in wanting:
        deliveries.add(tx, one, job.id, event, occasion, body, now)


def _body(job: Job, event: str, occasion: Instant, now: Instant) -> dict[str, object]:
    return {
        "type": f"job.{event}",
        "timestamp": iso(now),
        "data": {
            "id": job.id,
            "name": job.name,
            "kind": job.kind,
            "dataset": job.dataset,
            "state": job.state,
            "error": job.error,
            "owner": job.owner,
            "queue": job.queue,
            "priority": Priority(job.priority).name.lower(),
            "series": job.series_count,
            "start": iso(job.start),
            "end": iso(job.end),
            "rows": job.rows,
            "requests": job.requests,
            "createdAt": iso(job.created_at),
            "startedAt": None if job.started_at is None else iso(job.started_at),
            "endedAt": None if job.ended_at is None else iso(job.ended_at),
            "waitsUntil": iso(occasion) if event == "waiting" else None,
        },
    }


def _secret(given: str) -> str:
    """A key of the owner's, checked, or a new one."""
    if not given:
        return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    try:
        size = len(base64.b64decode(given.removeprefix(PREFIX), validate=True))
    except ValueError:
        size = 0
    if not given.startswith(PREFIX) or not 24 <= size <= 64:
        raise UsageError(
            "secret: is not understood",
            field="secret",
            hint=f"give {PREFIX} and 24 to 64 bytes in base64, or leave it out",
        )
    return given


def shown_address(one: Notification) -> str:
    """Where a notification goes, without what may be secret in it: path, query and user."""
    parts = urlsplit(one.url)
    return f"{parts.scheme}://{parts.hostname or ''}/…" if one.kind == "webhook" else f"{parts.scheme}://…"
