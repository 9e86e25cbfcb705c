"""The contract between a source and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from gapless.core.dataset import Dataset
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Raw, Row, Shape
from gapless.core.span import Instant


class Source(Protocol):
    """One provider. Instances may be used from several threads at once."""

    name: str
    datasets: Mapping[str, Dataset]

    @property
    def base_url(self) -> str:
        """Where it sends requests: scheme, host and port."""
        ...

    def check(self) -> None:
        """Raise `UsageError` when a setting is missing without which nothing can be asked."""
        ...

    def shape(self, dataset: Dataset, series: str) -> Shape:
        """How it pages through a series."""
        ...

    def limit(self, dataset: Dataset) -> Limit:
        """What the provider allows for requests of this dataset."""
        ...

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:
        """Send one request, read the reply strictly, and say what it proves.

        Raises `TryAgain`, `Refused`, `BadReply`, `UnknownSeries` or another `Hold`. `now` is database time.
        """
        ...

    def catalogue(self) -> list[tuple[str, str]]:
        """Ask the provider which series it has: ids and names."""
        ...

    def close(self) -> None:
        """Drop the connections."""
        ...


@runtime_checkable
class Rereading(Protocol):
    """A source that keeps its answers: whatever it has stored, it can read again."""

    def reread(self, dataset: Dataset, series: str, raw: Raw) -> list[Row]:
        """The rows of a stored answer in the order of their key, as it is read now; raises `BadReply`."""
        ...
