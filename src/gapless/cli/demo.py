"""`gapless demo`: the main job on the embedded default, against a simulated Upbit, in a folder of its own.

Killed in the middle it goes on when started again; after a complete run it starts anew.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import gapless
from gapless.app import Gapless
from gapless.bars import duration
from gapless.cli.collect import EXITS, foreground
from gapless.cli.common import out
from gapless.core.clock import SystemClock
from gapless.core.errors import Exit
from gapless.core.job import JobState
from gapless.core.lazily import pl
from gapless.core.span import DAY, HOUR, MINUTE, iso
from gapless.sandbox.process import SandboxProcess
from gapless.settings import load

DATASET = "upbit.candles.1m"
DAYS = 7
MARKETS = ["KRW-BTC", "KRW-DEMO", "KRW-THIN"]


def run() -> int:
    """Play the demo; returns the exit code."""
    folder = Path(os.environ.get("GAPLESS_DEMO_FOLDER", ".gapless-demo")).absolute()
    finished = folder / "finished"
    if finished.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _say(f"The data of this demo is in {folder}; nothing else is touched.")
    with SandboxProcess("upbit", market=[_market(folder)], latency_ms=40) as sandbox:
        _say(f"A simulated Upbit answers at {sandbox.url}, 10 requests a second and no more.")
        settings = replace(
            load({}),
            database_url=f"sqlite:///{folder / 'gapless.db'}",
            base_urls={"upbit": sandbox.url},
            timeout=timedelta(seconds=5),
        )
        with gapless.open(settings=settings) as history:
            code = _play(history)
    if code == Exit.DONE:
        finished.touch()
        _say("\nThat was all. `make demo` plays it again; README.md goes on from here.")
    return int(code)


def _market(folder: Path) -> str:
    """A market with a history of its own: listed some days ago, halted for a while. Kept over restarts of the demo."""
    kept = folder / "market"
    if not kept.exists():
        now = SystemClock().now() // HOUR * HOUR
        listed, halted = now - 5 * DAY + 31 * MINUTE, now - 2 * DAY
        kept.write_text(f"KRW-DEMO:density=1,listed={iso(listed)},halt={iso(halted)}..{iso(halted + 6 * HOUR)}")
    return kept.read_text()


def _play(history: Gapless) -> Exit:
    made = history.plan(DATASET, MARKETS, days=DAYS)
    _say(f"\n1. The plan, asking nobody: {made.missing:,} minutes of {len(MARKETS)} markets are missing,")
    _say(f"   at most {sum(one.most for one in made.series)} requests, about {duration(made.seconds)}.")
    _say("\n2. Filling from both ends. Stop it with Ctrl-C, or kill -9 it, and start it again: it goes on.")
    running = history.backfill(DATASET, MARKETS, days=DAYS)
    if running.adopted:
        _say(f"   Job {running.id} was not finished: it goes on where it was.")
    state = foreground(history, lambda: running, way_on="make demo")
    if state is not JobState.DONE:
        return EXITS[state]
    job = running.progress()
    _say(f"   {job.rows:,} rows with {job.requests} requests.")
    again = history.plan(DATASET, MARKETS, str(job.job.span.start_time), str(job.job.span.end_time))
    _say(f"\n3. The same again would take {again.requests} requests.")
    _say("\n4. What is not there, and why (`gapless gaps`):")
    for name in MARKETS:
        _gaps(history, name, job.job.span.start_time.isoformat(), job.job.span.end_time.isoformat())
    checked = history.verify(DATASET)
    verdict = "agree" if not checked.findings else f"differ in {len(checked.findings)} stretches"
    _say(f"\n5. Ledger and rows {verdict}: {checked.rows:,} rows of {checked.series} series (`gapless verify`).")
    frame = history.read(DATASET, "KRW-BTC", days=1 / 24, fill=False)
    _say("\n6. And this is how it reads:\n")
    with pl.Config(fmt_float="full", tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True):
        out.print(str(frame.select("time", "open", "high", "low", "close", "volume").tail(3)), markup=False)
    return Exit.DONE if not checked.findings else Exit.FAILED


def _gaps(history: Gapless, name: str, start: str, end: str) -> None:
    parts = history.stretches(history.dataset(DATASET), name, start, end, None)
    longest = max(parts, key=lambda one: one.cells, default=None)
    total = {word: sum(one.cells for one in parts if one.word == word) for word in ("missing", "empty")}
    note = f"; the longest: {longest.span} {longest.note}" if longest else ""
    _say(f"   {name:<9} {total['missing']:,} missing, {total['empty']:,} empty (no trade){note}")


def _say(text: str) -> None:
    out.print(text, highlight=False, markup=False)
