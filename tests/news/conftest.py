"""Simulated news searches for the tests of one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gapless.app import Gapless
from gapless.sandbox.gdelt.world import World
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import MovedClock
from gapless.testing.news import open_news

NOW = "2026-03-20T03:00:00Z"


@pytest.fixture(scope="session")
def gdelt_started() -> Iterator[SandboxProcess]:
    with SandboxProcess("gdelt", now=NOW) as started:
        yield started


@pytest.fixture(scope="session")
def naver_started() -> Iterator[SandboxProcess]:
    with SandboxProcess("naver", now=NOW) as started:
        yield started


@pytest.fixture
def gdelt(gdelt_started: SandboxProcess) -> SandboxProcess:
    """GDELT as new: no throttle, no faults, its clock at NOW."""
    calm = {"interval_s": 0, "sticky_s": 0, "soft": False, "latency_ms": 0, "down": False}
    gdelt_started.control(now=NOW, freeze=False, date_skew_ms=0, faults=[], **calm, reset_stats=True)
    return gdelt_started


@pytest.fixture
def naver(naver_started: SandboxProcess) -> SandboxProcess:
    """Naver as new."""
    calm = {"quota": 0, "arrival_ms": 0, "removed": 0, "latency_ms": 0, "down": False}
    naver_started.control(now=NOW, freeze=False, date_skew_ms=0, faults=[], **calm, reset_stats=True)
    return naver_started


@pytest.fixture(scope="session")
def world() -> World:
    """The truth that the simulated GDELT plays."""
    return World()


@pytest.fixture
def wall() -> MovedClock:
    """The clock of the history, at NOW."""
    return MovedClock(NOW)


@pytest.fixture
def history(database_url: str, gdelt: SandboxProcess, naver: SandboxProcess, wall: MovedClock) -> Iterator[Gapless]:
    """An empty history on each database."""
    with open_news(database_url, wall, base_urls={"gdelt": gdelt.url, "naver": naver.url}) as opened:
        yield opened


@pytest.fixture
def sqlite_history(
    sqlite_url: str, gdelt: SandboxProcess, naver: SandboxProcess, wall: MovedClock
) -> Iterator[Gapless]:
    """An empty history on SQLite, for promises that do not depend on the database."""
    with open_news(sqlite_url, wall, base_urls={"gdelt": gdelt.url, "naver": naver.url}) as opened:
        yield opened
