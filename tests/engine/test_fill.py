"""Filling: every row once, with the fewest requests, from whatever was there before."""

from __future__ import annotations

import pytest

from gapless.app import Gapless
from gapless.core.errors import UsageError
from gapless.core.job import JobState, Mode
from gapless.core.period import parse
from gapless.core.span import DAY, MINUTE, Span, instant
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit.market import World
from gapless.store import pages, segments, series
from gapless.testing.history import MINUTES, assert_complete

START = parse("2024-06-01", field="from").start


def requests(upbit: SandboxProcess) -> int:
    return int(upbit.stats()["requests"])


def fill(history: Gapless, names: str | list[str], span: Span, **how: object) -> JobState:
    running = history.backfill(MINUTES, names, span.start_time, span.end_time, **how)
    return running.wait(timeout=60)


@pytest.mark.parametrize("direction", ["both", "backward", "forward"])
def test_a_dense_span_costs_the_fewest_requests(
    history: Gapless, upbit: SandboxProcess, world: World, direction: str
) -> None:
    """10,000 minutes in pages of 200 are 50 requests, however the work is cut."""
    span = Span(START, START + 10_000 * MINUTE)

    assert fill(history, "KRW-BTC", span, direction=direction) is JobState.DONE

    assert requests(upbit) == 50
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span)


def test_the_same_again_asks_nobody_and_a_moved_window_asks_once(history: Gapless, upbit: SandboxProcess) -> None:
    """People run the same command every morning."""
    fill(history, "KRW-BTC", Span(START, START + DAY))
    before = requests(upbit)

    assert fill(history, "KRW-BTC", Span(START, START + DAY)) is JobState.DONE
    assert requests(upbit) == before
    assert fill(history, "KRW-BTC", Span(START + MINUTE, START + DAY + MINUTE)) is JobState.DONE
    assert requests(upbit) == before + 1


