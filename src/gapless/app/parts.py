"""The parts of an open history: its database, its sources, who acts on it, and the slots of this process."""

from __future__ import annotations

import getpass
import os
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from platformdirs import user_data_path

from gapless.app.compute import our_own
from gapless.core.actor import Actor, Via
from gapless.core.clock import Clock
from gapless.core.dataset import Dataset
from gapless.core.errors import UsageError
from gapless.core.job import Kind, Queue
from gapless.core.pacing import Backoff
from gapless.core.redact import keep_secret
from gapless.engine import reasons
from gapless.engine.accounts import Accounts
from gapless.engine.catalogue import Catalogue
from gapless.engine.cluster import ClusterBell
from gapless.engine.deliveries import Deliveries
from gapless.engine.embedded import EmbeddedBell
from gapless.engine.forecasts import Forecasts
from gapless.engine.jobs import Jobs
from gapless.engine.notifications import Notifications
from gapless.engine.recovery import Identity, Watch, living, lock_folder
from gapless.engine.retention import Retention
from gapless.engine.runner import Runner
from gapless.engine.worker import Range, Worker
from gapless.settings import Settings
from gapless.sources import SOURCES, connect
from gapless.store import claims, queues
from gapless.store import settings as shared
from gapless.store.sqlite import SQLite
from gapless.store.store import Store
from gapless.store.workers import Worker as WorkerRow
from gapless.work.base import Chore
from gapless.work.processes import Limits, Processes


class Parts(ABC):
    """What an open history is made of. Safe to use from several threads."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        keep_secret(*settings.api_keys.values(), settings.admin_password)
        self.store = store
        self.settings = settings
        self.clock = clock
        sources = {
            name: connect(name, settings.base_url(name), settings.timeout, settings.api_keys.get(name, ""))
            for name in SOURCES
        } | our_own(settings.chunk_size)
        self.catalogue = Catalogue(sources, scopes=settings.scopes, rates=settings.rates, dailies=settings.dailies)
        self._children = Processes(settings.slots, _child_limits(settings))
        self.catalogue.chores |= self.chores()
        #: Who acts here; see `acting`.
        self.actor = Actor(name=owner(), via=Via.LOCAL)
        self.jobs = Jobs(store, self.catalogue, clock, self._ring, self.actor)
        self.deliveries = Deliveries(store, clock)
        self.forecasts = Forecasts(store, self.catalogue, self.jobs, clock)
        self._engines: list[Worker] = []
        self._lock = threading.Lock()
        Watch(store, clock, Identity(lock_folder(store), works=False)).bury()

    @abstractmethod
    def chores(self) -> dict[Kind, Callable[[], Chore]]:
        """The work that asks no source for pages, by its kind."""

    def __repr__(self) -> str:
        return f"<gapless history {self.store.address}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def accounts(self) -> Accounts:
        """Accounts, sessions and tokens."""
        return Accounts(self.store, self.clock, self.actor)

    @property
    def notifications(self) -> Notifications:
        """Whom to tell."""
        return Notifications(self.store, self.clock, self.actor)

    @property
    def retention(self) -> Retention:
        """For how long things are kept."""
        return Retention(self.store, self.clock, self.actor)

    def server_key(self) -> str:
        """The key with which the servers of this history sign sessions, made once."""
        return self.store.write(lambda tx: shared.agree(tx, "session.key", secrets.token_hex(32)), urgent=True)

    def close(self) -> None:
        """Stop what runs in this process (its segments are given back) and close the database."""
        with self._lock:
            engines, self._engines = self._engines, []
        for engine in engines:
            engine.stop()
        self._children.close()
        for source in self.catalogue.sources.values():
            source.close()
        self.deliveries.close()
        self.store.close()

    @property
    def reports_folder(self) -> Path:
        """Where report jobs that name no folder have theirs."""
        if self.settings.reports_dir:
            return Path(self.settings.reports_dir).expanduser().absolute()
        database = self.store.database
        return (
            Path(f"{database.path}.reports") if isinstance(database, SQLite) else user_data_path("gapless") / "reports"
        )

    def dataset(self, name: str) -> Dataset:
        """A dataset of rows by name; its table is ready for use."""
        found = self._prepared(name)
        if not found.columns:
            raise UsageError(
                f"dataset: {name} are files, not rows", field="dataset", hint="the jobs that write them list them"
            )
        return found

    def _prepared(self, name: str) -> Dataset:
        """What a job is about."""
        found = self.catalogue.dataset(name)
        self.store.prepare([found])
        return found

    @property
    def is_shared(self) -> bool:
        """Whether workers on other machines may use this database."""
        return self.store.database.name == "postgresql"

    def engine(self, slots: Mapping[Queue, int], *, only: int | None = None) -> Worker:
        """Start worker slots in this process, on either database."""
        ranges = {queue.value: Range(count, count) for queue, count in slots.items()}
        self.store.prepare(self.catalogue.datasets.values() if only is None else [])
        return self._serve(Worker(*self._parts(), ranges, EmbeddedBell(self.store), only=only))

    def worker(self, queues: Sequence[Queue], slots: Range, *, name: str = "") -> Worker:
        """Serve queues from this process: rung by its own file on SQLite, by the cluster's queue on PostgreSQL.

        Raises `StoreError` without the packages of the cluster, `UsageError` when a living worker has the name.
        """
        ranges = {queue.value: slots for queue in queues}
        self.store.prepare(self.catalogue.datasets.values())
        bell = ClusterBell(self.store) if self.is_shared else EmbeddedBell(self.store)
        return self._serve(Worker(*self._parts(), ranges, bell, name=name))

    def _parts(self) -> tuple[Store, Runner, Jobs, Clock]:
        return self.store, self._runner(), self.jobs, self.clock

    def _serve(self, engine: Worker) -> Worker:
        engine.serve()
        with self._lock:
            self._engines.append(engine)
        return engine

    def _runner(self) -> Runner:
        backoff = Backoff(first=self.settings.retry_delay.total_seconds(), retries=self.settings.max_retries)
        return Runner(self.store, self.catalogue, self.jobs, self.clock, backoff)

    def release(self, engine: Worker) -> None:
        """Stop slots that `engine` started."""
        with self._lock:
            if engine in self._engines:
                self._engines.remove(engine)
        engine.stop()

    def set_limit(self, queue: Queue, limit: int | None) -> None:
        """Let at most so many slots of all processes run segments of a queue; None lifts the limit."""
        self.store.write(lambda tx: queues.set_limit(tx, queue.value, limit), urgent=True)
        self._ring()

    def allow_running(self, most: int) -> None:
        """Let at most so many jobs of the whole history run at once; the others wait `pending`."""
        self.store.write(lambda tx: shared.put(tx, claims.RUNNING_JOBS, str(most)), urgent=True)
        self._ring()

    def serving(self, job_id: int) -> list[WorkerRow]:
        """Workers, of this process or others, that take segments of a job.

        On PostgreSQL, where nobody may be there to bury the dead, those whose beat is seen to move.
        """
        job = self.jobs.get(job_id)
        if self.is_shared:
            return living(self.store, self.clock, lambda tx: reasons.serving(tx, job))
        with self.store.read() as tx:
            return reasons.serving(tx, job)

    def _ring(self) -> None:
        with self._lock:
            engines = list(self._engines)
        for engine in engines:
            engine.ring()


def _child_limits(settings: Settings) -> Limits:
    return Limits(
        seconds=settings.child_time.total_seconds(),
        cpu_seconds=settings.child_cpu.total_seconds(),
        memory=settings.child_memory,
    )


def owner() -> str:
    """Who makes jobs here: the user of the operating system."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}"
