"""A history against the simulated KRX."""

from __future__ import annotations

from datetime import timedelta

import gapless
from gapless.app import Gapless
from gapless.sandbox.krx.api import KEY
from gapless.settings import Settings
from gapless.testing.dart import MovedClock

INDICES, STOCKS, ETFS = "krx.indices", "krx.stocks", "krx.etfs"


def krx_settings(database_url: str, url: str, key: str = KEY) -> Settings:
    """Settings of a history that asks the simulator at `url` as fast as it can."""
    return Settings(
        database_url=database_url,
        base_urls={"krx": url},
        api_keys={"krx": key},
        rates={"krx": None},
        dailies={"krx": None},
        slots=4,
        retry_delay=timedelta(milliseconds=20),
        timeout=timedelta(seconds=5),
    )


def open_krx(database_url: str, url: str, clock: MovedClock, key: str = KEY) -> Gapless:
    """Open it."""
    return gapless.open(settings=krx_settings(database_url, url, key), clock=clock)
