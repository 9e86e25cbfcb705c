"""A simulated KRX for the tests of one process, and a history that asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gapless.app import Gapless
from gapless.sandbox.krx.world import World
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import MovedClock
from gapless.testing.krx import open_krx

NOW = "2024-06-14T03:00:00Z"


@pytest.fixture(scope="session")
def provider() -> Iterator[SandboxProcess]:
    """One simulator a session."""
    with SandboxProcess("krx", stocks=4, quota=0, now=NOW) as started:
        yield started


@pytest.fixture
def krx(provider: SandboxProcess) -> SandboxProcess:
    """The simulator as new: no limits, no faults, its clock at NOW."""
    provider.control(now=NOW, freeze=False, quota=0, late=[], latency_ms=0, down=False, faults=[], reset_stats=True)
    return provider


@pytest.fixture(scope="session")
def world() -> World:
    """The truth that the simulator plays."""
    return World(stocks=4)


@pytest.fixture
def wall() -> MovedClock:
    """The clock of the history, at NOW."""
    return MovedClock(NOW)


@pytest.fixture
def history(database_url: str, krx: SandboxProcess, wall: MovedClock) -> Iterator[Gapless]:
    """An empty history on each database."""
    with open_krx(database_url, krx.url, wall) as opened:
        yield opened
