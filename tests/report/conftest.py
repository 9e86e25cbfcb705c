"""A history with months of candles and an index, made once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

import gapless
from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.sandbox.krx.api import KEY
from gapless.sandbox.process import SandboxProcess
from gapless.settings import Settings
from gapless.testing.dart import MovedClock

NOW = "2013-06-14T03:00:00Z"


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gapless]:
    """One for all tests, which only read."""
    with SandboxProcess("krx", stocks=4, quota=0, now=NOW) as krx:
        settings = Settings(
            database_url=f"sqlite:///{tmp_path_factory.mktemp('report') / 'gapless.db'}",
            base_urls={"krx": krx.url},
            api_keys={"krx": KEY},
            rates={"krx": None},
            dailies={"krx": None},
            retry_delay=timedelta(milliseconds=20),
        )
        with gapless.open(settings=settings, clock=MovedClock(NOW)) as opened:
            made = opened.compute("index.fear_greed", "", "2012-06-01", "2013-05-31", params={"market": "KOSPI"})
            assert made.wait() is JobState.DONE
            yield opened
