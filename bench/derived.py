"""Derived work: computation and validation against plain polars and a bare scan on the same rows, and their memory."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl

import gapless
from bench.table import Line, at_least, at_most
from gapless.app import Gapless
from gapless.app.report import Manner
from gapless.core.dataset import Dataset
from gapless.core.index.fear_greed import banded, columns_of, fear_greed, fingerprint
from gapless.core.index.preset import preset
from gapless.core.index.windows import moving_average, relative_strength
from gapless.core.job import JobState
from gapless.core.page import Row
from gapless.core.span import DAY, Span, instant
from gapless.settings import Settings
from gapless.store import pages, rows, series
from gapless.store.database import Tx

YEARS, MANY, MANY_LONG = 20, 250, 2_500
START = datetime(2004, 1, 1, tzinfo=UTC)
DAYS = (datetime(2024, 1, 1, tzinfo=UTC) - START).days
PRICES, AVERAGE, MINUTES = "user.prices", "index.moving_average", "upbit.candles.1m"
#: How often the two sides of a ratio take turns.
ROUNDS = 3


def run(*, long: bool) -> Iterator[Line]:
    """All of them."""
    many = MANY_LONG if long else MANY
    yield _averages(many)
    yield _index(many // 10)
    with tempfile.TemporaryDirectory() as folder, _open(Path(folder)) as history:
        yield _end_to_end(history, many // 10)
    with tempfile.TemporaryDirectory() as folder, _open(Path(folder)) as history:
        yield from _validated(history)
        _put(history, history.dataset(PRICES), "ONE", _closes(3))
        for work in WORKS:
            yield from _alone(work, Path(folder))
        yield _reported(history, Path(folder))


def _open(folder: Path) -> Gapless:
    return gapless.open(settings=Settings(database_url=f"sqlite:///{folder / 'bench.db'}"))


def _took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _both(one: Callable[[], object], other: Callable[[], object], times: int) -> tuple[float, float]:
    """Seconds of so many of each, taking turns: what else this machine does meets both."""
    one(), other()
    first = second = 0.0
    for _ in range(times):
        first += _took(one)
        second += _took(other)
    return first, second


# -- arithmetic


def _days() -> pl.DataFrame:
    """20 years of daily closes and amounts."""
    chance, price, listed = Random(1), 100.0, []
    for number in range(DAYS):
        price *= 1 + chance.gauss(0, 0.01)
        listed.append((START + timedelta(days=number), price, chance.uniform(1, 2)))
    kinds: dict[str, pl.DataType] = {"time": pl.Datetime("us", "UTC"), "close": pl.Float64(), "value": pl.Float64()}
    return pl.DataFrame(listed, schema=kinds, orient="row")


def _averages(many: int) -> Line:
    """Moving average and RSI of each series, against what one would write with polars alone."""
    frame, price = _days(), pl.col("close")

    def plain() -> pl.DataFrame:
        move = price.diff()
        gain, loss = (one.clip(lower_bound=0).ewm_mean(alpha=1 / 14, adjust=False) for one in (move, -move))
        return frame.select("time", mean=price.rolling_mean(125), rsi=100 * gain / (gain + loss))

    def ours() -> pl.DataFrame:
        close = columns_of(frame)["close"]
        made = {"mean": moving_average(close, 125), "rsi": relative_strength(close, 14)}
        return pl.DataFrame([frame["time"], *(pl.Series(name, one, nan_to_null=True) for name, one in made.items())])

    limit, took = (many * frame.height / seconds for seconds in _both(plain, ours, many))
    name = f"{YEARS} years x {many} series: average and RSI, in memory"
    return at_least(name, took, limit, 1 / 1.3, "days/s", "plain polars")


def _index(many: int) -> Line:
    """The index of a market without members, against the same measures as rolling expressions."""
    frame, made = _days(), preset("CRYPTO")
    close, value = pl.col("close"), pl.col("value")
    swing, grown = (close / close.shift(1)).log().rolling_std(20), close / close.shift(20) - 1
    raws = {
        "momentum": close / close.rolling_mean(125) - 1,
        "volatility": -swing / swing.rolling_mean(50),
        "volume": value.rolling_mean(20) / value.rolling_mean(90) * grown,
        "drawdown": close / close.rolling_max(90) - 1,
        # Their inputs are not there; what they would cost is left out on both sides.
        "strength": pl.lit(None, dtype=pl.Float64),
        "breadth": pl.lit(None, dtype=pl.Float64),
    }
    scores = [
        (50 + 25 * (pl.col(name) - pl.col(name).rolling_mean(504, min_samples=252))
         / pl.col(name).rolling_std(504, min_samples=252)).clip(0, 100).alias(f"{name}_score") for name in raws
    ]  # fmt: skip
    score = pl.mean_horizontal(f"{name}_score" for name in raws)

    def plain() -> pl.DataFrame:
        made = frame.select("time", **raws, inputs=fingerprint(756)).with_columns(scores).with_columns(score=score)
        return made.with_columns(band=banded(pl.col("score")))

    limit, took = (many * frame.height / seconds for seconds in _both(plain, lambda: fear_greed(frame, made), many))
    name = f"{YEARS} years x {many} series: Fear & Greed, in memory"
    return at_least(name, took, limit, 1 / 1.3, "days/s", "plain polars")


# -- from rows to rows


def _put(history: Gapless, dataset: Dataset, name: str, listed: list[Row]) -> Span:
    """Store rows that cover their span."""
    span = Span(listed[0][0], dataset.grid.add(listed[-1][0], 1))

    def write(tx: Tx) -> None:
        pages.put(tx, dataset, series.ensure(tx, dataset.name, name), listed, [span])

    history.store.write(write)
    return span


def _closes(seed: int) -> list[Row]:
    chance, first, price, listed = Random(seed), instant(START), 100.0, []
    for number in range(DAYS):
        price *= 1 + chance.gauss(0, 0.01)
        listed.append((first + number * DAY, price, price, price, price, 1.0))
    return listed


def _end_to_end(history: Gapless, many: int) -> Line:
    """One job over many series, against reading, plain polars and writing alone: no ledger, no lease, no hash."""
    prices, average = history.dataset(PRICES), history.dataset(AVERAGE)
    names = [f"S{number}" for number in range(many)]
    for number, name in enumerate(names):
        span = _put(history, prices, name, _closes(number))
    asked = Span(span.start + 250 * DAY, span.end)

    def read(tx: Tx, name: str) -> pl.DataFrame:
        its = series.find(tx, prices.name, name)
        assert its is not None
        return rows.frame(tx, prices, its, span, columns=["time", "close"])

    def bare() -> None:
        for name in names:
            with history.store.read() as tx:
                frame = read(tx, name)
            made = frame.select(
                pl.col("time").dt.epoch("us"), pl.col("close").rolling_mean(125), inputs=pl.lit("0"), a=1, b=2, c=3
            ).slice(250)

            def write(tx: Tx, name: str = name, made: pl.DataFrame = made) -> None:
                rows.upsert(tx, average, series.ensure(tx, average.name, f"bare.x:{name}/125"), made.rows())

            history.store.write(write)

    def ours() -> None:
        wanted = [f"{PRICES}:{name}/125" for name in names]
        first, last = (datetime.fromtimestamp(at / 1e6, UTC) for at in (asked.start, asked.end))
        assert (
            history.compute(AVERAGE, wanted, first, last, params={"chunk": 1_000}, fill=False).wait() is JobState.DONE
        )

    days = many * (asked.end - asked.start) // DAY
    limit, took = days / _took(bare), days / _took(ours)
    return at_least(
        f"{YEARS} years x {many} series: average, rows to rows, chunks of 1,000",
        took,
        limit,
        0.5,
        "days/s",
        "no ledger",
    )


def _validated(history: Gapless) -> Iterator[Line]:
    """A year of minutes: the levels against reading the same rows."""
    dataset = history.dataset(MINUTES)
    start = instant(datetime(2023, 1, 1, tzinfo=UTC))
    count, chance, price, listed = 400_000, Random(2), 50_000.0, []
    for number in range(count):
        before, price = price, round(price * (1 + chance.gauss(0, 0.0005)), 1)
        high, low, volume = max(before, price), min(before, price), round(chance.uniform(0.1, 2), 6)
        at = start + number * 60_000_000
        listed.append((at, before, high, low, price, volume, volume * (high + low) / 2, at + 1))
    span = _put(history, dataset, "KRW-BTC", listed)

    def scan() -> None:
        with history.store.read() as tx:
            its = series.find(tx, dataset.name, "KRW-BTC")
            assert its is not None
            rows.frame(tx, dataset, its, span)

    for level, hold in (("basic", 2.0), ("standard", 3.0)):
        seconds = _both(scan, lambda level=level: history.validate(dataset.name, level=level), ROUNDS)  # type: ignore[misc]
        limit, speed = (ROUNDS * count / one for one in seconds)
        yield at_least(f"validation of 400,000 rows, {level}", speed, limit, 1 / hold, "rows/s", "bare scan")


# -- in a process of its own, which has nothing else to remember


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Something that was asked for at so much an hour, in so much memory."""

    name: str
    unit: str
    hour: int
    megabytes: int
    do: Callable[[Gapless], int]


