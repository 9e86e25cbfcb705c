"""Compute the rows of a derived dataset out of stored ones.

Its ledger is the coverage, as if a source had told the rows: a day is covered when it was computed from complete
inputs, also when it has no value (a holiday, a history that is still too short). A day whose inputs are not complete is
not computed but given up, with the input that is missing: `retry` takes exactly those.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gapless.core.clock import Clock
from gapless.core.dataset import COMPUTED, Dataset
from gapless.core.errors import HoldJob, LeaseLost
from gapless.core.job import Mode
from gapless.core.lazily import pl
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Row, Shape
from gapless.core.paging import Window, open_part
from gapless.core.segment import Lease, Segment
from gapless.core.span import DAWN, DAY, Instant, Span, intersect, subtract, union
from gapless.store import coverage, pages, quarantine, rows, segments
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.work.base import OWN, Also, Asked, Left, nothing_else
from gapless.work.collect import Collect
from gapless.work.derive import DATASETS, VERSION, Formula, Input, formula
from gapless.work.elsewhere import datasets, store_of
from gapless.work.processes import Processes
from gapless.work.stretches import is_held


class Strategy(StrEnum):
    """How days are put into transactions, and who computes them. The values are the same, bit for bit."""

    #: Many days a transaction.
    CHUNKED = "chunked"
    #: One day a transaction, oldest first: each can be read as soon as it is ready.
    STREAM = "stream"
    #: Chunks, each computed in a process of its own.
    PARALLEL = "parallel"


class Derived:
    """What derived datasets have for a source: it can be asked for nothing."""

    name = COMPUTED
    base_url = ""
    datasets: Mapping[str, Dataset] = DATASETS

    def __init__(self, chunk: int = 100) -> None:
        #: Days of a chunk.
        self.chunk = chunk

    def check(self) -> None:
        """Nothing has to be set."""

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002  the form of a source
        """A chunk of days."""
        return Shape(rows=self.chunk, jumps_back=False)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  the form of a source
        """Paced by nothing but the machine."""
        return OWN

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:  # noqa: ARG002  the form of a source
        """Its rows are computed, not fetched."""
        raise HoldJob(
            f"{dataset.name} is computed, not fetched", source=COMPUTED, hint=f"`gapless compute {dataset.name}`"
        )

    def catalogue(self) -> list[tuple[str, str]]:
        """What is computed."""
        return [(one.example, one.name) for one in self.datasets.values()]

    def close(self) -> None:
        """There is no connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed(Page):
    """A stretch of days: rows of those that could be computed, and why the others could not."""

    #: What could be computed, with its rows.
    done: list[tuple[Span, list[Row]]]
    given_up: list[tuple[Span, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute(Collect):
    """The computation of one segment."""

    clock: Clock
    formula: Formula
    datasets: Mapping[str, Dataset]
    strategy: Strategy
    chunk: int
    pool: Processes
    segment: Segment

    @property
    def shape(self) -> Shape:
        """Days of one transaction."""
        return Shape(rows=1 if self.strategy is Strategy.STREAM else self.chunk, jumps_back=False)

    def ask(self, left: Left, series: str, window: Window, now: Instant) -> Asked | None:
        """The next days: none in between that are there, for those are of the job that computed them."""
        spans = open_part(left.spans, left.given_up, left.is_backward)
        nearest = spans[-1:] if left.is_backward else spans[:1]
        return Collect.ask(self, replace(left, spans=nearest, given_up=[]), series, window, now)

    def fetch(self, asked: Asked) -> Page:
        """Compute what can be computed of the asked days."""
        wanted = asked.ask.span
        with self.store.read() as tx:
            lost = incomplete(tx, self.datasets, self.formula, wanted, asked.now)
        given_up = [(part, why) for span, why in lost if (part := span.clip(wanted))]
        done = [(part, self._rows(part)) for part in subtract([wanted], [span for span, _ in given_up])]
        return Computed(rows=[], proven=wanted, done=done, given_up=given_up)

    def _rows(self, part: Span) -> list[Row]:
        order = Order(
            dataset=self.dataset.name,
            series=self.series,
            span=part,
            params=self.segment.params,
            job=self.segment.job,
            now=self.clock.now(),
        )
        if self.strategy is Strategy.PARALLEL:
            return self.pool.run(_elsewhere, self.store.url, order, is_wanted=self.is_wanted)
        with self.store.read() as tx:
            return computed(tx, self.datasets, self.formula, order)

    #: Whether anybody waits for what it computes.
    is_wanted: Callable[[], bool] = lambda: True

    def keep(
        self,
        asked: Asked,  # noqa: ARG002
        page: Page,
        lease: Lease,
        now: Instant,
        *,
        requests: int,
        also: Also = nothing_else,
    ) -> Left:
        """Commit the days of a stretch, and those that were given up; raises `LeaseLost`."""
        assert isinstance(page, Computed)

        def write(tx: Tx) -> Left:
            if segments.fence(tx, lease) is None:
                raise LeaseLost(f"segment {lease.segment.id} is in other hands", hint="its new holder goes on")
            for number, (part, made) in enumerate(page.done):
                pages.commit(
                    tx,
                    self.dataset,
                    Page(rows=made, proven=part),
                    lease,
                    now,
                    prove=lease.segment.mode == Mode.ALL,
                    requests=requests if number == 0 else 0,
                )
            for span, why in page.given_up:
                quarantine.add(tx, lease.segment.series, span, job=lease.segment.job, reason=why, at=now)
            held = segments.look(tx, lease)
            if held is None:
                raise LeaseLost(f"segment {lease.segment.id} is in other hands")
            left = self.left(tx, lease.segment, held, now)
            also(tx, left)
            return left

        return self.store.write(write)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Days to compute, who wants them and when; small enough to be sent to another process."""

    dataset: str
    series: str
    span: Span
    #: The wish's parameters, as JSON.
    params: str
    job: int
    now: Instant


def reach_of(made: Formula, wanted: Span) -> Span:
    """The days of inputs that values of `wanted` may depend on."""
    return Span(wanted.start - made.reach * DAY, wanted.end)


def there(one: Input, days: Span) -> Span:
    """Days of the calendar as instants of an input."""
    return Span(days.start - one.east, days.end - one.east)


def missing_of(tx: Tx, datasets: Mapping[str, Dataset], one: Input, days: Span, now: Instant) -> list[Span]:
    """Days of an input that nobody has answered for: neither covered, nor before its history, nor unavailable."""
    dataset, wanted = datasets[one.dataset], there(one, days)
    its = ledger.find(tx, one.dataset, one.series)
    gone = dataset.unavailable(now, one.series)
    known = [gone] if gone else []
    if its is not None:
        known += coverage.spans(tx, its, wanted)
        since, _ = ledger.since(tx, its)
        known += [Span(DAWN, since)] if since is not None and since > DAWN else []
    return [Span(part.start + one.east, part.end + one.east) for part in subtract([wanted], known)]


def incomplete(
    tx: Tx, datasets: Mapping[str, Dataset], made: Formula, wanted: Span, now: Instant
) -> list[tuple[Span, str]]:
    """Days that cannot be computed, and the input that is missing; a hole spoils all days that reach back to it."""
    found: list[tuple[Span, str]] = []
    taken: list[Span] = []
    for one in made.inputs:
        if not one.is_needed:
            continue
        for hole in missing_of(tx, datasets, one, reach_of(made, wanted), now):
            spoilt = Span(hole.start - hole.start % DAY, hole.end + -hole.end % DAY + made.reach * DAY)
            why = f"inputs incomplete: {one.dataset} {one.series} misses {hole}"
            found += [(part, why) for part in subtract(intersect([spoilt], [wanted]), taken)]
            taken = union([*taken, spoilt])
    return sorted(found, key=lambda one: one[0])


def computed(tx: Tx, datasets: Mapping[str, Dataset], made: Formula, order: Order) -> list[Row]:
    """The rows of days whose inputs are complete."""
    days, members = _inputs(tx, datasets, made, reach_of(made, order.span))
    if days.is_empty():
        return []
    frame = made.compute(days, members, (order.span.start, order.span.end))
    stamp = {"version": VERSION, "job": order.job, "known_at": order.now}
    told = frame.with_columns(
        pl.col("time").dt.epoch("us"), **{name: pl.lit(one, dtype=pl.Int64) for name, one in stamp.items()}
    ).select(rows.names(DATASETS[order.dataset]))
    # Column by column: polars makes rows at little more than half the speed.
    return list(zip(*(one.to_list() for one in told), strict=True))


def _inputs(
    tx: Tx, datasets: Mapping[str, Dataset], made: Formula, days: Span
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """The daily frame, its first input leading, and that of the members."""
    daily: pl.DataFrame | None = None
    members: list[pl.DataFrame] = []
    for one in made.inputs:
        frame = _read(tx, datasets[one.dataset], one, days)
        if one.is_members:
            members.append(frame)
        elif daily is None:
            daily = frame
        else:
            daily = daily.join(frame, on="time", how="left", maintain_order="left")
    assert daily is not None
    return daily, pl.concat(members) if members else None


def _read(tx: Tx, dataset: Dataset, one: Input, days: Span) -> pl.DataFrame:
    its = ledger.find(tx, dataset.name, one.series)
    taken = ["time", *dict.fromkeys([*one.columns.values(), *([one.where[0]] if one.where else [])])]
    if its is None:
        frame = rows.empty(dataset).select(taken)
    else:
        frame = rows.frame(tx, dataset, its, there(one, days), columns=taken)
    if one.where is not None:
        frame = frame.filter(pl.col(one.where[0]) == one.where[1])
    told = [pl.col(theirs).alias(ours) for ours, theirs in one.columns.items()]
    if one.is_members and "code" not in one.columns:
        told.append(pl.lit(one.series).alias("code"))
    # Floats, so that members of all kinds can be put together.
    frame = frame.select(pl.col("time") + pl.duration(microseconds=one.east), *told)
    return frame.with_columns(pl.exclude("time", "code").cast(pl.Float64))


def _elsewhere(url: str, order: Order) -> list[Row]:
    """`computed` in a child process, on a connection of its own."""
    made = formula(order.dataset, order.series, json.loads(order.params))
    with store_of(url).read() as tx:
        return computed(tx, datasets(), made, order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Computing:
    """The kind of work: makes the computation of each segment."""

    store: Store
    clock: Clock
    source: Derived
    datasets: Mapping[str, Dataset]
    pool: Processes

    def check(self) -> None:
        """Nothing has to be set."""

    def shape(self, dataset: Dataset, series: str) -> Shape:
        """A chunk of days."""
        return self.source.shape(dataset, series)

    def limit(self, dataset: Dataset) -> Limit:
        """Paced by nothing but the machine."""
        return self.source.limit(dataset)

    def work(self, lease: Lease, dataset: Dataset) -> Compute:
        """The computation of a segment."""
        params = json.loads(lease.segment.params)
        return Compute(
            store=self.store,
            source=self.source,
            dataset=dataset,
            series=lease.segment.name,
            clock=self.clock,
            formula=formula(dataset.name, lease.segment.name, params),
            datasets=self.datasets,
            strategy=Strategy(params.get("strategy", Strategy.CHUNKED)),
            chunk=int(params.get("chunk", self.source.chunk)),
            pool=self.pool,
            segment=lease.segment,
            is_wanted=lambda: is_held(self.store, lease),
        )


__all__: Sequence[str] = ["Compute", "Computing", "Derived", "Strategy", "missing_of", "reach_of", "there"]
