"""Raw answers: kept in the transaction of their page, packed, and handed out again for a better parser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, case, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from gapless.core.page import Raw
from gapless.core.span import Instant, Span
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
_OF_SERIES = Statement(
    select(
        payload.c.name,
        payload.c.version,
        payload.c.parser,
        payload.c.body,
        payload.c.size,
        payload.c.fetched_at,
        payload.c.updated_at,
    )
    .where(payload.c.series == _b("series"))
    .order_by(payload.c.name, payload.c.version)
)
_DUE = Statement(
    select(payload.c.series, payload.c.start, payload.c.end)
    .join(series_table, series_table.c.id == payload.c.series)
    .where(payload.c.again_at <= _b("now"), series_table.c.dataset == _b("its_dataset"))
    .order_by(payload.c.series, payload.c.start)
)
_SETTLE = Statement(
    update(payload).where(payload.c.series == _b("series"), payload.c.again_at <= _b("now")).values(again_at=None)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A raw answer as it is kept."""

    raw: Raw
    #: The version of the parser that the rows come from.
    parser: int
    fetched_at: Instant
    #: When it was last different from what was stored before.
    updated_at: Instant


def keep(tx: Tx, series: int, raw: Raw, proven: Span, parser: int, now: Instant) -> None:
    """Keep an answer; one of the same name and version is replaced."""
    import pyarrow as pa

    tx.run(
        _KEEP,
        its_series=series,
        its_name=raw.name,
        its_version=raw.version,
        its_start=proven.start,
        its_end=proven.end,
        its_parser=parser,
        its_body=pa.compress(raw.body, codec="zstd", asbytes=True),
        its_size=len(raw.body),
        its_fetched_at=now,
        its_updated_at=now,
        its_again_at=raw.again_at,
    )


def due(tx: Tx, dataset: str, now: Instant) -> list[tuple[int, Span]]:
    """Series and spans of answers that said "nothing yet" and are to be asked for again by now."""
    return [(int(one), Span(start, end)) for one, start, end in tx.rows(_DUE, its_dataset=dataset, now=now)]


def settle(tx: Tx, series: int, now: Instant) -> None:
    """The due answers of a series have been taken back."""
    tx.run(_SETTLE, series=series, now=now)


def of_series(tx: Tx, series: int) -> list[Payload]:
    """All answers of a series, by name and version."""
    return [_unpacked(row) for row in tx.rows(_OF_SERIES, series=series)]


def _unpacked(row: Any) -> Payload:
    import pyarrow as pa

    name, version, parser, body, size, fetched_at, updated_at = row
    unpacked = pa.decompress(bytes(body), decompressed_size=size, codec="zstd", asbytes=True)
    return Payload(
        raw=Raw(name=name, version=version, body=unpacked),
        parser=parser,
        fetched_at=fetched_at,
        updated_at=updated_at,
    )
