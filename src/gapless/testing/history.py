"""A history against the simulated Upbit, and the exact comparison of what is stored with what was traded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import gapless
from gapless.app import Gapless
from gapless.core.span import Span
from gapless.engine import truth
from gapless.sandbox.upbit.candles import truth as traded
from gapless.sandbox.upbit.market import World
from gapless.settings import Settings
from gapless.store import rows, series

MINUTES = "upbit.candles.1m"


def settings_for(folder: Path, url: str, *, rate: float | None = None, slots: int = 4) -> Settings:
    """Settings of a history in `folder` that asks the simulator at `url`; `rate` None: as fast as it can."""
    return Settings(
        database_url=f"sqlite:///{folder / 'gapless.db'}",
        base_urls={"upbit": url},
        rates={"upbit": rate},
        slots=slots,
        retry_delay=timedelta(milliseconds=20),
        timeout=timedelta(seconds=5),
    )


def open_history(folder: Path, url: str, *, rate: float | None = None, slots: int = 4) -> Gapless:
    """Open it."""
    return gapless.open(settings=settings_for(folder, url, rate=rate, slots=slots))


def environment(folder: Path, url: str, *, rate: float | None = None) -> dict[str, str]:
    """The same settings for a command in a process of its own."""
    return {
        **{key: text for key, text in os.environ.items() if not key.startswith("GAPLESS_")},
        "GAPLESS_DATABASE_URL": f"sqlite:///{folder / 'gapless.db'}",
        "GAPLESS_UPBIT_BASE_URL": url,
        "GAPLESS_UPBIT_RATE": str(rate or 0),
        "GAPLESS_RETRY_DELAY": "20ms",
        "PYTHONUNBUFFERED": "1",
    }


def command(*words: str, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start a gapless command; a group of its own, so that a test can kill exactly it."""
    return subprocess.Popen(
        [sys.executable, "-m", "gapless.cli", *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(*words: str, env: dict[str, str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a gapless command to its end."""
    process = command(*words, env=env)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"gapless {' '.join(words)} did not end:\n{out}\n{err}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def stored(history: Gapless, dataset: str, name: str, span: Span) -> list[tuple[object, ...]]:
    """Rows as (time µs, open, high, low, close, volume, value)."""
    found = history.dataset(dataset)
    with history.store.read() as tx:
        series_id = series.find(tx, dataset, name)
        if series_id is None:
            return []
        frame = rows.frame(tx, found, series_id, span)
    columns = ["time", "open", "high", "low", "close", "volume", "value"]
    return frame.select(columns).with_columns(frame["time"].dt.epoch("us")).rows()


def expected(world: World, dataset: str, name: str, span: Span, now: int) -> list[tuple[object, ...]]:
    """What was traded, in the same shape."""
    unit = dataset.rsplit(".", 1)[1]
    return [
        (one.time_us, one.open, one.high, one.low, one.close, one.volume, one.value)
        for one in traded(world, name, unit, span.start, span.end, now)
    ]


def assert_complete(history: Gapless, world: World, dataset: str, names: Sequence[str], span: Span) -> None:
    """Every row that was traded is stored, once and exactly; nothing is missing; ledger and rows agree."""
    now = history.clock.now()
    found = history.dataset(dataset)
    for name in names:
        have, want = stored(history, dataset, name, span), expected(world, dataset, name, span, now)
        assert have == want, f"{name}: {len(have)} rows stored, {len(want)} traded in {span}"
        with history.store.read() as tx:
            lacking = [one for one in truth.gaps(tx, found, name, span, now) if one.word is truth.Word.MISSING]
        assert not lacking, f"{name}: still missing {lacking[0]}"
    assert not history.verify(dataset, list(names)).findings


def assert_honest(history: Gapless, world: World, dataset: str, name: str) -> None:
    """Whatever was interrupted: each covered span holds exactly what was traded in it, and nothing else is stored."""
    found, now = history.dataset(dataset), history.clock.now()
    with history.store.read() as tx:
        parts = [one for one, *_ in truth.covered(tx, found, name)]
    for part in parts:
        assert stored(history, dataset, name, part) == expected(world, dataset, name, part, now), f"{name} in {part}"
    checked = history.verify(dataset, [name])
    assert not checked.findings
    assert checked.outside == 0


def until(true: Callable[[], bool], seconds: float = 10) -> float:
    """Seconds until something becomes true; fails when it does not in time."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it did not come about"
        os.sched_yield()
    return time.monotonic() - began
