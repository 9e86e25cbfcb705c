"""Real processes around one history, and what they leave in its database: for promises about many at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import gapless
from gapless.app import Gapless
from gapless.core.clock import Clock
from gapless.core.job import Job, JobState, Priority, Queue
from gapless.settings import Settings
from gapless.store import claims, events, segments, workers
from gapless.store import jobs as store_jobs
from gapless.store.database import Tx
from gapless.store.segments import Detail
from gapless.testing.history import MINUTES, environment, settings_for

#: Longer than any test: what is held on purpose must not time out.
REQUEST_TIMEOUT = timedelta(seconds=120)


def eventually(true: Callable[[], object], what: str = "", seconds: float = 40) -> None:
    """Wait for a condition, without taking the processor from those who bring it about."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"it did not come about: {what}"
        time.sleep(0.03)


@dataclass(eq=False)
class Command:
    """A gapless command that runs; what it prints goes to files, so that it can be read meanwhile."""

    process: subprocess.Popen[bytes]
    _place: Path

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self.process.pid

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self._place.with_suffix(".out").read_text()

    @property
    def err(self) -> str:
        """What it has complained of so far."""
        return self._place.with_suffix(".err").read_text()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; it alone."""
        self.process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        """Its exit code, when it ends by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.process.args!r} did not end:\n{self.out}\n{self.err}") from None

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send it a signal and wait."""
        self.send(number)
        return self.wait()


@dataclass(eq=False)
class Fleet:
    """Commands on the history at `url`, asking the simulator at `provider`; ended with the block."""

    url: str
    provider: str
    folder: Path
    rate: float | None = None
    _commands: list[Command] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._commands:
            if one.process.poll() is None:
                one.end()
            # A test that fails shows it, no other.
            sys.stderr.write(f"--- {one.process.args!r} ended with {one.process.returncode}\n{one.out}{one.err}\n")

    def settings(self, *, slots: int = 4, url: str = "") -> Settings:
        """Settings of a history in this process."""
        made = settings_for(self.folder, self.provider, rate=self.rate, slots=slots)
        return replace(made, database_url=url or self.url, timeout=REQUEST_TIMEOUT)

    def open(self, *, slots: int = 4, url: str = "", clock: Clock | None = None) -> Gapless:
        """The history, opened by this process: one more participant."""
        return gapless.open(settings=self.settings(slots=slots, url=url), clock=clock)

    def env(self, url: str = "") -> dict[str, str]:
        """The same settings for a command."""
        return {
            **environment(self.folder, self.provider, rate=self.rate),
            "GAPLESS_DATABASE_URL": url or self.url,
            "GAPLESS_TIMEOUT": f"{REQUEST_TIMEOUT.total_seconds():g}s",
        }

    def start(self, *words: str, url: str = "") -> Command:
        """Start a command, a process group of its own."""
        place = self.folder / f"command-{len(self._commands)}"
        with place.with_suffix(".out").open("wb") as out, place.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "gapless.cli", *words],
                env=self.env(url),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self._commands.append(Command(process, place))
        return self._commands[-1]

    def workers(self, history: Gapless, *commands: Sequence[str], url: str = "") -> list[Command]:
        """Start workers, and wait until all of them have entered."""
        started = [self.start("-v", "worker", *words, url=url) for words in commands]
        wanted = {one.pid for one in started}

        def are_there() -> bool:
            assert not any(one.process.poll() for one in started), "a worker did not start"
            return all("serving" in one.err for one in started) and wanted <= {one.pid for one in living(history)}

        eventually(are_there, "workers enter")
        return started


def make(
    history: Gapless,
    series: str | Sequence[str],
    start: str,
    end: str,
    *,
    priority: Priority = Priority.NORMAL,
    queue: Queue = Queue.BACKFILL,
    hold: bool = False,
    rate: float | None = None,
) -> Job:
    """A job for minutes of series; nobody is started for it."""
    wish = history.wish(history.dataset(MINUTES), series, start, end)
    return history.jobs.create(wish, priority=priority, queue=queue, hold=hold, rate=rate).job


def state(history: Gapless, job: Job) -> JobState:
    """The state of a job now."""
    with history.store.read() as tx:
        return _state(tx, job)


def _state(tx: Tx, job: Job) -> JobState:
    found = store_jobs.get(tx, job.id)
    assert found is not None, f"no job {job.id}"
    return JobState(found.state)


def done(history: Gapless, *jobs: Job) -> bool:
    """Whether all of the jobs are done; the last ones end last."""
    with history.store.read() as tx:
        return all(_state(tx, one) is JobState.DONE for one in reversed(jobs))


def living(history: Gapless) -> list[workers.Worker]:
    """The workers that have entered and not left."""
    with history.store.read() as tx:
        return workers.every(tx)


def parts(history: Gapless, job: Job) -> list[Detail]:
    """The segments of a job."""
    with history.store.read() as tx:
        return segments.of_job(tx, job.id)


def held(history: Gapless, job: Job) -> dict[int, int]:
    """Segment and pid of its worker, for what runs of a job; 0 where no such worker is known."""
    with history.store.read() as tx:
        pids = {one.id: one.pid for one in workers.every(tx)}
        found = segments.of_job(tx, job.id)
    return {one.segment.id: pids.get(one.worker or "", 0) for one in found if one.segment.state == "running"}


def running(history: Gapless, queue: Queue = Queue.BACKFILL) -> int:
    """How many segments of a queue run, in one view of the database."""
    with history.store.read() as tx:
        return next(one.running for one in claims.depth(tx) if one.queue == queue.value)


def happened(history: Gapless, job: Job, name: str) -> list[events.Event]:
    """The events of one name that a job has left."""
    with history.store.read() as tx:
        return [one for one in events.of_job(tx, job.id, most=100_000) if one.name == name]
