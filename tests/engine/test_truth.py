"""Truth: what is present, empty, missing, unavailable; and what was tampered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.core.period import parse
from gapless.core.span import DAY, MINUTE, Span
from gapless.engine.truth import Word, differences
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit.market import World
from gapless.testing.history import MINUTES, assert_complete, environment, run

START = parse("2024-06-01", field="from").start
SPAN = Span(START, START + DAY)


def fill(history: Gapless, name: str = "KRW-BTC") -> int:
    running = history.backfill(MINUTES, name, SPAN.start_time, SPAN.end_time)
    assert running.wait(timeout=60) is JobState.DONE
    return running.id


def delete_rows(history: Gapless, first: int, cells: int) -> None:
    """What a careless hand does with a database client."""
    bounds = (START + first * MINUTE, START + (first + cells) * MINUTE)
    table = history.dataset(MINUTES).table
    history.store.write(lambda tx: tx.cursor.execute(f"DELETE FROM {table} WHERE time >= ? AND time < ?", bounds))


def test_holes_made_by_hand_are_found_repaired_and_filled(
    history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """The ledger knows how many rows it vouches for."""
    fill(history)
    delete_rows(history, 100, 7)

    found = history.verify(MINUTES)

    assert sum(one.expected - one.found for one in found.findings) == 7
    history.verify(MINUTES, repair=True)
    before = upbit.stats()["requests"]
    fill(history)
    assert upbit.stats()["requests"] - before <= 5
    assert_complete(history, world, MINUTES, ["KRW-BTC"], SPAN)


def test_rows_put_in_by_hand_are_found(history: Gapless) -> None:
    """Nobody vouches for a row outside coverage."""
    fill(history)
    table = history.dataset(MINUTES).table
    history.store.write(
        lambda tx: tx.cursor.execute(
            f"INSERT INTO {table} SELECT series, time + ?, open, high, low, close, volume, value, last_tick_at"
            f" FROM {table} LIMIT 5",
            (10 * DAY,),
        )
    )

    assert history.verify(MINUTES).outside == 5


def test_the_words_of_a_thin_market(history: Gapless) -> None:
    """Minutes without a trade are empty, those never asked for are missing."""
    fill(history, "KRW-THIN")
    parts = history.stretches(
        history.dataset(MINUTES), "KRW-THIN", SPAN.start_time, Span(SPAN.end, SPAN.end + DAY).end_time, None
    )
    counted = {word: sum(one.cells for one in parts if one.word is word) for word in Word}

    rows = history.read(MINUTES, "KRW-THIN", SPAN.start_time, SPAN.end_time, fill=False).height
    assert counted[Word.EMPTY] == 1440 - rows
    assert counted[Word.MISSING] == 1440


def test_what_the_source_has_forgotten_is_unavailable_and_ends_a_job_done(history: Gapless) -> None:
    """Upbit keeps seconds for three months."""
    dataset = history.dataset("upbit.candles.1s")
    end = history.clock.now() - 200 * DAY
    span = Span(end - 60_000_000, end)
    running = history.backfill(dataset.name, "KRW-BTC", span.start_time, span.end_time)

    assert running.wait(timeout=60) is JobState.DONE
    parts = history.stretches(dataset, "KRW-BTC", span.start_time, span.end_time, None)
    assert {one.word for one in parts} == {Word.UNAVAILABLE}


def test_a_certificate_holds_until_a_row_changes(history: Gapless) -> None:
    """What a job vouches for can be checked for ever."""
    job_id = fill(history)
    made = history.certificate(job_id)
    assert made["isComplete"]
    assert made["series"][0]["rows"] == 1440
    assert differences(made, history.certificate(job_id)) == []

    table = history.dataset(MINUTES).table
    history.store.write(lambda tx: tx.cursor.execute(f"UPDATE {table} SET close = close + 1 WHERE time = ?", (START,)))

    assert "sha256" in differences(made, history.certificate(job_id))[0]


def test_a_plan_asks_nobody_and_is_exact_for_a_dense_market(history: Gapless, upbit: SandboxProcess) -> None:
    """A dry run that is wrong is worse than none."""
    fill(history)
    upbit.control(reset_stats=True)

    made = history.plan(MINUTES, "KRW-BTC", SPAN.start_time, Span(SPAN.end, SPAN.end + 3 * DAY).end_time)

    assert upbit.stats()["requests"] == 0
    assert made.series[0].missing == [Span(SPAN.end, SPAN.end + 3 * DAY)]
    assert made.series[0].least == made.series[0].most == 22
    history.backfill(MINUTES, "KRW-BTC", SPAN.start_time, Span(SPAN.end, SPAN.end + 3 * DAY).end_time).wait(timeout=60)
    assert upbit.stats()["requests"] == 22


def test_a_plan_of_a_thin_market_is_within_five_per_cent(history: Gapless, upbit: SandboxProcess) -> None:
    """From three stored pages on."""
    history.backfill(MINUTES, "KRW-THIN", "2024-06-01", "2024-06-20").wait(timeout=60)
    upbit.control(reset_stats=True)

    made = history.plan(MINUTES, "KRW-THIN", "2024-01-01", "2024-05-31")
    history.backfill(MINUTES, "KRW-THIN", "2024-01-01", "2024-05-31").wait(timeout=60)

    assert made.requests == pytest.approx(upbit.stats()["requests"], rel=0.05)


def test_why_names_the_job_that_is_in_the_way(tmp_path: Path, history: Gapless, upbit: SandboxProcess) -> None:
    """The reason comes from the predicates that claim."""
    from gapless.cli.jobs import reasons_of

    found = history.dataset(MINUTES)
    held = history.jobs.create(history.wish(found, "KRW-BTC", "2024-06-01", None), hold=True).job
    assert "paused" in reasons_of(history, held)[0]
    waiting = history.jobs.create(history.wish(found, "KRW-ETH", "2024-06-01", None)).job
    assert "no worker" in reasons_of(history, waiting)[0]
    shown = run("jobs", "why", str(waiting.id), env=environment(tmp_path, upbit.url))
    assert "no worker serves queue backfill" in shown.stdout
