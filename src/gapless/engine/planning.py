"""Gather what the store knows, and let `core.plan` decide. Asks no source."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gapless.core.dataset import Dataset
from gapless.core.grid import cells
from gapless.core.job import Direction, Job, Kind, Mode, Wish
from gapless.core.pacing import interval
from gapless.core.page import Shape
from gapless.core.plan import TRUSTED_PAGES, Facts, Plan, SeriesPlan, duration, plan_series, quota_days
from gapless.core.segment import Segment
from gapless.core.span import SECOND, Instant, Span, intersect, union
from gapless.engine.catalogue import Catalogue
from gapless.store import budgets, coverage, payloads, quarantine, rows, series
from gapless.store.database import Tx

#: Rows looked at to estimate a density.
SAMPLE = 5_000
#: The same, where a segment is about to be cut.
BESIDE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Plans wishes and jobs against one store."""

    catalogue: Catalogue

    def facts(
        self,
        tx: Tx,
        dataset: Dataset,
        name: str,
        span: Span,
        mode: Mode,
        now: Instant,
        job: Job | None,
        *,
        own: bool = False,
    ) -> Facts:
        """What is known of a series inside `span`, as far as it concerns a wish to fetch (or this job).

        `own`: only periods with a statement of their own count as covered.
        """
        gone = dataset.unavailable(now, name)
        series_id = series.find(tx, dataset.name, name)
        if series_id is None:
            return Facts(unavailable=gone)
        since, said_at = series.since(tx, series_id)
        if mode is Mode.ALL and (job is None or (said_at or 0) < job.created_at):
            since = None
        given_up = quarantine.of_series(tx, series_id, span)
        mine = [one.span for one in given_up if mode is Mode.MISSING or (job is not None and one.job == job.id)]
        covered = coverage.spans(tx, series_id, span)
        return Facts(
            coverage=intersect(covered, payloads.own(tx, dataset, name, series_id)) if own else covered,
            proof=[] if job is None else coverage.spans(tx, series_id, span, job=job.id),
            quarantine=union(mine),
            since=since,
            unavailable=gone,
            density=self.density(tx, dataset, series_id, self.catalogue.source(dataset).shape(dataset, name)),
        )

    def density(self, tx: Tx, dataset: Dataset, series_id: int, shape: Shape) -> float | None:
        """Rows per covered cell among the newest rows; None before three pages are stored.

        At most one, but where rows are events that may share a cell.
        """
        if not dataset.columns:
            return None
        newest = rows.newest(tx, dataset, series_id, SAMPLE)
        return self._density(tx, dataset, series_id, shape, newest, TRUSTED_PAGES)

    def density_beside(self, tx: Tx, dataset: Dataset, segment: Segment, shape: Shape) -> float | None:
        """The same among the rows next to where a segment stands; one page tells a thin series from a dense one."""
        if not dataset.columns:
            return None
        found = rows.beside(tx, dataset, segment.series, segment.cursor, BESIDE, after=segment.is_backward)
        return self._density(tx, dataset, segment.series, shape, found, 1)

    def _density(
        self,
        tx: Tx,
        dataset: Dataset,
        series_id: int,
        shape: Shape,
        sample: tuple[int, Instant, Instant] | None,
        pages: int,
    ) -> float | None:
        if sample is None or sample[0] < pages * (shape.listed or shape.rows):
            return None
        found, first, last = sample
        seen = Span(first, dataset.grid.add(last, 1))
        covered = cells(dataset.grid, intersect(coverage.spans(tx, series_id, seen), [seen]))
        if not covered:
            return None
        return found / covered if shape.listed or shape.cap else min(1.0, found / covered)

    def plan(self, tx: Tx, wish: Wish, now: Instant, latency: float, lanes: int, job: Job | None = None) -> Plan:
        """Plan a wish: exact spans, requests, time."""
        dataset = self.catalogue.dataset(wish.dataset)
        planned = self.every(tx, dataset, wish, now, job)
        limit = self.catalogue.limit(dataset, wish.kind)
        budget = budgets.load(tx, limit.key)
        step = (budget.step if budget else interval(limit.rate)) / SECOND
        requests = sum(one.requests for one in planned)
        return Plan(
            dataset=dataset.name,
            mode=wish.mode,
            series=planned,
            seconds=duration(requests, step, latency, lanes),
            days=quota_days(requests, limit.daily),
            daily=limit.daily,
        )

    def every(self, tx: Tx, dataset: Dataset, wish: Wish, now: Instant, job: Job | None) -> list[SeriesPlan]:
        """Plan each series of a wish; of many, those that are wholly covered are passed over together.

        That is what a prefetch of thousands of stocks finds nearly always: it costs one statement, not five for each.
        """
        if wish.kind.is_chore:
            return self._chore(tx, dataset, wish, job)
        is_plain = wish.mode is not Mode.ALL and not wish.recheck and not wish.is_point_in_time
        looks = is_plain and len(wish.series) >= series.MANY
        whole = coverage.whole(tx, dataset.name, wish.span) if looks else set()
        made: dict[str, SeriesPlan] = {}
        planned = []
        for name in wish.series:
            if name not in whole:
                planned.append(self.series(tx, dataset, name, wish, now, job))
                continue
            variant = name.rpartition("/")[2] if dataset.variants else ""
            one = made.get(variant)
            if one is None:
                one = made[variant] = self._planned(
                    dataset, name, wish, Facts(coverage=[wish.span], unavailable=dataset.unavailable(now, name))
                )
            planned.append(replace(one, series=name))
        return planned

    def series(self, tx: Tx, dataset: Dataset, name: str, wish: Wish, now: Instant, job: Job | None) -> SeriesPlan:
        """Plan one series of a wish to fetch."""
        facts = self.facts(tx, dataset, name, wish.span, wish.mode, now, job, own=wish.is_point_in_time)
        return self._planned(dataset, name, wish, facts)

    def _chore(self, tx: Tx, dataset: Dataset, wish: Wish, job: Job | None) -> list[SeriesPlan]:
        """Plan a chore: one look at what it has gone over, and one plan for all series of which the same is left.

        Of thousands of series nearly all are either gone over or not begun: progress is read while it runs.
        """
        gone_over = {} if job is None else coverage.proven(tx, job.id)
        made: dict[tuple[Shape, tuple[Span, ...]], SeriesPlan] = {}
        planned = []
        for name in wish.series:
            done = gone_over.get(name, [])
            key = (self.catalogue.shape(dataset, name, wish.kind), tuple(done))
            one = made.get(key)
            if one is None:
                one = made[key] = self._planned(dataset, name, wish, Facts(proof=done))
            planned.append(replace(one, series=name))
        return planned

    def _planned(self, dataset: Dataset, name: str, wish: Wish, facts: Facts) -> SeriesPlan:
        shape = self.catalogue.shape(dataset, name, wish.kind)
        return plan_series(
            dataset.grid,
            replace(shape, rows=1) if wish.is_point_in_time else shape,
            name,
            wish.span,
            facts,
            mode=wish.mode,
            direction=wish.direction,
            recheck=wish.recheck,
        )


def wish_of(job: Job, names: list[str]) -> Wish:
    """The wish of a job, over some of its series."""
    return Wish(
        owner=job.owner,
        kind=Kind(job.kind),
        dataset=job.dataset,
        series=tuple(names),
        span=job.span,
        mode=Mode(job.mode),
        direction=Direction(job.direction),
        recheck=job.recheck,
        params=job.params,
    )
