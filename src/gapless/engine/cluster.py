"""The cluster's bell: PgQueuer, a distributed queue on PostgreSQL, rings for workers on any machine.

The queue is a doorbell, our tables are the truth. Triggers of the schema (`migrations`) put a ring into PgQueuer's
table in the very transaction in which a segment begins to wait: when a job is made, a segment cut, given back, rescued
or retried. PgQueuer hands each ring to one worker that has a slot free, and to another one if that worker dies; the
slot claims the best segment by our SQL, and goes on claiming until nothing is left. So a ring may be lost, late or
stale: every three seconds one process of the cluster rings again for segments that wait without a ring, and clears
stale ones away.

PgQueuer's managers live in an event loop in a thread of their own; nothing in it ever blocks.
"""

from __future__ import annotations

import asyncio
import logging
import queue as queues_
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from gapless.core.errors import StoreError, UsageError
from gapless.engine.recovery import LEASE
from gapless.store import doorbell
from gapless.store.postgres import Postgres
from gapless.store.store import Store

log = structlog.get_logger("gapless.cluster")

#: A worker that keeps silent longer than this loses its rings; longer than our lease, which frees its segments first.
SILENCE = timedelta(seconds=LEASE + 1)
#: How often PgQueuer looks without having been notified.
POLL = timedelta(seconds=1)
#: Seconds between two tries to reach a database that has gone.
AGAIN = 1.0


@dataclass(slots=True, eq=False)
class _Call:
    """One delivered ring, answered when the slot that took it finds nothing more to claim."""

    loop: asyncio.AbstractEventLoop
    answered: asyncio.Future[None]

    def answer(self) -> None:
        """Let PgQueuer delete the ring."""
        with suppress(RuntimeError):  # its loop has ended: the ring goes to another worker, or is stale
            self.loop.call_soon_threadsafe(self._set)

    def _set(self) -> None:
        if not self.answered.done():
            self.answered.set_result(None)


@dataclass(slots=True)
class _Line:
    """The calls that wait for a slot of one queue; None wakes a slot without a ring."""

    most: int
    is_lost: bool = False
    calls: queues_.SimpleQueue[_Call | None] = field(default_factory=queues_.SimpleQueue)


