"""What a source calls a series, where that is another word than ours: looked up in the dataset that tells it."""

from __future__ import annotations

import threading

from gapless.core.dataset import Dataset, Directory
from gapless.core.errors import UnknownSeries
from gapless.core.span import Instant
from gapless.engine.catalogue import Catalogue
from gapless.store import coverage, rows, series
from gapless.store.store import Store


class Names:
    """The directories of this process, read again when a newer day of them is stored."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue
        self._known: dict[str, tuple[Instant, dict[str, str]]] = {}
        self._reading = threading.Lock()

    def of(self, dataset: Dataset, name: str) -> str:
        """The source's word for a series of `dataset`; raises `UnknownSeries`."""
        directory = dataset.directory
        if directory is None:
            return name
        word = directory.word(name)
        if not directory.translates(name):
            return word
        found = self.words(directory).get(word)
        if found is None:
            raise UnknownSeries(
                f"{dataset.source} knows no {directory.key.replace('_', ' ')} {word}",
                source=dataset.source,
                hint=f"`gapless read {directory.dataset} {directory.series}` lists them",
            )
        return found

    def words(self, directory: Directory) -> dict[str, str]:
        """Every word of a directory; none before it was fetched."""
        self._store.prepare([self._catalogue.dataset(directory.dataset)])
        with self._reading, self._store.read() as tx:
            series_id = series.find(tx, directory.dataset, directory.series)
            covered = [] if series_id is None else coverage.spans(tx, series_id)
            if series_id is None or not covered:
                return {}
            known = self._known.get(directory.dataset)
            if known is None or known[0] != covered[-1].end:
                dataset = self._catalogue.dataset(directory.dataset)
                words = rows.newest_values(tx, dataset, series_id, directory.key, directory.value)
                known = self._known[directory.dataset] = (covered[-1].end, words)
            return known[1]
