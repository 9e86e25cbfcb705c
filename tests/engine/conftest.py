"""A simulated Upbit for the tests of one process, and a history that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gapless.app import Gapless
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit import listings
from gapless.sandbox.upbit.market import World
from gapless.testing.history import open_history


@pytest.fixture(scope="session")
def provider() -> Iterator[SandboxProcess]:
    """One simulator a session."""
    with SandboxProcess("upbit", rate=0) as started:
        yield started


@pytest.fixture
def upbit(provider: SandboxProcess) -> Iterator[SandboxProcess]:
    """The simulator as new: no limit, no latency, no faults."""
    calm = {"rate": 0, "latency_ms": 0, "down": False, "faults": [], "now": None, "freeze": False, "date_skew_ms": 0}
    provider.control(**calm, reset_stats=True)
    yield provider
    provider.control(**calm)


@pytest.fixture
def world() -> World:
    """The truth that the simulator plays."""
    return listings.world()


@pytest.fixture
def slots() -> int:
    """Slots of the history; tests that count requests exactly take fewer, since every cut may cost a part of a page."""
    return 4


@pytest.fixture
def history(tmp_path: Path, upbit: SandboxProcess, slots: int) -> Iterator[Gapless]:
    """An empty history on SQLite, as fast as it can."""
    with open_history(tmp_path, upbit.url, slots=slots) as opened:
        yield opened
