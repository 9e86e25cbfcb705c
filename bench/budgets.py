"""Many processes on one budget: how much of its rate they use, and how often the provider refuses them.

Two cores may be too few for 32 processes and a provider to send as much as the budget allows. What the same processes
send without any budget is measured beside it, and is the limit where it is the lower one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from http import HTTPStatus
from pathlib import Path
from statistics import fmean

from bench import rig, table
from gapless.core.clock import SystemClock
from gapless.core.pacing import BATCH_RATE, SAFETY, Later, Limit
from gapless.core.span import SECOND
from gapless.engine.budgets import Departed, Gates
from gapless.sandbox.process import SandboxProcess
from gapless.sources.http import Http
from gapless.sources.upbit.replies import remaining
from gapless.store import budgets
from gapless.store.store import open_store
from gapless.testing.databases import fresh_database, postgres_server

PROCESSES = 32
#: Requests at once in each process; on PostgreSQL each has a connection of its own, and a server allows a hundred.
LANES = 2
LIMIT = Limit(key="upbit/candle", rate=None, by_second=True)
#: Requests and rate: the rate of a real source, and one at which departures are reserved in batches.
SHORT = ((300, 10), (20_000, 2_000))
LONG = ((600, 10), (100_000, 2_000))


def run(*, long: bool) -> Iterator[table.Line]:
    """Both rates on both databases."""
    with postgres_server() as server:
        for requests, rate in LONG if long else SHORT:
            for name in ("sqlite", "postgresql"):
                with ExitStack() as stack:
                    if name == "sqlite":
                        url = f"sqlite:///{stack.enter_context(rig.folder()) / 'budget.db'}"
                    else:
                        url = stack.enter_context(fresh_database(server))
                    yield from _lines(name, url, requests, rate)


def _lines(name: str, url: str, requests: int, rate: int) -> Iterator[table.Line]:
    store = open_store(url)
    store.write(lambda tx: budgets.ensure(tx, LIMIT, rate))
    store.close()
    # Before and after: what the machine is capable of changes within minutes.
    freely = [_measure("", requests, 0)] if rate >= BATCH_RATE else []
    sent, seconds, refused = _measure(url, requests, rate)
    what = f"{PROCESSES} processes on {rate:g}/s, {name}"
    limit, against = rate * SAFETY, "the budget"
    if rate >= BATCH_RATE:
        freely.append(_measure("", requests, 0))
        free = fmean(number / took for number, took, _ in freely)
        if free < limit:
            limit, against = free, f"the same without a budget ({rate * SAFETY:g})"
    yield table.at_least(what, (sent - 1) / seconds, limit, 0.95, "requests/s", against)
    yield table.Line(
        name=f"refusals, {what}",
        measured=f"{refused}",
        limit=f"{sent:,} requests",
        ratio=None,
        hold="0",
        ok=refused == 0,
    )


def _measure(url: str, requests: int, rate: int) -> tuple[int, float, int]:
    """Requests sent, seconds from the first departure to the last reply, and refusals; no URL: no budget.

    All send until the provider has counted enough: with a share for each the last ones would be a few processes alone.
    """
    with SandboxProcess(rate=rate, window="sliding", jitter_ms=20) as provider, rig.folder() as place:
        # The market is made up at the first request, which would come late.
        provider.warm("KRW-BTC", "1m", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z")
        command = [sys.executable, "-m", "bench.budgets", url, provider.url, str(place)]
        running = [
            subprocess.Popen(
                command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            )
            for _ in range(PROCESSES)
        ]
        for one in running:
            assert one.stdout is not None
            one.stdout.readline()
        (place / "go").touch()
        while provider.stats()["requests"] < requests:
            time.sleep(0.1)
        (place / "enough").touch()
        spans = [[float(word) for word in one.communicate()[0].split()] for one in running]
        stats = provider.stats()
    seconds = max(last for _, last in spans) - min(first for first, _ in spans)
    return stats["requests"], seconds, stats["refused_429"] + stats["refused_418"]


def _send(url: str, provider: str, place: Path) -> None:
    """One of the processes: requests until there are enough, each when the budget lets it leave."""
    store, http, never = open_store(url) if url else None, Http("upbit", provider), threading.Event()
    gates = Gates(store, SystemClock()) if store else None

    def one() -> tuple[float, float]:
        departed: object = None
        while gates is not None and not isinstance(departed := gates.gate(LIMIT.key).depart(never), Departed):
            if isinstance(departed, Later):
                time.sleep(max(0.0, departed.at / SECOND - time.time()))
        began = time.monotonic()
        sending = gates.sending(LIMIT, departed) if gates and isinstance(departed, Departed) else nullcontext()
        with sending as sent:
            reply = http.get("/v1/candles/minutes/1", [("market", "KRW-BTC"), ("count", "1")])
        ended = time.monotonic()
        if gates and sent and reply.status == HTTPStatus.OK:
            gates.answered(sent, remaining=remaining(reply.remaining))
        elif gates:
            gates.refused(LIMIT.key, 1.0)
        return began, ended

    def lane(_: int) -> list[tuple[float, float]]:
        spans = [one()]
        while not (place / "enough").exists():
            spans.append(one())
        return spans

    with ThreadPoolExecutor(LANES) as pool:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while not (place / "go").exists():
            time.sleep(0.01)
        spans = [span for lanes in pool.map(lane, range(LANES)) for span in lanes]
    sys.stdout.write(f"{min(first for first, _ in spans)} {max(last for _, last in spans)}")
    if store:
        store.close()


if __name__ == "__main__":
    _send(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
