"""A sandbox in a process of its own, for tests, benchmarks and the demo."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

LISTENING = "listening on "
Option = str | int | float | Sequence[str]


class SandboxProcess:
    """Starts `python -m gapless.sandbox PROVIDER` on a free port, and ends it with the block or with this process.

    Options are those of the command line, underscores for dashes; a sequence repeats one:
    `SandboxProcess("upbit", rate=0, now="2026-01-01T00:00:00Z", market=["KRW-DEMO:density=0.1"])`.
    """

    def __init__(self, provider: str = "upbit", **options: Option) -> None:
        # However we were found: the child shall import the same package.
        root = str(Path(__file__).parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gapless.sandbox",
                provider,
                *_words({"port": 0} | options),
                "--die-with-parent",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for the parent: what it still has to say to us shall be answered.
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        self.url = self._listening()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._child.pid

    def control(self, **settings: Any) -> dict[str, Any]:
        """Change `now`, `rate`, `faults` and the like (each provider's `Order`); what is in force comes back."""
        return self._call("POST", "control", settings)

    def stats(self, *, log: bool = False) -> dict[str, Any]:
        """What clients did so far."""
        return self._call("GET", "stats?log=1" if log else "stats", None)

    def warm(self, market: str, unit: str, start: str, end: str) -> dict[str, Any]:
        """Make Upbit's candles of `[start, end)` before they are asked for."""
        return self._call("POST", "warm", {"market": market, "unit": unit, "from": start, "to": end})

    def stop(self) -> int:
        """End the process; its exit code."""
        self._child.terminate()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe:
                pipe.close()
        return self._child.wait(timeout=30)

    def _listening(self) -> str:
        assert self._child.stdout
        line = self._child.stdout.readline().strip()
        if not line.startswith(LISTENING):
            raise RuntimeError(f"the sandbox did not start: exit code {self.stop()}")
        return line.removeprefix(LISTENING)

    def _call(self, method: str, route: str, value: object) -> dict[str, Any]:
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        try:
            connection.request(method, f"/_sandbox/{route}", msgspec.json.encode(value))
            reply = connection.getresponse()
            shown: dict[str, Any] = msgspec.json.decode(reply.read())
        finally:
            connection.close()
        if reply.status != 200:
            raise ValueError(shown["error"])
        return shown


def _words(options: dict[str, Option]) -> list[str]:
    """The options as words of a command line."""
    words = []
    for name, value in options.items():
        values = [value] if isinstance(value, str | int | float) else value
        words += [f"--{name.replace('_', '-')}={one}" for one in values]
    return words
