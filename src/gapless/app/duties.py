"""What a process that stays does beside its slots: schedules, chains, forecasts, telling, pruning.

Every such process does all of it; what may happen once only is decided in the database. Two threads: an address that
does not answer must not hold up a schedule.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gapless.core.actor import ENGINE
from gapless.core.errors import GaplessError

if TYPE_CHECKING:
    from gapless.app.history import Gapless

log = structlog.get_logger("gapless.duties")

#: Seconds between two looks of a thread at what is to be done.
LOOK = 0.5
#: Batches of each kind that are pruned in one go.
BATCHES = 20


@dataclass(slots=True)
class Duty:
    """Something that is done again and again."""

    name: str
    #: Seconds between two times.
    every: float
    do: Callable[[], object]
    #: Monotonic seconds of the next time.
    next_at: float = 0.0
    is_in_trouble: bool = False


class Duties:
    """The threads of one process."""

    def __init__(self, app: Gapless, *, makes: bool = True) -> None:
        """`makes` is False for a process without slots: a run may have to fetch a directory first."""
        # What is done here follows from the work itself; a run of a schedule is its owner's.
        self._app = app = app.acting(ENGINE)
        self._closing = threading.Event()
        making = [Duty("schedules", 1.0, app.schedules.tick), Duty("chains", 1.0, app.chains.tick)]
        starting = [
            *(making if makes else []),
            Duty("forecasts", 2.0, app.forecasts.tick),
            Duty("waiting", 10.0, app.notifications.tick),
        ]
        telling = [
            Duty("deliveries", 1.0, app.deliveries.tick),
            Duty("retention", 60.0, lambda: app.retention.prune(batches=BATCHES, stop=self._closing)),
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(duties,), name=f"gapless-{duties[0].name}", daemon=True)
            for duties in (starting, telling)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, patience: float = 10.0) -> None:
        """Finish what is under way; what is due is done by others, or after the next start."""
        self._closing.set()
        for thread in self._threads:
            thread.join(patience)

    def _run(self, duties: list[Duty]) -> None:
        while not self._closing.is_set():
            for duty in duties:
                now = self._app.clock.monotonic()
                if now >= duty.next_at and not self._closing.is_set():
                    duty.next_at = now + duty.every
                    self._do(duty)
            self._closing.wait(LOOK)
        self._app.store.database.release()

    def _do(self, duty: Duty) -> None:
        """Do it; trouble is said once, and it is tried again at its next time."""
        try:
            duty.do()
        except GaplessError as error:
            if not duty.is_in_trouble:
                log.warning("duty.failed", duty=duty.name, error=str(error))
            duty.is_in_trouble = True
        except Exception:
            # A fault in one duty must not end the others.
            log.exception("duty.crashed", duty=duty.name)
            duty.is_in_trouble = True
        else:
            duty.is_in_trouble = False
