"""Another name for a series, as a ticker changes; and two series put together where that loses nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gapless.core.dataset import Dataset
from gapless.core.errors import NotAllowed, UsageError
from gapless.core.job import Direction, Kind, Mode, Wish
from gapless.core.span import Span
from gapless.store import audit, coverage, jobs, renames, rows, templates
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.work.merge import MERGE

if TYPE_CHECKING:
    from gapless.app.history import Gapless


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """What a change of a name would do, or has done."""

    dataset: str
    old: str
    new: str
    #: Rows and covered spans that are under the old name.
    rows: int
    spans: int
    #: From the first to the last of them; None where there is nothing.
    span: Span | None
    #: Whether both have something, so that rows have to be brought over.
    is_merge: bool
    #: Templates that still say the old name.
    templates: tuple[str, ...]


def look(history: Gapless, dataset: Dataset, old: str, new: str, *, merge: bool) -> Renaming:
    """Check that a series can get another name and say what that means; raises `UsageError` and `NotAllowed`."""
    (old,), (new,) = history.catalogue.series(dataset, [old]), history.catalogue.series(dataset, [new])
    with history.store.read() as tx:
        return _looked(tx, dataset, old, new, merge=merge)


def _looked(tx: Tx, dataset: Dataset, old: str, new: str, *, merge: bool) -> Renaming:
    its, other = _checked(tx, dataset, old, new)
    is_merge = other is not None and not renames.is_empty(tx, dataset, other)
    if is_merge and not merge:
        raise NotAllowed(
            f"{new} of {dataset.name} has rows of its own",
            hint="name another, or put them together with --merge: it refuses where that would lose anything",
        )
    found = renames.clash(tx, dataset, its, other) if is_merge and other is not None else None
    if found is not None:
        raise NotAllowed(f"{old} and {new} cannot be one series: {found}", hint="`gapless read --no-fill` shows both")
    span = renames.reach(tx, dataset, its)
    return Renaming(
        dataset=dataset.name,
        old=old,
        new=new,
        rows=0 if span is None else rows.count(tx, dataset, its, renames.EVER),
        spans=len(coverage.spans(tx, its)),
        span=span,
        is_merge=is_merge,
        templates=tuple(one.name for one in templates.every(tx) if _says(one.settings, dataset.name, old)),
    )


def _checked(tx: Tx, dataset: Dataset, old: str, new: str) -> tuple[int, int | None]:
    """The ids of both; raises for names that cannot change into each other, and where somebody is at work."""
    if dataset.is_computed:
        raise UsageError(
            f"dataset: a series of {dataset.name} is named by what it is made of",
            field="dataset",
            hint=f"`gapless compute {dataset.name}` makes others",
        )
    if old == new:
        raise UsageError(f"new: {new} is the old name", field="new", hint="give another one")
    if dataset.variants and old.rpartition("/")[2] != new.rpartition("/")[2]:
        raise UsageError(f"new: {new} tells another report than {old}", field="new", hint="keep what follows the /")
    its = ledger.find(tx, dataset.name, old)
    if its is None:
        raise UsageError(
            f"old: nothing is known of {old}", field="old", hint=f"`gapless coverage {dataset.name}` lists series"
        )
    for name in (old, new):
        busy = jobs.at_work(tx, dataset.name, name)
        if busy:
            raise NotAllowed(
                f"job {busy[0].id} ({busy[0].kind}, {busy[0].state}) is about {name}",
                hint=f"let it end, or `gapless jobs cancel {busy[0].id}`",
            )
    return its, ledger.find(tx, dataset.name, new)


def rename(history: Gapless, dataset: Dataset, old: str, new: str) -> Renaming:
    """Change a name in one transaction, with an entry in the audit; the same call with both exchanged takes it back.

    Raises `NotAllowed` where the new name has rows of its own.
    """
    (old,), (new,) = history.catalogue.series(dataset, [old]), history.catalogue.series(dataset, [new])

    def write(tx: Tx) -> Renaming:
        done = _looked(tx, dataset, old, new, merge=False)
        its, other = ledger.find(tx, dataset.name, old), ledger.find(tx, dataset.name, new)
        assert its is not None
        for one in sorted(one for one in (its, other) if one is not None):
            ledger.lock(tx, one)
        if other is not None:
            # Nothing is stored under it: jobs that have ended may still name it.
            renames.absorb(tx, other, its)
        renames.rename(tx, its, new)
        audit.add(
            tx, history.clock.now(), history.actor, "series.renamed", f"series/{dataset.name}", before=old, after=new
        )
        return done

    return history.store.write(write, urgent=True, isolated=True)


def is_left(history: Gapless, dataset: Dataset, old: str) -> bool:
    """Whether the old name is still known."""
    with history.store.read() as tx:
        return ledger.find(tx, dataset.name, old) is not None


def merge_wish(history: Gapless, found: Renaming) -> Wish:
    """Bring what is under the old name under the new one; not for nothing at all."""
    assert found.span is not None
    return Wish(
        owner=history.actor.name,
        kind=Kind.MIGRATE,
        dataset=found.dataset,
        series=(found.new,),
        span=found.span,
        mode=Mode.ALL,
        direction=Direction.FORWARD,
        params=json.dumps({"verb": MERGE, "from": found.old}),
    )


def _says(settings: object, dataset: str, name: str) -> bool:
    told = settings if isinstance(settings, dict) else {}
    return told.get("dataset") == dataset and name in told.get("series", ())
