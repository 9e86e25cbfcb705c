"""Follow: a standing job that keeps its series complete up to the frontier, period after period."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from gapless.core.clock import Clock
from gapless.core.dataset import Dataset
from gapless.core.job import Direction, Job, Mode
from gapless.core.plan import SegmentPlan, missing
from gapless.core.segment import Side
from gapless.core.span import SECOND, Instant, Span, iso
from gapless.engine.catalogue import Catalogue
from gapless.engine.jobs import MARGIN, Jobs
from gapless.store import jobs, segments
from gapless.store.database import Tx
from gapless.store.store import Store

#: Part of a period over which the series' requests are spread.
SPREAD = 0.5
#: Seconds between two looks at how the series fare.
LOOK = 1.0


@dataclass(slots=True)
class Follower:
    """Plans the ticks of one standing job in this process; any number of followers may do so at once."""

    store: Store
    catalogue: Catalogue
    verbs: Jobs
    clock: Clock
    job: Job
    #: Called with a line for people.
    say: Callable[[str], None]
    _troubles: dict[str, str] = field(default_factory=dict)
    _said: Instant = 0

    def run(self, stop: threading.Event) -> None:
        """Tick until told to stop."""
        lacking = self.tick(first=True)
        if lacking:
            self.say(f"[*] Backfilling {lacking} missing candles...")
        while not stop.is_set():
            self.clock.wait(stop, self._until_next())
            if not stop.is_set():
                self.tick()
                self._report()

    def tick(self, *, first: bool = False) -> int:
        """Give every series that is due a segment for what it misses; returns how many cells those are.

        On the first tick all series are due, later each one at its place in the period.
        """
        now = self.clock.now()
        dataset = self.catalogue.dataset(self.job.dataset)

        def write(tx: Tx) -> int:
            self._sweep(tx)
            starts = jobs.starts_of(tx, self.job.id)
            total = 0
            for place, (series_id, name) in enumerate(jobs.series_of(tx, self.job.id)):
                wait = 0 if first else round(self._delay(dataset, place, len(starts)) * SECOND)
                total += self._plan(tx, dataset, (series_id, name), starts[series_id], now - wait, now)
            return total

        added = self.store.write(write)
        if added:
            self.verbs.ring()
        return added

    def _sweep(self, tx: Tx) -> None:
        """Fold what is finished into the job's totals: a standing job must not grow a row a period for ever."""
        stored, requests = segments.sweep(tx, self.job.id)
        job = jobs.get(tx, self.job.id)
        if job is not None and requests:
            jobs.set_totals(tx, job.id, job.rows + stored, job.requests + requests)

    def _plan(self, tx: Tx, dataset: Dataset, its: tuple[int, str], start: Instant, at: Instant, now: Instant) -> int:
        series_id, name = its
        end = dataset.frontier(at - MARGIN, name)
        if end <= start or segments.is_taken(tx, self.job.id, series_id):
            return 0
        wanted = Span(start, end)
        facts = self.verbs.planner.facts(tx, dataset, name, wanted, self.mode, now, None)
        spans = missing(wanted, facts, self.mode)
        if not spans:
            return 0
        segment = SegmentPlan(start=spans[0].start, end=spans[-1].end, direction=Direction.BACKWARD, side=Side.RECENT)
        self.verbs.add_segment(tx, self.job, series_id, segment)
        return sum(dataset.grid.count(part.start, part.end) for part in spans)

    @property
    def mode(self) -> Mode:
        """Followers fetch what is missing."""
        return Mode(self.job.mode)

    def _delay(self, dataset: Dataset, place: int, of: int) -> float:
        """Seconds into the period at which a series has its turn."""
        return SPREAD * dataset.period.total_seconds() * place / max(1, of)

    def _until_next(self) -> float:
        """Seconds until the frontier moves on, or a quarter of a period for the series that have their turn later."""
        dataset = self.catalogue.dataset(self.job.dataset)
        now = self.clock.now()
        settle = dataset.settle.total_seconds() + MARGIN / SECOND
        following = dataset.grid.add(dataset.frontier(now - MARGIN), 1)
        wait = (following - now) / SECOND + settle + 0.005
        pieces = max(1, min(20, self.job.series_count))
        return min(max(0.01, wait), LOOK, max(0.2, SPREAD * dataset.period.total_seconds() / pieces))

    def _report(self) -> None:
        """Say once that a series has trouble and once that it is over, and once a period that all are complete."""
        with self.store.read() as tx:
            live = [d for d in segments.of_job(tx, self.job.id) if d.segment.state in ("waiting", "running", "held")]
        troubles = {d.segment.name: d.error for d in live if d.error}
        held = {d.segment.name for d in live if d.segment.state == "held"}
        for name in sorted(troubles.keys() - self._troubles.keys()):
            self.say(f"{name}: {troubles[name]}; {'held until you act' if name in held else 'trying again'}")
        for name in sorted(self._troubles.keys() - troubles.keys()):
            self.say(f"{name}: the source answers again")
        self._troubles = troubles
        frontier = self.catalogue.dataset(self.job.dataset).frontier(self.clock.now() - MARGIN)
        complete = self.job.series_count - len({d.segment.name for d in live})
        if complete and frontier > self._said and len(live) == len(held):
            self._said = frontier
            self.say(f"complete up to {iso(frontier)}: {complete} series")
