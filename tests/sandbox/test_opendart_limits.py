"""Quota and pace of the simulated OpenDART, on clocks that stand until a test moves them."""

from __future__ import annotations

import json
from typing import Any

from gapless.sandbox.clock import Clock, instant
from gapless.sandbox.http import Request
from gapless.sandbox.opendart.api import OpenDart
from gapless.sandbox.opendart.keys import KEY
from gapless.sandbox.opendart.listings import world
from gapless.sandbox.opendart.panel import Settings

WORLD = world(companies=120)


class Hand:
    """Both real clocks, moved by hand."""

    def __init__(self) -> None:
        self.at = float(instant("2024-06-14T03:00:00Z") // 1_000_000)

    def __call__(self) -> float:
        return self.at


def dart(hand: Hand, **settings: Any) -> OpenDart:
    return OpenDart(WORLD, Settings(**settings), Clock(hand, hand))


def ask(provider: OpenDart, key: str = KEY) -> str:
    asked = f"crtfc_key={key}&corp_code=00126380&bsns_year=2020&reprt_code=11011"
    return str(json.loads(provider.answer(Request("GET", "/api/alotMatter.json", asked, {})).body)["status"])


def test_a_blocked_key_may_ask_again_after_its_block() -> None:
    """Insisting does not make it longer."""
    hand = Hand()
    provider = dart(hand, per_minute=3, block_s=90)
    assert [ask(provider) for _ in range(4)] == ["000", "000", "000", "020"]
    hand.at += 89
    assert ask(provider) == "020"
    assert ask(provider, "b" * 40) == "000", "other keys are not concerned"
    hand.at += 1
    assert ask(provider) == "000"


def test_ten_a_second_never_reach_the_pace_limit() -> None:
    """The pace that the notes advise, with the default limits."""
    hand = Hand()
    provider = dart(hand)
    found = set()
    for _ in range(2_000):
        found.add(ask(provider))
        hand.at += 0.1
    assert found == {"000"}


def test_the_quota_follows_the_clock_of_the_data_and_the_pace_does_not() -> None:
    """So a test can reach midnight, and gets no free requests by moving the data's time."""
    hand = Hand()
    provider = dart(hand, quota=2)
    assert [ask(provider) for _ in range(3)] == ["000", "000", "020"]
    provider.panel.clock.set(instant("2024-06-14T14:59:59Z"))
    assert ask(provider) == "020"
    provider.panel.clock.set(instant("2024-06-14T15:00:00Z"))
    assert ask(provider) == "000"
    provider = dart(hand, per_minute=1)
    assert [ask(provider) for _ in range(2)] == ["000", "020"]
    provider.panel.clock.advance(3_600_000_000)
    assert ask(provider) == "020"


def test_twenty_thousand_a_day_is_the_usual_quota() -> None:
    hand = Hand()
    provider = dart(hand, per_minute=0)
    found = [ask(provider) for _ in range(20_001)]
    assert set(found[:-1]) == {"000"}
    assert found[-1] == "020"
