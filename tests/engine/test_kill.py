"""kill -9 of real processes at random instants: nothing lost, nothing doubled, nothing called covered that is not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from gapless.core.period import parse
from gapless.core.span import DAY, Span
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit.market import World
from gapless.testing.history import MINUTES, assert_complete, assert_honest, command, environment, open_history

START = parse("2024-02-10", field="from").start
MARKETS = ["KRW-BTC", "KRW-THIN", "KRW-NEW"]
SLOTS = 4


def killed(folder: Path, upbit: SandboxProcess, chance: random.Random, *, last: bool) -> bool:
    """Run the fill; kill it at a random instant unless it is the last time. True when it came to its end."""
    words = ("fill", MINUTES, *MARKETS, "--from", "2024-02-10", "--to", "2024-02-19", "--slots", str(SLOTS))
    process = command(*words, env=environment(folder, upbit.url))
    try:
        # From before the database is open to the middle of the work.
        process.wait(timeout=60 if last else chance.uniform(0.8, 2.0))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), err
    return process.returncode == 0


def play(folder: Path, upbit: SandboxProcess, world: World, kills: int, seed: int) -> int:
    """One fill, killed up to so many times; returns how often it was."""
    upbit.control(latency_ms=25, reset_stats=True)
    chance, done, times = random.Random(seed), False, 0
    while not done and times < kills:
        done = killed(folder, upbit, chance, last=False)
        times += 0 if done else 1
        with open_history(folder, upbit.url) as history:
            for name in MARKETS:
                assert_honest(history, world, MINUTES, name)
    if not done:
        assert killed(folder, upbit, chance, last=True)
    span = Span(START, START + 10 * DAY)
    with open_history(folder, upbit.url) as history:
        assert_complete(history, world, MINUTES, MARKETS, span)
        rows = history.verify(MINUTES).rows
    # Each slot may repeat the one request that was under way when it was killed.
    least = -(-rows // 200)
    assert upbit.stats()["requests"] <= least + times * SLOTS + 12
    return times


@pytest.mark.parametrize("seed", range(4))
def test_kills_lose_and_double_nothing(tmp_path: Path, upbit: SandboxProcess, world: World, seed: int) -> None:
    """Five kills each."""
    play(tmp_path, upbit, world, 5, seed)


@pytest.mark.soak
@pytest.mark.timeout(3500)
def test_a_thousand_kills_lose_and_double_nothing(tmp_path: Path, upbit: SandboxProcess, world: World) -> None:
    """The long version."""
    total, seed = 0, 1000
    while total < 1000:
        folder = tmp_path / str(seed)
        folder.mkdir()
        total, seed = total + play(folder, upbit, world, 20, seed), seed + 1
