"""Time stands still until a test moves it."""

from __future__ import annotations

import threading

from gapless.core.clock import ManualClock, SystemClock
from gapless.core.span import SECOND


def test_a_manual_clock_moves_only_when_told():
    """Tests of waiting must not wait."""
    clock = ManualClock(0)
    clock.advance(1.5)
    assert (clock.now(), clock.monotonic()) == (1.5 * SECOND, 1.5)


def test_whoever_waits_on_a_manual_clock_wakes_when_its_time_has_come():
    """A worker that sleeps until its retry goes on in the moment the test moves the clock there."""
    clock, woke = ManualClock(0), []
    sleeper = threading.Thread(target=lambda: woke.append(clock.wait(threading.Event(), 60)))
    sleeper.start()
    while sleeper.is_alive():
        clock.advance(1)
        sleeper.join(0.001)
    assert woke == [False]


def test_an_event_ends_any_wait():
    """Waiting is always interruptible."""
    stop = threading.Event()
    stop.set()
    assert ManualClock(0).wait(stop, 60)
    assert SystemClock().wait(stop, 60)
    assert not SystemClock().wait(threading.Event(), -1)
