"""What validations have found, as people look for it: a page at a time, the worst series first. On both databases."""

from __future__ import annotations

from gapless.core.rules import Finding, Severity, score
from gapless.store import findings, jobs
from gapless.store.findings import Which
from gapless.store.store import Store
from gapless.testing.factories import MORNING, make_job, make_wish, minutes, read, write

NAMES = ("KRW-BTC", "KRW-ETH", "KRW-XRP")


def make_finding(rule: str, severity: Severity, start: int, rows: int = 1) -> Finding:
    return Finding(rule=rule, span=minutes(start, start + rows), severity=severity, rows=rows, evidence=f"seen {start}")


FOUND = {
    "KRW-ETH": [make_finding("low_high", Severity.ERROR, 3), make_finding("spike", Severity.WARNING, 9)],
    "KRW-XRP": [make_finding("spike", Severity.WARNING, number) for number in (1, 2)],
}


def make_validation(store: Store) -> int:
    """A job over three series of which two have findings, a thousand rows looked at in each."""
    job = make_job(store, make_wish(series=NAMES))
    ids = {name: its for its, name in read(store, jobs.series_of, job.id)}
    for name, found in FOUND.items():
        write(store, findings.add, found, job=job.id, series=ids[name], at=MORNING)
    store.write(lambda tx: tx.cursor.execute(f"UPDATE segment SET rows = 1000 WHERE job = {job.id}"))
    return job.id


def test_findings_are_paged_and_narrowed(store):
    """The newest first; each page goes on below the last one's end."""
    job = make_validation(store)

    first = read(store, findings.page, Which(job=job), 3, below=2**62)
    rest = read(store, findings.page, Which(job=job), 3, below=first[-1].id)
    assert [(one.series, one.finding.rule) for one in first + rest] == [
        ("KRW-XRP", "spike"),
        ("KRW-XRP", "spike"),
        ("KRW-ETH", "spike"),
        ("KRW-ETH", "low_high"),
    ]
    assert rest[0].finding == FOUND["KRW-ETH"][0]
    for which, count in (
        (Which(job=job, series="eth"), 2),
        (Which(rule="spike", severity="warning"), 3),
        (Which(dataset="test.candles.1m", severity="error"), 1),
        (Which(series="%"), 0),
        (Which(job=job + 1), 0),
    ):
        assert len(read(store, findings.page, which, 9, below=2**62)) == count, which
    counted = read(store, findings.counts, Which(job=job))
    assert counted == [("low_high", Severity.ERROR, 1), ("spike", Severity.WARNING, 3)]


def test_the_worst_series_comes_first(store):
    """And the score is the one that a validation prints; a page goes on behind the last series seen."""
    job = make_validation(store)

    first = read(store, findings.verdicts, job, 2)
    rest = read(store, findings.verdicts, job, 2, after=(first[-1].share, first[-1].id))
    every = first + rest
    assert [(one.series, one.errors, one.warnings, one.rows) for one in every] == [
        ("KRW-ETH", 1, 1, 1000),
        ("KRW-XRP", 0, 2, 1000),
        ("KRW-BTC", 0, 0, 1000),
    ]
    for one in every:
        assert score(FOUND.get(one.series, []), one.rows) == round(100 * (1 - one.lost / one.rows), 4)
