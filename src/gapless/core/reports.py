"""What reports are about: a pseudo-dataset whose series are those of other datasets, `upbit.candles.1m:KRW-BTC`."""

from __future__ import annotations

import json
from bisect import bisect_right
from datetime import timedelta

from gapless.core.dataset import Axis, Dataset
from gapless.core.grid import EVENTS as SECONDS
from gapless.core.span import Instant, Span

#: It has no columns, so no table: what its jobs make are files.
REPORTS = Dataset(
    name="reports",
    source="",
    grid=SECONDS,
    axis=Axis.EVENT,
    columns=(),
    example="upbit.candles.1m:KRW-BTC",
    pattern=r"[^\s:]+:\S+",
    settle=timedelta(0),
)


def subject(dataset: str, series: str) -> str:
    """What a report tells of, as a series of `REPORTS`."""
    return f"{dataset}:{series}"


def told_of(subject: str) -> tuple[str, str]:
    """The dataset and the series that a report tells of."""
    dataset, _, series = subject.partition(":")
    return dataset, series


def periods_of(params: str, dataset: str) -> list[Span]:
    """The periods of a job's reports on series of a dataset, oldest first; each is a unit of its work."""
    return [Span(start, end) for start, end in json.loads(params)["periods"][dataset]]


def starts_of(periods: list[Span]) -> list[Instant]:
    """Where, on the grid, the stretch of each period begins; the first one's where the job does.

    Stretches touch each other, so that all of a job's span is gone over, also what lies between two periods.
    """
    return [SECONDS.floor(one.start) for one in periods]


def unit_at(starts: list[Instant], at: Instant) -> int:
    """Which period the stretch around an instant belongs to."""
    return max(0, bisect_right(starts, at) - 1)
