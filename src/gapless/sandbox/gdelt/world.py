"""Simulated articles: what was written about a phrase, and when GDELT saw it.

Chosen: each phrase has a density of its own between 0.3 and 60 Korean articles a day, more on working days, with one
day in fifty on which ten times as much is written; BUSY has a quarter of an hour that no list can tell whole. Articles
are seen at full quarters. One in twelve is passed on with tracking parameters or as the AMP page of itself.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from random import Random

import msgspec

from gapless.sandbox.clock import SECOND

QUARTER_US = 900 * SECOND
DAY_US = 86_400 * SECOND
FIRST_US = round(datetime(2017, 1, 1, tzinfo=UTC).timestamp()) * SECOND
SEED = 41
#: Everything that is written about these words in one quarter of each 1 March is more than one list holds.
BUSY = "busy bank"
BURST = 300
SITES = ("hankyung.com", "mk.co.kr", "yna.co.kr", "chosun.com", "www.sedaily.com", "m.etnews.com")


class Article(msgspec.Struct, frozen=True):
    """One line of a list."""

    seen_us: int
    url: str
    title: str
    domain: str


class World:
    """All articles of a seed."""

    def __init__(self, seed: int = SEED) -> None:
        self.seed = seed
        self.day = lru_cache(maxsize=20_000)(self._day)

    def between(self, phrase: str, start_us: int, end_us: int) -> list[Article]:
        """The articles about a phrase seen in `[start, end)`, oldest first."""
        found: list[Article] = []
        for day in range(max(start_us, FIRST_US) // DAY_US, -(-end_us // DAY_US)):
            found += [one for one in self.day(phrase, day) if start_us <= one.seen_us < end_us]
        return found

    def _day(self, phrase: str, day: int) -> tuple[Article, ...]:
        rng = Random(_digest(self.seed, phrase, day))
        usual = _density(self.seed, phrase)
        at = datetime.fromtimestamp(day * 86_400, UTC)
        weight = (0.3 if at.weekday() >= 5 else 1.0) * (10 if rng.random() < 0.02 else 1)
        count = int(rng.expovariate(1.0) * usual * weight * 0.5 + usual * weight * 0.5 + rng.random())
        quarters = sorted(rng.randrange(96) for _ in range(count))
        if phrase == BUSY and (at.month, at.day) == (3, 1):
            quarters = sorted([*quarters, *([40] * BURST)])
        return tuple(_article(rng, phrase, day, place, quarter) for place, quarter in enumerate(quarters))


def truth(world: World, phrase: str, start_us: int, end_us: int) -> list[Article]:
    """What a client should end up with for a phrase in Korean articles."""
    return world.between(normal(phrase), start_us, end_us)


def normal(phrase: str) -> str:
    """Case and spaces do not count."""
    return " ".join(phrase.lower().split())


def _article(rng: Random, phrase: str, day: int, place: int, quarter: int) -> Article:
    site = rng.choice(SITES)
    number = f"{day}{place:05d}{_digest(0, phrase, 0) % 10_000:04d}"
    url = f"https://{site}/article/{number}"
    match rng.randrange(24):
        case 0:
            url += "?utm_source=naver&utm_medium=feed"
        case 1:
            url += "/amp"
    return Article(day * DAY_US + quarter * QUARTER_US, url, f"{phrase} 소식 제 {number} 호 , &quot;속보&quot;", site)


def _density(seed: int, phrase: str) -> float:
    """Articles on a usual working day."""
    share = _digest(seed, phrase, -1) % 1_000 / 1_000
    return 0.3 * float(200**share)


@lru_cache(maxsize=4_096)
def _digest(seed: int, phrase: str, day: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{phrase}/{day}".encode(), digest_size=6).digest())
