"""Budgets are rows: every process and machine counts on the same one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import pairwise

from gapless.core.pacing import Budget, Grant, Lane, Later, Limit, reserve
from gapless.store import budgets
from gapless.testing.factories import MORNING, read, write

LIMIT = Limit(key="test/candle", rate=10.0, daily=100, reset_offset=5)


def test_a_budget_is_made_once_and_kept(store):
    """A second process must not set back what the first has counted."""
    write(store, budgets.ensure, LIMIT, 10.0)
    write(store, budgets.change, LIMIT.key, lambda one: (replace(one, used=42), None))
    write(store, budgets.ensure, LIMIT, 5.0)
    kept = read(store, budgets.load, LIMIT.key)
    assert (kept.rate, kept.used, kept.daily, kept.reset_offset) == (10.0, 42, 100, 5)
    assert [one.key for one in read(store, budgets.every)] == [LIMIT.key]
    assert read(store, budgets.load, "other") is None


def test_every_field_of_a_budget_is_kept(store):
    """What the arithmetic hands back is what the next process starts from."""
    write(store, budgets.ensure, LIMIT, 10.0)
    numbers = {one.name: 10**15 + i for i, one in enumerate(fields(Budget)) if one.name not in ("key", "rate")}
    small = dict.fromkeys(("blocks", "probing", "sent", "sent_before"), 3)
    changed = Budget(key=LIMIT.key, rate=0.1, **{**numbers, **small})
    write(store, budgets.change, LIMIT.key, lambda _: (changed, None))
    assert read(store, budgets.load, LIMIT.key) == changed


def test_a_change_that_fails_changes_nothing(store):
    """Arithmetic that raises must not leave a departure behind."""
    write(store, budgets.ensure, LIMIT, 10.0)
    before = read(store, budgets.load, LIMIT.key)
    try:
        write(store, budgets.change, LIMIT.key, lambda one: (replace(one, used=1), 1 // 0))
    except ZeroDivisionError:
        pass
    assert read(store, budgets.load, LIMIT.key) == before


def test_many_hands_never_take_one_departure_twice(store):
    """Eight slots ask at the same instant: their departures are a step apart, and each is counted."""
    write(store, budgets.ensure, Limit(key="b", rate=10.0), 10.0)

    def ask(number: int) -> list[int]:
        mine: list[int] = []
        now = MORNING
        while len(mine) < 10:
            result = write(store, budgets.change, "b", lambda one, at=now: reserve(one, at, Lane.BACKFILL))
            if isinstance(result, Grant):
                mine.append(result.at)
            else:
                assert isinstance(result, Later)
                now = result.at
        return mine

    with ThreadPoolExecutor(8) as pool:
        left = sorted(at for mine in pool.map(ask, range(8)) for at in mine)
    step = Budget(key="b", rate=10.0).step
    assert all(after - before >= step for before, after in pairwise(left))
    assert read(store, budgets.load, "b").requests == len(left) == 80
