"""A job that this process works on, as people hold it in their hands: in a script, a notebook, a command."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from gapless.bars import bar
from gapless.core.clock import Clock
from gapless.core.errors import StoreError, StoreLost
from gapless.core.job import FINAL, Job, JobState
from gapless.engine.progress import Progress
from gapless.engine.worker import Worker

if TYPE_CHECKING:
    from gapless.app.orders import Orders

T = TypeVar("T")
#: Seconds that a server may be out of reach before a foreground job gives up.
PATIENCE = 60.0


def patiently(clock: Clock, act: Callable[[], T], *, every: float = 0.2) -> T:
    """What `act` returns; repeated while the server is away (it may be restarting), at most `PATIENCE` seconds.

    `act` may be cut anywhere, so it must be of a kind that may be done twice. Raises `StoreLost` after that.
    """
    lost: float | None = None
    while True:
        try:
            return act()
        except StoreLost:
            lost = clock.monotonic() if lost is None else lost
            if clock.monotonic() - lost >= PATIENCE:
                raise
        clock.wait(threading.Event(), every)


class Running:
    """A job that this process works on."""

    def __init__(self, app: Orders, job_id: int, engine: Worker | None, *, adopted: bool) -> None:
        self._app = app
        self._engine = engine
        self.id = job_id
        #: Whether an unfinished job of the same wish was taken up.
        self.adopted = adopted

    def __repr__(self) -> str:
        made = self.progress()
        return f"<job {self.id} {made.job.state}, {made.percent:.1f} % of {made.total:,}>"

    @property
    def job(self) -> Job:
        """The job as it stands."""
        return self._app.jobs.get(self.id)

    @property
    def trouble(self) -> str:
        """What keeps this process from working, such as a locked database."""
        failure = self._engine.failure if self._engine else None
        return "" if failure is None else str(failure)

    def progress(self, *, width: int = 40) -> Progress:
        """How far it is."""
        return self._app.progress(self.id, width=width)

    def pause(self) -> Job:
        """Forbid the next request."""
        return self._app.jobs.pause(self.id)

    def resume(self) -> Job:
        """Let it go on, here if the slots of this process were given up."""
        job = self._app.jobs.resume(self.id)
        if self._engine is None:
            self._engine = self._app.run(self.id)._engine
        return job

    def cancel(self) -> Job:
        """End it; what is stored stays."""
        return self._app.jobs.cancel(self.id)

    def certificate(self) -> dict[str, Any]:
        """What it vouches for."""
        return self._app.certificate(self.id)

    def wait(
        self,
        *,
        progress: bool = False,
        timeout: float | None = None,
        tick: Callable[[Progress], None] | None = None,
        every: float = 0.2,
    ) -> JobState:
        """Wait until the job has ended or was paused, and give the slots of this process up.

        `progress=True` draws a bar in a terminal or notebook. After `timeout` seconds it returns the state as it is.
        Raises `StoreError` when the database stays out of reach.
        """
        if progress:
            with bar(self.id) as draw:
                return self.wait(timeout=timeout, tick=draw, every=every)
        until = None if timeout is None else self._app.clock.monotonic() + timeout
        while True:
            state = patiently(self._app.clock, lambda: self._look(tick), every=every)
            if state in FINAL or state is JobState.PAUSED:
                self.leave()
                return state
            if until is not None and self._app.clock.monotonic() >= until:
                return state
            self._app.clock.wait(threading.Event(), every)

    def _look(self, tick: Callable[[Progress], None] | None) -> JobState:
        state = JobState(self.job.state)
        if tick is not None:
            tick(self.progress())
        is_over = state in FINAL or state is JobState.PAUSED
        if not is_over and self._engine is not None and isinstance(self._engine.failure, StoreError):
            raise self._engine.failure
        return state

    def leave(self) -> None:
        """Give the slots of this process up; the job stays as it is."""
        if self._engine is not None:
            self._app.release(self._engine)
            self._engine = None
