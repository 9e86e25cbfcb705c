"""Filings by day: of the whole market in windows, of one company over any span, from both ends."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import pytest

from gapless.app import Gapless
from gapless.core.errors import UsageError
from gapless.core.job import Direction, JobState
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.listings import PLANTED
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import DISCLOSURES, MovedClock, calls, open_dart

#: The busiest weeks of the year lie in it: annual reports are due at the end of March.
FROM, TO = "2023-01-01", "2024-05-31"
VIEWER = "https://dart.fss.or.kr/dsaf001/main.do?rcpNo="


def stored(history: Gapless, series: str = "all", start: str = FROM, end: str = TO) -> list[dict[str, Any]]:
    """What is kept, as lines of list.json, oldest first."""
    frame = history.read(DISCLOSURES, series, start, end, fill=False)
    assert [f"{VIEWER}{one}" for one in frame["rcept_no"]] == frame["url"].to_list()
    # Midnight in Seoul is 15:00 UTC of the day before.
    assert all(
        (day - at.date()).days == 1 and at.hour == 15
        for at, day in zip(*(frame[c] for c in ("time", "rcept_dt")), strict=True)
    )
    return [{**row, "rcept_dt": f"{row['rcept_dt']:%Y%m%d}"} for row in frame.drop("time", "url").iter_rows(named=True)]


def filed(world: World, history: Gapless, code: str = "", start: str = FROM, end: str = TO) -> list[dict[str, Any]]:
    """What was filed, in the same shape."""
    return truth.filings(world, _number(start), _number(end), history.clock.now(), code)


def _number(day: str) -> int:
    return int(f"{date.fromisoformat(day):%Y%m%d}")


def assert_told(history: Gapless, world: World) -> None:
    """Everything is there once, and the ledger agrees."""
    want = filed(world, history)
    assert len(want) > 2_000
    assert stored(history) == sorted(want, key=lambda one: (one["rcept_dt"], one["rcept_no"]))
    assert not history.verify(DISCLOSURES).findings


@pytest.mark.parametrize("direction", list(Direction))
def test_a_market_is_told_completely_from_any_end(
    history: Gapless, dart: SandboxProcess, world: World, direction: Direction
) -> None:
    """Days with several pages, windows of three months, both ways: nothing lost, nothing doubled."""
    running = history.backfill(DISCLOSURES, "all", FROM, TO, direction=direction)
    assert running.wait(timeout=60) is JobState.DONE, running.job.error
    assert_told(history, world)

    sent = calls(dart, "list.json")
    assert sent <= len(filed(world, history)) // 100 + 8, "pages are full"
    assert dart.stats()["by_code"].keys() <= {"000", "013"}
    again = history.backfill(DISCLOSURES, "all", FROM, TO, direction=direction)
    assert again.wait(timeout=60) is JobState.DONE
    assert calls(dart, "list.json") == sent
    assert calls(dart, "corpCode.xml") == 0, "nobody has to be looked up"
