"""A history against the simulated OpenDART, on a wall clock that can be moved, and the comparison with the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import gapless
from gapless.app import Gapless
from gapless.core.clock import SystemClock
from gapless.core.span import Instant
from gapless.sandbox.clock import instant
from gapless.sandbox.opendart.keys import KEY
from gapless.sandbox.process import SandboxProcess
from gapless.settings import Settings

DIVIDENDS = "dart.dividends"
DISCLOSURES = "dart.disclosures"


class MovedClock(SystemClock):
    """The machine's clock, its wall set to another time; both run on."""

    def __init__(self, at: str) -> None:
        self.move(at)

    def move(self, at: str) -> None:
        """Set the wall to a time such as `2024-06-14T03:00:00Z`."""
        self._shift = instant(at) - super().now()

    def now(self) -> Instant:
        """The wall as it was set, and what has passed since."""
        return super().now() + self._shift


def dart_settings(database_url: str, url: str, **changes: object) -> Settings:
    """Settings of a history that asks the simulator at `url` as fast as it can."""
    made = Settings(
        database_url=database_url,
        base_urls={"dart": url},
        api_keys={"dart": KEY},
        rates={"dart": None},
        slots=4,
        retry_delay=timedelta(milliseconds=20),
        timeout=timedelta(seconds=5),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def open_dart(database_url: str, url: str, clock: MovedClock, **changes: object) -> Gapless:
    """Open it."""
    return gapless.open(settings=dart_settings(database_url, url, **changes), clock=clock)


def calls(provider: SandboxProcess, endpoint: str = "alotMatter.json") -> int:
    """Requests to an endpoint so far."""
    by: Mapping[str, int] = provider.stats()["by_endpoint"]
    return int(by.get(f"/api/{endpoint}", 0))
