"""Live events: one thread looks twice a second, encodes what changed once, and hands the same bytes to everybody.

Every message carries `boot` (this run of the server) and `rev`, which counts up by one with each message of topic
`jobs`: who sees a hole or another `boot` has to read anew. A slow reader loses messages and so sees a hole; it never
keeps others waiting. Pages carry both as of when they were drawn: what changes between a page's first reading and its
first message is seen as a hole, too.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

from gapless.app import Gapless
from gapless.core.errors import GaplessError
from gapless.core.job import Job, JobState
from gapless.core.redact import redacted
from gapless.core.span import SECOND
from gapless.server.board import Board
from gapless.store import audit, budgets, events, joblist, jobs, workers
from gapless.store.joblist import Filter

log = structlog.get_logger("gapless.server")

#: What stands at each place of the array of a changed job.
FIELDS = (
    "id",
    "state",
    "percent",
    "forward",
    "backward",
    "ok",
    "cached",
    "skip",
    "fail",
    "rows",
    "requests",
    "rate",
    "eta",
)
#: Seconds between looks, with and without somebody who watches.
TICK, IDLE = 0.5, 2.0
#: Jobs told one by one in a message; more than that are told by `stale`.
MOST = 500
#: Seconds that one look may spend on reading progress: the next one goes on where it stopped.
READING = 0.15
#: Messages that wait for a slow reader.
QUEUE = 16
#: Audit entries are numbered before they are committed: so many before the newest one are looked at again.
OVERLAP = 200


class Listener:
    """One reader, on the server's loop."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE)
        self.topics: set[str] = {"jobs"}

    def put(self, text: str | None) -> None:
        """Hand a message over; the oldest is dropped for it where too many wait."""
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(text)