class ClusterBell:
    """Rings of PgQueuer for the slots of this process."""

    idle = 1.0

    def __init__(self, store: Store) -> None:
        if not isinstance(store.database, Postgres):
            raise UsageError("a cluster needs PostgreSQL", field="GAPLESS_DATABASE_URL", hint="give postgresql://…")
        self._store = store
        self._database = store.database
        self._lines: dict[str, _Line] = {}
        self._mine = threading.local()
        self._rings = 0
        self._closing = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._managers: list[Any] = []
        self._thread: threading.Thread | None = None

    def open(self, queues: Mapping[str, int]) -> None:
        """Start PgQueuer's managers, one for each queue: a full queue must not keep another one waiting."""
        # Refused here, not in the thread, where nobody would see it.
        _require()
        self._lines = {queue: _Line(most) for queue, most in queues.items()}
        self._thread = threading.Thread(target=self._run, name="gapless-bell", daemon=True)
        self._thread.start()

    def heard(self) -> int:
        """How often this process has rung itself."""
        return self._rings

    def wait(self, queue: str, heard: int, seconds: float) -> None:
        """Sleep until a ring, at most so long; the ring that this thread followed before is answered now."""
        self.leave()
        if self._rings != heard or self._closing.is_set():
            return
        with suppress(queues_.Empty):
            self._mine.call = self._lines[queue].calls.get(timeout=seconds)

    def leave(self) -> None:
        """The ring that this thread followed is answered: it found nothing more to claim."""
        call: _Call | None = getattr(self._mine, "call", None)
        self._mine.call = None
        if call is not None:
            call.answer()

    def ring(self) -> None:
        """Wake the idle slots of this process; those of other machines are rung by the database."""
        self._rings += 1
        for line in self._lines.values():
            for _ in range(line.most - line.calls.qsize()):
                line.calls.put(None)

    def listen(self) -> None:
        """PgQueuer listens."""

    def reconcile(self) -> None:
        """Ring for what waits without a ring, and clear away what is stale; one process of the cluster does it."""
        self._store.write(doorbell.mend)

    def close(self) -> None:
        """Hand undelivered rings back to the queue."""
        self._closing.set()
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._shut)
        if self._thread is not None:
            self._thread.join(5.0)

    def _shut(self) -> None:
        for manager in self._managers:
            manager.shutdown.set()
        for line in self._lines.values():
            with suppress(queues_.Empty):
                while True:
                    call = line.calls.get_nowait()
                    if call is not None:
                        call.answer()

    # -- PgQueuer's side

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._serve())

    async def _serve(self) -> None:
        # PgQueuer logs what we mend ourselves, such as a lost connection.
        logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)
        await asyncio.gather(*(self._serve_queue(name, line) for name, line in self._lines.items()))

    async def _serve_queue(self, name: str, line: _Line) -> None:
        """Listen for one queue; whatever becomes of the connection, begin again."""
        while not self._closing.is_set():
            try:
                await self._listen(name, line)
            except Exception as error:  # noqa: BLE001  asyncpg raises errors of many kinds when a connection is cut
                # Once for each loss, not for each try.
                if not line.is_lost:
                    log.warning("bell.lost", queue=name, error=self._explained(error))
                line.is_lost = True
                await asyncio.sleep(AGAIN)

    def _explained(self, error: Exception) -> str:
        return f"{self._database.address}: {type(error).__name__}"

    async def _listen(self, name: str, line: _Line) -> None:
        """Run one manager until it is shut down or its connection breaks."""
        import asyncpg
        from pgqueuer.core.qm import QueueManager

        connection = await asyncpg.connect(**self._database.asyncpg_arguments(), timeout=5)
        line.is_lost = False
        try:
            manager = QueueManager(queries(connection), channel=doorbell_settings().channel)
            loop = asyncio.get_running_loop()

            @manager.entrypoint(name, accepts_context=False)
            async def _rung(_: Any) -> None:
                call = _Call(loop, loop.create_future())
                line.calls.put(call)
                await call.answered

            self._managers.append(manager)
            if self._closing.is_set():
                return
            try:
                await manager.run(
                    dequeue_timeout=POLL,
                    batch_size=1,
                    max_concurrent_tasks=max(2, line.most),
                    heartbeat_timeout=SILENCE,
                    log_aggregation_interval=timedelta(0),
                    shutdown_on_listener_failure=True,
                )
            finally:
                self._managers.remove(manager)
        finally:
            connection.terminate()


def queries(connection: Any) -> Any:
    from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
    from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
    from pgqueuer.adapters.persistence.queries import Queries

    settings = doorbell_settings()
    return Queries(
        AsyncpgDriver(connection),
        QueryBuilderEnvironment(settings),
        QueryQueueBuilder(settings),
        QuerySchedulerBuilder(settings),
    )


def doorbell_settings() -> Any:
    """Names of PgQueuer's tables in our schema; whatever the environment says of another PgQueuer of the user's."""
    from pgqueuer.domain.settings import DBSettings, Durability

    return DBSettings.model_construct(**_names(doorbell.PREFIX), durability=Durability.volatile)


def _names(prefix: str) -> dict[str, Any]:
    return {
        "prefix": prefix,
        "db_schema": None,
        "channel": f"{prefix}ch_pgqueuer",
        "function": f"{prefix}fn_pgqueuer_changed",
        "statistics_table": f"{prefix}pgqueuer_statistics",
        "queue_status_type": f"{prefix}pgqueuer_status",
        "queue_table": f"{prefix}pgqueuer",
        "queue_table_log": f"{prefix}pgqueuer_log",
        "trigger": f"{prefix}tg_pgqueuer_changed",
        "schedules_table": f"{prefix}pgqueuer_schedules",
        "widen_id": True,
    }


def _require() -> None:
    try:
        import asyncpg  # noqa: F401
        import pgqueuer  # noqa: F401
    except ImportError as error:
        raise StoreError(
            f"workers on PostgreSQL need {error.name}", hint="install gapless[cluster], or run the job with --here"
        ) from None
