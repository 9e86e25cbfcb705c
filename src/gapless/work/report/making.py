"""Write the files of reports. A unit is one period of one series, in all the formats and languages that are wanted.

A child process draws it. Its files are written beside their places and take them inside the transaction that notes and
proves them: who has lost the segment moves nothing, a crash leaves a unit as a whole to be made again, and one that is
proven is never made twice.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gapless.core.clock import Clock
from gapless.core.dataset import Dataset
from gapless.core.errors import HoldJob
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Shape
from gapless.core.paging import Window
from gapless.core.reports import periods_of, starts_of, told_of, unit_at
from gapless.core.segment import Lease
from gapless.core.span import Instant, Span
from gapless.store import reports
from gapless.store.database import Tx
from gapless.store.reports import ReportFile
from gapless.store.store import Store
from gapless.work.base import OWN, Also, Asked, Left, nothing_else
from gapless.work.processes import Processes
from gapless.work.stretches import Effect, Stretch, Stretches, is_held

#: Seconds of a segment at most: longer than history, so that nobody cuts one.
WHOLE = 10**10


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a child is to draw."""

    dataset: str
    series: str
    span: Span
    #: Rows of its tables: day, month, year or all.
    per: str
    formats: tuple[str, ...]
    languages: tuple[str, ...]
    now: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A file as it came from the child."""

    name: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit(Stretch):
    """A stretch whose files wait beside their places."""

    waiting: list[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports(Stretches):
    """The reports on one series: a stretch for each period."""

    #: Where the stretches begin.
    starts: list[Instant]
    make: Callable[[Lease, int, Span], Unit]

    def ask(self, left: Left, series: str, window: Window, now: Instant) -> Asked | None:  # noqa: ARG002
        """The rest of the next period's stretch."""
        if not left.spans:
            return None
        first = left.spans[0]
        end = next((one for one in self.starts[1:] if one > first.start), first.end)
        span = Span(first.start, min(end, first.end))
        return Asked(ask=Ask(series=series, span=span, limit=WHOLE), now=now, is_backward=False)

    def fetch(self, asked: Asked) -> Unit:
        """Draw a period's reports and write them beside their places."""
        return self.make(self.lease, unit_at(self.starts, asked.ask.span.start), asked.ask.span)

    def keep(
        self, asked: Asked, page: Page, lease: Lease, now: Instant, *, requests: int, also: Also = nothing_else
    ) -> Left:
        """Let the files take their places and prove the stretch; raises `LeaseLost`, and then none is left behind."""
        assert isinstance(page, Unit)
        try:
            return Stretches.keep(self, asked, page, lease, now, requests=requests, also=also)
        finally:
            for one in page.waiting:
                one.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """The kind of work."""

    store: Store
    clock: Clock
    pool: Processes
    #: Gathers and draws, in a child; the first argument opens the store there.
    draw: Callable[[str, Order], list[Drawn]]
    #: The folder of a job, by its number and the folder that it names itself, if it does.
    folder: Callable[[int, str], Path]

    def check(self) -> None:
        """Nothing has to be set."""

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002  the form of a chore
        """One segment a series."""
        return Shape(rows=WHOLE, jumps_back=False)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  the form of a chore
        """Paced by nothing but the machine."""
        return OWN

    def work(self, lease: Lease, dataset: Dataset) -> Reports:
        """The work of one segment."""
        its_dataset, _ = told_of(lease.segment.name)
        return Reports(
            store=self.store,
            dataset=dataset,
            shape=self.shape(dataset, lease.segment.name),
            lease=lease,
            go=_refuse,
            starts=starts_of(periods_of(lease.segment.params, its_dataset)),
            make=self._make,
        )

    def _make(self, lease: Lease, number: int, stretch: Span) -> Unit:
        segment = lease.segment
        params, (dataset, series) = json.loads(segment.params), told_of(segment.name)
        order = Order(
            dataset=dataset,
            series=series,
            span=periods_of(segment.params, dataset)[number],
            per=params["per"],
            formats=tuple(params["formats"]),
            languages=tuple(params["languages"]),
            now=self.clock.now(),
        )
        drawn = self.pool.run(self.draw, self.store.url, order, is_wanted=lambda: is_held(self.store, lease))
        folder = self.folder(segment.job, params.get("folder", ""))
        files = [self._note(lease, order, one) for one in drawn]
        waiting = _written(folder, drawn, f"{segment.id}-{lease.epoch}")

        def effect(tx: Tx) -> int:
            for part, file in zip(waiting, files, strict=True):
                # A transaction may be repeated; what took its place before is there.
                if part.exists():
                    part.replace(folder / file.name)
                reports.add(tx, file)
            return len(files)

        return Unit(rows=[], proven=stretch, effect=effect, waiting=waiting)

    def _note(self, lease: Lease, order: Order, one: Drawn) -> ReportFile:
        return ReportFile(
            job=lease.segment.job,
            name=one.name,
            dataset=order.dataset,
            series=order.series,
            media_type=one.media_type,
            bytes=len(one.body),
            sha256=hashlib.sha256(one.body).hexdigest(),
            at=order.now,
        )


def _refuse(lease: Lease, span: Span) -> Effect:
    raise AssertionError(f"{lease.segment.name} {span}: the work of a report is its `make`")


def _written(folder: Path, drawn: list[Drawn], mark: str) -> list[Path]:
    """Write files beside their places; what a process that died has left there goes. Raises `HoldJob`."""
    made: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in drawn:
            for left in folder.glob(f".{one.name}.*.part"):
                left.unlink(missing_ok=True)
            part = folder / f".{one.name}.{mark}.part"
            made.append(part)
            with part.open("wb") as file:
                file.write(one.body)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        for part in made:
            part.unlink(missing_ok=True)
        raise HoldJob(
            f"{folder} cannot be written ({error.strerror})", source="", hint="make room or mend its rights, then retry"
        ) from None
    return made
