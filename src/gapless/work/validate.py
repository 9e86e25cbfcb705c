"""Validate stored rows, stretch by stretch: findings are written in the transaction that proves the stretch.

Basic and standard rules look at what is stored (`core.rules`); here are those that need the ledger, the source or
another dataset. A comprehensive stretch asks the source for one page again, chosen by the stretch, and compares.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from gapless.core.clock import Clock
from gapless.core.dataset import Dataset
from gapless.core.grid import Steps
from gapless.core.job import Job
from gapless.core.lazily import pl
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Row, Shape
from gapless.core.rules import Finding, Level, Scene, Severity, check, gathered
from gapless.core.segment import Lease
from gapless.core.span import DOOM, Instant, Span, intersect, iso, moment, subtract
from gapless.core.words import counted_word
from gapless.store import coverage, findings, jobs, rows, tallies
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.work.base import OWN
from gapless.work.calendars import sessions
from gapless.work.peers import disagreements
from gapless.work.stretches import Effect, Stretches

#: Cells of a stretch, and rows before and after it that rules may look at.
CELLS, AROUND = 30_000, 1_000
#: Days of a stretch where a day has many records.
KEYED = 250
#: Relative slack of sums of floats that were added in another order.
SUMS = 1e-9

#: One page of the source again, under its budget; None where there is no source to ask.
AskAgain = Callable[[Dataset, Ask], Page]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validate:
    """Validation of any dataset."""

    store: Store
    clock: Clock
    datasets: Mapping[str, Dataset]
    #: Rows in one reply of the source of a dataset, and how to ask it; None for derived ones.
    again: Callable[[Dataset, str], tuple[int, AskAgain] | None]

    def check(self) -> None:
        """Nothing has to be set."""

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002  the form of a chore
        """How many cells a stretch has."""
        return Shape(rows=KEYED if dataset.key else CELLS, jumps_back=False)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  the form of a chore
        """It is paced by nothing but the machine; what it asks the source waits for the source's own budget."""
        return OWN

    def work(self, lease: Lease, dataset: Dataset) -> Stretches:
        """The work of one segment."""
        level = Level(json.loads(lease.segment.params).get("level", Level.STANDARD))
        shape = self.shape(dataset, lease.segment.name)
        # A plan counts with the usual size; how much is looked at in one transaction is the owner's to say.
        chunk = json.loads(lease.segment.params).get("chunk", shape.rows)
        shape = replace(shape, rows=int(chunk))

        def go(lease: Lease, span: Span) -> Effect:
            found, count = self._look(lease, dataset, span, level)
            now = self.clock.now()

            def write(tx: Tx) -> int:
                findings.add(tx, found, job=lease.segment.job, series=lease.segment.series, at=now)
                return count

            return write

        return Stretches(store=self.store, dataset=dataset, shape=shape, lease=lease, go=go)

    def _look(self, lease: Lease, dataset: Dataset, span: Span, level: Level) -> tuple[list[Finding], int]:
        """Everything that is found in a stretch, and how many rows it has."""
        series = lease.segment.series
        around = Span(dataset.grid.add(span.start, -AROUND), dataset.grid.add(span.end, AROUND))
        with self.store.read() as tx:
            job = jobs.get(tx, lease.segment.job)
            bounds = job.span if job else span
            if job is None or _is_last(dataset, lease.segment.name, job, span):
                around, span = Span(around.start, DOOM), Span(span.start, DOOM)
            found, frame = _typed(tx, dataset, series, around, span)
            covered = [one.clip(around) or one for one in coverage.spans(tx, series, around)]
            found += _ledger(tx, dataset, series, span, bounds)
        scene = Scene(
            dataset=dataset,
            rows=frame,
            span=span,
            covered=covered,
            frontier=dataset.frontier(self.clock.now(), lease.segment.name),
            sessions=_sessions(dataset, frame, span, bounds, level),
        )
        found += _unvouched(scene)
        found += check(scene, level)
        if level is Level.COMPREHENSIVE:
            found += self._differs(dataset, lease.segment.name, scene)
            found += self._aggregates(dataset, lease.segment.name, scene)
            with self.store.read() as tx:
                found += disagreements(tx, self.datasets, scene, lease.segment.name)
        inside = frame["time"].dt.epoch("us").is_between(span.start, span.end, closed="left")
        return found, int(inside.sum())

    def _differs(self, dataset: Dataset, name: str, scene: Scene) -> list[Finding]:
        """One page of what is covered, asked for again: the source must tell the same."""
        asking = self.again(dataset, name)
        inside = intersect(scene.covered, [scene.span])
        if asking is None or not inside or dataset.revisions is not None:
            return []
        limit, ask = asking
        grid = dataset.grid
        part = inside[zlib.crc32(f"{name}{scene.span}".encode()) % len(inside)]
        cells = grid.count(part.start, part.end)
        end = grid.add(part.start, limit + zlib.crc32(f"{scene.span}{name}".encode()) % max(1, cells - limit))
        wanted = Span(max(part.start, grid.add(min(end, part.end), -limit)), min(end, part.end))
        page = ask(dataset, Ask(series=name, span=wanted, limit=grid.count(wanted.start, wanted.end)))
        if page.proven is None:
            return []
        proven = page.proven.clip(wanted)
        return _compared(scene, page, proven) if proven else []

    def _aggregates(self, dataset: Dataset, name: str, scene: Scene) -> list[Finding]:
        """Records that finer ones must add up to, where those are covered."""
        finer = self.datasets.get(dataset.parts)
        if finer is None or not scene.rows.height:
            return []
        within = _bounded(scene)
        with self.store.read() as tx:
            its = ledger.find(tx, finer.name, name)
            if its is None or within is None:
                return []
            known = [part for one in coverage.spans(tx, its, within) if (part := one.clip(within))]
            frame = rows.frame(tx, finer, its, within) if known else rows.empty(finer)
        return gathered(_rebuilt(scene, frame, known, finer.name))


