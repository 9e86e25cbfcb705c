"""Fifty jobs that run at once in one worker, against one job of the same size: memory, processor, throughput."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import rig, table
from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.core.span import MINUTE, SECOND, iso
from gapless.sandbox.process import SandboxProcess
from gapless.store import jobs

MANY = 50
#: Milliseconds that the provider takes to answer: long enough that all jobs are under way at the same time.
LATENCY = 100
#: Seconds between two looks at how many run.
LOOK = 0.05
MARKETS = [f"KRW-{name}" for name in ("BTC", "ETH", "XRP")]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a worker took for some jobs."""

    #: From the first one's start to the last one's end.
    seconds: float
    #: Processor time and peak memory (bytes) of its process.
    cpu: float
    memory: float
    #: Most jobs that were seen running at once.
    most: int
    rows: int


def run(*, long: bool) -> Iterator[table.Line]:
    """A worker with nothing to do, with one job, and with fifty of the same size in all."""
    pages = 4_000 if long else 1_000
    with SandboxProcess(rate=0, latency_ms=LATENCY) as provider:
        idle = _ran(provider.url, jobs_=0, pages=0)
        one, many = _ran(provider.url, jobs_=1, pages=pages), _ran(provider.url, jobs_=MANY, pages=pages // MANY)
    yield table.at_least(
        f"{MANY} jobs of {pages // MANY} pages, {LATENCY} ms: rows/s",
        many.rows / many.seconds,
        one.rows / one.seconds,
        0.8,
        "rows/s",
        "one job",
    )
    yield table.at_most(
        "processor time a page",
        (many.cpu - idle.cpu) / pages * 1e3,
        (one.cpu - idle.cpu) / pages * 1e3,
        1.5,
        "ms",
        "one job",
    )
    yield table.Line(
        name=f"peak memory of its worker, {many.most} at once",
        measured=f"{many.memory / 1e6:.0f} MB",
        limit=f"{one.memory / 1e6:.0f} MB, one job; {idle.memory / 1e6:.0f} idle",
        ratio=many.memory / one.memory,
        hold="≤ 250 MB",
        ok=many.memory <= 250e6 and many.most == MANY,
    )


def _ran(provider: str, *, jobs_: int, pages: int) -> Ran:
    with rig.folder() as place, rig.history_at(f"sqlite:///{place / 'history.db'}", provider) as history:
        made = [_job(history, number, pages, is_alone=jobs_ == 1) for number in range(jobs_)]
        process = _worker(place, provider)
        most = 0
        while not _is_over(history, made):
            with history.store.read() as tx:
                most = max(most, jobs.states(tx).get(JobState.RUNNING.value, 0))
            time.sleep(LOOK)
        _, status, used = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status):
            raise RuntimeError(f"the worker ended with {os.waitstatus_to_exitcode(status)}")
        done = [history.jobs.get(one) for one in made]
        if any(one.state != JobState.DONE for one in done):
            raise RuntimeError(f"jobs ended as {sorted({one.state for one in done})}")
        began = min((one.started_at or 0 for one in done), default=0)
        ended = max((one.ended_at or 0 for one in done), default=SECOND)
        return Ran(
            seconds=(ended - began) / SECOND,
            cpu=used.ru_utime + used.ru_stime,
            memory=used.ru_maxrss * 1024,
            most=most,
            rows=sum(one.rows for one in done),
        )


def _job(history: Gapless, number: int, pages: int, *, is_alone: bool) -> int:
    """A job over a stretch of its own; together they are as long as the one."""
    name, end = MARKETS[number % len(MARKETS)], rig.END - number // len(MARKETS) * (pages + 1) * rig.PAGE * MINUTE
    asked = rig.minutes_before(end, pages * rig.PAGE)
    # One alone is cut for all slots. Of many, halves would let only half of the jobs run at once.
    way = "both" if is_alone else "backward"
    dataset = history.dataset(rig.CANDLES.name)
    return history.create(history.wish(dataset, name, iso(asked.start), iso(asked.end), direction=way)).job.id


def _is_over(history: Gapless, made: list[int]) -> bool:
    return all(history.jobs.get(one).is_final for one in made)


def _worker(place: Path, provider: str) -> subprocess.Popen[bytes]:
    """A worker with a slot for each job, which ends when nothing is left."""
    env = {
        **os.environ,
        "GAPLESS_DATABASE_URL": f"sqlite:///{place / 'history.db'}",
        "GAPLESS_UPBIT_BASE_URL": provider,
        "GAPLESS_UPBIT_RATE": "0",
    }
    command = [
        sys.executable,
        "-m",
        "gapless.cli",
        "worker",
        "--queue",
        "backfill",
        "--slots",
        str(MANY),
        "--until-idle",
    ]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
