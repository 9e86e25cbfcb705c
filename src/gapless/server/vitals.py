"""How this process is: memory, processor, the delay of its loop, and how its routes answer."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from bisect import bisect_left
from collections import defaultdict

#: Upper bounds of the histogram of answers, in seconds.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Vitals:
    """Counted where it happens, read by the metrics."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        #: Seconds that the loop was late the last time it was looked at.
        self.lag = 0.0
        self._lock = threading.Lock()
        self._cpu = (time.monotonic(), _cpu_seconds())
        self._percent = 0.0
        #: (method, route, status) → answers by bound, and their seconds in all.
        self.answers: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        self.seconds: dict[tuple[str, str, int], float] = defaultdict(float)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note an answer; only called on the loop."""
        key = (method, route, status)
        self.answers[key][bisect_left(BOUNDS, seconds)] += 1
        self.seconds[key] += seconds

    async def watch(self) -> None:
        """Measure the loop's delay for ever."""
        loop = asyncio.get_running_loop()
        while True:
            wanted = loop.time() + 0.5
            await asyncio.sleep(0.5)
            self.lag = max(0.0, loop.time() - wanted)

    @property
    def uptime(self) -> float:
        """Seconds since the server began."""
        return time.monotonic() - self.began

    @property
    def memory(self) -> int:
        """Bytes of memory that are in use."""
        try:
            with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  read often
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            import resource

            # Where there is no /proc: the most it ever was; kilobytes, but bytes on macOS.
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if os.uname().sysname == "Darwin" else 1024)

    @property
    def cpu(self) -> float:
        """Share of the machine's processors in use by this process since the last look, 0–100."""
        with self._lock:
            now, used = time.monotonic(), _cpu_seconds()
            then, before = self._cpu
            if now - then >= 0.5:
                self._cpu = (now, used)
                self._percent = 100.0 * (used - before) / (now - then) / (os.cpu_count() or 1)
            return round(min(100.0, max(0.0, self._percent)), 1)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
