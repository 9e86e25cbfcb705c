"""The commit of a page: rows, coverage, cursor and counters in one transaction, all of it or nothing.

Locks are taken in one order: segment, then series. A page of an older epoch stores nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import itemgetter
from typing import Any

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from gapless.core.dataset import Dataset
from gapless.core.errors import LeaseLost
from gapless.core.job import Direction
from gapless.core.page import Page, Row
from gapless.core.segment import Lease
from gapless.core.span import DAWN, Instant, Span, span
from gapless.store import coverage, payloads, quarantine, rows, segments, series, tallies
from gapless.store.database import Tx
from gapless.store.schema import tally
from gapless.store.segments import Held
from gapless.store.sql import Statement

_b = bindparam
_values: dict[str, Any] = {"series": _b("series"), "bucket": _b("bucket"), "rows": _b("more")}
_sqlite = sqlite_insert(tally).values(**_values)
_postgres = pg_insert(tally).values(**_values)
_key = [tally.c.series, tally.c.bucket]
_TALLY = Statement(
    _sqlite.on_conflict_do_update(index_elements=_key, set_={"rows": tally.c.rows + _sqlite.excluded.rows}),
    postgresql=_postgres.on_conflict_do_update(
        index_elements=_key, set_={"rows": tally.c.rows + _postgres.excluded.rows}
    ),
)


def commit(
    tx: Tx,
    dataset: Dataset,
    page: Page,
    lease: Lease,
    now: Instant,
    *,
    prove: bool,
    direction: str | None = None,
    requests: int = 1,
) -> tuple[int, Held]:
    """Store a page under its lease; returns how many rows were new or changed, and the segment as it stands then.

    `prove`: also note the span as proven by this job (modes all and re-check). `direction` turns the segment round.
    `requests`: how many the page took, failed ones included.
    Raises `LeaseLost` when the segment's epoch is another by now.
    """
    held = segments.fence(tx, lease)
    if held is None:
        raise LeaseLost(f"segment {lease.segment.id} is in other hands", hint="its new holder goes on")
    stored, counted, touching = _store(tx, dataset, held.series, page)
    answered = _answered(page, held.span)
    since, since_at = _start(held, page, now, _is_late(tx, dataset, held, page, now))
    after = _after(held, answered, direction, since, since_at)
    if page.raw is not None and page.proven is not None:
        payloads.keep(tx, held.series, page.raw, page.proven, dataset.parser, now)
    with tx.together():
        if (since, since_at) != (held.since, held.since_at):
            series.set_since(tx, held.series, since, since_at)
        for bucket, more in counted.items():
            tx.run(_TALLY, series=held.series, bucket=bucket, more=more)
        if page.proven is not None and not _holds(touching, page.proven):
            merged = coverage.extend(tx, held.series, page.proven, touching=touching)
            if held.has_quarantine:
                # The merged span: what was given up as a whole may be proven page by page.
                quarantine.covered(tx, held.series, merged)
        if prove and answered:
            coverage.extend(tx, held.series, answered, job=held.job)
        segments.advance(tx, lease.segment.id, after, rows=stored, requests=requests)
    return stored, after


def _after(
    held: Held, answered: Span | None, direction: str | None, since: Instant | None, since_at: Instant | None
) -> Held:
    """The segment after a page. One that turns round leaves behind what it has done: others may ask for that again.

    Spelled out, for `dataclasses.replace` takes ten times as long.
    """
    start, way = held.start, held.direction
    cursor = moved(held.span, held.cursor, answered, way)
    if direction is not None and direction != way and cursor < held.end:
        start, way = cursor, direction
        cursor = moved(Span(start, held.end), held.end, answered, way)
    return Held(start, held.end, cursor, way, held.job, held.series, since, since_at, held.has_quarantine)


def _is_late(tx: Tx, dataset: Dataset, held: Held, page: Page, now: Instant) -> bool:
    """Whether a "nothing before" was asked for before older rows took it back, which are still there."""
    if page.nothing_before is None or held.since is not None or held.since_at is None or now >= held.since_at:
        return False
    return rows.newest_in(tx, dataset, held.series, Span(DAWN, page.nothing_before)) is not None


def _start(held: Held, page: Page, now: Instant, is_late: bool) -> tuple[Instant | None, Instant | None]:
    """What is known of the start of the history after a page: noted anew, or withdrawn when an older row has come."""
    if page.nothing_before is not None:
        # Also when it is said again: a dated fact counts from its last date on. A reply that was asked for before the
        # last word on it came says nothing new.
        if held.since is None:
            return (None, held.since_at) if is_late else (page.nothing_before, now)
        if held.since <= page.nothing_before:
            return page.nothing_before, max(now, held.since_at or now)
    elif held.since is not None and page.rows and page.rows[0][0] < held.since:
        return None, now
    return held.since, held.since_at


def _holds(touching: list[Span], proven: Span) -> bool:
    return len(touching) == 1 and touching[0].start <= proven.start and proven.end <= touching[0].end


def withdraw(tx: Tx, dataset: Dataset, series_id: int, lost: Span) -> None:
    """Take a span back, with what was counted for it: it is missing again, its rows are vouched for by nobody."""
    series.lock(tx, series_id)
    for one in coverage.spans(tx, series_id, lost):
        part = one.clip(lost)
        counted = rows.tally(tx, dataset, series_id, part) if part else {}
        for bucket, number in counted.items():
            tx.run(_TALLY, series=series_id, bucket=bucket, more=-number)
    coverage.withdraw(tx, series_id, lost)


def vouch(tx: Tx, dataset: Dataset, series_id: int, uncovered: Span) -> None:
    """Cover a span that nothing covers yet as it stands, with the rows that are there: `withdraw` turned round."""
    for bucket, number in rows.tally(tx, dataset, series_id, uncovered).items():
        tx.run(_TALLY, series=series_id, bucket=bucket, more=number)
    quarantine.covered(tx, series_id, coverage.extend(tx, series_id, uncovered))


def take_back(tx: Tx, dataset: Dataset, now: Instant) -> int:
    """Let answers that said "nothing yet" count no more, now that they are due; how many there were."""
    due = payloads.due(tx, dataset.name, now)
    for series_id, lost in due:
        withdraw(tx, dataset, series_id, lost)
        payloads.settle(tx, series_id, now)
    return len(due)


def replace(tx: Tx, dataset: Dataset, series_id: int, its: Span, version: str, read: list[Row]) -> tuple[int, int]:
    """Put the rows that an answer is read as now in the place of those it was read as before.

    `its` is what the answer proves and `version` which one it is. Returns how many rows are new or changed, and how
    many are gone; what the ledger counts stays true.
    """
    kept = [row for row in read if its.start <= row[0] < its.end]
    width = 1 + len(dataset.key)
    covered = [part for one in coverage.spans(tx, series_id, its) if (part := one.clip(its))]
    before = _tallied(tx, dataset, series_id, covered)
    gone = rows.keys(tx, dataset, series_id, its, version) - {row[:width] for row in kept}
    if gone:
        rows.remove(tx, dataset, series_id, gone)
    stored = rows.upsert(tx, dataset, series_id, kept)
    after = _tallied(tx, dataset, series_id, covered)
    for bucket in before.keys() | after.keys():
        more = after.get(bucket, 0) - before.get(bucket, 0)
        if more:
            tx.run(_TALLY, series=series_id, bucket=bucket, more=more)
    return stored, len(gone)


def _tallied(tx: Tx, dataset: Dataset, series_id: int, covered: list[Span]) -> dict[int, int]:
    counted: dict[int, int] = {}
    for part in covered:
        _add(counted, rows.tally(tx, dataset, series_id, part))
    return counted


def _store(tx: Tx, dataset: Dataset, series_id: int, page: Page) -> tuple[int, dict[int, int], list[Span]]:
    """Write the rows; returns how many changed, what to add to the tallies, and the coverage around the page.

    A page that proves nothing stores nothing.
    """
    if page.proven is None:
        return 0, {}, []
    touching = coverage.neighbours(tx, series_id, page.proven)
    overlap = [part for one in touching if (part := one.clip(page.proven))]
    if not overlap and dataset.revisions is None:
        return rows.upsert(tx, dataset, series_id, page.rows), _buckets(dataset, page.rows), touching
    before: dict[int, int] = {}
    for part in overlap:
        _add(before, rows.tally(tx, dataset, series_id, part))
    stored = rows.upsert(tx, dataset, series_id, page.rows)
    after = rows.tally(tx, dataset, series_id, page.proven)
    counted = {bucket: more for bucket, number in after.items() if (more := number - before.get(bucket, 0))}
    return stored, counted, touching


def _buckets(dataset: Dataset, ordered: list[Row]) -> dict[int, int]:
    """Rows (in time order) per bucket; a page touches one or two, so their borders are looked up, not every row."""
    width, origin = dataset.tally_width, dataset.tally_origin
    if not ordered:
        return {}
    first = (ordered[0][0] - origin) // width
    if (ordered[-1][0] - origin) // width == first:
        return {first: len(ordered)}
    found: dict[int, int] = {}
    at = 0
    while at < len(ordered):
        bucket = (ordered[at][0] - origin) // width
        past = bisect_left(ordered, origin + (bucket + 1) * width, lo=at, key=itemgetter(0))
        found[bucket] = past - at
        at = past
    return found


def _add(total: dict[int, int], more: dict[int, int]) -> None:
    for key, number in more.items():
        total[key] = total.get(key, 0) + number


def _answered(page: Page, bounds: Span) -> Span | None:
    """What the reply settled for its segment: the proven span, and all below a "nothing before"."""
    if page.nothing_before is None:
        return page.proven
    end = page.nothing_before if page.proven is None else max(page.nothing_before, page.proven.end)
    return span(bounds.start, min(end, bounds.end))


def moved(bounds: Span, cursor: Instant, answered: Span | None, direction: str) -> Instant:
    """The cursor after a reply, clipped to the bounds; it moves only where the answer touches it."""
    if answered is None:
        return cursor
    if direction == Direction.BACKWARD.value:
        return max(bounds.start, min(cursor, answered.start)) if answered.end >= cursor else cursor
    return min(bounds.end, max(cursor, answered.end)) if answered.start <= cursor else cursor


def put(tx: Tx, dataset: Dataset, series_id: int, new: list[Row], vouched: list[Span]) -> int:
    """Write rows that no page told, and cover the spans that somebody vouches for; how many rows changed."""
    series.lock(tx, series_id)
    ends = [*((row[0], row[0] + 1) for row in (new[:1] + new[-1:])), *((one.start, one.end) for one in vouched)]
    if not ends:
        return 0
    # Whole tallies around all of it, so that what is counted before and after can be compared.
    width, origin = dataset.tally_width, dataset.tally_origin
    first = (min(start for start, _ in ends) - origin) // width
    last = (max(end for _, end in ends) - origin) // width
    around = Span(dataset.tally_of(first).start, dataset.tally_of(last).end)
    before = tallies.found(tx, dataset, series_id, around)
    stored = rows.upsert(tx, dataset, series_id, new)
    for one in vouched:
        quarantine.covered(tx, series_id, coverage.extend(tx, series_id, one))
    after = tallies.found(tx, dataset, series_id, around)
    for bucket in before.keys() | after.keys():
        more = after.get(bucket, 0) - before.get(bucket, 0)
        if more:
            tx.run(_TALLY, series=series_id, bucket=bucket, more=more)
    return stored
