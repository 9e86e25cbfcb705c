"""Raw answers: kept in the transaction of their page, packed, and handed out again for a better parser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from gapless.core.dataset import Dataset
from gapless.core.page import Raw
from gapless.core.span import Instant, Span, union
from gapless.store.database import Tx
from gapless.store.schema import payload
from gapless.store.schema import series as series_table
from gapless.store.sql import Statement

_b = bindparam
_KEY = [payload.c.series, payload.c.name, payload.c.version]
_values: dict[str, Any] = {column.name: _b(f"its_{column.name}") for column in payload.c}


def _keep(insert: Any) -> Any:
    new = insert.excluded
    # Only what is different moves the time of its change.
    updated_at = case((payload.c.body == new.body, payload.c.updated_at), else_=new.updated_at)
    changed = {"updated_at": updated_at, "body": new.body, "size": new.size}
    always = {name: new[name] for name in ("start", "end", "parser", "fetched_at", "again_at")}
    return insert.on_conflict_do_update(index_elements=_KEY, set_=changed | always)


_KEEP = Statement(
    _keep(sqlite_insert(payload).values(**_values)), postgresql=_keep(pg_insert(payload).values(**_values))
)
_KEPT = (
    payload.c.name,
    payload.c.version,
    payload.c.start,
    payload.c.end,
    payload.c.parser,
    payload.c.body,
    payload.c.size,
    payload.c.fetched_at,
    payload.c.updated_at,
)
_OF_SERIES = Statement(
    select(*_KEPT).where(payload.c.series == _b("series")).order_by(payload.c.name, payload.c.version)
)
#: An answer belongs to the stretch in which its span ends, so that each belongs to one.
_OUTDATED = Statement(
    select(*_KEPT)
    .where(
        payload.c.series == _b("series"),
        payload.c.parser < _b("newest"),
        payload.c.end > _b("lo"),
        payload.c.end <= _b("hi"),
    )
    .order_by(payload.c.name, payload.c.version)
)
_SPANS = Statement(select(payload.c.start, payload.c.end).where(payload.c.series == _b("series")))
_HELD = Statement(
    select(
        series_table.c.name,
        func.min(payload.c.start),
        func.max(payload.c.end),
        func.sum(case((payload.c.parser < _b("newest"), 1), else_=0)),
    )
    .join(series_table, series_table.c.id == payload.c.series)
    .where(series_table.c.dataset == _b("its_dataset"))
    .group_by(series_table.c.name)
    .order_by(series_table.c.name)
)
_READ_ANEW = Statement(
    update(payload)
    .where(
        payload.c.series == _b("its_series"),
        payload.c.name == _b("its_name"),
        payload.c.version == _b("its_version"),
        payload.c.parser == _b("before"),
        payload.c.fetched_at == _b("seen"),
    )
    .values(parser=_b("newest"))
)
_DUE = Statement(
    select(payload.c.series, payload.c.start, payload.c.end)
    .join(series_table, series_table.c.id == payload.c.series)
    .where(payload.c.again_at <= _b("now"), series_table.c.dataset == _b("its_dataset"))
    .order_by(payload.c.series, payload.c.start)
)
_COUNT = Statement(
    select(func.count())
    .select_from(payload)
    .join(series_table, series_table.c.id == payload.c.series)
    .where(series_table.c.dataset == _b("its_dataset"))
)
_UNREAD = Statement(
    update(payload)
    .where(payload.c.series.in_(select(series_table.c.id).where(series_table.c.dataset == _b("its_dataset"))))
    .values(parser=0)
)
_SETTLE = Statement(
    update(payload).where(payload.c.series == _b("series"), payload.c.again_at <= _b("now")).values(again_at=None)
)


_WHOLE = Statement(
    select(*[column for column in payload.c if column.name != "series"]).where(
        payload.c.series == _b("series"), payload.c.start < _b("hi"), payload.c.end > _b("lo")
    )
)
_ADD = Statement(
    sqlite_insert(payload).values(**_values).on_conflict_do_nothing(),
    postgresql=pg_insert(payload).values(**_values).on_conflict_do_nothing(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A raw answer as it is kept."""

    raw: Raw
    #: What it has proven.
    span: Span
    #: The version of the parser that the rows come from.
    parser: int
    fetched_at: Instant
    #: When it was last different from what was stored before.
    updated_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The answers of a series that are kept."""

    series: str
    #: From the first instant that one of them proves to the last.
    span: Span
    #: How many an older parser has read.
    outdated: int


def own(tx: Tx, dataset: Dataset, name: str, series: int) -> list[Span]:
    """Periods of a series with an answer of their own, and not only one of a later period that tells them, too."""
    first = dataset.variant(name).first_own
    found = []
    for start, end in tx.rows(_SPANS, series=series):
        last = dataset.grid.add(end, -1)
        found.append(Span(start if first is not None and last <= first else last, end))
    return union(found)


def packed(series: int, raw: Raw, proven: Span, parser: int, now: Instant) -> dict[str, Any]:
    """An answer as it is kept: packing takes time, which no transaction should wait for."""
    import pyarrow as pa

    return {
        "its_series": series,
        "its_name": raw.name,
        "its_version": raw.version,
        "its_start": proven.start,
        "its_end": proven.end,
        "its_parser": parser,
        "its_body": pa.compress(raw.body, codec="zstd", asbytes=True),
        "its_size": len(raw.body),
        "its_fetched_at": now,
        "its_updated_at": now,
        "its_again_at": raw.again_at,
    }


def keep_all(tx: Tx, some: list[dict[str, Any]]) -> None:
    """Keep packed answers; one of the same name and version is replaced."""
    tx.each(_KEEP, some)


def keep(tx: Tx, series: int, raw: Raw, proven: Span, parser: int, now: Instant) -> None:
    """Keep an answer; one of the same name and version is replaced."""
    tx.run(_KEEP, **packed(series, raw, proven, parser, now))


def whole(tx: Tx, series: int, within: Span) -> list[dict[str, Any]]:
    """The answers of a series that tell of `within`, with all that is kept of them, packed as they are."""
    named = [column.name for column in payload.c if column.name != "series"]
    found = tx.rows(_WHOLE, series=series, lo=within.start, hi=within.end)
    return [dict(zip(named, row, strict=True)) for row in found]


def add(tx: Tx, series: int, kept: dict[str, Any]) -> None:
    """Keep an answer that `whole` gave, unless one of its name and version is kept."""
    tx.run(_ADD, its_series=series, **{f"its_{name}": value for name, value in kept.items()})


def due(tx: Tx, dataset: str, now: Instant) -> list[tuple[int, Span]]:
    """Series and spans of answers that said "nothing yet" and are to be asked for again by now."""
    return [(int(one), Span(start, end)) for one, start, end in tx.rows(_DUE, its_dataset=dataset, now=now)]


def settle(tx: Tx, series: int, now: Instant) -> None:
    """The due answers of a series have been taken back."""
    tx.run(_SETTLE, series=series, now=now)


def of_series(tx: Tx, series: int) -> list[Payload]:
    """All answers of a series, by name and version."""
    return [_unpacked(row) for row in tx.rows(_OF_SERIES, series=series)]


def held(tx: Tx, dataset: str, parser: int) -> list[Kept]:
    """The series of a dataset with answers, and how many of them were read by an older parser than `parser`."""
    found = tx.rows(_HELD, its_dataset=dataset, newest=parser)
    return [Kept(series=name, span=Span(start, end), outdated=int(old)) for name, start, end, old in found]


def outdated(tx: Tx, series: int, within: Span, parser: int) -> list[Payload]:
    """Answers whose span ends in `within` and that an older parser has read."""
    return [_unpacked(row) for row in tx.rows(_OUTDATED, series=series, newest=parser, lo=within.start, hi=within.end)]


def read_anew(tx: Tx, series: int, one: Payload, parser: int) -> bool:
    """Note that a better parser has read an answer; False when another one has come in its place."""
    values = {"its_series": series, "its_name": one.raw.name, "its_version": one.raw.version}
    return tx.run(_READ_ANEW, **values, before=one.parser, seen=one.fetched_at, newest=parser) == 1


def count(tx: Tx, dataset: str) -> int:
    """How many answers of a dataset are kept."""
    return int(tx.value(_COUNT, its_dataset=dataset))


def unread(tx: Tx, dataset: str) -> int:
    """Let no parser have read the answers of a dataset: they are all to be read again. How many there are."""
    return tx.run(_UNREAD, its_dataset=dataset)


def _unpacked(row: Any) -> Payload:
    import pyarrow as pa

    name, version, start, end, parser, body, size, fetched_at, updated_at = row
    unpacked = pa.decompress(bytes(body), decompressed_size=size, codec="zstd", asbytes=True)
    return Payload(
        raw=Raw(name=name, version=version, body=unpacked),
        span=Span(start, end),
        parser=parser,
        fetched_at=fetched_at,
        updated_at=updated_at,
    )
