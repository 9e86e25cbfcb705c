"""Read-through: database first, fetch only what is missing, one fetch for all who ask at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gapless.app import Gapless
from gapless.core.errors import SourceError, UsageError
from gapless.sandbox.process import SandboxProcess
from gapless.store import jobs
from gapless.testing.history import MINUTES, environment, run


def test_a_read_fetches_what_is_missing_and_then_asks_nobody(history: Gapless, upbit: SandboxProcess) -> None:
    """The second read is a database read."""
    first = history.read(MINUTES, "KRW-BTC", "2024-06-01", "2024-06-01")
    sent = upbit.stats()["requests"]
    second = history.read(MINUTES, "KRW-BTC", "2024-06-01", "2024-06-01")

    assert first.height == 1440
    assert first.equals(second)
    assert sent == 8
    assert upbit.stats()["requests"] == sent


def test_without_filling_the_network_is_never_touched(history: Gapless, upbit: SandboxProcess) -> None:
    """`fill=False` reads what is there, which may be nothing."""
    frame = history.read(MINUTES, "KRW-BTC", "2024-06-01", "2024-06-01", fill=False)

    assert frame.is_empty()
    assert frame.schema["time"] == pl.Datetime("us", "UTC")
    assert upbit.stats()["requests"] == 0


def test_two_callers_of_the_same_gap_cause_one_fetch(history: Gapless, upbit: SandboxProcess) -> None:
    """A dashboard with five panels must not fetch five times."""
    upbit.control(latency_ms=50)
    frames: list[pl.DataFrame] = []
    threads = [
        threading.Thread(target=lambda: frames.append(history.read(MINUTES, "KRW-BTC", "2024-06-01", "2024-06-01")))
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)

    assert [frame.height for frame in frames] == [1440] * 4
    assert upbit.stats()["requests"] == 8


def test_a_read_that_cannot_be_filled_says_why(history: Gapless, upbit: SandboxProcess) -> None:
    """Rows with a silent hole would be a lie."""
    upbit.control(down=True)
    with pytest.raises(SourceError, match="fill=False"):
        history.read(MINUTES, "KRW-BTC", "2024-06-01", "2024-06-01")


def test_as_of_is_refused_where_no_revisions_are_kept(history: Gapless) -> None:
    """Silently answering with today's values would be look-ahead."""
    with pytest.raises(UsageError, match="as_of"):
        history.read(MINUTES, "KRW-BTC", "2024-06-01", as_of="2024-06-02")


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_files_hold_what_was_read(tmp_path: Path, upbit: SandboxProcess, kind: str) -> None:
    """CSV, JSON and Parquet, with exact numbers."""
    env, target = environment(tmp_path, upbit.url), tmp_path / f"out.{kind}"
    words = ("read", MINUTES, "KRW-BTC", "--from", "2024-06-01", "--to", "2024-06-01")
    done = run(*words, "-o", str(target), env=env)
    assert done.returncode == 0, done.stderr

    read = {"csv": pl.read_csv, "json": pl.read_json, "parquet": pl.read_parquet}[kind](target)

    plain = run(*words, "--no-fill", "--format", "csv", env=env)
    assert read.height == 1440
    assert read["value"].to_list() == pl.read_csv(plain.stdout.encode())["value"].to_list()


def test_a_program_of_somebody_else_is_not_talked_into(tmp_path: Path, upbit: SandboxProcess) -> None:
    """In a notebook a read prints what it returns, and no log of how it came about."""
    script = "import gapless; print(gapless.read('upbit.candles.1m', 'KRW-BTC', '2024-06-01', '2024-06-01').height)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(tmp_path, upbit.url), capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("1440\n", "")


def test_years_and_days_may_be_numbers_in_a_notebook(history: Gapless) -> None:
    """`plan(..., 2020, 2021)` is what people write there."""
    planned = history.plan(MINUTES, "KRW-BTC", 20240501, 20240502)
    assert planned == history.plan(MINUTES, "KRW-BTC", "2024-05-01", "2024-05-02")
    assert history.plan(MINUTES, "KRW-BTC", 2023, 2023) == history.plan(MINUTES, "KRW-BTC", "2023", "2023")


def test_what_a_notebook_shows_of_a_plan_is_for_people(history: Gapless) -> None:
    """What is missing and what it costs, with times that can be read; the address of the history."""
    told = repr(history.plan(MINUTES, "KRW-BTC", "2024-05-01", "2024-05-02"))
    assert told.startswith(f"<plan of {MINUTES} (missing): 2,880 of 2,880 periods missing, 15 requests")
    assert told.endswith("\n  KRW-BTC: [2024-05-01T00:00:00Z, 2024-05-03T00:00:00Z)")
    many = repr(history.plan(MINUTES, [f"KRW-A{i}" for i in range(12)], "2024-05-01", "2024-05-02"))
    assert many.endswith("\n  … and 2 series more")
    assert history.store.address in repr(history)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"series": None, "days": 3}, "series"),
        ({"series": ["KRW-BTC", 5], "days": 3}, "series"),
        ({"series": "KRW-BTC", "days": "3"}, "days"),
        ({"series": "KRW-BTC", "start": 5.5}, "from"),
        ({"series": "KRW-BTC", "start": 1717200000}, "from"),
        ({"series": "KRW-BTC", "start": "2024-05-01", "end": b"2024"}, "to"),
        ({"series": "KRW-BTC", "days": 3, "recheck": "2"}, "recheck"),
        ({"series": "KRW-BTC", "days": 3, "recheck": -1}, "recheck"),
        ({"series": "KRW-BTC", "days": 3, "rate": "fast"}, "rate"),
        ({"series": "KRW-BTC", "days": 3, "rate": True}, "rate"),
        ({"series": "KRW-BTC", "days": 3, "queue": "fast"}, "queue"),
        ({"series": "KRW-BTC", "days": 3, "priority": "urgent"}, "priority"),
        ({"series": "KRW-BTC", "days": 3, "priority": []}, "priority"),
        ({"dataset": [MINUTES], "series": "KRW-BTC", "days": 3}, "dataset"),
    ],
)
def test_a_slip_in_a_notebook_is_told_by_its_field(history: Gapless, asked: dict[str, Any], field: str) -> None:
    """A cell of a notebook has no types; nothing is made of what is not understood."""
    with pytest.raises(UsageError) as told:
        history.backfill(**{"dataset": MINUTES, **asked})
    assert told.value.field == field
    assert told.value.hint
    with history.store.read() as tx:
        assert jobs.states(tx) == {}
