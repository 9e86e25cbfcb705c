"""Every value of a whole market, with all oddities, against what companies really pay."""

from __future__ import annotations

from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import DIVIDENDS, assert_told, calls, holders, least_calls

YEARS = range(2013, 2024)


def test_every_value_of_a_market_is_what_its_report_tells_or_is_flagged(
    history: Gapless, dart: SandboxProcess, world: World
) -> None:
    """And at the least cost: an annual report tells three years, and nobody knows beforehand which there are."""
    every = holders(world, history.clock.now())
    running = history.backfill(DIVIDENDS, [one.stock for one in every], "2013", "2023")
    assert running.wait(timeout=240) is JobState.DONE

    assert assert_told(history, world, every, YEARS) > 3_000
    assert calls(dart) <= 1.2 * least_calls(world, every, YEARS, history.clock.now())
