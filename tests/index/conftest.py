"""A simulated KRX and a history with all inputs of the index, filled once and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import MovedClock
from gapless.testing.krx import ETFS, INDICES, STOCKS, open_krx

NOW = "2013-06-14T03:00:00Z"


@pytest.fixture(scope="session")
def krx() -> Iterator[SandboxProcess]:
    """One simulator a session, early in 2013: three years of inputs."""
    with SandboxProcess("krx", stocks=4, quota=0, now=NOW) as started:
        yield started


@pytest.fixture(scope="session")
def filled(krx: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All inputs from 2010 on."""
    path = tmp_path_factory.mktemp("inputs") / "gapless.db"
    with open_krx(f"sqlite:///{path}", krx.url, MovedClock(NOW)) as history:
        for dataset, series in ((INDICES, "KOSPI"), (STOCKS, "KOSPI"), (ETFS, "ETF")):
            assert history.backfill(dataset, series, "2010-01-04", "2013-05-31").wait() is JobState.DONE
    return path


@pytest.fixture
def reopen(filled: Path, krx: SandboxProcess, tmp_path: Path) -> Iterator[Callable[[], Gapless]]:
    """Opens copies of the filled history."""
    opened: list[Gapless] = []

    def copy() -> Gapless:
        path = shutil.copy(filled, tmp_path / f"{len(opened)}.db")
        opened.append(open_krx(f"sqlite:///{path}", krx.url, MovedClock(NOW)))
        return opened[-1]

    yield copy
    for one in opened:
        one.close()


@pytest.fixture
def history(reopen: Callable[[], Gapless]) -> Gapless:
    """A copy of the filled history."""
    return reopen()
