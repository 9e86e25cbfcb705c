"""Simulated rate limits on clocks that stand until a test moves them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.sandbox.clock import Clock
from gapless.sandbox.control import Settings
from gapless.sandbox.http import Reply, Request
from gapless.sandbox.limits import ClockSecond, Limits, Sliding, Window, window
from gapless.sandbox.upbit.api import Upbit
from gapless.sandbox.upbit.listings import world

BUDGET = 10 * 0.95
"""The rate at which gapless asks: its distance must be enough for every window and jitter."""


class Hand:
    """Both real clocks, moved by hand."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def upbit(hand: Hand, **settings: Any) -> Upbit:
    return Upbit(world(), Settings(**settings), Clock(hand, hand))


def ask(provider: Upbit, path: str = "/v1/candles/days", **headers: str) -> Reply:
    return provider.answer(Request("GET", path, "market=KRW-BTC", headers))


@pytest.mark.parametrize("kind", ["clock", "sliding"])
def test_ten_requests_in_a_second_are_answered_and_the_eleventh_refused(kind: str) -> None:
    hand = Hand()
    provider = upbit(hand, window=kind, jitter_ms=50)
    assert [ask(provider).status for _ in range(11)] == [200] * 10 + [429]
    hand.at += 1.051
    assert ask(provider).status == 200


def test_a_clock_second_allows_two_bursts_around_its_edge() -> None:
    """This is why a sliding window is the harder test."""
    hand = Hand(1_700_000_000.9)
    bursts = {}
    for kind in ("clock", "sliding"):
        provider = upbit(hand, window=kind, jitter_ms=0)
        [ask(provider) for _ in range(10)]
        hand.at += 0.2
        bursts[kind] = ask(provider).status
        hand.at -= 0.2
    assert bursts == {"clock": 200, "sliding": 429}


def test_groups_are_counted_apart() -> None:
    provider = upbit(Hand())
    assert [ask(provider).status for _ in range(11)][-1] == 429
    assert ask(provider, "/v1/candles/minutes/1").status == 429, "all candle units share one group"
    assert ask(provider, "/v1/market/all").status == 200


def test_remaining_req_counts_down() -> None:
    provider = upbit(Hand())
    left = [ask(provider).headers["remaining-req"] for _ in range(11)]
    assert left == [f"group=candles; min=600; sec={n}" for n in (*range(9, -1, -1), 0)]


def test_a_ban_names_its_seconds_and_doubles() -> None:
    """Going on after refusals costs more each time."""
    hand = Hand()
    provider = upbit(hand, jitter_ms=0)
    for seconds in (5, 10, 20):
        statuses = [ask(provider).status for _ in range(14)]
        assert statuses == [200] * 10 + [429] * 3 + [418]
        hand.at += seconds - 0.5
        last = ask(provider)
        assert last.status == 418
        assert b"blocked for 1 seconds" in last.body
        assert "remaining-req" not in last.headers
        hand.at += 1


def test_refusals_that_are_forgotten_do_not_ban() -> None:
    hand = Hand()
    provider = upbit(hand, jitter_ms=0)
    for _ in range(5):
        assert [ask(provider).status for _ in range(13)][-1] == 429
        hand.at += 6


def test_rate_zero_is_no_limit() -> None:
    provider = upbit(Hand(), rate=0)
    assert {ask(provider).status for _ in range(1_000)} == {200}


@given(
    kind=st.sampled_from(["clock", "sliding"]),
    seed=st.integers(0, 1_000),
    start=st.floats(0, 10),
    late=st.lists(st.floats(0, 3), max_size=20),
)
def test_the_budget_of_rule_28_is_never_refused(kind: Any, seed: int, start: float, late: list[float]) -> None:
    """Evenly spaced requests at 95 % of the limit pass every window with every jitter, idle times included."""
    its = window(kind, 10, 0.05, Random(seed))
    at, waits = 1_700_000_000 + start, iter(late)
    for _ in range(200):
        assert its.take(at, at) is not None
        at += 1 / BUDGET + (next(waits, 0) if seed % 2 else 0)


@given(jitter=st.floats(0, 0.05), seed=st.integers(0, 100))
def test_a_window_stretches_by_no_more_than_its_jitter(jitter: float, seed: int) -> None:
    made: list[Window] = [ClockSecond(1, jitter, Random(seed)), Sliding(1, jitter, Random(seed))]
    for its in made:
        assert its.take(100.0, 100.0) is not None
        assert its.take(100.5, 100.5) is None
        assert its.take(101.0001 + jitter, 101.0001 + jitter) is not None


def test_a_wall_clock_that_is_set_back_does_not_freeze_a_window() -> None:
    its = ClockSecond(1, 0.0, Random(0))
    assert its.take(0.0, 1_000.0) is not None
    assert its.take(0.1, 500.0) is not None


def test_a_change_of_limits_lifts_bans() -> None:
    hand = Hand()
    provider = upbit(hand)
    assert [ask(provider).status for _ in range(15)][-1] == 418
    provider.answer(Request("POST", "/_sandbox/control", "", {}, b'{"rate":10}'))
    assert ask(provider).status == 200


def test_the_origin_group_is_one_request_in_ten_seconds() -> None:
    hand = Hand()
    provider = upbit(hand, rate=0)
    found = []
    for wait in (0, 9.9, 0.2):
        hand.at += wait
        found.append(ask(provider, origin="https://example.org").status)
    assert found == [200, 429, 200]


def test_limits_do_not_follow_the_clock_of_the_data() -> None:
    """A test that moves the data's time gets no free requests."""
    provider = upbit(Hand())
    assert [ask(provider).status for _ in range(11)][-1] == 429
    provider.control.clock.advance(3_600_000_000)
    assert ask(provider).status == 429


def test_a_group_that_has_no_window_is_an_error() -> None:
    with pytest.raises(KeyError):
        Limits({}).ask("candles", 0.0, 0.0)