def _is_last(dataset: Dataset, name: str, job: Job, span: Span) -> bool:
    """Whether what lies beyond belongs to a stretch, too: it has not come yet, or cannot be.

    A job that was to end earlier leaves later rows alone; its own end may lie a little before the frontier by now.
    """
    frontier = dataset.frontier(job.created_at, name)
    return span.end >= job.end and dataset.grid.add(job.end, AROUND) >= frontier


def _bounded(scene: Scene) -> Span | None:
    """The part of a stretch in which there are records."""
    times = scene.rows["time"].dt.epoch("us")
    first, last = times[0], times[-1]
    return scene.span.clip(Span(first, scene.dataset.grid.add(last, 1)))


def _typed(tx: Tx, dataset: Dataset, series: int, around: Span, span: Span) -> tuple[list[Finding], pl.DataFrame]:
    """Rows whose values have their column's type, and findings about the others."""
    try:
        return [], rows.frame(tx, dataset, series, around)
    except TypeError:
        # Looked for only now: asking SQLite for the type of every value takes as long as reading them.
        odd = rows.mistyped(tx, dataset, series, around)
        if not odd:
            raise
    good = subtract([around], [Span(at, at + 1) for at, _, _ in odd])
    frame = pl.concat([rows.frame(tx, dataset, series, part) for part in good])
    found = [
        Finding(rule="mistyped", span=Span(at, at + 1), severity=Severity.ERROR, evidence=said)
        for at, _, said in odd
        if at in span
    ]
    return found, frame


def _ledger(tx: Tx, dataset: Dataset, series: int, span: Span, bounds: Span) -> list[Finding]:
    """Tallies against rows, for the tallies that begin in this stretch (or before the job, in its first stretch)."""
    expected = tallies.expected(tx, series)
    mine = {
        bucket: whole
        for bucket in expected
        if max((whole := dataset.tally_of(bucket)).start, bounds.start) in span and whole.overlaps(bounds)
    }
    if not mine:
        return []
    within = Span(min(one.start for one in mine.values()), max(one.end for one in mine.values()))
    have = tallies.found(tx, dataset, series, within)
    wrong = [(whole, expected[bucket], have.get(bucket, 0)) for bucket, whole in sorted(mine.items())]
    return [
        Finding(
            rule="ledger",
            span=whole,
            severity=Severity.ERROR,
            evidence=f"the ledger vouches for {counted_word(told, 'row')}, {there:,} are there",
            rows=abs(told - there),
        )
        for whole, told, there in wrong
        if told != there
    ]


def _unvouched(scene: Scene) -> list[Finding]:
    """Rows that the ledger does not vouch for."""
    times = scene.rows["time"].dt.epoch("us")
    inside = times.is_between(scene.span.start, scene.span.end, closed="left")
    vouched = pl.Series([False]).new_from_index(0, len(times))
    for part in scene.covered:
        vouched = vouched | times.is_between(part.start, part.end, closed="left")
    lost = times.filter(inside & ~vouched)
    if not len(lost):
        return []
    span = Span(int(lost.min()), int(lost.max()) + 1)  # type: ignore[arg-type]
    said = f"{counted_word(len(lost), 'row')} that the ledger does not vouch for, from {iso(span.start)}"
    return [Finding(rule="unvouched", span=span, severity=Severity.ERROR, evidence=said, rows=len(lost))]


def _sessions(dataset: Dataset, frame: pl.DataFrame, span: Span, bounds: Span, level: Level) -> frozenset[date] | None:
    """Days of trading around a stretch, where its dataset has a calendar and the level wants it."""
    if not dataset.calendar or level is Level.BASIC:
        return None
    times: list[int] = frame["time"].dt.epoch("us").tail(1).to_list()
    end = max(*times, min(span.end, bounds.end)) if times else min(span.end, bounds.end)
    return sessions(dataset.calendar, moment(span.start).date(), moment(end).date())


