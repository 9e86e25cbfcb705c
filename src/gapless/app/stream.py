"""Computing live: as soon as the inputs of new days are covered, those days are computed.

Who covers the inputs does not matter: a follower, a schedule, a fill by hand. Each round is an ordinary job over just
the days that have become ready, so nothing is given up for an input that has only not come yet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gapless.app.compute import checked_wish, fill_inputs, forgive
from gapless.core.errors import SourceError, UsageError
from gapless.core.job import JobState, Kind, Wish
from gapless.core.span import DAY, Span, moment, subtract
from gapless.core.words import counted_word
from gapless.store import coverage, jobs
from gapless.store import series as ledger
from gapless.work.compute import Strategy, incomplete
from gapless.work.derive import Formula

if TYPE_CHECKING:
    from gapless.app.history import Gapless
    from gapless.app.orders import When
    from gapless.app.running import Running

#: Seconds between two looks at the inputs.
LOOK = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Derived series that are kept up with their inputs."""

    history: Gapless
    dataset: str
    series: str | Sequence[str] = ""
    start: When | None = None
    days: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    #: Fetch what the inputs miss before the first round.
    fill: bool = True
    #: Called with a line for people.
    say: Callable[[str], None]

    def run(self, stop: threading.Event, *, until_idle: bool = False) -> int:
        """Compute until `stop` is set, or with `until_idle` until nothing is ready and nobody fetches an input.

        Returns how many days were answered. Raises `UsageError`, and `SourceError` when a round does not end well.
        """
        wish, _ = self._wish()
        if self.fill:
            fill_inputs(self.history, wish)
        total = 0
        while not stop.is_set():
            # Looked at before the round: whoever was at work then may have covered something after it.
            wish, made = self._wish()
            is_busy = self._is_busy(made)
            done = sum(self._round(*one, stop) for one in zip(_apart(wish), made, strict=True) if not stop.is_set())
            total += done
            if not done and until_idle and not is_busy:
                break
            if not done:
                self.history.clock.wait(stop, LOOK)
        return total

    def _wish(self) -> tuple[Wish, list[Formula]]:
        params = {**self.params, "strategy": Strategy.STREAM.value}
        return checked_wish(self.history, self.dataset, self.series, self.start, None, self.days, params)

    def _is_busy(self, made: list[Formula]) -> bool:
        """Whether a job that ends by itself is fetching an input."""
        with self.history.store.read() as tx:
            found = [job for its in made for one in its.inputs for job in jobs.at_work(tx, one.dataset, one.series)]
        return any(job.kind == Kind.COLLECT and job.state != JobState.PAUSED for job in found)

    def _round(self, wish: Wish, made: Formula, stop: threading.Event) -> int:
        """Compute the days that are ready; how many there were."""
        answered = 0
        for part in self._ready(wish, made):
            one = replace(wish, span=part, said="")
            forgive(self.history, one)
            running = self.history.start(one, name="stream")
            state = running.wait(tick=lambda _, its=running: self._obey(its, stop))  # type: ignore[misc]
            if state in (JobState.DONE, JobState.INCOMPLETE):
                answered += (part.end - part.start) // DAY
                told = counted_word((part.end - part.start) // DAY, "day")
                self.say(f"{wish.series[0]}: {told} up to {moment(part.end - 1).date()} (job {running.id}, {state})")
            elif not stop.is_set():
                job = running.job
                raise SourceError(job.error or f"job {job.id} is {job.state}", source=wish.dataset)
            if stop.is_set():
                break
        return answered

    def _ready(self, wish: Wish, made: Formula) -> list[Span]:
        """Days that are not computed and whose inputs are complete."""
        now = self.history.clock.now()
        with self.history.store.read() as tx:
            its = ledger.find(tx, wish.dataset, wish.series[0])
            done = coverage.spans(tx, its, wish.span) if its is not None else []
            lost = incomplete(tx, self.history.catalogue.datasets, made, wish.span, now)
        return subtract([wish.span], [*done, *(span for span, _ in lost)])

    def _obey(self, running: Running, stop: threading.Event) -> None:
        """End the round's own job when told to stop: its days are whole, and the next stream takes the rest."""
        if stop.is_set() and not running.adopted and not running.job.is_final:
            running.cancel()


def _apart(wish: Wish) -> list[Wish]:
    """A wish for each series: one may be ready before the others."""
    return [replace(wish, series=(name,)) for name in wish.series]


def check(strategy: Strategy, end: object, *, overwrite: bool, hold: bool, detach: bool) -> None:
    """Raise `UsageError` for what does not go with a stream."""
    if strategy is Strategy.PARALLEL:
        raise UsageError("strategy: a stream computes day by day", field="strategy", hint="leave --strategy out")
    for name, given in (("to", end is not None), ("overwrite", overwrite), ("hold", hold), ("detach", detach)):
        if given:
            raise UsageError(f"{name}: does not go with --follow", field=name, hint=f"leave --{name} out")
