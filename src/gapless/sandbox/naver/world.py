"""Simulated articles of Naver News, query by query.

Chosen: each query has a density of its own between 1 and 300 articles a day; one article in ten comes with others in
the same second; half of them are hosted by Naver, the others link to the publisher. A query with 없는 finds nothing.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from random import Random

import msgspec

from gapless.sandbox.clock import SECOND

DAY_US = 86_400 * SECOND
FIRST_US = round(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * SECOND
SEED = 43
OFFICES = {"005": "kmib.co.kr", "015": "www.hankyung.com", "009": "www.mk.co.kr", "001": "www.yna.co.kr"}


class Article(msgspec.Struct, frozen=True):
    """One item of a list."""

    published_us: int
    link: str
    original: str
    title: str


class World:
    """All articles of a seed."""

    def __init__(self, seed: int = SEED) -> None:
        self.seed = seed
        self.day = lru_cache(maxsize=20_000)(self._day)

    def between(self, query: str, start_us: int, end_us: int) -> list[Article]:
        """The articles that a query finds, published in `[start, end)`, oldest first."""
        found: list[Article] = []
        for day in range(max(start_us, FIRST_US) // DAY_US, -(-end_us // DAY_US)):
            found += [one for one in self.day(query, day) if start_us <= one.published_us < end_us]
        return found

    def newest(self, query: str, now_us: int, skip: int, most: int) -> list[Article]:
        """The list from place `skip` on, newest first, as it is now."""
        found: list[Article] = []
        day = now_us // DAY_US
        while len(found) < skip + most and (day + 1) * DAY_US > FIRST_US:
            found += [one for one in reversed(self.day(query, day)) if one.published_us <= now_us]
            day -= 1
        return found[skip : skip + most]

    def total(self, query: str, now_us: int) -> int:
        """How long the list is."""
        return sum(len(self.day(query, day)) for day in range(FIRST_US // DAY_US, now_us // DAY_US)) + len(
            self.between(query, now_us // DAY_US * DAY_US, now_us + 1)
        )

    def _day(self, query: str, day: int) -> tuple[Article, ...]:
        if " 없는" in f" {query}":
            return ()
        rng = Random(_digest(self.seed, query, day))
        usual = 300 ** (_digest(self.seed, query, -1) % 1_000 / 1_000)
        seconds: list[int] = []
        for _ in range(int(usual * (0.5 + rng.random()))):
            seconds.append(seconds[-1] if seconds and rng.random() < 0.1 else rng.randrange(86_400))
        return tuple(_article(rng, query, day, place, second) for place, second in enumerate(sorted(seconds)))


def _article(rng: Random, query: str, day: int, place: int, second: int) -> Article:
    office = rng.choice(list(OFFICES))
    number = (day * 100_000 + place * 10 + _digest(0, query, 0) % 10) % 10**10
    original = f"https://{OFFICES[office]}/news/{number}?utm_source=naver"
    hosted = rng.random() < 0.5
    link = f"https://n.news.naver.com/mnews/article/{office}/{number:010d}?sid=101" if hosted else original
    title = f"<b>{query}</b>, &quot;{number}&quot; &lt;종합&gt;"
    return Article(day * DAY_US + second * SECOND, link, original, title)


@lru_cache(maxsize=4_096)
def _digest(seed: int, query: str, day: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{query}/{day}".encode(), digest_size=6).digest())
