"""A history against the simulated OpenDART, on a wall clock that can be moved, and the comparison with the truth."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import gapless
from gapless.app import Gapless
from gapless.core.clock import SystemClock
from gapless.core.span import Instant
from gapless.sandbox.clock import instant
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.api import served
from gapless.sandbox.opendart.companies import Company, World
from gapless.sandbox.opendart.dates import ANNUAL, SERVED_FROM, latest_receipt, today
from gapless.sandbox.opendart.dividends import Share
from gapless.sandbox.opendart.keys import KEY
from gapless.sandbox.opendart.query import Matter
from gapless.sandbox.process import SandboxProcess
from gapless.settings import Settings

DIVIDENDS = "dart.dividends"
DISCLOSURES = "dart.disclosures"
#: What is kept out of the number, by the oddity that makes it so. All others are read.
SET_ASIDE = {"total_won": "total_for_dps", "negative": "negative"}
KINDS: dict[str, Share] = {"common": "common", "preferred": "preferred", "common.large": "large"}
#: Tables without any share kind are read by their order: the second line stands for itself.
NAMELESS = {"kind_missing", "kind_dash"}


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


def holders(world: World, now: Instant) -> list[Company]:
    """Companies that can be asked for by a stock code of today."""
    day = today(now)
    return [one for one in world.companies if one.stock_on(day)]


def least_calls(world: World, companies: Sequence[Company], years: range, now: Instant) -> int:
    """Annual reports that have to be asked for by somebody who knows beforehand which of them there are."""
    return sum(_least(_filed(world, one, years, now), years) for one in companies)


def _filed(world: World, one: Company, years: range, now: Instant) -> set[int]:
    latest = latest_receipt(now)
    return {year for year in years if served(world, Matter(one.code, year, ANNUAL), latest)}


def _least(filed: set[int], years: range) -> int:
    """Greedy from the newest year, which is optimal: of the answers that tell it the one that reaches back furthest."""
    left, count = years[-1], 0
    while left >= years[0]:
        asked = max(left, SERVED_FROM)
        telling = [year for year in range(asked, years[-1] + 1) if year in filed and year - 2 <= left]
        alone = years[0] if asked == SERVED_FROM else asked
        left = min([alone, *(max(year - 2, years[0]) for year in telling)]) - 1
        count += 1
    return count


def assert_told(history: Gapless, world: World, companies: Sequence[Company], years: range) -> int:
    """Every dividend is what its report really tells, or is set aside by name; returns how many numbers that were.

    A wrong dividend is worse than none.
    """
    now, checked = history.clock.now(), 0
    for one in companies:
        odd = {name for year in years for name in one.odd(year)}
        allowed = {SET_ASIDE[name] for name in odd & set(SET_ASIDE)}
        frame = history.read(DIVIDENDS, one.stock, f"{years[0]}", f"{years[-1]}", fill=False)
        for row in frame.iter_rows(named=True):
            checked += _is_told(world, one, row, odd, allowed)
        # Whoever has filed a report of a year has a row of it.
        assert _filed(world, one, years, now) <= {at.year + 1 for at in frame["time"]}, one.name
    assert not history.verify(DIVIDENDS).findings
    return checked


def _is_told(world: World, one: Company, row: dict[str, Any], odd: set[str], allowed: set[str]) -> bool:
    if row["share_kind"] not in KINDS:
        assert odd & NAMELESS, row
        return False
    if row["dps"] is None:
        assert set(row["flags"].split(",")) & allowed, row
        assert row["note"]
        return False
    if row["share_kind"] == "preferred" and not one.preferred:
        assert row["dps"] == 0
        return False
    found = truth.statements(world, one.code, row["time"].year + 1, ANNUAL, KINDS[row["share_kind"]])
    (statement,) = [it for it in found if it.rcept_no == row["rcept_no"] and it.rank == row["rank"]]
    assert row["dps"] == statement.amount, row
    return True


def main() -> None:
    """`python -m gapless.testing.dart DATABASE PROVIDER NOW JOB`: run a job in a process of its own, to be killed."""
    database_url, url, now, job = sys.argv[1:]
    with open_dart(database_url, url, MovedClock(now)) as history:
        history.run(int(job)).wait(every=0.05)


if __name__ == "__main__":
    main()
