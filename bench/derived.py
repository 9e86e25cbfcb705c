"""Derived work: computation and validation against plain polars and a bare scan on the same rows, and their memory."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl

import gapless
from bench.table import Line, at_least, at_most
from gapless.app import Gapless
from gapless.app.report import reports
from gapless.core.index.fear_greed import by_block
from gapless.core.index.windows import moving_average, relative_strength
from gapless.core.span import Span, instant
from gapless.settings import Settings
from gapless.store import pages, rows, series
from gapless.work.report.words import Language

YEARS, MANY, MANY_LONG = 20, 250, 2_500
PRICES = "user.prices"


def run(*, long: bool) -> Iterator[Line]:
    """All of them."""
    yield _recomputed(MANY_LONG if long else MANY)
    with tempfile.TemporaryDirectory() as folder, _open(Path(folder)) as history:
        yield from _validated(history)
        yield from _computed(history)
        yield _reported(history, Path(folder))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield at_most("peak memory of all of this", peak, 512, 1.0, "MB")


def _open(folder: Path) -> Gapless:
    return gapless.open(settings=Settings(database_url=f"sqlite:///{folder / 'bench.db'}"))


def _took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _recomputed(many: int) -> Line:
    """20 years of daily closes: moving average and RSI of each series, by blocks and by plain polars."""
    chance = Random(1)
    start = datetime(2004, 1, 1, tzinfo=UTC)
    times = [start + timedelta(days=number) for number in range(YEARS * 365)]
    close = [100 + chance.gauss(0, 1) for _ in times]
    frame = pl.DataFrame({"time": times, "close": close}).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))

    def whole(part: pl.DataFrame) -> pl.DataFrame:
        price = pl.col("close")
        return part.select("time", mean=moving_average(price, 125), rsi=relative_strength(price, 14))

    def plain() -> None:
        for _ in range(many):
            whole(frame)

    def ours() -> None:
        for _ in range(many):
            by_block(frame, 252, whole, timedelta(0))

    plain()
    limit = many * frame.height / _took(plain)
    return at_least(
        f"{YEARS} years x {many} series recomputed", many * frame.height / _took(ours), limit, 1 / 1.3, "days/s"
    )


def _validated(history: Gapless) -> Iterator[Line]:
    """A year of minutes: three levels against reading the same rows."""
    dataset = history.dataset("upbit.candles.1m")
    start = instant(datetime(2023, 1, 1, tzinfo=UTC))
    count, chance, price, listed = 400_000, Random(2), 50_000.0, []
    for number in range(count):
        before, price = price, round(price * (1 + chance.gauss(0, 0.0005)), 1)
        high, low, volume = max(before, price), min(before, price), round(chance.uniform(0.1, 2), 6)
        at = start + number * 60_000_000
        listed.append((at, before, high, low, price, volume, volume * (high + low) / 2, at + 1))
    span = Span(start, start + count * 60_000_000)

    def write(tx: object) -> None:
        its = series.ensure(tx, dataset.name, "KRW-BTC")  # type: ignore[arg-type]
        pages.put(tx, dataset, its, listed, [span])  # type: ignore[arg-type]

    history.store.write(write)

    def scan() -> None:
        with history.store.read() as tx:
            its = series.find(tx, dataset.name, "KRW-BTC")
            assert its is not None
            rows.frame(tx, dataset, its, span)

    scan()
    bare = count / _took(scan)
    for level, hold in (("basic", 2.0), ("standard", 3.0)):
        speed = count / _took(lambda level=level: history.validate(dataset.name, level=level))  # type: ignore[misc]
        yield at_least(f"validation of 400,000 rows, {level}", speed, bare, 1 / hold, "rows/s", "bare scan")


def _computed(history: Gapless) -> Iterator[Line]:
    """Computing jobs a day at a time, in chunks and in processes: days an hour."""
    dataset = history.dataset(PRICES)
    start = datetime(2004, 1, 1, tzinfo=UTC)
    chance, listed = Random(3), []
    for number in range(YEARS * 365):
        price = 100 + chance.gauss(0, 1)
        listed.append((instant(start + timedelta(days=number)), price, price, price, price, 1.0))
    span = Span(listed[0][0], listed[-1][0] + 86_400_000_000)

    def write(tx: object) -> None:
        its = series.ensure(tx, dataset.name, "ONE")  # type: ignore[arg-type]
        pages.put(tx, dataset, its, listed, [span])  # type: ignore[arg-type]

    history.store.write(write)
    for strategy, first, days in (
        ("chunked", "2006", 18 * 365),
        ("parallel", "2006", 18 * 365),
        ("stream", "2023", 365),
    ):
        words = {"strategy": strategy}

        def work(first: str = first, words: dict[str, str] = words) -> None:
            made = history.compute(
                "index.moving_average", f"{PRICES}:ONE/125", first, "2023", params=words, overwrite=True
            )
            made.wait()

        speed = 3600 * days / _took(work)
        yield at_least(f"moving average, {strategy}", speed, 1_000, 1.0, "days/h", "asked for")


def _reported(history: Gapless, folder: Path) -> Line:
    def work() -> None:
        reports(
            history,
            PRICES,
            ["ONE"],
            "2020",
            "2023",
            days=None,
            per="month",
            formats=["html", "md", "xlsx", "pdf"],
            language=Language.KO,
            folder=folder / "out",
        )

    return at_most("a report of four years in four formats", _took(work), 10, 1.0, "s")
