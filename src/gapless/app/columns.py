"""Another set of columns for a dataset that is stored already: added, and filled from answers or by fetching again.

What is under way is noted in the history (`columns.DATASET`), so that the same command goes on after anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gapless.app import migrations
from gapless.core.dataset import Column, Conflict, Dataset
from gapless.core.errors import UsageError
from gapless.core.job import Direction, JobState, Kind, Mode, Wish
from gapless.core.span import Span
from gapless.core.words import counted_word
from gapless.sources.base import Rereading
from gapless.store import audit, columns, coverage, payloads, rows
from gapless.store import jobs as joblist
from gapless.store import series as ledger
from gapless.store import settings as shared
from gapless.store.database import Tx
from gapless.work.refetch import REFETCH

if TYPE_CHECKING:
    from gapless.app.history import Gapless


class Note(msgspec.Struct, frozen=True):
    """A change under way."""

    columns: list[str]
    job: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be done to the table of a dataset."""

    dataset: Dataset
    lacking: tuple[Column, ...]
    surplus: tuple[str, ...]
    #: All rows of the table, and stored answers that can be read again.
    rows: int
    answers: int
    #: Columns that were added before and are not filled yet, and the job that does it.
    note: Note | None

    @property
    def names(self) -> list[str]:
        """The columns that are to be filled."""
        return [one.name for one in self.lacking] or (self.note.columns if self.note else [])


def look(history: Gapless, name: str) -> Change:
    """Compare the table of a dataset with what is declared; raises `UsageError`. Nothing is changed."""
    dataset = history.catalogue.dataset(name)
    history.store.write(lambda tx: rows.create(tx, dataset), isolated=True)
    with history.store.read() as tx:
        found = columns.misfit(tx, dataset)
        return Change(
            dataset=dataset,
            lacking=found.lacking,
            surplus=found.surplus,
            rows=columns.count(tx, dataset),
            answers=payloads.count(tx, dataset.name) if _rereads(history, dataset) else 0,
            note=_noted(tx, dataset),
        )


def _rereads(history: Gapless, dataset: Dataset) -> bool:
    return dataset.parser > 0 and isinstance(history.catalogue.sources.get(dataset.source), Rereading)


def check(history: Gapless, change: Change, *, leave_empty: bool) -> None:
    """Raise `UsageError` where new columns cannot be filled, or may not stay empty."""
    dataset = change.dataset
    if not change.names or not change.rows:
        return
    needed = [one.name for one in change.lacking if not one.nullable]
    if leave_empty:
        if needed:
            raise UsageError(
                f"leave-empty: {', '.join(needed)} must have a value", field="leave-empty", hint="leave it out"
            )
        return
    source = history.catalogue.sources.get(dataset.source)
    if source is None or not (source.base_url or dataset.is_computed):
        raise UsageError(
            f"dataset: rows of {dataset.name} are imported, nobody can be asked for {', '.join(change.names)}",
            field="dataset",
            hint="`--leave-empty` adds the columns; then import the rows again",
        )
    if dataset.conflict is Conflict.FIRST and not _rereads(history, dataset):
        raise UsageError(
            f"dataset: {dataset.name} keeps the first word about a record",
            field="dataset",
            hint="`--leave-empty` adds the columns and leaves them empty in the rows that are there",
        )


def alter(history: Gapless, change: Change, *, drop: bool, leave_empty: bool) -> None:
    """Change the table, and note what is to be filled, in one transaction."""
    dataset = change.dataset

    def write(tx: Tx) -> None:
        found = columns.misfit(tx, dataset)
        names = [one.name for one in found.lacking]
        columns.add(tx, dataset, found.lacking)
        if drop:
            columns.drop(tx, dataset, found.surplus)
        if names and change.rows and not leave_empty:
            before = _noted(tx, dataset)
            _put(tx, dataset, Note(columns=sorted({*names, *(before.columns if before else [])})))
            if _rereads(history, dataset):
                payloads.unread(tx, dataset.name)
        if names or (drop and found.surplus):
            audit.add(
                tx,
                history.clock.now(),
                history.actor,
                "dataset.columns",
                f"dataset/{dataset.name}",
                before=f"without {', '.join(names)}" if names else "",
                after=f"without {', '.join(found.surplus)}" if drop and found.surplus else "",
            )

    history.store.write(write, urgent=True, isolated=True)


def begin(history: Gapless, dataset: Dataset) -> int | None:
    """The job that fills what a change has left empty, made or taken up; None when nothing is left to do."""
    with history.store.read() as tx:
        note = _noted(tx, dataset)
        job = joblist.get(tx, note.job) if note and note.job is not None else None
    if note is None:
        return None
    if job is not None and job.state == JobState.DONE:
        forget(history, dataset)
        return None
    if job is not None and not job.is_final:
        return job.id
    wish = _wish(history, dataset, note.columns)
    if wish is None:
        forget(history, dataset)
        return None
    made = history.create(wish, name="columns").job.id
    history.store.write(lambda tx: _put(tx, dataset, Note(columns=note.columns, job=made)))
    return made


def forget(history: Gapless, dataset: Dataset) -> None:
    """A change is over."""
    history.store.write(lambda tx: shared.drop(tx, _key(dataset)))


def _wish(history: Gapless, dataset: Dataset, names: list[str]) -> Wish | None:
    """Read answers again, or take back what has to be fetched again; None where there is neither."""
    if _rereads(history, dataset):
        kept = migrations.kept(history, dataset, [])
        return migrations.reparse_wish(dataset, kept) if any(one.outdated for one in kept) else None
    with history.store.read() as tx:
        ends = {
            name: span
            for name in ledger.names(tx, dataset.name)
            if (its := ledger.find(tx, dataset.name, name)) is not None and (span := coverage.ends(tx, its))
        }
    if not ends:
        return None
    return Wish(
        owner=history.actor.name,
        kind=Kind.MIGRATE,
        dataset=dataset.name,
        series=tuple(ends),
        span=Span(min(one.start for one in ends.values()), max(one.end for one in ends.values())),
        mode=Mode.ALL,
        direction=Direction.FORWARD,
        params=json.dumps({"verb": REFETCH, "columns": names}),
    )


def words(history: Gapless, change: Change, *, drop: bool, leave_empty: bool) -> list[str]:
    """What a change would do, for people."""
    told = []
    names = ", ".join(change.names)
    if change.lacking:
        told.append(f"{change.dataset.table} gets {names}")
    if change.names and change.rows and not leave_empty:
        if _rereads(history, change.dataset):
            told.append(f"{counted_word(change.answers, 'stored answer')} would be read again for it")
        else:
            told.append(f"{counted_word(change.rows, 'row')} have nothing there and would be fetched again")
    if change.surplus:
        how = "is dropped with all that is in it" if drop else "is no longer declared: --drop takes it away"
        told.append(f"{', '.join(change.surplus)} {how}")
    return told


def _key(dataset: Dataset) -> str:
    return f"columns.{dataset.name}"


def _noted(tx: Tx, dataset: Dataset) -> Note | None:
    text = shared.get(tx, _key(dataset))
    return msgspec.json.decode(text, type=Note) if text else None


def _put(tx: Tx, dataset: Dataset, note: Note) -> None:
    shared.put(tx, _key(dataset), msgspec.json.encode(note).decode())
