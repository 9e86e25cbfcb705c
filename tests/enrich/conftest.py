"""A simulated Financial Modeling Prep, and histories that ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import gapless
from gapless.app import Gapless
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import MovedClock
from gapless.testing.fmp import NOW, fmp_settings


@pytest.fixture(scope="session")
def fmp_started() -> Iterator[SandboxProcess]:
    with SandboxProcess("fmp", now=NOW) as started:
        yield started


@pytest.fixture
def fmp(fmp_started: SandboxProcess) -> SandboxProcess:
    """The provider as new: no limits, no faults, everything covered."""
    calm = {"plan": "premium", "minute_s": 60, "unlimited": True, "uncovered": [], "broken": [], "down": False}
    fmp_started.control(now=NOW, freeze=False, latency_ms=0, faults=[], **calm, reset_stats=True)
    return fmp_started


@pytest.fixture
def history(database_url: str, fmp: SandboxProcess) -> Iterator[Gapless]:
    """An empty history on each database."""
    with gapless.open(settings=fmp_settings(database_url, fmp), clock=MovedClock(NOW)) as opened:
        yield opened


@pytest.fixture
def sqlite_history(sqlite_url: str, fmp: SandboxProcess) -> Iterator[Gapless]:
    """An empty history on SQLite, for promises that do not depend on the database."""
    with gapless.open(settings=fmp_settings(sqlite_url, fmp), clock=MovedClock(NOW)) as opened:
        yield opened