class Live:
    """The thread, and those who listen."""

    def __init__(self, history: Gapless, board: Board) -> None:
        self.boot = secrets.token_hex(4)
        self.rev = 0
        self._history = history
        self._board = board
        self._listeners: set[Listener] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gapless-live", daemon=True)
        self._last_audit = 0
        self._told: set[int] = set()
        self._last_counts: dict[str, int] = {}
        self._last_delta: dict[int, list[Any]] = {}
        self._log_places: dict[int, int] = {}

    # -- on the loop

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look."""
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """End; listeners are told."""
        self._closing.set()
        self._wake.set()
        for one in list(self._listeners):
            one.put(None)
        self._thread.join(5)

    @contextmanager
    def listen(self) -> Iterator[Listener]:
        """A reader, for as long as the block."""
        mine = Listener()
        self._listeners.add(mine)
        self._wake.set()
        mine.put(self.hello())
        try:
            yield mine
        finally:
            self._listeners.discard(mine)

    @property
    def listeners(self) -> int:
        """How many read."""
        return len(self._listeners)

    @property
    def seen(self) -> str:
        """What a page that is drawn now has missed nothing of: `BOOT:REV`."""
        return f"{self.boot}:{self.rev}"

    def hello(self) -> str:
        """The first message of every reader."""
        return _encoded({"k": "hello", "boot": self.boot, "rev": self.rev, "fields": FIELDS})

    def nudge(self) -> None:
        """Look at once: something was done here."""
        self._wake.set()

    # -- in the thread

    def _run(self) -> None:
        try:
            with self._history.store.read() as tx:
                self._last_audit = audit.top(tx)
        except GaplessError as error:
            log.warning("server.look_failed", error=redacted(str(error)))
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                self._look()
            except GaplessError as error:
                # The database is away for a moment: the next look tells what was missed.
                log.warning("server.look_failed", error=redacted(str(error)))
            wait = (TICK if self._listeners else IDLE) - (time.monotonic() - began)
            self._wake.wait(max(0.05, wait))
            self._wake.clear()
        self._history.store.database.release()

    def _look(self) -> None:
        with self._history.store.read() as tx:
            self._board.count(joblist.totals(tx))
            self._board.count_budgets({one.key: one.requests for one in budgets.every(tx)})
            self._board.see({one.id: one.beat for one in workers.every(tx)})
            waits = bool(audit.unsealed(tx))
            is_heard = bool(self._listeners)
            if not is_heard:
                self._pass(audit.top(tx))
        if waits:
            # Workers do it, too; a server without slots may be all there is.
            self._history.store.write(audit.seal)
        if is_heard:
            self._tell()

    def _pass(self, top: int) -> None:
        """Nobody hears what has happened since the last look: who has drawn a page before it sees a hole."""
        if top != self._last_audit:
            self._last_audit = top
            self.rev += 1

    def _tell(self) -> None:
        with self._history.store.read() as tx:
            counts = jobs.states(tx)
            moved = self._moved(audit.since(tx, max(0, self._last_audit - OVERLAP), MOST + OVERLAP + 1))
            running = joblist.page(tx, Filter(states=(JobState.RUNNING.value,)), most=MOST)
            listed = [one for one, _ in running]
            known = {one.id for one in listed}
            listed += [one for number in moved[:MOST] if number not in known and (one := jobs.get(tx, number))]
        self._tell_jobs(listed, counts, is_stale=len(moved) > MOST)
        self._tell_logs()

    def _moved(self, entries: list[tuple[int, str]]) -> list[int]:
        """Jobs whose state has changed since the last look."""
        fresh = [(one, subject) for one, subject in entries if one not in self._told]
        self._last_audit = max([self._last_audit, *(one for one, _ in entries)])
        self._told = {one for one in self._told if one > self._last_audit - 2 * OVERLAP} | {one for one, _ in entries}
        numbers = [int(subject[4:]) for _, subject in fresh if subject.startswith("job/")]
        return list(dict.fromkeys(numbers))

    def _tell_jobs(self, listed: list[Job], counts: dict[str, int], *, is_stale: bool) -> None:
        deltas = self._deltas(listed)
        if not deltas and counts == self._last_counts and not is_stale:
            return
        self._last_counts = counts
        rows, requests = self._board.speed()
        self.rev += 1
        message: dict[str, Any] = {
            "k": "jobs",
            "boot": self.boot,
            "rev": self.rev,
            "t": round(self._history.clock.now() / SECOND, 3),
            "d": deltas,
            "counts": counts,
            "total": sum(counts.values()),
            "thru": round(requests, 2),
            "rows": round(rows, 1),
        }
        self._publish("jobs", _encoded(message | ({"stale": True} if is_stale else {})))

    def _deltas(self, listed: list[Job]) -> list[list[Any]]:
        """Those that differ from what was told last. Reading stops after a while: the rest has its turn next time."""
        until, found, kept = time.monotonic() + READING, [], {}
        # Whoever was looked at longest ago comes first.
        for job in sorted(listed, key=lambda one: known.at if (known := self._board.last_look(one.id)) else 0.0):
            before = self._last_delta.get(job.id)
            if job.state == JobState.RUNNING and time.monotonic() > until and before is not None:
                kept[job.id] = before
                continue
            delta = self._board.delta(job)
            kept[job.id] = delta
            if delta != before:
                found.append(delta)
        self._last_delta = kept
        return found

    def _tell_logs(self) -> None:
        wanted = {topic for one in list(self._listeners) for topic in one.topics if topic.startswith("log:")}
        numbers = {int(topic[4:]) for topic in wanted}
        self._log_places = {one: place for one, place in self._log_places.items() if one in numbers}
        for job_id in numbers:
            with self._history.store.read() as tx:
                if job_id not in self._log_places:
                    self._log_places[job_id] = events.top(tx, job_id)
                    continue
                lines = events.of_job(tx, job_id, after=self._log_places[job_id], most=MOST)
            if lines:
                self._log_places[job_id] = lines[-1].id
                told = [event_json(one) for one in lines]
                message = {"k": "log", "job": job_id, "boot": self.boot, "rev": self.rev, "lines": told}
                self._publish(f"log:{job_id}", _encoded(message))

    def _publish(self, topic: str, text: str) -> None:
        assert self._loop is not None
        if not self._closing.is_set():
            self._loop.call_soon_threadsafe(self._hand, topic, text)

    def _hand(self, topic: str, text: str) -> None:
        for one in self._listeners:
            if topic in one.topics:
                one.put(text)


def event_json(one: events.Event) -> dict[str, Any]:
    """A line of a job's log."""
    return {
        "id": one.id,
        "at": one.at // 1000 / 1000,
        "level": one.level,
        "event": one.name,
        "segment": one.segment,
        "message": redacted(one.message),
    }


def topics_of(text: str) -> Iterable[str]:
    """What a reader wants to hear; raises `ValueError` for what is no such message."""
    said = msgspec.json.decode(text, type=dict[str, list[str]]).get("sub", [])
    for one in said[:20]:
        name, _, number = one.partition(":")
        if one == "jobs" or (name == "log" and number.isascii() and number.isdigit() and len(number) < 16):
            yield one


def _encoded(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
