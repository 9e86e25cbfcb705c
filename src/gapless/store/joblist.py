"""Jobs as people look for them: filtered, searched, sorted, a page at a time. Cost does not grow with pages before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, cast, exists, func, or_, select, tuple_
from sqlalchemy.types import BigInteger, Text

from gapless.core.job import Direction, Job, JobState, Kind
from gapless.core.segment import SegmentState
from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import job, job_series, quarantine, segment, series
from gapless.store.sql import Statement, among, escaped, word

_b = bindparam
_NAMES = [one.name for one in fields(Job)]
_COLUMNS = [job.c[name] for name in _NAMES]
#: Of a whole, in which progress is compared; and what stands behind those whose time left nobody knows.
_WHOLE, _LAST = 1_000_000, 2**53
_LEFT = [one.value for one in SegmentState if one is not SegmentState.DONE]
_BROKEN = [SegmentState.FAILED.value, SegmentState.HELD.value]
_UNTOUCHED = and_(job.c.state == word(JobState.PENDING.value), job.c.started_at.is_(None), job.c.cached == 0)
#: Microseconds of all series of a job.
_LENGTH = (job.c.end - job.c.start) * job.c.series_count


def _left(states: list[str]) -> ColumnElement[int]:
    """Microseconds that segments in some states have still before them."""
    is_back = segment.c.direction == word(Direction.BACKWARD.value)
    each = case((is_back, segment.c.cursor - segment.c.start), else_=segment.c.end - segment.c.cursor)
    found = select(func.coalesce(cast(func.sum(each), BigInteger), 0))
    return found.where(segment.c.job == job.c.id, among(segment.c.state, states)).scalar_subquery()


def _given_up() -> ColumnElement[int]:
    """Microseconds of a job's span that are quarantined."""
    first = case((quarantine.c.start > job.c.start, quarantine.c.start), else_=job.c.start)
    last = case((quarantine.c.end < job.c.end, quarantine.c.end), else_=job.c.end)
    found = select(func.coalesce(cast(func.sum(last - first), BigInteger), 0))
    found = found.join_from(job_series, quarantine, quarantine.c.series == job_series.c.series)
    inside = and_(quarantine.c.start < job.c.end, quarantine.c.end > job.c.start)
    return found.where(job_series.c.job == job.c.id, inside).scalar_subquery()


