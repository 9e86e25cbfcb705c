"""Jobs sorted by how far they are, what they gave up, how long they still take: by the database, on both of them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gapless.store import joblist, jobs, quarantine
from gapless.store.joblist import Filter
from gapless.store.store import Store
from gapless.testing.factories import (
    CANDLES,
    MORNING,
    commit,
    lease_of,
    make_job,
    make_page,
    make_wish,
    minutes,
    read,
    write,
)


def make_started(store: Store, name: str, done: int) -> int:
    """A job over a thousand minutes of a series of its own, of which the last `done` are there."""
    job = make_job(store, make_wish(series=(name,)))
    lease = lease_of(store)
    commit(store, make_page(1000 - done, 1000), lease)
    return job.id


@pytest.fixture
def made(store) -> dict[str, int]:
    """One of each: begun, further, given up in part, done, untouched."""
    found = {name: make_started(store, name, done) for name, done in (("few", 200), ("most", 700), ("lost", 500))}
    with store.read() as tx:
        (its,) = (one for one, _ in jobs.series_of(tx, found["lost"]))
    write(store, quarantine.add, its, minutes(0, 7), job=found["lost"], reason="poison", at=MORNING)
    found["done"] = make_started(store, "done", 900)
    write(store, jobs.move, found["done"], "done", MORNING)
    found["untouched"] = make_job(store, make_wish(series=("untouched",))).id
    return found


def listed(store: Store, made: dict[str, int], **how: object) -> list[str]:
    """Names in the order of a list, turned page by page; the same as of one page."""
    names = {its: name for name, its in made.items()}
    whole = [names[job.id] for job, _ in read(store, joblist.page, Filter(), most=9, **how)]
    turned, after = [], None
    while found := read(store, joblist.page, Filter(), most=2, after=after, **how):
        turned += [names[job.id] for job, _ in found]
        after = (found[-1][1], found[-1][0].id)
    assert turned == whole
    return whole


def test_jobs_are_sorted_by_how_far_they_are(store, made):
    """Segments say so, without the ledger: in the right order and with the right number."""
    assert listed(store, made, sort="percent") == ["done", "most", "lost", "few", "untouched"]
    assert listed(store, made, sort="percent", descending=False) == ["untouched", "few", "lost", "most", "done"]
    shares = [share for _, share in read(store, joblist.page, Filter(), most=9, sort="percent")]
    assert shares == [1_000_000, 700_000, 500_000, 200_000, 0]


def test_jobs_are_sorted_by_what_they_gave_up(store, made):
    """Cells of their quarantine; units of broken series, too, where units are counted."""
    assert listed(store, made, sort="fail")[0] == "lost"
    counted = [count for _, count in read(store, joblist.page, Filter(), most=9, sort="fail")]
    assert counted == [7, 0, 0, 0, 0]
    store.write(lambda tx: tx.cursor.execute(f"UPDATE segment SET state = 'failed' WHERE job = {made['few']}"))
    assert listed(store, made, sort="fail")[:2] == ["lost", "untouched"]
    assert listed(store, made, sort="fail", counted=(CANDLES.name,))[:2] == ["few", "lost"]


def test_jobs_are_sorted_by_the_time_they_have_left(store, made):
    """Those of which nothing is known come last, whichever way."""
    etas = {made["few"]: 9_000, made["most"]: 1_000}
    assert listed(store, made, sort="eta", etas=etas)[:2] == ["few", "most"]
    assert listed(store, made, sort="eta", etas=etas, descending=False)[:2] == ["most", "few"]
    rest = [its for its in made.values() if its not in etas]
    shown = [job.id for job, _ in read(store, joblist.page, Filter(), most=9, sort="eta", etas={})]
    assert set(rest) < set(shown)
    assert all(a > b for a, b in pairwise(shown))
