"""A history with minutes, hours and days of Upbit and two months of KRX, filled once and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest

import gapless
from gapless.app import Gapless
from gapless.app.imports import Order, import_table
from gapless.core.job import JobState
from gapless.sandbox.krx.api import KEY
from gapless.sandbox.process import SandboxProcess
from gapless.settings import Settings
from gapless.testing.dart import MovedClock

NOW = "2024-06-14T03:00:00Z"


@dataclass(frozen=True)
class World:
    """Both simulators and a filled history."""

    path: Path
    upbit: SandboxProcess
    krx: SandboxProcess

    def open(self, url: str) -> Gapless:
        """A history at `url` that asks them."""
        settings = Settings(
            database_url=url,
            base_urls={"upbit": self.upbit.url, "krx": self.krx.url},
            api_keys={"krx": KEY},
            rates={"upbit": None, "krx": None},
            dailies={"krx": None},
            slots=2,
            retry_delay=timedelta(milliseconds=20),
        )
        return gapless.open(settings=replace(settings), clock=MovedClock(NOW))


def fill(history: Gapless) -> None:
    """Everything that the tests look at."""
    for dataset, series, start, end in (
        ("upbit.candles.1m", "KRW-BTC", "2024-06-01", "2024-06-04"),
        ("upbit.candles.60m", "KRW-BTC", "2024-06-01", "2024-06-04"),
        ("upbit.candles.1d", "KRW-BTC", "2023-06-01", "2024-06-04"),
        ("upbit.candles.3m", "KRW-BTC", "2024-06-01", "2024-06-04"),
        ("upbit.candles.1w", "KRW-BTC", "2023-07-03", "2024-06-02"),
        ("upbit.candles.1M", "KRW-BTC", "2023-07", "2024-05"),
        ("krx.stocks", "KOSPI", "2024-04-01", "2024-05-31"),
    ):
        assert history.backfill(dataset, series, start, end).wait() is JobState.DONE
    imported(history)


def imported(history: Gapless) -> None:
    """The same days as somebody else tells them: prices rounded, volumes counted a little differently."""
    days = history.read("upbit.candles.1d", "KRW-BTC", "2024-05-01", "2024-06-04", fill=False)
    shares = history.read("krx.stocks", "KOSPI", "2024-04-01", "2024-05-31", fill=False)
    code = shares["code"][0]
    told = [
        days.with_columns(series=pl.lit("KRW-BTC"), day=pl.col("time").dt.date()),
        shares.filter(pl.col("code") == code).with_columns(
            series=pl.col("code"), day=pl.col("time").dt.convert_time_zone("Asia/Seoul").dt.date()
        ),
    ]
    rounded = pl.concat(
        one.select(
            "series", "day", *(pl.col(name).cast(pl.Float64) for name in ("open", "high", "low", "close", "volume"))
        )
        for one in told
    ).with_columns(pl.col("open", "high", "low", "close") * 1.0001, pl.col("volume") * 1.001)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "prices.parquet"
        rounded.write_parquet(path)
        import_table(history, Order(dataset="user.prices", source=str(path), columns={"time": "day"}, vouch="rows"))


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world a session."""
    with ExitStack() as stack:
        upbit = stack.enter_context(SandboxProcess("upbit", rate=0, now=NOW))
        krx = stack.enter_context(SandboxProcess("krx", stocks=4, quota=0, now=NOW))
        made = World(tmp_path_factory.mktemp("filled") / "gapless.db", upbit, krx)
        with made.open(f"sqlite:///{made.path}") as history:
            fill(history)
        yield made


@pytest.fixture
def reopen(filled: World, tmp_path: Path) -> Iterator[Callable[[], Gapless]]:
    """Opens copies of the filled history."""
    opened: list[Gapless] = []

    def copy() -> Gapless:
        path = shutil.copy(filled.path, tmp_path / f"{len(opened)}.db")
        opened.append(filled.open(f"sqlite:///{path}"))
        return opened[-1]

    yield copy
    for one in opened:
        one.close()


@pytest.fixture
def history(reopen: Callable[[], Gapless]) -> Gapless:
    """A copy of the filled history."""
    return reopen()
