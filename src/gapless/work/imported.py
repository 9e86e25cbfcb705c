"""Datasets whose rows a user brings: nobody can be asked for them, and only what the user vouches for is covered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from gapless.core.dataset import IMPORTED, Axis, Column, Conflict, Dataset, Type
from gapless.core.errors import HoldJob, UsageError
from gapless.core.grid import Steps
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Shape
from gapless.core.span import DAY, Instant
from gapless.work.base import OWN

_DAY = timedelta(days=1)


def _dataset(name: str, columns: tuple[Column, ...], example: str) -> Dataset:
    return Dataset(
        name=name,
        source=IMPORTED,
        grid=Steps(DAY),
        axis=Axis.DAY,
        columns=columns,
        conflict=Conflict.LAST,
        # A day counts as told from its beginning on.
        settle=-_DAY,
        example=example,
        period=_DAY,
    )


def _number(name: str, *, nullable: bool = True) -> Column:
    return Column(name=name, type=Type.FLOAT, nullable=nullable)


DATASETS = {
    one.name: one
    for one in (
        _dataset("user.daily", (_number("value"),), "US.vix"),
        _dataset(
            "user.prices",
            (
                _number("open"),
                _number("high"),
                _number("low"),
                _number("close", nullable=False),
                _number("volume"),
            ),
            "AAPL",
        ),
        _dataset(
            "user.fear_greed",
            (
                Column(name="score", type=Type.FLOAT, doc="0 extreme fear … 100 extreme greed, as it was published"),
                Column(name="band", type=Type.TEXT, nullable=True, doc="as it was published, in small letters"),
            ),
            "CNN",
        ),
    )
}


class Imported:
    """What imported datasets have for a source: it can be asked for nothing."""

    name = IMPORTED
    base_url = ""
    datasets: Mapping[str, Dataset] = DATASETS

    def check(self) -> None:
        """Raises `UsageError`: a job that asks it could only fail."""
        raise UsageError("dataset: it is imported, not fetched", field="dataset", hint="`gapless migrate import`")

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002  the form of a source
        """As much as is there."""
        return Shape(rows=10_000, jumps_back=False)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  the form of a source
        """Paced by nothing but the machine."""
        return OWN

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:  # noqa: ARG002  the form of a source
        """Its rows are imported, not fetched."""
        raise HoldJob(f"{dataset.name} is imported, not fetched", source=IMPORTED, hint="`gapless migrate import`")

    def catalogue(self) -> list[tuple[str, str]]:
        """What can be imported into."""
        return [(one.example, one.name) for one in self.datasets.values()]

    def close(self) -> None:
        """There is no connection."""
