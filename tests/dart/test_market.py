"""A prefetch of a market that takes days: kills, a pause, a spent quota, and a parser that moves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gapless import prefetch
from gapless.app import Gapless, migrations
from gapless.core.job import JobState
from gapless.core.span import iso
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.listings import world as listed
from gapless.sandbox.process import SandboxProcess
from gapless.store import budgets
from gapless.store.database import Tx
from gapless.testing.dart import DIVIDENDS, MovedClock, assert_told, calls, holders, least_calls, open_dart
from gapless.testing.fleet import eventually

YEARS = range(2013, 2024)
#: Two days; the second begins at midnight in Seoul.
TODAY, MIDNIGHT, TOMORROW = "2024-06-14T03:00:00Z", "2024-06-14T15:00:00Z", "2024-06-14T15:00:30Z"
SLOTS = 4


@dataclass(frozen=True, kw_only=True)
class Market:
    """A market, the simulator that plays it, and the database in which its dividends are gathered."""

    url: str
    dart: SandboxProcess
    world: World
    stocks: int
    chance: random.Random

    def open(self, now: str) -> Gapless:
        """The history at a time."""
        return open_dart(self.url, self.dart.url, MovedClock(now), slots=SLOTS)

    def kill(self, job: int, now: str, work: int) -> None:
        """Run a job in a process of its own, and kill it after about so many requests, or while it starts."""
        begun = self.dart.stats()["requests"]
        process = subprocess.Popen(
            [sys.executable, "-m", "gapless.testing.dart", self.url, self.dart.url, now, str(job)],
            start_new_session=True,
        )
        after = begun + self.chance.randrange(work)
        eventually(lambda: process.poll() is not None or self.dart.stats()["requests"] >= after, "work", 120)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(30) in (0, -signal.SIGKILL)
        with self.open(now) as history:
            assert not history.verify(DIVIDENDS).findings


def play(market: Market, kills: int) -> None:
    """The whole story; what is stored at its end is compared value by value."""
    companies = holders(market.world, MovedClock(TODAY).now())[: market.stocks]
    market.dart.control(latency_ms=10)
    with market.open(TODAY) as history:
        job = prefetch.create_job([one.stock for one in companies], 2013, 2023, name="market", history=history)
        least = least_calls(market.world, companies, YEARS, history.clock.now())
    for _ in range(kills):
        market.kill(job, TODAY, max(2, least // (2 * kills)))
    _pause(market, job)
    _spend_the_quota(market, job)
    for _ in range(kills):
        market.kill(job, TOMORROW, max(2, least // (4 * kills)))
    with market.open(TOMORROW) as history:
        assert history.run(job).wait(timeout=600) is JobState.DONE
        shown = prefetch.load_job(job, history=history)
        assert shown["processed"] == shown["total"] == len(companies) * len(YEARS)
        assert (shown["cached"], shown["fail"]) == (0, 0)
        assert assert_told(history, market.world, companies, YEARS) > 5 * len(companies)
    # A killed slot may repeat the one request that was under way; some are refused when the quota is spent.
    assert calls(market.dart) <= 1.2 * least + (2 * kills + 3) * SLOTS
    _move_the_parser(market, kills)
    with market.open(TOMORROW) as history:
        assert_told(history, market.world, companies, YEARS)


def _pause(market: Market, job: int) -> None:
    """What is paused sends nothing, whoever would run it."""
    with market.open(TODAY) as history:
        prefetch.pause_job(job, history=history)
        sent = market.dart.stats()["requests"]
        assert history.step(job, 5) == 0
        assert market.dart.stats()["requests"] == sent
        prefetch.resume_job(job, history=history)


def _spend_the_quota(market: Market, job: int) -> None:
    """It refuses, a minute is waited, it refuses again: the job waits for midnight, and goes on by itself."""
    clock = MovedClock(TODAY)
    with open_dart(market.url, market.dart.url, clock, slots=SLOTS) as history:
        market.dart.control(quota=1)
        running = history.run(job)
        for _ in range(10):
            # Replies under way may lengthen a block that is over by our leap: then the next one is waited for.
            eventually(lambda: _blocked_until(history) > clock.now(), "blocked", 60)
            until = iso(_blocked_until(history))
            if until == MIDNIGHT:
                break
            clock.move(until)
            market.dart.control(now=until)
        assert until == MIDNIGHT
        clock.move(TOMORROW)
        market.dart.control(now=TOMORROW, quota=0)
        done = prefetch.load_job(job, history=history)["processed"]
        eventually(
            lambda: running.job.is_final or prefetch.load_job(job, history=history)["processed"] > done, "go on", 60
        )


def _blocked_until(history: Gapless) -> int:
    with history.store.read() as tx:
        budget = budgets.load(tx, "dart/api")
    return 0 if budget is None else budget.blocked_until


def _move_the_parser(market: Market, kills: int) -> None:
    """An older parser has read every second table, badly; reading them again is killed, too."""
    market.dart.control(reset_stats=True)

    def spoil(tx: Tx) -> None:
        tx.cursor.execute("UPDATE data_dart_dividends SET dps = '3', note = '' WHERE series % 2 = 0")
        tx.cursor.execute("DELETE FROM data_dart_dividends WHERE series % 2 = 0 AND rank = 2")
        tx.cursor.execute(
            "UPDATE tally SET rows = (SELECT count(*) FROM data_dart_dividends WHERE series = tally.series)"
            " WHERE series IN (SELECT id FROM series WHERE dataset = 'dart.dividends')"
        )
        tx.cursor.execute("UPDATE payload SET parser = 0 WHERE series % 2 = 0")

    with market.open(TOMORROW) as history:
        dataset = history.dataset(DIVIDENDS)
        history.store.write(spoil)
        wish = migrations.reparse_wish(dataset, migrations.kept(history, dataset, []))
        job = history.create(wish).job.id
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "gapless.testing.dart", market.url, market.dart.url, TOMORROW, str(job)],
            start_new_session=True,
        )
        for _ in range(kills)
    ]
    with market.open(TOMORROW) as history:
        before = history.jobs.get(job).state
        eventually(lambda: history.progress(job).processed > 0 or any(p.poll() == 0 for p in processes), before, 120)
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        assert history.run(job).wait(timeout=600) is JobState.DONE
        assert not any(one.outdated for one in migrations.kept(history, dataset, []))
    assert market.dart.stats()["requests"] == 0


@pytest.mark.timeout(300)
def test_a_market_is_gathered_whatever_happens_on_the_way(sqlite_url: str, dart: SandboxProcess, world: World) -> None:
    """Forty stocks, a kill each day."""
    play(Market(url=sqlite_url, dart=dart, world=world, stocks=40, chance=random.Random(4)), 1)


@pytest.mark.soak
@pytest.mark.timeout(3500)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_2500_stocks_over_eleven_years(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The long version, on each database."""
    url = str(request.getfixturevalue(f"{database}_url"))
    with SandboxProcess("opendart", companies=3_000, now=TODAY, quota=0, per_minute=0) as dart:
        market = Market(url=url, dart=dart, world=listed(companies=3_000), stocks=2_500, chance=random.Random(5))
        play(market, 12)
