"""Progress bars for terminals and notebooks: they fill from both ends, as the work does."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gapless.core.job import JobState, Kind
from gapless.core.words import counted_word
from gapless.engine.progress import Progress

#: How much of a stretch of the bar is done, in eighths.
_SHADES = " ░░▒▒▓▓█"
#: Seconds over which the rate is averaged: pauses and quotas of long ago must not spoil it.
_WINDOW = 15.0
#: Columns of a terminal below which words are shortened.
_WIDE = 110
#: Columns that a bar has at least.
_LEAST = 10
_STYLES = {
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.INCOMPLETE: "yellow",
    JobState.PAUSED: "yellow",
    JobState.CANCELLED: "red",
}


class Rate:
    """Requests and rows a second over the last moments."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()

    def add(self, requests: int, rows: int) -> tuple[float, float]:
        """Take the counters in; returns requests and rows a second."""
        now = time.monotonic()
        self._seen.append((now, requests, rows))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()
        then, first, first_rows = self._seen[0]
        passed = now - then
        return ((requests - first) / passed, (rows - first_rows) / passed) if passed > 0.5 else (0.0, 0.0)


def shades(bar: list[float]) -> str:
    """The shares of a bar as characters."""
    return "".join(_SHADES[7 if share >= 0.9999 else min(6, int(share * 7))] for share in bar)


def duration(seconds: float) -> str:
    """A duration in the two largest units: 42 s, 3 m 05 s, 2 h 10 m, 3 d 4 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} m"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def fitted(bar: list[float], width: int) -> list[float]:
    """A bar with fewer stretches: each the mean of those it stands for."""
    if width >= len(bar):
        return bar
    edges = [len(bar) * i // width for i in range(width + 1)]
    return [sum(bar[first:last]) / (last - first) for first, last in pairwise(edges)]


def line(made: Progress, rate: Rate, width: int | None = None) -> Text:
    """One line about a job, with a bar that leaves room for the numbers in `width` columns."""
    style = _STYLES.get(JobState(made.job.state), "cyan")
    text = Text()
    text.append(f"job {made.job.id} ", style="bold")
    text.append(f"{made.job.state:<11}", style=style)
    numbers = _numbers(made, rate, is_brief=width is not None and width < _WIDE)
    if made.bar:
        room = len(made.bar) if width is None else max(_LEAST, width - text.cell_len - numbers.cell_len - 3)
        text.append("▕")
        text.append(shades(fitted(made.bar, room)), style=style)
        text.append("▏")
    text.append(numbers)
    return text


#: Kinds of work that ask no source.
_UNASKING = {Kind.VALIDATE, Kind.COMPUTE, Kind.REPORT}


def _numbers(made: Progress, rate: Rate, *, is_brief: bool) -> Text:
    a_second, rows_a_second = rate.add(made.requests, made.rows)
    share = "standing" if made.job.kind == Kind.FOLLOW else f"{made.percent:5.1f} %"
    noun = "step" if made.job.kind in _UNASKING else "request"
    done = f"{made.requests:,} req" if is_brief and noun == "request" else counted_word(made.requests, noun)
    text = Text(f" {share}  {counted_word(made.rows, 'row')}  {done}")
    if made.job.state == JobState.RUNNING and a_second:
        text.append(f"  {a_second:.1f}/s" + ("" if is_brief else f"  {rows_a_second:,.0f} rows/s"))
        text.append(f"  ETA {duration(made.requests_left / a_second)}")
    if made.trouble and not made.job.is_final:
        text.append(f"  {made.trouble}", style="yellow")
    return text


@contextmanager
def bar(job_id: int, console: Console | None = None) -> Iterator[Callable[[Progress], None]]:
    """Draw a job's progress: live on a terminal, else a line when a tenth more is done."""
    console = console or Console(stderr=True)
    rate = Rate()
    if console.is_terminal or console.is_jupyter:
        with Live(Text(f"job {job_id}"), console=console, refresh_per_second=8, transient=False) as live:
            yield lambda made: live.update(line(made, rate, console.width))
        return
    said: list[tuple[int, str]] = []

    def draw(made: Progress) -> None:
        step = (int(made.percent // 10), made.job.state)
        text = line(made, rate)
        if not said or said[-1] != step:
            said.append(step)
            console.print(text, soft_wrap=True)

    yield draw
