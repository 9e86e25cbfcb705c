"""Child processes for what is heavy: chunks that are computed in parallel, reports that are drawn.

Each call has limits. *Time*: the parent waits so long, then ends the child. *Processor time*: RLIMIT_CPU, set anew for
every call; the kernel ends the child. *Memory*: what the child really holds (its resident pages) is looked at ten times
a second, and the child is ended above the limit. A limit of the kernel cannot say that: RLIMIT_AS and RLIMIT_DATA both
count what libraries set aside (1.1 GB before the first row, of which 0.1 GB is used). RLIMIT_DATA stands
behind it, so many bytes and an arena above what was set aside before the call: it stops the one huge allocation that is
faster than a look. A child that was ended is replaced at the next call; nothing of it stays behind.
"""

from __future__ import annotations

import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar

from gapless.core import errors
from gapless.core.errors import GaplessError, LeaseLost, TooHeavy
from gapless.work.child import LENGTH, packed

T = TypeVar("T")
#: Seconds between two looks at a child's memory.
LOOK = 0.1
#: Seconds between two questions whether a result is wanted still.
ASK = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call may take. Zero lifts a limit."""

    #: Seconds on the clock, and of processor time.
    seconds: float = 600.0
    cpu_seconds: float = 300.0
    #: Bytes that the child holds.
    memory: int = 1_000_000_000


class _Child:
    """One process and its two pipes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gapless.work.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._calls, self._answers = self._process.stdin, self._process.stdout
        self._heard = b""

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def ask(self, message: bytes) -> bool:
        """Send a call; False where the child is gone."""
        view = memoryview(message)
        try:
            while view:
                view = view[self._calls.write(view) or 0 :]
        except OSError:
            return False
        return True

    def answer(self, seconds: float) -> tuple[str, Any] | None:
        """Its answer, if it is complete within so many seconds; raises `EOFError` where the child is gone."""
        until = time.monotonic() + seconds
        heard = select.poll()
        heard.register(self._answers, select.POLLIN | select.POLLHUP)
        while not self._is_whole():
            if not heard.poll(max(0.0, until - time.monotonic()) * 1000):
                return None
            more = os.read(self._answers.fileno(), 1 << 20)
            if not more:
                raise EOFError
            self._heard += more
        body, self._heard = self._heard[LENGTH.size :], b""
        made: tuple[str, Any] = pickle.loads(body)
        return made

    def _is_whole(self) -> bool:
        head = self._heard[: LENGTH.size]
        return len(head) == LENGTH.size and len(self._heard) == LENGTH.size + LENGTH.unpack(head)[0]

    @property
    def memory(self) -> int:
        """Bytes that it holds; 0 where nobody can say: once it has ended, and outside Linux."""
        with suppress(OSError, IndexError, ValueError):
            return int(Path(f"/proc/{self.pid}/statm").read_bytes().split()[1]) * resource.getpagesize()
        return 0

    def interrupt(self) -> None:
        """End it in the middle of a call: whoever waits for its answer hears the end of its pipe, and buries it."""
        self._process.kill()

    def end(self) -> int:
        """End it and wait for its end; returns its exit code, below zero for a signal."""
        self._process.kill()
        code = self._process.wait()
        self._calls.close()
        self._answers.close()
        return code

    def ended(self) -> int:
        """The exit code of one that has ended by itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        return self.end()


class Processes:
    """Child processes, started when they are first needed; a call waits while all of them are busy."""

    def __init__(self, count: int, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._free = BoundedSemaphore(max(1, count))
        self._changing = Lock()
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._is_closed = False

    def run(self, function: Callable[..., T], *arguments: Any, is_wanted: Callable[[], bool] = lambda: True) -> T:
        """What a function of a module returns, done in a child; arguments and result must be picklable.

        `is_wanted` is asked once a second: when nobody wants the result any more, the child is ended (`LeaseLost`).
        Raises `TooHeavy` where it goes over a limit, or its process is ended by somebody; `StoreError` as the function
        raises it; `RuntimeError` for any other error of it.
        """
        with self._free:
            child = self._take()
            code: int | None = None
            try:
                kind, value = self._done(child, packed((function, arguments, *self._set())), is_wanted)
            except EOFError:
                code = child.ended()
            except BaseException:
                self._drop(child)
                raise
            if code is not None:
                self._drop(child)
                raise self._why(code)
            self._give_back(child)
        return _result(kind, value, self._limits)  # type: ignore[no-any-return]

    def _set(self) -> tuple[float, int]:
        return self._limits.cpu_seconds or 1e9, self._limits.memory or 1 << 60

    def _done(self, child: _Child, call: bytes, is_wanted: Callable[[], bool]) -> tuple[str, Any]:
        """Send a call and wait for its answer, looking at the clock and at the child's memory."""
        limits, began = self._limits, time.monotonic()
        asked = began
        if not child.ask(call):
            raise EOFError
        while True:
            made = child.answer(LOOK)
            if made is not None:
                return made
            now = time.monotonic()
            if now - asked > ASK:
                asked = now
                if not is_wanted():
                    raise LeaseLost("nobody wants it any more", hint="it was cancelled, or others go on with it")
            if limits.seconds and now - began > limits.seconds:
                raise _over(f"took more than {limits.seconds:g} s", "GAPLESS_CHILD_TIME")
            if limits.memory and child.memory > limits.memory:
                raise _over(f"held more than {_megabytes(limits)} of memory", "GAPLESS_CHILD_MEMORY")

    def _take(self) -> _Child:
        with self._changing:
            if self._is_closed:
                raise LeaseLost("this process ends", hint="the next holder goes on")
            child = self._idle.pop() if self._idle else _Child()
            self._busy.add(child)
            return child

    def _give_back(self, child: _Child) -> None:
        with self._changing:
            self._busy.discard(child)
            if not self._is_closed:
                self._idle.append(child)
                return
        child.end()

    def _drop(self, child: _Child) -> None:
        with self._changing:
            self._busy.discard(child)
        child.end()

    def _why(self, code: int) -> GaplessError:
        """Why a child ended in the middle of a call."""
        if self._is_closed:
            return LeaseLost("this process ends", hint="the next holder goes on")
        limits = self._limits
        if code == -signal.SIGXCPU:
            return _over(f"used more than {limits.cpu_seconds:g} s of processor time", "GAPLESS_CHILD_CPU")
        if code == -signal.SIGABRT and limits.memory:
            # Native code that gets no memory gives up so.
            return _over(f"wanted more than {_megabytes(limits)} of memory", "GAPLESS_CHILD_MEMORY")
        said = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return TooHeavy(
            f"the child process was ended ({said})", source="", hint="the system may be out of memory; retry the job"
        )

    @property
    def pids(self) -> list[int]:
        """The numbers of the children that there are."""
        with self._changing:
            return [one.pid for one in [*self._idle, *self._busy]]

    def close(self) -> None:
        """End all of them, also those that are busy."""
        with self._changing:
            self._is_closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for one in idle:
            one.end()
        for one in busy:
            one.interrupt()


def _megabytes(limits: Limits) -> str:
    return f"{limits.memory / 1_000_000:,.0f} MB"


def _over(what: str, variable: str) -> TooHeavy:
    return TooHeavy(f"the child process {what}", source="", hint=f"ask for less at once, or raise {variable}")


def _result(kind: str, value: Any, limits: Limits) -> Any:
    """What a call returned, or the error that it met."""
    if kind == "ok":
        return value
    if kind == "memory":
        raise _over(f"wanted more than {_megabytes(limits)} of memory", "GAPLESS_CHILD_MEMORY")
    if kind == "told":
        name, message, hint = value
        its = getattr(errors, name, None)
        if isinstance(its, type) and issubclass(its, errors.StoreError | LeaseLost):
            raise its(message, hint=hint)
        raise RuntimeError(f"{name}: {message}")
    raise RuntimeError(str(value))