@pytest.mark.parametrize(("direction", "ratio"), [("both", 1.0), ("backward", 1.0), ("forward", 1.2)])
def test_a_thin_market_is_complete_and_its_empty_minutes_are_never_asked_again(
    history: Gapless, upbit: SandboxProcess, world: World, direction: str, ratio: float
) -> None:
    """A minute without a trade has no row: it is empty, not missing. Nor is a page cut: whatever slots there are."""
    span = Span(START, START + 30 * DAY)
    assert fill(history, "KRW-THIN", span, direction=direction) is JobState.DONE
    assert_complete(history, world, MINUTES, ["KRW-THIN"], span)
    rows = history.verify(MINUTES, "KRW-THIN").rows
    # The two halves may both end in a part of a page.
    assert requests(upbit) <= -(-rows // 200) * ratio + (direction == "both")

    before = requests(upbit)
    fill(history, "KRW-THIN", Span(START + DAY, START + 2 * DAY))
    assert requests(upbit) == before


def test_a_history_start_is_found_and_remembered(history: Gapless, upbit: SandboxProcess, world: World) -> None:
    """Nothing before the listing is asked twice."""
    listed = parse("2024-02-15T07:31:00Z", field="from").start
    span = Span(listed - 5 * DAY, listed + 5 * DAY)

    assert fill(history, "KRW-NEW", span) is JobState.DONE

    assert_complete(history, world, MINUTES, ["KRW-NEW"], span)
    # That it is not where the span begins, and that nothing precedes it: in emptiness nothing is cut.
    assert requests(upbit) <= 36 + 2
    with history.store.read() as tx:
        series_id = series.find(tx, MINUTES, "KRW-NEW")
        assert series_id is not None
        assert series.since(tx, series_id)[0] == listed
    before = requests(upbit)
    assert fill(history, "KRW-NEW", Span(listed - 20 * DAY, listed + DAY)) is JobState.DONE
    assert requests(upbit) == before


def test_a_long_history_that_begins_late_is_fetched_by_several(history: Gapless, upbit: SandboxProcess) -> None:
    """Nobody knows where it begins: what has come in a row is believed to go on, and hardly a request is lost."""
    upbit.control(latency_ms=40)
    listed = parse("2024-02-15T07:31:00Z", field="from").start
    running = history.backfill(
        MINUTES, "KRW-NEW", Span(listed - 20 * DAY, listed).start_time, Span(listed, listed + 10 * DAY).end_time
    )
    assert running.wait(timeout=60) is JobState.DONE

    with history.store.read() as tx:
        shares = [detail.requests for detail in segments.of_job(tx, running.job.id)]
    least = 72
    assert max(shares) <= least / 2
    assert sum(shares) == requests(upbit) <= least + 2 + 4


@pytest.mark.parametrize("slots", [1])
def test_a_halt_of_three_days_costs_next_to_nothing(history: Gapless, upbit: SandboxProcess, world: World) -> None:
    """The source's count jumps over emptiness when it is asked backward."""
    halt = parse("2024-03-10", field="from").start
    span = Span(halt - 2 * DAY, halt + 5 * DAY)
    least = -(-4 * DAY // (200 * MINUTE))

    assert fill(history, "KRW-HALT", span) is JobState.DONE

    assert_complete(history, world, MINUTES, ["KRW-HALT"], span)
    assert requests(upbit) <= least + 2


@pytest.mark.parametrize("slots", [1])
def test_a_halt_met_forward_costs_at_most_four_requests_more(history: Gapless, upbit: SandboxProcess) -> None:
    """Forward windows double over emptiness."""
    halt = parse("2024-03-10", field="from").start
    span = Span(halt - 2 * DAY, halt + 5 * DAY)

    assert fill(history, "KRW-HALT", span, direction="forward") is JobState.DONE

    assert requests(upbit) <= -(-4 * DAY // (200 * MINUTE)) + 4


def test_scattered_gaps_share_requests(history: Gapless, upbit: SandboxProcess, world: World) -> None:
    """Ten single minutes within 200 are one request."""
    span = Span(START, START + DAY)
    fill(history, "KRW-BTC", span)
    punch(history, [START + k * 20 * MINUTE for k in range(10)])
    before = requests(upbit)

    assert fill(history, "KRW-BTC", span) is JobState.DONE

    assert requests(upbit) == before + 1
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span)


def punch(history: Gapless, minutes: list[int]) -> None:
    """Take single minutes out of the ledger."""
    with history.store.read() as tx:
        series_id = series.find(tx, MINUTES, "KRW-BTC")
    assert series_id is not None
    for at in minutes:
        found = history.dataset(MINUTES)
        history.store.write(lambda tx, at=at, found=found: pages.withdraw(tx, found, series_id, Span(at, at + MINUTE)))


def test_head_tail_and_inner_gaps_are_extended_and_repaired(
    history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """Whatever was fetched before, exactly the rest is asked for."""
    fill(history, "KRW-BTC", Span(START + DAY, START + DAY + 400 * MINUTE))
    fill(history, "KRW-BTC", Span(START + DAY + 600 * MINUTE, START + DAY + 1000 * MINUTE))
    before = requests(upbit)

    assert fill(history, "KRW-BTC", Span(START + DAY - 200 * MINUTE, START + DAY + 1200 * MINUTE)) is JobState.DONE

    assert requests(upbit) == before + 3
    assert_complete(history, world, MINUTES, ["KRW-BTC"], Span(START + DAY - 200 * MINUTE, START + DAY + 1200 * MINUTE))


def test_mode_all_asks_everything_again_once(history: Gapless, upbit: SandboxProcess, world: World) -> None:
    """A forced refresh subtracts what this job has proven, not what is covered."""
    span = Span(START, START + 2000 * MINUTE)
    fill(history, "KRW-BTC", span)
    before = requests(upbit)

    assert fill(history, "KRW-BTC", span, mode=Mode.ALL) is JobState.DONE

    assert requests(upbit) == before + 10
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span)


def test_recheck_asks_only_the_last_periods_again(history: Gapless, upbit: SandboxProcess) -> None:
    """Recent records are the ones that sources correct."""
    span = Span(START, START + 2000 * MINUTE)
    fill(history, "KRW-BTC", span)
    before = requests(upbit)

    assert fill(history, "KRW-BTC", span, recheck=300) is JobState.DONE

    assert requests(upbit) == before + 2


@pytest.mark.parametrize(
    ("unit", "days"),
    [("1s", 0.05), ("3m", 3), ("5m", 3), ("10m", 5), ("15m", 5), ("30m", 9), ("60m", 20), ("240m", 60), ("1d", 300)],
)
def test_every_unit_is_complete(history: Gapless, upbit: SandboxProcess, world: World, unit: str, days: float) -> None:
    """All candle units are the same work on another grid."""
    dataset = f"upbit.candles.{unit}"
    end = history.clock.now() - DAY
    span, _ = history.span(history.dataset(dataset), Span(end - round(days * DAY), end).start_time, _time(end))

    running = history.backfill(dataset, "KRW-BTC", span.start_time, span.end_time)

    assert running.wait(timeout=60) is JobState.DONE
    assert_complete(history, world, dataset, ["KRW-BTC"], span)


@pytest.mark.parametrize("unit", ["1w", "1M", "1y"])
def test_calendar_units_are_complete_since_the_listing(
    history: Gapless, upbit: SandboxProcess, world: World, unit: str
) -> None:
    """Weeks start on Mondays, months and years on the first: counted by the calendar."""
    dataset = f"upbit.candles.{unit}"
    running = history.backfill(dataset, "KRW-NEW", "2023")

    assert running.wait(timeout=60) is JobState.DONE
    span = running.job.span
    assert_complete(history, world, dataset, ["KRW-NEW"], span)
    assert requests(upbit) <= 3


def _time(at: int) -> object:
    from gapless.core.span import moment

    return moment(at)


def test_an_unknown_market_is_named_and_the_others_are_complete(
    history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """One wrong code in a list must not cost the good ones."""
    span = Span(START, START + 1000 * MINUTE)
    running = history.backfill(MINUTES, ["KRW-NOPE", "KRW-BTC"], span.start_time, span.end_time)

    assert running.wait(timeout=60) is JobState.INCOMPLETE

    assert "KRW-NOPE" in running.job.error
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span)


def test_only_an_unknown_market_fails(history: Gapless) -> None:
    """And says what to do next."""
    running = history.backfill(MINUTES, "KRW-NOPE", days=1)

    assert running.wait(timeout=60) is JobState.FAILED
    assert "gapless sources upbit" in running.job.error


def test_an_identical_wish_adopts_the_unfinished_job(history: Gapless) -> None:
    """Two jobs for one wish would be one too many."""
    found = history.dataset(MINUTES)
    first = history.jobs.create(history.wish(found, "KRW-BTC", None, None, days=3), hold=True)
    second = history.jobs.create(history.wish(found, "KRW-BTC", None, None, days=3))

    assert second.adopted
    assert second.job.id == first.job.id


def test_the_present_is_complete_but_for_the_unfinished_candle(
    history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """The candle that still changes is never marked covered."""
    running = history.backfill(MINUTES, "KRW-BTC", days=0.2)
    assert running.wait(timeout=60) is JobState.DONE

    covered = history.coverage(MINUTES, "KRW-BTC")
    assert instant(covered["end"][-1]) <= history.clock.now()
    assert_complete(history, world, MINUTES, ["KRW-BTC"], running.job.span)


def test_a_span_in_the_future_is_refused(history: Gapless) -> None:
    """Nothing can be complete that has not happened."""
    with pytest.raises(UsageError, match="future"):
        history.backfill(MINUTES, "KRW-BTC", "2099-01-01")
