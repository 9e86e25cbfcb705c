"""A process that does heavy work for another one: it reads calls from its standard input and writes answers.

Started as a program, not forked and not by `multiprocessing`: it imports nothing of the caller's script, and it is one
process with one number that can be limited, watched and ended. When its parent is gone, in whatever way, so is it.
"""

from __future__ import annotations

import os
import pickle
import queue
import resource
import signal
import struct
import sys
import threading
from typing import Any

from gapless.core.errors import GaplessError

#: Bytes that libraries may set aside without touching them, such as the arena of an allocator at its first use.
ASIDE = 2 * 1024**3
#: The length that stands before every message.
LENGTH = struct.Struct("!Q")


def packed(value: Any) -> bytes:
    """A message of the pipe."""
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def main() -> None:
    """Answer calls until the parent closes the pipe."""
    # Ctrl-C reaches all processes of a terminal: the parent decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.dup(1)
    # Whatever a library prints must not stand between two answers.
    os.dup2(2, 1)
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(calls,), daemon=True).start()
    while True:
        message = packed(_done(calls.get()))
        view = memoryview(message)
        while view:
            view = view[os.write(answers, view) :]


def _listen(calls: queue.SimpleQueue[bytes]) -> None:
    """Hand calls on; the end of the pipe is the end of the parent, also while a call is being done."""
    source = os.fdopen(0, "rb", closefd=False)
    while True:
        head = source.read(LENGTH.size)
        body = source.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""
        if not body:
            os._exit(1)
        calls.put(body)


def _done(call: bytes) -> tuple[str, Any]:
    """`ok` and a value, or how it went wrong: the error's own words, as not every error survives the pipe."""
    try:
        function, arguments, seconds, memory = pickle.loads(call)
        _limit(seconds, memory)
        return "ok", function(*arguments)
    except MemoryError:
        return "memory", ""
    except GaplessError as error:
        return "told", (type(error).__name__, error.message, error.hint)
    except Exception as error:  # noqa: BLE001  the parent's worker loop makes a state of it
        return "fault", f"{type(error).__name__}: {error}"


def _limit(seconds: float, memory: int) -> None:
    """Let this call take so much processor time and so many bytes of new memory."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _set(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + 1)
    reserved = _reserved()
    if reserved is not None:
        _set(resource.RLIMIT_DATA, reserved + memory + ASIDE)


def _set(what: int, most: int) -> None:
    """Change a limit of this process, as far as it may."""
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _reserved() -> int | None:
    """Bytes of data that the process has set aside, most of which an allocator never touches; None outside Linux."""
    if sys.platform != "linux":
        return None
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  no path arithmetic on what is no file
        return int(file.read().split()[5]) * resource.getpagesize()


if __name__ == "__main__":
    main()