def _average(strategy: str, first: str) -> Callable[[Gapless], int]:
    def work(history: Gapless) -> int:
        params = {"strategy": strategy}
        running = history.compute(AVERAGE, f"{PRICES}:ONE/125", first, "2023", params=params, overwrite=True)
        assert running.wait() is JobState.DONE
        return running.job.rows

    return work


def _validation(history: Gapless) -> int:
    # A week of minutes is 10,080 records.
    verdict = history.validate(MINUTES, "KRW-BTC", "2023-01-01", "2023-01-07")
    return sum(one.rows for one in verdict.series)


WORKS = {
    "chunked": Work(name="18 years, chunked", unit="days/h", hour=1_000, megabytes=512, do=_average("chunked", "2006")),
    "parallel": Work(
        name="18 years, parallel", unit="days/h", hour=1_000, megabytes=512, do=_average("parallel", "2006")
    ),
    "stream": Work(name="a year, streamed", unit="days/h", hour=1_000, megabytes=512, do=_average("stream", "2023")),
    "again": Work(name="18 years again", unit="values/h", hour=5_000, megabytes=256, do=_average("chunked", "2006")),
    "validate": Work(name="a week validated", unit="records/h", hour=10_000, megabytes=128, do=_validation),
}


def _alone(work: str, folder: Path) -> Iterator[Line]:
    """What it does an hour, and its peak memory with that of its largest child."""
    words = [sys.executable, "-m", "bench.derived", work, str(folder)]
    said = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    its = WORKS[work]
    yield at_least(its.name, 3600 * said["done"] / said["seconds"], its.hour, 1.0, its.unit, "asked for")
    yield at_most(f"{its.name}: memory", said["peak"], its.megabytes, 1.0, "MB", "asked for")


def _do(work: str, folder: Path) -> None:
    with _open(folder) as history:
        began = time.perf_counter()
        done = WORKS[work].do(history)
        seconds = time.perf_counter() - began
    peak = _peak() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"done": done, "seconds": seconds, "peak": peak / 1024}))


def _peak() -> int:
    """Kilobytes; `ru_maxrss` would begin with what the process had that started this one."""
    said = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert said is not None
    return int(said[1])


def _reported(history: Gapless, folder: Path) -> Line:
    manner = Manner(per="month", formats=("html", "md", "xlsx", "pdf"), languages=("ko",))

    def work() -> None:
        running = history.report(PRICES, ["ONE"], "2020", "2023", manner=manner, folder=folder / "out")
        assert running.wait() is JobState.DONE

    return at_most("a report of four years in four formats", _took(work), 10, 1.0, "s")


if __name__ == "__main__":
    _do(sys.argv[1], Path(sys.argv[2]))