def _compared(scene: Scene, page: Page, proven: Span) -> list[Finding]:
    names = rows.names(scene.dataset)
    said: dict[tuple[object, ...], Row] = {_key(scene, row): row for row in page.rows if row[0] in proven}
    times = scene.rows["time"].dt.epoch("us")
    mine = scene.rows.filter(times.is_between(proven.start, proven.end, closed="left"))
    have = {_key(scene, row): row for row in _plain(mine.select(names))}
    found = []
    for key in sorted(said.keys() | have.keys(), key=str):
        theirs, ours = said.get(key), have.get(key)
        if theirs == ours:
            continue
        found.append(_difference(scene, key, theirs, ours, names))
    return found


def _difference(
    scene: Scene, key: tuple[object, ...], theirs: Row | None, ours: Row | None, names: list[str]
) -> Finding:
    at = int(str(key[0]))
    if theirs is None:
        why = "the source has no such record"
    elif ours is None:
        why = "the source has a record"
    else:
        pairs = zip(names, ours, theirs, strict=True)
        why = "; ".join(f"{name} is {mine}, the source says {its}" for name, mine, its in pairs if mine != its)
    return Finding(rule="differs", span=Span(at, scene.dataset.grid.add(at, 1)), severity=Severity.ERROR, evidence=why)


def _key(scene: Scene, row: Row) -> tuple[object, ...]:
    return tuple(row[: 1 + len(scene.keys)])


def _plain(frame: pl.DataFrame) -> list[Row]:
    """Rows as a page tells them: instants as microseconds."""
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    return frame.with_columns(pl.col(name).dt.epoch("us") for name in times).rows()


def _cells(scene: Scene) -> pl.DataFrame:
    """The cells from the first record of a stretch to the last final one, from `at` to `until`."""
    grid, times = scene.dataset.grid, scene.rows["time"].dt.epoch("us")
    first, last = grid.floor(times[0]), min(times[-1], scene.frontier)
    if isinstance(grid, Steps):
        starts = pl.int_range(first, last + 1, grid.step, eager=True)
        return pl.DataFrame({"at": starts, "until": starts + grid.step})
    bounds = [first]
    while bounds[-1] <= last:
        bounds.append(grid.add(bounds[-1], 1))
    return pl.DataFrame({"at": bounds[:-1], "until": bounds[1:]}, schema={"at": pl.Int64, "until": pl.Int64})


def _rebuilt(scene: Scene, frame: pl.DataFrame, known: list[Span], finer: str) -> list[Finding]:
    """Coarse records against what fine ones add up to, for cells that are covered as a whole on the fine side."""
    cells = _cells(scene)
    placed = frame.with_columns(within=pl.col("time").dt.epoch("us")).join_asof(
        cells.with_columns(within=pl.col("at")).set_sorted("within"), on="within"
    )
    made = placed.group_by("at", maintain_order=True).agg(
        pl.col("open").first().alias("open_"),
        pl.col("high").max().alias("high_"),
        pl.col("low").min().alias("low_"),
        pl.col("close").last().alias("close_"),
        pl.col("volume").sum().alias("volume_"),
        pl.col("value").sum().alias("value_"),
    )
    mine = scene.rows.with_columns(at=pl.col("time").dt.epoch("us"))
    whole = pl.lit(value=False)
    for part in known:
        whole = whole | ((pl.col("at") >= part.start) & (pl.col("until") <= part.end))
    joined = (
        mine.join(made, on="at", how="full", coalesce=True)
        .join(cells, on="at", how="inner")
        .filter(whole & (pl.col("at") >= scene.span.start) & (pl.col("at") < scene.span.end))
    )
    exact = [pl.col(name).ne_missing(pl.col(f"{name}_")) for name in ("open", "high", "low", "close")]
    sums = [
        ((pl.col(name) - pl.col(f"{name}_")).abs() > SUMS * pl.col(name).abs() + 1e-9).fill_null(value=True)
        for name in ("volume", "value")
    ]
    wrong = joined.filter(pl.any_horizontal(*exact, *sums)).sort("at")
    found = []
    for row in wrong.iter_rows(named=True):
        names = ("open", "high", "low", "close", "volume", "value")
        parts = [f"{name} {row[name]} against {row[name + '_']}" for name in names if row[name] != row[name + "_"]]
        at: Instant = row["at"]
        found.append(
            Finding(
                rule="aggregate",
                span=Span(at, row["until"]),
                severity=Severity.ERROR,
                evidence=f"{finer} adds up to something else: {'; '.join(parts)}",
            )
        )
    return found
