"""The server on a normal day: 10,000 jobs wait and 50 run; how fast it answers, and what live pages cost it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import websockets.asyncio.client

from bench import rig, table
from gapless.app import Gapless
from gapless.core.actor import Role
from gapless.core.job import Direction, JobState, Kind, Priority, Queue, Wish
from gapless.core.plan import SegmentPlan
from gapless.core.segment import Side
from gapless.core.span import DOOM, MINUTE, Span
from gapless.store import audit, coverage, jobs, rows, segments, series
from gapless.store.database import Tx

WAITING, RUNNING = 10_000, 50
#: Minutes of each running job, and of each of the series that the heatmap shows.
MINUTES = 20_000
#: Jobs of those that run whose ledger moves between two looks.
MOVING = 10
#: An answer may take so many times as long as one that does nothing: 200 ms on a quiet machine.
HOLD = 25.0
READERS = (1, 50, 200)
ACCOUNT, PASSWORD = "bench", "a password of a bench"


@dataclass(frozen=True, slots=True)
class Server:
    """`gapless serve` in a process of its own."""

    url: str
    pid: int
    token: str

    def client(self) -> httpx.Client:
        """A program that asks it."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30)


def run(*, long: bool) -> Iterator[table.Line]:
    """Answers first, then readers of live events while the ledger moves."""
    times, seconds = (600, 20.0) if long else (150, 6.0)
    with rig.folder() as place, rig.history_at(f"sqlite:///{place / 'history.db'}", rig.NOWHERE) as history:
        history.dataset(rig.CANDLES.name)
        series_ids = history.store.write(fill)
        with served(history, place) as server:
            with server.client() as api:
                yield from _answers(api, times)
            with _moving(history, series_ids):
                for readers in READERS:
                    yield _watched(server, readers, seconds)


