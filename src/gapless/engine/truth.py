"""What is present, empty, missing, unavailable or given up; and whether ledger and rows agree."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gapless.core.dataset import Dataset
from gapless.core.grid import Grid, align, cells
from gapless.core.job import Job, JobState
from gapless.core.span import DAWN, DOOM, Instant, Span, intersect, iso, subtract, union
from gapless.core.words import counted_word
from gapless.engine.catalogue import Catalogue
from gapless.engine.jobs import Jobs
from gapless.store import coverage, jobs, pages, quarantine, rows, series, tallies
from gapless.store.database import Tx
from gapless.store.store import Store


class Word(StrEnum):
    """The four words of truth, and one for what was given up."""

    PRESENT = "present"
    EMPTY = "empty"
    MISSING = "missing"
    UNAVAILABLE = "unavailable"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Stretch:
    """One span of a series under one word; `cells` counts its periods."""

    word: Word
    span: Span
    cells: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows that are not what the ledger vouches for, in one stretch of a thousand periods."""

    series: str
    span: Span
    expected: int
    found: int

    @property
    def what(self) -> str:
        """The finding in words."""
        if self.found < self.expected:
            return f"{counted_word(self.expected - self.found, 'row')} gone"
        return f"{counted_word(self.found - self.expected, 'row')} not vouched for"


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of a verification."""

    series: int
    rows: int
    #: Rows outside coverage: nobody vouches for them.
    outside: int
    findings: list[Finding]


def gaps(tx: Tx, dataset: Dataset, name: str, wanted: Span, now: Instant) -> list[Stretch]:
    """All of `wanted` that has no row, in order: missing, quarantined, unavailable and empty stretches."""
    grid = dataset.grid
    aligned = align(grid, wanted, dataset.frontier(now, name))
    if aligned is None:
        return []
    series_id = series.find(tx, dataset.name, name)
    gone = dataset.unavailable(now, name)
    unavailable = intersect([aligned], [gone]) if gone else []
    if series_id is None:
        lacking = subtract([aligned], unavailable)
        return _stretches(grid, [(Word.UNAVAILABLE, unavailable, ""), (Word.MISSING, lacking, "")])
    covered = intersect(coverage.spans(tx, series_id, aligned), [aligned])
    since, _ = series.since(tx, series_id)
    before = intersect([aligned], [Span(DAWN, since)]) if since is not None and since > DAWN else []
    given_up = quarantine.of_series(tx, series_id, aligned)
    quarantined = subtract(intersect([aligned], [one.span for one in given_up]), covered)
    empty = [hole for part in covered for hole in rows.empties(tx, dataset, series_id, part)]
    known = covered + before + quarantined + unavailable
    reasons = sorted({one.reason for one in given_up})
    return _stretches(
        grid,
        [
            (Word.UNAVAILABLE, subtract(unavailable, covered), "the source has forgotten it"),
            (Word.EMPTY, subtract(before, covered + unavailable), "before the history starts"),
            (Word.EMPTY, union(empty), ""),
            (Word.QUARANTINED, quarantined, "; ".join(reasons)),
            (Word.MISSING, subtract([aligned], known), ""),
        ],
    )


def _stretches(grid: Grid, found: list[tuple[Word, list[Span], str]]) -> list[Stretch]:
    made = [
        Stretch(word, part, grid.count(part.start, part.end), note) for word, parts, note in found for part in parts
    ]
    return sorted(made, key=lambda one: one.span)


def covered(tx: Tx, dataset: Dataset, name: str) -> list[tuple[Span, int, int, int]]:
    """Covered spans of a series with their cells, the rows in them, and the cells that have a row."""
    series_id = series.find(tx, dataset.name, name)
    if series_id is None:
        return []
    found = []
    for one in coverage.spans(tx, series_id):
        stored = rows.count(tx, dataset, series_id, one)
        # Of a year with two kinds of shares there are two rows.
        present = rows.cells(tx, dataset, [series_id], one) if dataset.key else stored
        found.append((one, dataset.grid.count(one.start, one.end), stored, present))
    return found


def verify(store: Store, dataset: Dataset, names: list[str], *, repair: bool = False) -> Verified:
    """Compare the ledger with the rows, stretch by stretch.

    With `repair` the ledger takes back the stretches that do not agree, so that the next fill fetches them again.
    """
    findings: list[Finding] = []
    total = outside = 0
    for name in names:
        with store.read() as tx:
            series_id = series.find(tx, dataset.name, name)
            if series_id is None:
                continue
            found, expected = tallies.found(tx, dataset, series_id), tallies.expected(tx, series_id)
            inside = sum(found.values())
            outside += rows.count(tx, dataset, series_id, Span(DAWN, DOOM)) - inside
            total += inside
        buckets = sorted(b for b in found.keys() | expected.keys() if found.get(b, 0) != expected.get(b, 0))
        findings += [
            Finding(name, dataset.tally_of(bucket), expected.get(bucket, 0), found.get(bucket, 0)) for bucket in buckets
        ]
        if repair and buckets:
            _withdraw(store, dataset, series_id, buckets)
    return Verified(len(names), total, outside, findings)


def _withdraw(store: Store, dataset: Dataset, series_id: int, buckets: list[int]) -> None:
    def write(tx: Tx) -> None:
        for bucket in buckets:
            pages.withdraw(tx, dataset, series_id, dataset.tally_of(bucket))
            tallies.drop(tx, series_id, bucket)

    store.write(write)


def certificate(store: Store, catalogue: Catalogue, verbs: Jobs, job_id: int) -> dict[str, Any]:
    """What a finished job vouches for: ranges, row counts, content hash, empty and quarantined spans of each series."""
    job = verbs.get(job_id)
    dataset = catalogue.dataset(job.dataset)
    with store.read() as tx:
        listed = [_vouch(tx, dataset, job, one, name) for one, name in jobs.series_of(tx, job_id)]
    return {
        "job": job.id,
        "state": job.state,
        "dataset": job.dataset,
        "mode": job.mode,
        "start": iso(job.start),
        "end": iso(job.end),
        "isComplete": job.state == JobState.DONE and not any(one["quarantined"] for one in listed),
        "series": listed,
    }


def _vouch(tx: Tx, dataset: Dataset, job: Job, series_id: int, name: str) -> dict[str, Any]:
    within = [job.span]
    if dataset.has_ledger:
        known = intersect(coverage.spans(tx, series_id, job.span), within)
        empty = [hole for part in known for hole in rows.empties(tx, dataset, series_id, part)]
    else:
        # Of events: all that there were. Where there are none, there was none.
        known, empty = within if job.state == JobState.DONE else [], []
    count, digest = rows.content(tx, dataset, series_id, job.span)
    since, _ = series.since(tx, series_id)
    return {
        "series": name,
        "ranges": [_pair(one) for one in known],
        "rows": count,
        "sha256": digest,
        "emptySpans": len(empty),
        "emptyCells": cells(dataset.grid, empty),
        "historyStart": iso(since) if since is not None else None,
        "quarantined": [
            {**_pair(one.span), "reason": one.reason} for one in quarantine.of_series(tx, series_id, job.span)
        ],
    }


def _pair(one: Span) -> dict[str, str]:
    return {"start": iso(one.start), "end": iso(one.end)}


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What of a certificate no longer holds, in words."""
    now_known = {one["series"]: one for one in new["series"]}
    found: list[str] = []
    for one in old["series"]:
        other = now_known.get(one["series"])
        if other is None:
            found.append(f"{one['series']}: is no longer part of the job")
            continue
        found += [
            f"{one['series']}: {key} was {one[key]}, is {other[key]}"
            for key in ("rows", "sha256", "ranges", "emptyCells")
            if one[key] != other[key]
        ]
    files = {one["name"]: one for one in new.get("files", [])}
    for one in old.get("files", []):
        other = files.get(one["name"])
        if other is None:
            found.append(f"{one['name']}: is no longer a file of the job")
            continue
        found += [
            f"{one['name']}: {key} was {one[key]}, is {other[key]}"
            for key in ("bytes", "sha256", "found")
            if one[key] != other[key]
        ]
    return found
