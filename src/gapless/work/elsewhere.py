"""What child processes have of a history: a store of their own, and the datasets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from gapless.core.dataset import Dataset
from gapless.core.events import EVENTS
from gapless.store.store import Store, open_store


@cache
def store_of(url: str) -> Store:
    """The store at an address, opened once a process."""
    return open_store(url, create=False)


@cache
def datasets() -> Mapping[str, Dataset]:
    """All datasets of this version."""
    from gapless.sources import SOURCES
    from gapless.work.derive import DATASETS
    from gapless.work.imported import Imported

    sources: list[Any] = [*SOURCES.values(), Imported]
    return {name: one for source in sources for name, one in source.datasets.items()} | DATASETS | {EVENTS.name: EVENTS}