def fill(tx: Tx) -> list[int]:
    """The jobs, the newest of them running, each over a series of its own."""
    made: list[int] = []
    whole = rig.minutes_before(rig.END, MINUTES)
    for number in range(WAITING + RUNNING):
        is_running = number >= WAITING
        name = f"KRW-S{number % 100}" if not is_running else f"KRW-R{number - WAITING}"
        its_id = series.ensure(tx, rig.CANDLES.name, name)
        span = Span(whole.start, whole.end - number * MINUTE // 10 // MINUTE * MINUTE)
        wish = Wish(owner="bench", kind=Kind.COLLECT, dataset=rig.CANDLES.name, series=(name,), span=span)
        job = jobs.add(
            tx,
            wish,
            [its_id],
            now=rig.END + number,
            queue=Queue.BACKFILL,
            priority=Priority.NORMAL,
            name=f"job {number}",
            total=rig.CANDLES.grid.count(span.start, span.end),
            cached=0,
        )
        plan = SegmentPlan(start=span.start, end=span.end, direction=Direction.BACKWARD, side=Side.RECENT)
        segments.add(
            tx, job.id, its_id, plan, queue=Queue.BACKFILL, turn=job.turn, budget_key=rig.BUDGET, recheck_from=DOOM
        )
        if is_running:
            jobs.move(tx, job.id, "claim", rig.END)
            made.append(its_id)
            for page in rig.pages(MINUTES // rig.PAGE // 2, whole.end):
                rows.upsert(tx, rig.CANDLES, its_id, page.rows)
                assert page.proven is not None
                coverage.extend(tx, its_id, page.proven)
    return made


def _answers(api: httpx.Client, times: int) -> Iterator[table.Line]:
    """Answers beside one that does nothing."""
    bare = _timed(api, "/healthz", times)
    everything = {state.value: 0 for state in JobState}
    counted = api.get("/api/batch/jobs").json()["counts"]
    if (everything | counted)["pending"] != WAITING:
        raise RuntimeError(f"jobs are lost: {counted}")
    for name, path in (
        ("list, newest 60", "/api/batch/jobs?limit=60"),
        ("list, by name, from 5,000 on", "/api/batch/jobs?limit=60&sort=name&offset=5000"),
        ("list, search", "/api/batch/jobs?limit=60&q=job+77"),
        ("list, by progress", "/api/batch/jobs?limit=60&sort=-percent"),
        ("list, by failures", "/api/batch/jobs?limit=60&sort=-fail"),
        ("list, by time left", "/api/batch/jobs?limit=60&sort=-eta"),
        ("list, running", "/api/batch/jobs?limit=60&state=running"),
        ("heatmap, 50 series, 1 M cells", "/api/coverage?dataset=upbit.candles.1m&q=KRW-R&limit=50"),
        ("metrics", "/api/batch/metrics"),
    ):
        spent = _timed(api, path, times)
        yield table.Line(
            name=f"{name}: p50, p99",
            measured=f"{table.middle(spent):.1f}, {table.quantile(spent, 0.99):.1f} ms",
            limit=f"{table.middle(bare):.1f}, {table.quantile(bare, 0.99):.1f} ms, /healthz",
            ratio=table.quantile(spent, 0.99) / table.quantile(bare, 0.99),
            hold=f"p99 ≤ {HOLD:g} ×",
            ok=table.quantile(spent, 0.99) <= HOLD * table.quantile(bare, 0.99),
        )


def _timed(api: httpx.Client, path: str, times: int) -> list[float]:
    """Milliseconds of each answer."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        answer = api.get(path)
        spent.append((time.perf_counter() - began) * 1e3)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
    return spent


def _watched(server: Server, readers: int, seconds: float) -> table.Line:
    """Processor and memory of the server while so many pages are open."""
    heard, share = asyncio.run(_read(server, readers, seconds))
    memory = _memory(server.pid) / 1e6
    return table.Line(
        name=f"{readers} live pages, {MOVING} of {RUNNING} jobs move",
        measured=f"{share * 100:.1f} % of a core, {memory:.0f} MB",
        limit=f"{heard / readers / seconds:.1f} messages/s each",
        ratio=None,
        hold="≤ 250 MB",
        ok=memory <= 250,
    )


async def _read(server: Server, readers: int, seconds: float) -> tuple[int, float]:
    """Messages heard by all readers, and the share of a core that the server took meanwhile."""
    address = server.url.replace("http", "ws") + "/api/live"
    headers = {"Authorization": f"Bearer {server.token}"}
    heard = 0

    async def read(opened: asyncio.Semaphore, ready: asyncio.Event) -> None:
        nonlocal heard
        async with websockets.asyncio.client.connect(address, additional_headers=headers, compression=None) as socket:
            await socket.recv()
            opened.release()
            await ready.wait()
            async for _ in socket:
                heard += 1

    opened, ready = asyncio.Semaphore(0), asyncio.Event()
    tasks = [asyncio.create_task(read(opened, ready)) for _ in range(readers)]
    for _ in tasks:
        await opened.acquire()
    ready.set()
    used, began = _cpu(server.pid), time.monotonic()
    await asyncio.sleep(seconds)
    share = (_cpu(server.pid) - used) / (time.monotonic() - began)
    for one in tasks:
        one.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return heard, share


@contextmanager
def _moving(history: Gapless, series_ids: list[int]) -> Iterator[None]:
    """Some of the running jobs go on by a page twice a second."""
    over = threading.Event()

    def move() -> None:
        turn = 0
        while not over.wait(0.5):
            turn += 1
            at = rig.END - (MINUTES // 2 + turn * rig.PAGE) * MINUTE
            chosen = [series_ids[(turn * MOVING + i) % RUNNING] for i in range(MOVING)]
            page = Span(at, at + rig.PAGE * MINUTE)
            history.store.write(lambda tx, chosen=chosen, page=page: _extend(tx, chosen, page))  # type: ignore[misc]

    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _extend(tx: Tx, chosen: list[int], page: Span) -> None:
    for one in chosen:
        coverage.extend(tx, one, page)


@contextmanager
def served(history: Gapless, place: Path) -> Iterator[Server]:
    """The server, until the block ends."""
    history.accounts.add(ACCOUNT, Role.ADMIN, PASSWORD)
    _, token = history.accounts.add_token(ACCOUNT, "bench", Role.ADMIN)
    history.store.write(audit.seal)
    env = {**os.environ, "GAPLESS_DATABASE_URL": f"sqlite:///{place / 'history.db'}"}
    command = [sys.executable, "-m", "gapless.cli", "serve", "--port", "0", "--slots", "0"]
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(r"serving on (\S+)", line)
            if found:
                break
        else:
            raise RuntimeError("the server did not start")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield Server(found[1], process.pid, token)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
