"""A fill against an unlimited simulated provider, and the bare loop that does the same with the same client.

Years of minutes, so that what a job costs once (about a tenth of a second) is what it is in life.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BufferedReader
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlencode

import msgspec

from bench import rig, table
from bench.commit import LOG_PAGES
from gapless.core.job import JobState
from gapless.core.span import MINUTE, SECOND, Instant, iso
from gapless.sandbox.process import SandboxProcess
from gapless.sources.http import Http
from gapless.store.store import database

MARKET, PATH = "KRW-BTC", "/v1/candles/minutes/1"
SLOTS = 8
#: Requests sent at once when the provider's capacity is measured.
BURST = 50


class Candle(msgspec.Struct):
    """What the bare loop reads of a candle."""

    candle_date_time_utc: str
    opening_price: float
    high_price: float
    low_price: float
    trade_price: float
    timestamp: int
    candle_acc_trade_price: float
    candle_acc_trade_volume: float


_DECODER = msgspec.json.Decoder(list[Candle])


def run(*, long: bool) -> Iterator[table.Line]:
    """The wall times side by side, then what the provider could have served."""
    pages, turns = (4_000, 5) if long else (2_000, 4)
    asked = rig.minutes_before(rig.END, pages * rig.PAGE)
    ours: list[float] = []
    bare: dict[int, list[float]] = {1: [], SLOTS: []}
    with SandboxProcess(rate=0) as provider:
        provider.warm(MARKET, "1m", iso(asked.start), iso(asked.end))
        for turn in range(turns + 1):
            took = _ours(provider.url, pages), *(_bare(provider.url, pages, threads) for threads in bare)
            if turn:
                for one, spent in zip(took, (ours, *bare.values()), strict=True):
                    spent.append(one)
        capacity = _capacity(provider.url, pages)
    threads = min(bare, key=lambda number: table.middle(bare[number]))
    best = table.middle(bare[threads])
    rows = pages * rig.PAGE
    yield table.at_most(
        f"fill of {rows:,} candles, {SLOTS} slots",
        table.middle(ours),
        best,
        1.3,
        "s",
        f"bare loop, {threads} {'thread' if threads == 1 else 'threads'}",
    )
    yield table.at_least(
        "capacity of the provider / the fill", capacity, pages / table.middle(ours), 3, "requests/s", "the fill"
    )


def _ours(url: str, pages: int) -> float:
    """Seconds from the order to the end of the job."""
    asked = rig.minutes_before(rig.END, pages * rig.PAGE)
    start, end = asked.start_time.isoformat(), asked.end_time.isoformat()
    with rig.folder() as place, rig.history_at(f"sqlite:///{place / 'history.db'}", url, slots=SLOTS) as history:
        history.dataset(rig.CANDLES.name)
        began = time.perf_counter()
        state = history.backfill(rig.CANDLES.name, MARKET, start, end).wait(every=0.02)
        took = time.perf_counter() - began
    if state is not JobState.DONE:
        raise RuntimeError(f"the fill is {state}")
    return took


def _bare(url: str, pages: int, threads: int) -> float:
    """Seconds of a loop that fetches, decodes and upserts, each page in a transaction of its own."""
    with rig.folder() as place:
        loop = Loop(url, place)
        ends = range(rig.END, rig.END - pages * rig.PAGE * MINUTE, -rig.PAGE * MINUTE)
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(loop.page, ends):
                pass
        took = time.perf_counter() - began
        loop.close()
    return took


class Loop:
    """Fetch, decode, upsert; the threads take turns at one connection."""

    def __init__(self, url: str, place: Path) -> None:
        self._http = Http("upbit", url)
        self._opened = database(f"sqlite:///{place / 'bare.db'}")
        self._connection = self._opened.connect()
        self._connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        self._turn = Lock()
        self._connection.execute(
            "CREATE TABLE candle (series INTEGER, time INTEGER, open REAL, high REAL, low REAL, close REAL,"
            " volume REAL, value REAL, last_tick_at INTEGER, PRIMARY KEY (series, time)) WITHOUT ROWID"
        )

    def page(self, end: Instant) -> None:
        """One page of candles before `end`."""
        query = [("market", MARKET), ("to", iso(end)), ("count", str(rig.PAGE))]
        candles = _DECODER.decode(self._http.get(PATH, query).body)
        flat = list(chain.from_iterable([_values(candle) for candle in reversed(candles)]))
        with self._turn:
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute(_UPSERT, flat)
            cursor.execute("COMMIT")

    def close(self) -> None:
        """Close what is open."""
        self._http.close()
        self._connection.close()
        self._opened.close()


_SETS = ", ".join(
    f"{name} = excluded.{name}" for name in ("open", "high", "low", "close", "volume", "value", "last_tick_at")
)
_UPSERT = (
    f"INSERT INTO candle VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?, ?, ?)'] * rig.PAGE)}"
    f" ON CONFLICT (series, time) DO UPDATE SET {_SETS}"
)


def _values(candle: Candle) -> tuple[Any, ...]:
    return (
        1,
        int(datetime.fromisoformat(candle.candle_date_time_utc + "Z").timestamp()) * SECOND,
        candle.opening_price,
        candle.high_price,
        candle.low_price,
        candle.trade_price,
        candle.candle_acc_trade_volume,
        candle.candle_acc_trade_price,
        candle.timestamp,
    )


def _capacity(url: str, pages: int) -> float:
    """Requests a second that the provider answers when somebody only counts bytes."""
    host, port = url.removeprefix("http://").split(":")
    ends = range(rig.END, rig.END - pages * rig.PAGE * MINUTE, -rig.PAGE * MINUTE)
    with socket.create_connection((host, int(port))) as peer, peer.makefile("rb") as replies:
        began = time.perf_counter()
        for at in range(0, len(ends), BURST):
            burst = ends[at : at + BURST]
            peer.sendall(b"".join(map(_request, burst)))
            for _ in burst:
                _skip(replies)
        return len(ends) / (time.perf_counter() - began)


def _request(end: Instant) -> bytes:
    query = urlencode({"market": MARKET, "to": iso(end), "count": rig.PAGE})
    return f"GET {PATH}?{query} HTTP/1.1\r\nHost: sandbox\r\n\r\n".encode()


def _skip(replies: BufferedReader) -> None:
    length = 0
    while (line := replies.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    if len(replies.read(length)) < max(length, 1):
        raise RuntimeError("the provider broke off")
