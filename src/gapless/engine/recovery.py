"""Who is alive: beats, lock files, rescue.

A beat is a counter; silence is measured on the observer's own monotonic clock, and only over time in which the
observer's own beats were committed. On one machine a lock file per worker, freed by the kernel, proves death at once.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from gapless.core.actor import ENGINE
from gapless.core.clock import Clock
from gapless.core.errors import UsageError
from gapless.core.span import Instant
from gapless.store import audit, events, segments, workers
from gapless.store.database import Tx
from gapless.store.sqlite import SQLite
from gapless.store.store import Store
from gapless.store.workers import Worker

log = structlog.get_logger("gapless.recovery")

#: Seconds without a beat after which a worker has lost its segments.
LEASE = 3.0
#: Seconds between beats.
BEAT = 0.5
#: Seconds in which a living worker's beat is sure to move.
SEEN = 3 * BEAT


def lock_folder(store: Store) -> Path | None:
    """Where the lock files of the workers on this machine lie: beside a SQLite file."""
    database = store.database
    return database.path.with_name(f"{database.path.name}.workers") if isinstance(database, SQLite) else None


@dataclass(slots=True)
class _Seen:
    #: When it entered, and its beat: who enters anew begins anew.
    sign: tuple[Instant, int]
    silent: float = 0.0


class Identity:
    """This process as a worker: a random id, and a lock file that the kernel frees when the process dies.

    With `works=False` it only observes others.
    """

    def __init__(self, folder: Path | None, *, works: bool = True) -> None:
        self.id = secrets.token_hex(8)
        self._folder = folder
        self._handle: int | None = None
        if folder is not None and works:
            folder.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(folder / self.id, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def leave(self) -> None:
        """Free and remove the lock file."""
        if self._handle is not None and self._folder is not None:
            (self._folder / self.id).unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def is_dead(self, worker: str) -> bool:
        """Whether the kernel has freed another worker's lock file. No file proves nothing."""
        if self._folder is None or worker == self.id:
            return False
        try:
            handle = os.open(self._folder / worker, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        else:
            return True
        finally:
            os.close(handle)

    def forget(self, worker: str) -> None:
        """Remove the lock file of a dead worker."""
        if self._folder is not None:
            (self._folder / worker).unlink(missing_ok=True)


@dataclass(slots=True)
class Watch:
    """Looks after the workers of a store from one process."""

    store: Store
    clock: Clock
    me: Identity
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _last: float | None = None

    def enter(self, queues: list[str], slots: int, job: int | None, name: str = "") -> None:
        """Enter this process as a worker; raises `UsageError` when a living worker has the name."""
        row = Worker(
            name=name or f"{socket.gethostname()}-{os.getpid()}-{self.me.id[:4]}",
            id=self.me.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=",".join(queues),
            slots=slots,
            job=job,
            beat=0,
            started_at=self.clock.now(),
        )
        self._free_name(row.name)
        if not self.store.write(lambda tx: workers.enter(tx, row), urgent=True):
            raise UsageError(
                f"name: a living worker is called {row.name}", field="name", hint="stop it first, or give another name"
            )

    def _free_name(self, name: str) -> None:
        """Wait until a namesake is known to live or to be dead: a worker that restarts may take its own name again."""
        last = self.clock.monotonic()
        while True:
            with self.store.read() as tx:
                found = [one for one in workers.every(tx) if one.name == name and one.id != self.me.id]
            now = self.clock.monotonic()
            for one in found:
                before = self._seen.get(one.id)
                if before is not None and before.sign != (one.started_at, one.beat):
                    return
                if self._is_dead(one, now - last):
                    self.rescue(one)
            if not found:
                return
            last = now
            self.clock.wait(threading.Event(), BEAT / 2)

    def beat(self, slots: int) -> bool:
        """Count on; False when others took us for dead: our segments are theirs by now."""
        return self.store.write(lambda tx: workers.beat(tx, self.me.id, slots), urgent=True)

    def look(self) -> list[int]:
        """Rescue the segments of dead workers; returns the jobs they belong to. Call after a committed beat."""
        now = self.clock.monotonic()
        passed = 0.0 if self._last is None else min(now - self._last, 2 * BEAT)
        self._last = now
        with self.store.read() as tx:
            every = workers.every(tx)
            has_orphans = segments.has_orphans(tx)
        present = {one.id for one in every}
        self._seen = {one: seen for one, seen in self._seen.items() if one in present}
        dead = [one for one in every if one.id != self.me.id and self._is_dead(one, passed)]
        freed = [job for one in dead for job in self.rescue(one)]
        return freed + (self._rescue_orphans() if has_orphans else [])

    def _rescue_orphans(self) -> list[int]:
        """Free what somebody claimed who had been buried already: nobody's silence would ever tell."""
        now = self.clock.now()

        def write(tx: Tx) -> list[tuple[int, int]]:
            freed = segments.rescue_orphans(tx)
            for segment, job in freed:
                _note_rescue(tx, now, segment, job, "its worker had been given up")
            return freed

        return sorted({job for _, job in self.store.write(write, urgent=True)})

    def _is_dead(self, one: Worker, passed: float) -> bool:
        seen, sign = self._seen.get(one.id), (one.started_at, one.beat)
        if seen is None or seen.sign != sign:
            self._seen[one.id] = _Seen(sign)
        else:
            seen.silent += passed
        return self.me.is_dead(one.id) or self._seen[one.id].silent >= LEASE

    def rescue(self, dead: Worker) -> list[int]:
        """Take the segments of a dead worker back; attempts are not charged for it."""
        now = self.clock.now()

        def write(tx: Tx) -> list[tuple[int, int]]:
            freed = segments.rescue(tx, dead.id)
            workers.leave(tx, dead.id)
            for segment, job in freed:
                _note_rescue(tx, now, segment, job, f"worker {dead.name} (pid {dead.pid}) died")
            return freed

        freed = self.store.write(write, urgent=True)
        self.me.forget(dead.id)
        self._seen.pop(dead.id, None)
        log.info("worker.rescued", worker=dead.id, pid=dead.pid, segments=len(freed))
        return sorted({job for _, job in freed})

    def bury(self) -> None:
        """Rescue from every worker whose lock file the kernel has freed: what a process does when it starts."""
        with self.store.read() as tx:
            dead = [one for one in workers.every(tx) if self.me.is_dead(one.id)]
        for one in dead:
            self.rescue(one)

    def leave(self) -> None:
        """Give back what we still hold and sign off."""

        def write(tx: Tx) -> None:
            segments.rescue(tx, self.me.id)
            workers.leave(tx, self.me.id)

        self.store.write(write, urgent=True)
        self.me.leave()


def living(store: Store, clock: Clock, which: Callable[[Tx], list[Worker]], patience: float = SEEN) -> list[Worker]:
    """Those of some workers whose beat is seen to move; looks until one is, at most `patience` seconds.

    For who asks from outside: rows of the dead stay until a living worker buries them.
    """
    first, never = dict[str, int](), threading.Event()
    until = clock.monotonic() + patience
    while True:
        with store.read() as tx:
            found = which(tx)
        alive = [one for one in found if first.setdefault(one.id, one.beat) != one.beat]
        if alive or not found or clock.monotonic() >= until:
            return alive
        clock.wait(never, BEAT / 5)


def _note_rescue(tx: Tx, now: Instant, segment: int, job: int, why: str) -> None:
    events.add(tx, now, "segment.rescued", why, job=job, segment=segment, level="warning")
    rescuer = replace(ENGINE, reason=f"segment {segment}: {why}")
    audit.add(tx, now, rescuer, "segment.rescued", f"job/{job}", before="running", after="waiting")
