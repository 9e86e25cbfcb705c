"""Read stored answers again with the parser of today: better rows, and not one request.

An answer belongs to the stretch in which its span ends. Its rows take the place of those an older parser made of it in
the transaction that notes the parser's version; one that was fetched anew in between was read by today's parser
already, and is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gapless.core.clock import Clock
from gapless.core.dataset import Dataset
from gapless.core.errors import UsageError
from gapless.core.page import Row
from gapless.core.segment import Lease
from gapless.core.span import Span
from gapless.core.words import counted_word
from gapless.sources.base import Rereading, Source
from gapless.store import events, pages, payloads
from gapless.store.database import Tx
from gapless.store.payloads import Payload
from gapless.store.store import Store
from gapless.work.stretches import Effect

#: What jobs call it.
REPARSE = "reparse"
#: Periods whose answers are read in one transaction: all of a series, where periods are years.
STRETCH = 1_000


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of the rows of some answers."""

    answers: int = 0
    #: Rows that are new or different, and rows that are gone.
    rows: int = 0
    gone: int = 0

    def __add__(self, other: Changed) -> Changed:
        return Changed(self.answers + other.answers, self.rows + other.rows, self.gone + other.gone)

    def __str__(self) -> str:
        answers = counted_word(self.answers, "answer")
        return f"{answers} read again, {counted_word(self.rows, 'row')} new or changed, {self.gone:,} gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reparse:
    """Reading the answers of series again."""

    store: Store
    clock: Clock
    source: Callable[[Dataset], Source]

    def cells(self, dataset: Dataset) -> int:  # noqa: ARG002  the form of a verb
        """All of a series, where periods are years."""
        return STRETCH

    def reader(self, dataset: Dataset) -> Rereading:
        """What reads the answers of a dataset; raises `UsageError` where none are kept."""
        source = self.source(dataset)
        if not dataset.parser or not isinstance(source, Rereading):
            raise UsageError(
                f"dataset: {dataset.name} keeps no answers",
                field="dataset",
                hint="`gapless fill --mode all` asks for everything again",
            )
        return source

    def go(self, dataset: Dataset, lease: Lease, span: Span) -> Effect:
        """Read the outdated answers of a stretch; their rows are changed later."""
        segment = lease.segment
        found = self.read(dataset, segment.name, segment.series, span)

        def effect(tx: Tx) -> int:
            changed = self.put(tx, dataset, segment.series, found)
            if changed.rows or changed.gone:
                message = f"{segment.name}: {changed}"
                events.add(tx, self.clock.now(), "series.reparsed", message, job=segment.job, segment=segment.id)
            return changed.rows + changed.gone

        return effect

    def read(self, dataset: Dataset, name: str, series: int, span: Span) -> list[tuple[Payload, list[Row]]]:
        """The outdated answers that end in `span`, with the rows that they are read as now; raises `BadReply`."""
        reader = self.reader(dataset)
        with self.store.read() as tx:
            found = payloads.outdated(tx, series, span, dataset.parser)
        return [(one, reader.reread(dataset, name, one.raw)) for one in found]

    def put(self, tx: Tx, dataset: Dataset, series: int, found: list[tuple[Payload, list[Row]]]) -> Changed:
        """Replace the rows of answers that are still the ones that were read."""
        total = Changed()
        for one, rows in found:
            if payloads.read_anew(tx, series, one, dataset.parser):
                total += Changed(1, *pages.replace(tx, dataset, series, one.span, one.raw.version, rows))
        return total
