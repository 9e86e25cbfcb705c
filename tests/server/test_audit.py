"""The audit: one entry for every change, in a chain that shows what was done to it. On both databases."""

from __future__ import annotations

from typing import Any

import pytest

from gapless.core.actor import Actor, Via
from gapless.engine.audit import verify
from gapless.store import audit
from gapless.store.store import Store
from gapless.testing.factories import MORNING, read, write

KIM = Actor(name="kim", via=Via.SESSION, reason="because")


def entries(store: Store, count: int, at: int = MORNING) -> None:
    """Some entries, a minute apart."""

    def add(tx: Any) -> None:
        for number in range(count):
            audit.add(
                tx, at + number * 60_000_000, KIM, "job.paused", f"job/{number}", before="running", after="paused"
            )

    store.write(add)


def change(store: Store, statement: str) -> None:
    """What somebody does to the table who has the database."""
    store.write(lambda tx: tx.cursor.execute(statement))


def test_a_chain_that_nobody_touched_holds(store):
    """Over more entries than are sealed at once; what comes later goes on from there."""
    entries(store, audit.BATCH + 7)
    first = verify(store)
    entries(store, 3)
    second = verify(store, head=first.digest)

    assert (first.entries, first.trouble) == (audit.BATCH + 7, "")
    assert (second.entries, second.trouble) == (audit.BATCH + 10, "")
    assert second.digest != first.digest


@pytest.mark.parametrize(
    ("statement", "trouble"),
    [
        ("UPDATE audit SET actor = 'lee' WHERE place = 3", "entry 3 (id 3) was changed"),
        ("UPDATE audit SET reason = '' WHERE place = 3", "entry 3 (id 3) was changed"),
        ("UPDATE audit SET at = at + 1 WHERE place = 3", "entry 3 (id 3) was changed"),
        ("DELETE FROM audit WHERE place = 3", "entry 3 is gone"),
        ("DELETE FROM audit WHERE place = 1", "entry 1 is gone"),
        ("DELETE FROM audit WHERE place > 3", "the digest that was noted is not in the chain"),
        ("DELETE FROM audit", "the digest that was noted is not in the chain"),
    ],
)
def test_what_was_done_to_the_chain_is_found(store, statement: str, trouble: str):
    """Changed, removed, cut off."""
    entries(store, 5)
    head = verify(store).digest
    change(store, statement)
    assert verify(store, head=head).trouble.startswith(trouble)


def test_old_entries_are_pruned_and_the_rest_still_holds(store):
    """In small batches; the chain goes on from the last that went, and what is not sealed stays."""
    entries(store, audit.BATCH + 20)
    verify(store)
    entries(store, 1)
    cut = MORNING + (audit.BATCH + 10) * 60_000_000

    assert [write(store, audit.prune, cut) for _ in range(3)] == [audit.BATCH, 10, 0]
    found = verify(store)
    assert (found.entries, found.trouble) == (11, "")
    change(store, "DELETE FROM audit WHERE place = (SELECT min(place) FROM audit)")
    assert "is gone" in verify(store).trouble


def test_entries_are_read_newest_first_and_narrowed(store):
    """A page, and the one before it."""
    entries(store, 4)
    newest = read(store, audit.newest, 2, below=2**62)
    assert [one.subject for one in newest] == ["job/3", "job/2"]
    assert [one.subject for one in read(store, audit.newest, 9, below=newest[-1].id)] == ["job/1", "job/0"]
    assert [one.id for one in read(store, audit.newest, 9, below=2**62, subject="job/2")] == [newest[-1].id]
    assert read(store, audit.newest, 9, below=2**62, actor="lee") == []
    assert len(read(store, audit.newest, 9, below=2**62, actor="kim", action="job.")) == 4
    assert read(store, audit.newest, 9, below=2**62, action="job_") == []
