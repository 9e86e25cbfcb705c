"""Simulated markets: candles depend on seed, market and time alone, and longer ones are exact sums of minutes."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.sandbox.clock import SECOND
from gapless.sandbox.upbit.candles import UNITS, Candle, period, truth
from gapless.sandbox.upbit.listings import MARKETS, read, seconds_of, world
from gapless.sandbox.upbit.market import DAY_S, World, day_row, merged, minutes
from gapless.sandbox.upbit.pages import Pages

WORLD = world()
NOW = seconds_of("2024-04-20T10:20:30")
NOW_US = NOW * SECOND
ANYWHERE = st.sampled_from(sorted(MARKETS))
ANYTIME = st.integers(seconds_of("2017-09-01"), NOW + DAY_S)
ANY_UNIT = st.sampled_from(sorted(UNITS))


def at(text: str) -> int:
    return seconds_of(text) * SECOND


def between(market: str, unit: str, start: str, end: str, its: World = WORLD) -> list[Candle]:
    return truth(its, market, unit, at(start), at(end), NOW_US)


@given(market=ANYWHERE, unit=ANY_UNIT, before=ANYTIME, count=st.integers(1, 200))
def test_a_page_is_the_newest_part_of_the_truth(market: str, unit: str, before: int, count: int) -> None:
    """Whatever was asked before: what is served is what tests compare with."""
    page = Pages(WORLD).page(WORLD.markets[market], UNITS[unit], before, count, NOW_US)
    served = json.loads(page.body())
    times = [time for time, _ in page.rows()]
    assert times == [seconds_of(row["candle_date_time_utc"]) for row in served]
    assert times == sorted(set(times), reverse=True)
    oldest = times[-1] if times else before - 3 * DAY_S
    found = truth(WORLD, market, unit, oldest * SECOND, before * SECOND, NOW_US)
    assert [(one.open, one.high, one.low, one.close, one.value, one.volume) for one in reversed(found)] == [
        (
            row["opening_price"],
            row["high_price"],
            row["low_price"],
            row["trade_price"],
            row["candle_acc_trade_price"],
            row["candle_acc_trade_volume"],
        )
        for row in served
    ]


@given(market=ANYWHERE, when=ANYTIME, unit=st.sampled_from(["1s", "1m"]))
def test_candles_are_coherent(market: str, when: int, unit: str) -> None:
    its = WORLD.markets[market]
    cent = 10.0**-its.places
    for one in truth(WORLD, market, unit, when * SECOND, (when + 1_800) * SECOND, NOW_US):
        assert 0 < one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high
        assert one.low * one.volume - 1.01 * cent <= one.value <= one.high * one.volume + 1.01 * cent
        assert one.volume >= 1e-8


@given(market=ANYWHERE, day=st.integers(seconds_of("2017-09-24") // DAY_S, NOW // DAY_S))
def test_the_short_way_to_a_days_sum_is_the_sum(market: str, day: int) -> None:
    """Long histories are summed from shapes without making their minutes."""
    its, start = WORLD.markets[market], day * DAY_S
    candles = minutes(WORLD.seed, its, start)
    row = day_row(WORLD.seed, its, start)
    assert row == (merged(candles, start, 0, len(candles.time)) if candles.time else None)


@pytest.mark.parametrize(
    ("unit", "start"),
    [
        ("3m", "2024-04-19"),
        ("10m", "2024-04-19"),
        ("60m", "2024-04-19"),
        ("240m", "2024-04-19"),
        ("1d", "2024-04-10"),
        ("1w", "2024-03-04"),
        ("1M", "2024-03-01"),
        ("1y", "2024-01-01"),
    ],
)
@pytest.mark.parametrize("market", ["KRW-BTC", "KRW-THIN", "KRW-HALT"])
def test_longer_candles_are_sums_of_minutes_also_while_unfinished(market: str, unit: str, start: str) -> None:
    parts: dict[int, list[Candle]] = {}
    for one in truth(WORLD, market, "1m", at(start), NOW_US + 1, NOW_US):
        parts.setdefault(period(UNITS[unit], one.time_us // SECOND)[0], []).append(one)
    one_value = 10 ** WORLD.markets[market].places
    summed = [
        Candle(
            time_us=time * SECOND,
            open=inside[0].open,
            high=max(part.high for part in inside),
            low=min(part.low for part in inside),
            close=inside[-1].close,
            value=sum(round(part.value * one_value) for part in inside) / one_value,
            volume=sum(round(part.volume * 10**8) for part in inside) / 10**8,
        )
        for time, inside in parts.items()
    ]
    assert truth(WORLD, market, unit, at(start), NOW_US + 1, NOW_US) == summed


def test_candles_do_not_depend_on_the_present_once_they_are_closed() -> None:
    span = (at("2024-03-01"), at("2024-03-02"))
    assert truth(WORLD, "KRW-BTC", "1m", *span, NOW_US) == truth(WORLD, "KRW-BTC", "1m", *span, span[1])


def test_a_seed_is_a_world_of_its_own() -> None:
    span = ("2024-03-01T00:00", "2024-03-01T01:00")
    assert between("KRW-BTC", "1m", *span) == between("KRW-BTC", "1m", *span, its=world(7))
    assert between("KRW-BTC", "1m", *span) != between("KRW-BTC", "1m", *span, its=world(8))
    other = [(one.open, one.volume) for one in between("KRW-ETH", "1m", *span)]
    assert other != [(one.open, one.volume) for one in between("KRW-BTC", "1m", *span)]


@pytest.mark.parametrize("market", sorted(MARKETS))
def test_the_first_traded_minute_is_the_listed_one(market: str) -> None:
    listed = MARKETS[market].listed
    found = truth(WORLD, market, "1m", (listed - 3 * DAY_S) * SECOND, (listed + DAY_S) * SECOND, NOW_US)
    assert found[0].time_us == listed * SECOND


@pytest.mark.parametrize(
    ("market", "share"),
    [("KRW-BTC", 1.0), ("KRW-THIN", 0.1), ("KRW-USDG", 0.02), ("BTC-ETH", 0.3), ("USDT-BTC", 0.6)],
)
def test_density_is_the_share_of_traded_minutes(market: str, share: float) -> None:
    """Plans of thin series are judged by it."""
    found = between(market, "1m", "2024-01-01", "2024-04-01")
    assert len(found) == pytest.approx(share * 91 * 1_440, rel=0.05 if share < 1 else 0)


def test_nothing_is_traded_in_a_halt() -> None:
    assert between("KRW-HALT", "1m", "2024-03-10", "2024-03-13") == []
    assert between("KRW-HALT", "1d", "2024-03-09", "2024-03-14")[0].time_us == at("2024-03-09")
    assert len(between("KRW-HALT", "1d", "2024-03-09", "2024-03-14")) == 2


def test_prices_move_like_prices() -> None:
    """No jump between minutes, days included, that would look like a fault."""
    found = between("KRW-BTC", "1m", "2024-03-01", "2024-03-20")
    assert all(abs(after.open / before.close - 1) < 0.02 for before, after in pairwise(found))
    assert {one.open % 1_000 for one in found} == {0.0}
    assert any(one.volume == 1e-8 for one in found)


def test_a_growing_candle_never_shrinks() -> None:
    start = at("2024-04-20T10:20")
    seen = [truth(WORLD, "KRW-BTC", "1m", start, start + 1, start + ms * 1_000) for ms in range(0, 60_001, 2_500)]
    assert seen[0] == []
    grown = [one for (one,) in seen[1:]]
    for before, after in pairwise(grown):
        assert before.volume <= after.volume
        assert before.high <= after.high
        assert before.low >= after.low
        assert before.open == after.open
    assert grown[-2].volume < grown[-1].volume


def test_a_spec_changes_what_it_names() -> None:
    changed = read("KRW-BTC:density=0.5,halt=2024-01-01..2024-01-02,halt=2024-02-01..2024-02-02")
    assert (changed.density, len(changed.halts), changed.tick) == (0.5, 2, MARKETS["KRW-BTC"].tick)
    made = read("BTC-DEMO:price=0.00012,tick=0.00000001")
    assert (made.price, made.tick, made.density) == (12_000, (1, 10**8), 1.0)


@pytest.mark.parametrize(
    "spec",
    [
        "KRWBTC",
        "krw-btc",
        "KRW-X:density=2",
        "KRW-X:density=0",
        "KRW-X:colour=red",
        "KRW-X:listed=2024-01-01T00:00:30",
        "KRW-X:halt=2024-01-02..2024-01-01",
        "KRW-X:halt=2024-01-02",
        "KRW-X:price=1",
        "KRW-X:tick=0",
        "KRW-X:listed=soon",
    ],
)
def test_a_spec_that_cannot_be_read_says_why(spec: str) -> None:
    with pytest.raises(ValueError, match=spec.replace(".", r"\.")):
        read(spec)
