"""A history against simulated news searches, and the addresses it should end up with."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import gapless
from gapless.app import Gapless
from gapless.core.address import canonical
from gapless.core.clock import Clock
from gapless.core.span import Span
from gapless.sandbox.gdelt.world import World as GdeltWorld
from gapless.sandbox.gdelt.world import truth
from gapless.sandbox.naver.api import HUB_KEY
from gapless.settings import Settings


def news_settings(database_url: str, **changes: object) -> Settings:
    """Settings of a history that asks as fast as it can; `base_urls` names the simulators."""
    made = Settings(
        database_url=database_url,
        api_keys={"naver": HUB_KEY},
        rates={"gdelt": None, "naver": None},
        slots=2,
        retry_delay=timedelta(milliseconds=20),
        timeout=timedelta(seconds=5),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def open_news(database_url: str, clock: Clock, **changes: object) -> Gapless:
    """Open it."""
    return gapless.open(settings=news_settings(database_url, **changes), clock=clock)


def stored_addresses(history: Gapless, dataset: str, series: str, span: Span) -> list[tuple[int, str]]:
    """(time, address) of what is stored, in order."""
    frame = history.read(dataset, series, span.start_time, span.end_time, fill=False)
    return list(frame.select(frame["time"].dt.epoch("us"), "address").rows())


def gdelt_addresses(world: GdeltWorld, phrase: str, span: Span) -> list[tuple[int, str]]:
    """What was written about a phrase, in the same shape."""
    found = truth(world, phrase, span.start, span.end)
    return sorted({(one.seen_us, canonical(one.url)) for one in found})
