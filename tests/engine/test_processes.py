"""Several processes on one SQLite file: one fetch, no duplicates, nobody fails, one shared budget."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.core.period import parse
from gapless.core.span import DAY, Span
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit.market import World
from gapless.store import segments, workers
from gapless.testing.history import MINUTES, assert_complete, command, environment, open_history, run, until

START = parse("2024-06-01", field="from").start


def test_three_collectors_that_start_at_once_fetch_each_gap_once(
    tmp_path: Path, upbit: SandboxProcess, world: World
) -> None:
    """Overlapping wishes at the same moment, on an empty folder."""
    upbit.control(latency_ms=20)
    env = environment(tmp_path, upbit.url)
    ends = ["2024-06-04", "2024-06-05", "2024-06-06"]
    processes = [
        command("fill", MINUTES, "KRW-BTC", "KRW-ETH", "--from", "2024-06-01", "--to", end, env=env) for end in ends
    ]
    for one in processes:
        _, err = one.communicate(timeout=100)
        assert one.returncode == 0, err

    with open_history(tmp_path, upbit.url) as history:
        assert_complete(history, world, MINUTES, ["KRW-BTC", "KRW-ETH"], Span(START, START + 6 * DAY))
    least = 2 * -(-6 * 1440 // 200)
    # Splits of three overlapping wishes leave a partial page here and there; a span fetched twice would be 14 more.
    assert upbit.stats()["requests"] <= least + 12


def test_processes_share_one_budget(tmp_path: Path, upbit: SandboxProcess) -> None:
    """Three processes at ten requests a second together, never refused."""
    upbit.control(rate=10, window="sliding", jitter_ms=20)
    env = environment(tmp_path, upbit.url, rate=10)
    processes = [
        command("fill", MINUTES, market, "--from", "2024-06-01", "--to", "2024-06-02", env=env)
        for market in ("KRW-BTC", "KRW-ETH", "KRW-XRP")
    ]
    for one in processes:
        _, err = one.communicate(timeout=100)
        assert one.returncode == 0, err
    stats = upbit.stats()
    assert 45 <= stats["requests"] <= 47
    assert stats["refused_429"] == 0


def test_a_detached_job_is_worked_on_in_the_background(tmp_path: Path, upbit: SandboxProcess, world: World) -> None:
    """The command returns at once; the worker ends by itself when nothing is left."""
    env = environment(tmp_path, upbit.url)
    done = run("fill", MINUTES, "KRW-BTC", "--from", "2024-06-01", "--to", "2024-06-02", "--detach", env=env)
    assert done.returncode == 0, done.stderr
    with open_history(tmp_path, upbit.url) as history:
        until(lambda: history.jobs.get(1).state == JobState.DONE, 30)
        assert_complete(history, world, MINUTES, ["KRW-BTC"], Span(START, START + 2 * DAY))

        def gone() -> bool:
            with history.store.read() as tx:
                return workers.every(tx) == []

        until(gone, 30)


def test_a_killed_workers_segments_go_on_elsewhere_within_five_seconds(tmp_path: Path, upbit: SandboxProcess) -> None:
    """Rescue while another process looks on; no attempts are charged."""
    upbit.control(latency_ms=50)
    env = environment(tmp_path, upbit.url)
    words = ("worker", "--queue", "backfill", "--slots", "2")
    run("fill", MINUTES, "KRW-BTC", "--from", "2024-06-01", "--to", "2024-06-30", "--hold", env=env)
    first, second = command(*words, env=env), command(*words, env=env)
    try:
        with open_history(tmp_path, upbit.url) as history:
            until(lambda: len(_workers(history)) == 2, 20)
            history.jobs.resume(1)
            until(lambda: len(_holding(history)) == 2, 20)
            victim = first if _holding(history)[0][1] == first.pid else second
            os.kill(victim.pid, signal.SIGKILL)
            assert until(lambda: {pid for _, pid in _holding(history)} == {first.pid + second.pid - victim.pid}) < 5
            history.jobs.cancel(1)
    finally:
        for one in (first, second):
            one.terminate()
            one.communicate(timeout=20)


def _workers(history: Gapless) -> list[workers.Worker]:
    with history.store.read() as tx:
        return workers.every(tx)


def _holding(history: Gapless) -> list[tuple[int, int]]:
    """(segment, pid) of what runs."""
    with history.store.read() as tx:
        pids = {one.id: one.pid for one in workers.every(tx)}
        found = [d for d in segments.of_job(tx, 1) if d.segment.state == "running"]
    return [(d.segment.id, pids.get(d.worker or "", 0)) for d in found]
