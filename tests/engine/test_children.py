"""Child processes: each call has its limits, and nothing of a child outlives a limit, an error or its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gapless.core.errors import LeaseLost, StoreLost, TooHeavy
from gapless.testing import heavy
from gapless.testing.history import until
from gapless.work.processes import Limits, Processes

#: Longer than anything here takes; one that fails must not hang.
PATIENCE = 120.0


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def children() -> Iterator[Callable[..., Processes]]:
    made: list[Processes] = []

    def make(**limits: float) -> Processes:
        made.append(Processes(1, Limits(**{"seconds": PATIENCE, "memory": 0, **limits})))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_one_child_does_many_calls_and_ends_with_its_pool(children) -> None:
    pool = children()
    pid = pool.run(heavy.number)
    assert pid != os.getpid()
    assert pool.run(heavy.number) == pid == pool.pids[0]
    pool.close()
    assert is_gone(pid)
    with pytest.raises(LeaseLost):
        pool.run(heavy.number)


@pytest.mark.parametrize(
    ("limits", "function", "arguments", "variable"),
    [
        ({"seconds": 1.0}, heavy.wait, ("/dev/null",), "GAPLESS_CHILD_TIME"),
        ({"cpu_seconds": 1.0}, heavy.burn, (), "GAPLESS_CHILD_CPU"),
        ({"memory": 400_000_000}, heavy.hold, (2_000_000_000,), "GAPLESS_CHILD_MEMORY"),
    ],
    ids=["time", "cpu", "memory"],
)
def test_a_call_over_its_limit_ends_and_says_which(children, limits, function, arguments, variable: str) -> None:
    """The owner is told what to change, and the machine has its memory and processor back."""
    pool = children(**limits)
    with pytest.raises(TooHeavy, match=variable):
        pool.run(function, *arguments)
    # One that could say itself that it got no memory has given it back, and lives.
    assert pool.pids == [] or variable == "GAPLESS_CHILD_MEMORY"


def test_errors_come_back_as_what_they_are(children) -> None:
    pool = children()
    with pytest.raises(StoreLost, match="the server is gone; it may come back"):
        pool.run(heavy.lose_database)
    with pytest.raises(RuntimeError, match="ValueError: nobody has thought of this"):
        pool.run(heavy.go_wrong)
    before = pool.pids
    with pytest.raises(TooHeavy, match="SIGKILL"):
        pool.run(heavy.die)
    # The next call has a new one.
    assert pool.run(heavy.number) not in before


def test_a_parent_that_is_killed_leaves_no_orphan(tmp_path: Path) -> None:
    """Also in the middle of a call: whoever rescues the segment must not compete with a ghost for the machine."""
    note = tmp_path / "pid"
    code = (
        "from gapless.testing import heavy; from gapless.work.processes import Processes;"
        f"Processes(1).run(heavy.wait, {str(note)!r})"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        until(lambda: note.exists() and note.read_text().endswith("\n"), PATIENCE)
        parent.send_signal(signal.SIGKILL)
    pid = int(note.read_text())
    until(lambda: is_gone(pid), PATIENCE)
