"""Workers are rows with a beat: who is silent too long is taken for dead, and learns of it."""

from __future__ import annotations

from gapless.store import workers
from gapless.store.workers import Worker
from gapless.testing.factories import minute, read, write


def worker(name: str, *, started: int = 0, job: int | None = None) -> Worker:
    return Worker(
        id=name,
        name=name,
        host="here",
        pid=1,
        queues="backfill,live",
        slots=4,
        job=job,
        beat=0,
        started_at=minute(started),
    )


def test_workers_are_listed_in_the_order_they_came(store):
    """`gapless workers` shows who serves what, and since when."""
    for one in (worker("b", started=1), worker("a"), worker("c", started=2, job=7)):
        write(store, workers.enter, one)
    assert read(store, workers.every) == [worker("a"), worker("b", started=1), worker("c", started=2, job=7)]


def test_a_beat_counts_up_while_the_row_is_there(store):
    """A counter, not a time: nobody's wall clock decides who is dead."""
    write(store, workers.enter, worker("a"))
    assert write(store, workers.beat, "a", 4)
    assert write(store, workers.beat, "a", 4)
    assert read(store, workers.every)[0].beat == 2


def test_who_was_taken_for_dead_learns_of_it_at_the_next_beat(store):
    """A process that was asleep must not go on as if nothing had happened."""
    write(store, workers.enter, worker("a"))
    write(store, workers.leave, "a")
    assert not write(store, workers.beat, "a", 4)
    assert read(store, workers.every) == []
