"""Series: ids of names, and the dated fact that a source has nothing before an instant."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.core.job import JobState, Kind
from gapless.core.reports import REPORTS
from gapless.core.segment import SegmentState
from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import coverage, job, segment, series
from gapless.store.sql import Statement

#: From so many series on one look at all of them is cheaper than a look at each.
MANY = 16
_b = bindparam
_BY_NAME = Statement(select(series.c.id).where(series.c.dataset == _b("dataset"), series.c.name == _b("name")))
_INSERT = Statement(
    insert(series).prefix_with("OR IGNORE").values(dataset=_b("dataset"), name=_b("name")),
    postgresql=pg_insert(series).values(dataset=_b("dataset"), name=_b("name")).on_conflict_do_nothing(),
)
_NAMES = Statement(select(series.c.name).where(series.c.dataset == _b("dataset")).order_by(series.c.name))
_IDS = Statement(select(series.c.id, series.c.name).where(series.c.dataset == _b("dataset")))
_SINCE = Statement(select(series.c.since, series.c.since_at).where(series.c.id == _b("series")))
_lock = select(series.c.id).where(series.c.id == _b("series"))
_LOCK = Statement(_lock.with_for_update())
_TRY_LOCK = Statement(_lock.with_for_update(skip_locked=True))
_SET = Statement(
    update(series).where(series.c.id == _b("series")).values(since=_b("new_since"), since_at=_b("new_since_at"))
)
#: Held by a fill that has ended: mistyped, unknown to the source.
_HELD = (
    select(segment.c.series)
    .join(job, job.c.id == segment.c.job)
    .where(
        job.c.kind == Kind.COLLECT.value,
        or_(job.c.state == JobState.FAILED.value, job.c.state == JobState.INCOMPLETE.value),
        segment.c.state == SegmentState.HELD.value,
    )
)
_fits = (
    or_(_b("its_dataset") == "", series.c.dataset == _b("its_dataset"), series.c.dataset.like(_b("its_source"))),
    func.lower(series.c.name).like(_b("pattern"), escape="\\"),
    series.c.dataset != REPORTS.name,
    series.c.dataset != _b("but_not"),
    or_(series.c.id.not_in(_HELD), exists().where(coverage.c.series == series.c.id)),
)
_FOUND = Statement(
    select(series.c.id, series.c.dataset, series.c.name)
    .where(*_fits)
    .order_by(series.c.dataset, series.c.name)
    .limit(_b("most"))
    .offset(_b("skipped"))
)
_HOW_MANY = Statement(select(func.count()).select_from(series).where(*_fits))


def find(tx: Tx, dataset: str, name: str) -> int | None:
    """The id of a series, if it has ever been asked for."""
    found: int | None = tx.value(_BY_NAME, dataset=dataset, name=name)
    return found


def ensure(tx: Tx, dataset: str, name: str) -> int:
    """The id of a series, made when it is new."""
    known = find(tx, dataset, name)
    if known is None:
        tx.run(_INSERT, dataset=dataset, name=name)
        known = find(tx, dataset, name)
    assert known is not None
    return known


def ensure_all(tx: Tx, dataset: str, wanted: Sequence[str]) -> list[int]:
    """The ids of series in their order; many are looked up at once."""
    known = {str(name): int(one) for one, name in tx.rows(_IDS, dataset=dataset)} if len(wanted) >= MANY else {}
    return [known.get(name) or ensure(tx, dataset, name) for name in wanted]


def names(tx: Tx, dataset: str) -> list[str]:
    """All series of a dataset that the store knows, in order."""
    return [str(name) for (name,) in tx.rows(_NAMES, dataset=dataset)]


def since(tx: Tx, series_id: int) -> tuple[Instant | None, Instant | None]:
    """The source has nothing before the first instant; the second is when it said so."""
    row = tx.one(_SINCE, series=series_id)
    return (None, None) if row is None else (row[0], row[1])


def lock(tx: Tx, series_id: int, *, waits: bool = True) -> bool:
    """Take the row lock under which coverage of the series may change; False where others hold it and nobody waits."""
    if tx.name == "sqlite":
        return True
    return tx.one(_LOCK if waits else _TRY_LOCK, series=series_id) is not None


def set_since(tx: Tx, series_id: int, since: Instant | None, said_at: Instant | None) -> None:
    """Note (or with None withdraw) that the source has nothing before `since`, as it said at `said_at`."""
    tx.run(_SET, series=series_id, new_since=since, new_since_at=said_at)


def search(
    tx: Tx, dataset: str, text: str, most: int, skipped: int = 0, *, but_not: str = ""
) -> tuple[list[tuple[int, str, str]], int]:
    """(id, dataset, name) of series whose name holds a text, in order, and how many there are.

    `dataset` is a whole name, the name of a source, or empty; `but_not` is one that does not count. What nobody has an
    answer for is left out: names that the source does not know, and what reports are about.
    """
    escaped = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    params = {"its_dataset": dataset, "its_source": f"{dataset}.%", "pattern": f"%{escaped}%", "but_not": but_not}
    found = tx.rows(_FOUND, **params, most=most, skipped=skipped)
    return [(int(one), str(its), str(name)) for one, its, name in found], int(tx.value(_HOW_MANY, **params))
