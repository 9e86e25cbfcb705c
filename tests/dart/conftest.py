"""A simulated OpenDART for the tests of one process, and a history that asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gapless.app import Gapless
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.listings import world as listed
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import MovedClock, open_dart

NOW = "2024-06-14T03:00:00Z"


@pytest.fixture(scope="session")
def provider() -> Iterator[SandboxProcess]:
    """One simulator a session."""
    with SandboxProcess("opendart", companies=400, now=NOW) as started:
        yield started


@pytest.fixture
def dart(provider: SandboxProcess) -> SandboxProcess:
    """The simulator as new: no limits, no faults, its clock at NOW."""
    calm = {"quota": 0, "per_minute": 0, "block_s": 60, "maintenance": [], "latency_ms": 0, "down": False}
    provider.control(now=NOW, freeze=False, date_skew_ms=0, faults=[], **calm, reset_stats=True)
    return provider


@pytest.fixture(scope="session")
def world() -> World:
    """The truth that the simulator plays."""
    return listed(companies=400)


@pytest.fixture
def wall() -> MovedClock:
    """The clock of the history, at NOW."""
    return MovedClock(NOW)


@pytest.fixture
def history(database_url: str, dart: SandboxProcess, wall: MovedClock) -> Iterator[Gapless]:
    """An empty history on each database."""
    with open_dart(database_url, dart.url, wall) as opened:
        yield opened
