"""The markets that are there by default, and the words that add or change one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

from gapless.sandbox.clock import SECOND, instant
from gapless.sandbox.upbit.market import FEWEST_TICKS, MINUTE_S, Market, World

SEED = 7


def seconds_of(text: str) -> int:
    """Seconds since 1970 of an ISO date or date-time, UTC."""
    return instant(text) // SECOND


_HALT = (seconds_of("2024-03-10"), seconds_of("2024-03-13"))
_SHARED = seconds_of("2017-09-25T03:00")
_ALL = (
    Market(
        name="KRW-BTC",
        korean="비트코인",
        english="Bitcoin",
        listed=_SHARED,
        price=90_000,
        tick=(1_000, 1),
        lot=10**8,
    ),
    Market(
        name="KRW-ETH",
        korean="이더리움",
        english="Ethereum",
        listed=_SHARED,
        price=4_000,
        tick=(1_000, 1),
        lot=10**9,
    ),
    Market(
        name="KRW-XRP",
        korean="엑스알피",
        english="XRP",
        listed=seconds_of("2017-09-25"),
        price=1_500,
        lot=10**12,
    ),
    Market(
        name="KRW-SOL",
        korean="솔라나",
        english="Solana",
        listed=seconds_of("2021-10-15T05:00"),
        price=2_000,
        tick=(100, 1),
    ),
    Market(name="KRW-THIN", korean="띄엄띄엄", english="Thin", listed=seconds_of("2020-01-01"), density=0.1),
    Market(
        name="KRW-USDG",
        korean="글로벌달러",
        english="Global Dollar",
        listed=seconds_of("2022-05-01"),
        density=0.02,
        price=1_400,
    ),
    Market(name="KRW-HALT", korean="거래중단", english="Halted", listed=seconds_of("2019-01-01"), halts=(_HALT,)),
    Market(name="KRW-NEW", korean="신규", english="Newcomer", listed=seconds_of("2024-02-15T07:31")),
    Market(
        name="BTC-ETH",
        korean="이더리움",
        english="Ethereum",
        listed=seconds_of("2018-01-01"),
        density=0.3,
        price=3_500,
        tick=(1, 100_000),
        lot=10**8,
    ),
    Market(
        name="USDT-BTC",
        korean="비트코인",
        english="Bitcoin",
        listed=_SHARED,
        density=0.6,
        price=65_000,
        lot=10**8,
    ),
)
#: By their names.
MARKETS = {market.name: market for market in _ALL}


def world(seed: int = SEED, specs: Iterable[str] = ()) -> World:
    """The default markets and those of `specs`; raises `ValueError` for a spec that cannot be read."""
    markets = dict(MARKETS)
    for spec in specs:
        market = read(spec)
        markets[market.name] = market
    return World(seed, markets)


def read(spec: str) -> Market:
    """A market from `KRW-DEMO:density=0.1,listed=2026-10-01T07:31,halt=2026-10-05..2026-10-08`.

    Also `price` and `tick` in quote currency. What is not said stays as the market of that name has it; a new market
    is dense and listed at the start of 2020.
    """
    name, _, rest = spec.partition(":")
    quote, dash, base = name.partition("-")
    if not (dash and quote and base and name == name.upper()):
        raise ValueError(f"{spec!r}: a market is named like KRW-BTC")
    known = MARKETS.get(name) or Market(name=name, listed=seconds_of("2020-01-01"), korean=base, english=base)
    words = [word.partition("=") for word in rest.split(",") if word]
    try:
        return _changed(known, [(key, value) for key, _, value in words])
    except ValueError as error:
        raise ValueError(f"{spec!r}: {error}") from None


def _changed(market: Market, words: Sequence[tuple[str, str]]) -> Market:
    said = dict(words)
    if unknown := said.keys() - {"density", "listed", "halt", "price", "tick"}:
        raise ValueError(f"{min(unknown)!r} is none of density, listed, halt, price, tick")
    tick = Fraction(said.get("tick", Fraction(*market.tick)))
    if tick <= 0:
        raise ValueError("tick is above 0")
    price = Fraction(said["price"]) / tick if "price" in said else market.price
    changed = msgspec.structs.replace(
        market,
        density=float(said.get("density", market.density)),
        listed=seconds_of(said["listed"]) if "listed" in said else market.listed,
        halts=tuple(_halt(value) for key, value in words if key == "halt") or market.halts,
        tick=tick.as_integer_ratio(),
        price=round(price),
    )
    _check(changed)
    return changed


def _halt(text: str) -> tuple[int, int]:
    start, _, end = text.partition("..")
    halt = seconds_of(start), seconds_of(end)
    if halt[0] >= halt[1]:
        raise ValueError("a halt ends after its start")
    return halt


def _check(market: Market) -> None:
    if not 0 < market.density <= 1:
        raise ValueError("density lies above 0 and not above 1")
    if market.listed % MINUTE_S:
        raise ValueError("listed is the start of a minute")
    if market.price < FEWEST_TICKS:
        raise ValueError(f"price is at least {FEWEST_TICKS} ticks")


_CAUTIONS = (
    "PRICE_FLUCTUATIONS",
    "TRADING_VOLUME_SOARING",
    "DEPOSIT_AMOUNT_SOARING",
    "GLOBAL_PRICE_DIFFERENCES",
    "CONCENTRATION_OF_SMALL_ACCOUNTS",
)
_QUIET = {"market_event": {"warning": False, "caution": dict.fromkeys(_CAUTIONS, False)}}


def catalogue(its: World, now: int, *, details: bool) -> bytes:
    """The body of market/all at the second `now`; listing dates are not told."""
    return msgspec.json.encode(
        [
            {"market": market.name, "korean_name": market.korean, "english_name": market.english}
            | (_QUIET if details else {})
            for market in its.markets.values()
            if market.listed <= now
        ]
    )
