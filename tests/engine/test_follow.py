"""Following: catch up however long the gap, then keep up; troubles are said and do not spread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gapless.app import Gapless
from gapless.core.clock import SystemClock
from gapless.core.job import Queue
from gapless.core.span import DAY, MINUTE, Span
from gapless.engine.reasons import reasons
from gapless.engine.worker import Range
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit.market import World
from gapless.testing.history import MINUTES, assert_complete, command, environment, open_history

SECONDS = "upbit.candles.1s"


class Said:
    """What a follower tells people; tests wait for a line instead of a time."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._new = threading.Condition()

    def __call__(self, text: str) -> None:
        with self._new:
            self.lines.append(text)
            self._new.notify_all()

    def wait(self, wanted: Callable[[str], bool], seconds: float = 20) -> str:
        """The first line that is as wanted."""
        with self._new:
            assert self._new.wait_for(lambda: any(map(wanted, self.lines)), seconds), self.lines
            return next(line for line in self.lines if wanted(line))


@contextmanager
def following(history: Gapless, dataset: str, names: list[str]) -> Iterator[Said]:
    said, stop = Said(), threading.Event()
    thread = threading.Thread(target=history.follow, args=(dataset, names, said, stop))
    thread.start()
    try:
        yield said
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def test_the_whole_gap_is_filled_in_pages_of_200(history: Gapless, upbit: SandboxProcess, world: World) -> None:
    """A collector that was down for two days must not skip them."""
    end = history.clock.now() - 2 * DAY
    span, _ = history.span(history.dataset(MINUTES), Span(end - DAY, end).start_time, Span(end, end + 1).start_time)
    history.backfill(MINUTES, "KRW-BTC", span.start_time, span.end_time).wait(timeout=60)
    before = upbit.stats()["requests"]

    with following(history, MINUTES, ["KRW-BTC"]) as said:
        line = said.wait(lambda text: text.startswith("[*]"))
        said.wait(lambda text: text.startswith("complete up to"))

    missing = int(line.removeprefix("[*] Backfilling ").removesuffix(" missing candles..."))
    assert 2 * 1440 - 2 <= missing <= 2 * 1440 + 2
    assert upbit.stats()["requests"] - before <= -(-missing // 200) + 1
    assert_complete(history, world, MINUTES, ["KRW-BTC"], Span(span.start, history.coverage_end(MINUTES, "KRW-BTC")))


def test_nothing_stored_starts_with_the_last_200_periods(history: Gapless, upbit: SandboxProcess) -> None:
    """A new collector has something to work with at once, for one request."""
    with following(history, MINUTES, ["KRW-ETH"]) as said:
        said.wait(lambda text: text == "[*] Backfilling 200 missing candles...")
        said.wait(lambda text: text.startswith("complete up to"))

    assert upbit.stats()["requests"] <= 2
    assert history.verify(MINUTES, "KRW-ETH").rows >= 200


def test_it_keeps_up_period_after_period(history: Gapless, world: World) -> None:
    """Second candles, so that the test need not wait for minutes."""
    with following(history, SECONDS, ["KRW-BTC"]) as said:
        said.wait(lambda text: text.startswith("complete up to"))
        began = len([one for one in said.lines if one.startswith("complete")])
        said.wait(lambda _: len([one for one in said.lines if one.startswith("complete")]) >= began + 3)

    end = history.coverage_end(SECONDS, "KRW-BTC")
    assert_complete(history, world, SECONDS, ["KRW-BTC"], Span(end - 60_000_000, end))


def test_two_followers_and_a_backfill_never_fetch_the_same_gap_twice(
    tmp_path: Path, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """Several collectors at once: neither duplicates nor double requests."""
    upbit.control(latency_ms=30)
    now = SystemClock().now()
    with (
        open_history(tmp_path, upbit.url) as other,
        following(history, MINUTES, ["KRW-BTC"]) as one,
        following(other, MINUTES, ["KRW-BTC", "KRW-ETH"]) as two,
    ):
        history.backfill(MINUTES, "KRW-BTC", days=200 / 1440).wait(timeout=30)
        for said in (one, two):
            said.wait(lambda text: text.startswith("complete up to"))
    # 200 minutes each of BTC and ETH, and what a minute that ended meanwhile may add.
    assert upbit.stats()["requests"] <= 2 + 4
    end = history.coverage_end(MINUTES, "KRW-BTC")
    assert end >= now - 3 * MINUTE
    assert_complete(history, world, MINUTES, ["KRW-BTC"], Span(end - 190 * MINUTE, end))


def test_with_the_provider_down_it_stays_up_and_says_so(history: Gapless, upbit: SandboxProcess) -> None:
    """A collector that dies at night because the provider was away for a minute is of no use."""
    upbit.control(down=True)
    with following(history, MINUTES, ["KRW-BTC"]) as said:
        said.wait(lambda text: "trying again" in text)
        upbit.control(down=False)
        said.wait(lambda text: text.startswith("complete up to"), 60)


def test_an_unknown_series_is_held_and_the_others_go_on(history: Gapless) -> None:
    """One wrong name must not stop a collector."""
    with following(history, MINUTES, ["KRW-NOPE", "KRW-BTC"]) as said:
        said.wait(lambda text: "KRW-NOPE" in text and "held" in text)
        said.wait(lambda text: text.startswith("complete up to") and "1 series" in text)


def test_the_command_ends_cleanly(tmp_path: Path, upbit: SandboxProcess) -> None:
    """Ctrl-C is the normal end of a follower: exit code 0."""
    import signal

    process = command("follow", MINUTES, "KRW-BTC", env=environment(tmp_path, upbit.url))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("[*] Backfilling 200 missing candles...")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err


def nobody_follows(history: Gapless) -> bool:
    with history.store.read() as tx:
        return any("nobody follows" in one for one in reasons(tx, history.jobs.get(1), history.clock.now()))


def test_a_worker_of_the_queue_is_no_follower(history: Gapless, upbit: SandboxProcess) -> None:
    """It fetches what was found missing, and never finds what comes next: then the reason must not be "soon"."""
    with following(history, MINUTES, ["KRW-BTC"]) as said:
        said.wait(lambda text: "complete up to" in text)
        assert not nobody_follows(history)
    engine = history.worker([Queue.LIVE], Range(1, 1))
    assert nobody_follows(history)
    history.release(engine)