def _percent() -> ColumnElement[Any]:
    """How far a job is, from its segments: what has not been begun, and what is done, costs no look at them."""
    part = case((_LENGTH > _WHOLE, _LENGTH // _WHOLE), else_=1)
    return case(
        (job.c.kind == word(Kind.FOLLOW.value), -1),
        (job.c.state == word(JobState.DONE.value), _WHOLE),
        (_UNTOUCHED, 0),
        else_=_WHOLE - _left(_LEFT) // part,
    )


def _fail(counted: tuple[str, ...]) -> ColumnElement[Any]:
    """Cells given up; where units are counted, those of series that are held or failed, too."""
    cell = case((and_(job.c.total > 0, job.c.total < _LENGTH), _LENGTH // job.c.total), else_=1)
    lost: ColumnElement[int] = _given_up()
    if counted:
        lost = lost + case((among(job.c.dataset, counted), _left(_BROKEN)), else_=0)
    is_clean = or_(job.c.kind == word(Kind.FOLLOW.value), job.c.state == word(JobState.DONE.value), _UNTOUCHED)
    return case((is_clean, 0), else_=(lost + cell - 1) // cell)


def _eta(count: int, descending: bool) -> ColumnElement[Any]:
    """Milliseconds that are known of so many jobs; the others come last."""
    unknown = -1 if descending else _LAST
    known: list[Any] = [(job.c.id == _b(f"eta_of{i}"), _b(f"eta{i}")) for i in range(count)]
    return case(*known, else_=unknown) if known else case((job.c.id < 0, 0), else_=unknown)


#: What jobs can be sorted by, beside `fail` and `eta`; the number of a job settles equals.
SORTS: dict[str, ColumnElement[Any]] = {
    "id": job.c.id,
    "name": job.c.name,
    "dataset": job.c.dataset,
    "state": job.c.state,
    "priority": job.c.priority,
    "owner": job.c.owner,
    "rows": job.c.rows,
    "startedAt": func.coalesce(job.c.started_at, 0),
    "endedAt": func.coalesce(job.c.ended_at, 0),
    "percent": _percent(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs; what is empty does not narrow."""

    states: tuple[str, ...] = ()
    #: The beginning of the dataset's name: a source, or a whole name.
    dataset: str = ""
    owner: str = ""
    kind: str = ""
    queue: str = ""
    series: str = ""
    #: Words that must all be found in number, name, dataset, owner, error or a series.
    words: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    #: No newer ones than this number.
    up_to: int = 0

    @property
    def shape(self) -> tuple[Any, ...]:
        """What of it is part of the statement; the rest are parameters."""
        said = (self.dataset, self.owner, self.kind, self.queue, self.series)
        return (
            tuple(sorted(set(self.states))),
            tuple(bool(one) for one in said),
            len(self.words),
            len(self.ids),
            bool(self.up_to),
        )

    @property
    def params(self) -> dict[str, Any]:
        """The parameters."""
        found: dict[str, Any] = {}
        if self.dataset:
            found |= {"its_dataset": self.dataset, "its_source": escaped(self.dataset) + ".%"}
        for name in ("owner", "kind", "queue", "series"):
            if getattr(self, name):
                found[f"its_{name}"] = getattr(self, name)
        found |= {f"word{i}": f"%{escaped(one.lower())}%" for i, one in enumerate(self.words)}
        found |= {"up_to": self.up_to} if self.up_to else {}
        return found | {f"id{i}": one for i, one in enumerate(self.ids)}


def _has_series(match: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(
        select(job_series.c.job)
        .join(series, series.c.id == job_series.c.series)
        .where(job_series.c.job == job.c.id, match)
    )


def _with_word(name: str) -> ColumnElement[bool]:
    pattern: Any = _b(name)
    texts: list[Any] = [job.c.name, job.c.dataset, job.c.owner, job.c.error, cast(job.c.id, Text)]
    found = [func.lower(one).like(pattern, escape="\\") for one in texts]
    return or_(*found, _has_series(func.lower(series.c.name).like(pattern, escape="\\")))


def _conditions(shape: tuple[Any, ...]) -> list[ColumnElement[bool]]:
    states, (has_dataset, has_owner, has_kind, has_queue, has_series), words, ids, is_bounded = shape
    found: list[ColumnElement[bool]] = [among(job.c.state, states)] if states else []
    if has_dataset:
        found.append(or_(job.c.dataset == _b("its_dataset"), job.c.dataset.like(_b("its_source"), escape="\\")))
    if has_owner:
        found.append(job.c.owner == _b("its_owner"))
    if has_kind:
        found.append(job.c.kind == _b("its_kind"))
    if has_queue:
        found.append(job.c.queue == _b("its_queue"))
    if has_series:
        found.append(_has_series(series.c.name == _b("its_series")))
    found += [_with_word(f"word{i}") for i in range(words)]
    if ids:
        found.append(or_(*(job.c.id == _b(f"id{i}") for i in range(ids))))
    if is_bounded:
        found.append(job.c.id <= _b("up_to"))
    return found


def _key(sort: str, counted: tuple[str, ...], etas: int, *, descending: bool) -> ColumnElement[Any]:
    if sort == "fail":
        return _fail(counted)
    return _eta(etas, descending) if sort == "eta" else SORTS[sort]


@lru_cache(maxsize=512)
def _page(shape: tuple[Any, ...], key_of: tuple[Any, ...], descending: bool, goes_on: bool) -> Statement:
    key = _key(*key_of, descending=descending)
    conditions = _conditions(shape)
    if goes_on:
        here, last = tuple_(key, job.c.id), tuple_(_b("last_key"), _b("last_id"))
        conditions.append(here < last if descending else here > last)
    order = (key.desc(), job.c.id.desc()) if descending else (key, job.c.id)
    page = select(*_COLUMNS, key.label("sort_key")).where(and_(True, *conditions)).order_by(*order)
    return Statement(page.limit(_b("most")).offset(_b("skipped")))


@lru_cache(maxsize=512)
def _count(shape: tuple[Any, ...]) -> Statement:
    return Statement(select(func.count()).select_from(job).where(and_(True, *_conditions(shape))))


@lru_cache(maxsize=512)
def _ids(shape: tuple[Any, ...]) -> Statement:
    return Statement(select(job.c.id).where(and_(True, *_conditions(shape))).order_by(job.c.id).limit(_b("most")))


@lru_cache(maxsize=512)
def _by_state(shape: tuple[Any, ...]) -> Statement:
    return Statement(select(job.c.state, func.count()).where(and_(True, *_conditions(shape))).group_by(job.c.state))


def page(
    tx: Tx,
    which: Filter,
    *,
    most: int,
    sort: str = "id",
    descending: bool = True,
    after: tuple[Any, int] | None = None,
    skipped: int = 0,
    counted: tuple[str, ...] = (),
    etas: Mapping[int, int] | None = None,
) -> list[tuple[Job, Any]]:
    """Jobs with the value they are sorted by, those that follow `after` = (value, id) of the last one seen.

    To sort by `fail` takes the datasets whose units are `counted`, by `eta` the milliseconds left of the jobs that run.
    """
    params = which.params | {"most": most, "skipped": skipped}
    if after is not None:
        params |= {"last_key": after[0], "last_id": after[1]}
    known = list((etas or {}).items()) if sort == "eta" else []
    for i, (one, left) in enumerate(known):
        params |= {f"eta_of{i}": one, f"eta{i}": left}
    key_of = (sort, counted if sort == "fail" else (), len(known))
    found = tx.rows(_page(which.shape, key_of, descending, after is not None), **params)
    return [(Job(**dict(zip(_NAMES, row[:-1], strict=True))), row[-1]) for row in found]


def count(tx: Tx, which: Filter) -> int:
    """How many there are."""
    return int(tx.value(_count(which.shape), **which.params))


def by_state(tx: Tx, which: Filter) -> dict[str, int]:
    """How many there are in each state."""
    return {str(state): int(number) for state, number in tx.rows(_by_state(which.shape), **which.params)}


def ids(tx: Tx, which: Filter, most: int) -> list[int]:
    """Their numbers, at most `most`, smallest first."""
    return [int(row[0]) for row in tx.rows(_ids(which.shape), **which.params, most=most)]


_NAMED = Statement(
    select(series.c.name)
    .join(job_series, job_series.c.series == series.c.id)
    .where(job_series.c.job == _b("its_job"))
    .order_by(series.c.id)
    .limit(_b("most"))
)
_TODAY = Statement(
    select(
        job.c.state,
        func.count(),
        func.coalesce(func.sum(job.c.ended_at - func.coalesce(job.c.started_at, job.c.ended_at)), 0),
    )
    .where(job.c.ended_at >= _b("since"))
    .group_by(job.c.state)
)
_TOTALS = Statement(
    select(segment.c.job, func.sum(segment.c.rows), func.sum(segment.c.requests))
    .where(segment.c.job.in_(select(job.c.id).where(job.c.state == word(JobState.RUNNING.value))))
    .group_by(segment.c.job)
)


def series_of(tx: Tx, job_id: int, most: int) -> list[str]:
    """The first series of a job."""
    return [str(row[0]) for row in tx.rows(_NAMED, its_job=job_id, most=most)]


def ended(tx: Tx, since: Instant) -> dict[str, tuple[int, int]]:
    """Jobs that ended since then: by state how many, and how many microseconds they took in all."""
    return {str(row[0]): (int(row[1]), int(row[2])) for row in tx.rows(_TODAY, since=since)}


def totals(tx: Tx) -> dict[int, tuple[int, int]]:
    """Rows and requests of the segments of every running job."""
    return {int(row[0]): (int(row[1]), int(row[2])) for row in tx.rows(_TOTALS)}


def known(states: Sequence[str]) -> tuple[str, ...]:
    """Those of some words that are states of a job."""
    return tuple(one for one in states if one in list(JobState))
