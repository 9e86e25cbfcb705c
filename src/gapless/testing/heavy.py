"""What a child process is given to do in tests: to wait, to burn, to hold, to go wrong."""

from __future__ import annotations

import os
import signal
import time

from gapless.core.errors import StoreLost


def number() -> int:
    """The number of the process."""
    return os.getpid()


def wait(path: str) -> None:
    """Write the number of the process to a file, and do nothing for longer than any test takes."""
    with open(path, "w") as file:  # noqa: PTH123  one call
        file.write(f"{os.getpid()}\n")
    time.sleep(600)


def draw_for_ever(url: str, order: object) -> None:
    """What draws reports, on a bad day; writes the number of the process beside the database."""
    assert order is not None
    wait(f"{url.removeprefix('sqlite:///')}.drawing")


def burn() -> None:
    """Use processor time for ever."""
    while True:
        pass


def hold(size: int) -> None:
    """Take so many bytes of memory, ten million at a time, and keep them."""
    kept = [bytearray(b"x" * 10_000_000) for _ in range(size // 10_000_000)]
    time.sleep(600)
    del kept


def lose_database() -> None:
    """Fail as a store does."""
    raise StoreLost("the server is gone", hint="it may come back")


def go_wrong() -> None:
    """Fail in a way that nobody has thought of."""
    raise ValueError("nobody has thought of this")


def die() -> None:
    """Be ended from outside, as by a system that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
