"""Validation over real stores and simulated providers: clean data is clean, and every planted fault is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gapless.app import Gapless
from gapless.core.errors import UsageError
from gapless.core.job import JobState
from gapless.core.span import Span
from gapless.sandbox.clock import instant as at
from gapless.store import pages, rows, series, tallies

MINUTES, HOURS, DAYS, SHARES = "upbit.candles.1m", "upbit.candles.60m", "upbit.candles.1d", "krx.stocks"
THREES, WEEKS, MONTHS, PRICES = "upbit.candles.3m", "upbit.candles.1w", "upbit.candles.1M", "user.prices"
TABLES = {MINUTES: "data_upbit_candles_1m", HOURS: "data_upbit_candles_60m", DAYS: "data_upbit_candles_1d",
          SHARES: "data_krx_stocks", THREES: "data_upbit_candles_3m", WEEKS: "data_upbit_candles_1w",
          MONTHS: "data_upbit_candles_1mo", PRICES: "data_user_prices"}  # fmt: skip
NOON = at("2024-06-02T12:00:00Z")
DAY = at("2024-05-02T00:00:00Z")
#: 2 May in Seoul.
MAY = at("2024-05-01T15:00:00Z")
MINUTE = 60_000_000


def run(history: Gapless, *statements: str) -> None:
    def write(tx) -> None:
        for one in statements:
            tx.cursor.execute(one)

    history.store.write(write)


def vouch(history: Gapless, dataset: str) -> None:
    """Let the ledger believe what is there now: as if a source had answered so."""
    found = history.dataset(dataset)

    def write(tx) -> None:
        for name in ("KRW-BTC", "KOSPI"):
            its = series.find(tx, dataset, name)
            if its is not None:
                have = tallies.found(tx, found, its)
                for bucket in tallies.expected(tx, its):
                    tx.cursor.execute(
                        f"UPDATE tally SET rows = {have.get(bucket, 0)} WHERE series = {its} AND bucket = {bucket}"
                    )

    history.store.write(write)


def set_(dataset: str, what: str, where: str) -> Callable[[Gapless], None]:
    return lambda history: run(history, f"UPDATE {TABLES[dataset]} SET {what} WHERE {where}")


def delete(dataset: str, where: str) -> Callable[[Gapless], None]:
    def plant(history: Gapless) -> None:
        run(history, f"DELETE FROM {TABLES[dataset]} WHERE {where}")
        vouch(history, dataset)

    return plant


def copy_row(dataset: str, source: int, target: int, *, columns: str) -> str:
    table = TABLES[dataset]
    return f"INSERT OR REPLACE INTO {table} SELECT series, {target}, {columns} FROM {table} WHERE time = {source}"


CANDLE = "open, high, low, close, volume, value, last_tick_at"


def unvouched(history: Gapless) -> None:
    run(history, copy_row(MINUTES, NOON, at("2024-06-06T12:00:00Z"), columns=CANDLE))


def off_grid(history: Gapless) -> None:
    run(history, f"UPDATE {TABLES[MINUTES]} SET time = time + 1000000 WHERE time = {NOON}")


def future(history: Gapless) -> None:
    run(history, copy_row(MINUTES, NOON, at("2024-06-15T12:00:00Z"), columns=CANDLE))


def copied(history: Gapless) -> None:
    rows = [copy_row(MINUTES, NOON + i * MINUTE, NOON + (600 + i) * MINUTE, columns=CANDLE) for i in range(30)]
    run(history, *rows, f"UPDATE {TABLES[MINUTES]} SET last_tick_at = time + 1 WHERE time > {NOON}")


def repeated(history: Gapless) -> None:
    columns = f"open, high, low, close, volume, value, {NOON + MINUTE}"
    run(history, copy_row(MINUTES, NOON, NOON + MINUTE, columns=columns))


def closed(history: Gapless) -> None:
    # 1 May is Labour Day: the exchange is closed.
    table = TABLES[SHARES]
    run(history, f"UPDATE {table} SET time = time - 86400000000 WHERE time = {MAY}")
    vouch(history, SHARES)


def one(hour: int = 12) -> str:
    return f"time = {at(f'2024-06-02T{hour:02}:00:00Z')}"


FAULTS: dict[str, tuple[str, str, Callable[[Gapless], None]]] = {
    "mistyped": (MINUTES, "basic", set_(MINUTES, "close = 'oops'", one())),
    "off_grid": (MINUTES, "basic", off_grid),
    "future": (MINUTES, "basic", future),
    "not_finite": (MINUTES, "basic", set_(MINUTES, "high = 9e999", one())),
    "blank_key": (SHARES, "basic", set_(SHARES, "code = code || ' '", f"time = {MAY}")),
    "ledger": (MINUTES, "basic", lambda history: run(history, f"DELETE FROM {TABLES[MINUTES]} WHERE {one()}")),
    "unvouched": (MINUTES, "basic", unvouched),
    "low_high": (MINUTES, "standard", set_(MINUTES, "low = close * 1.001", one())),
    "positive_price": (MINUTES, "standard", set_(MINUTES, "low = 0", one())),
    "negative_amount": (MINUTES, "standard", set_(MINUTES, "volume = -volume", one())),
    "value_by_volume": (MINUTES, "standard", set_(MINUTES, "value = value * 1000", one())),
    "half_traded": (MINUTES, "standard", set_(MINUTES, "volume = 0", one())),
    "late_tick": (MINUTES, "standard", set_(MINUTES, "last_tick_at = last_tick_at + 600000000", one())),
    "repeated": (MINUTES, "standard", repeated),
    "spike": (MINUTES, "standard", set_(MINUTES, "close = close * 1.3, high = high * 1.3, value = value", one())),
    "step": (MINUTES, "standard", set_(MINUTES, "open = open / 1000, high = high / 1000, low = low / 1000, "
                                                "close = close / 1000, value = value / 1000", f"time >= {NOON}")),
    "wick": (MINUTES, "standard", set_(MINUTES, "high = high * 20", one())),
    "frozen": (MINUTES, "standard", set_(MINUTES, "close = 90000000, high = 91000000, low = 80000000, open = 90000000,"
                                                  " value = volume * 90000000",
                                         f"time >= {NOON} AND time < {NOON + 90 * MINUTE}")),
    "truncated_day": (MINUTES, "standard", delete(MINUTES, f"time >= {NOON + 300 * MINUTE} AND "
                                                           f"time < {at('2024-06-03T00:00:00Z')}")),
    "copied": (MINUTES, "standard", copied),
    "previous_close": (DAYS, "standard", set_(DAYS, "prev_close = prev_close * 1.01", f"time = {DAY}")),
    "change_sum": (DAYS, "standard", set_(DAYS, "change = change + 1000", f"time = {DAY}")),
    "cap_sum": (SHARES, "standard", set_(SHARES, "cap = cap * 2", f"time = {MAY}")),
    "closed_session": (SHARES, "standard", closed),
    "missing_session": (SHARES, "standard", delete(SHARES, f"time = {MAY}")),
    "differs": (DAYS, "comprehensive", set_(DAYS, "volume = volume * 1.0001, value = value * 1.0001", "1 = 1")),
    "aggregate": (HOURS, "comprehensive", set_(HOURS, "volume = volume * 1.0001", one())),
}  # fmt: skip


def test_rows_after_the_end_of_a_validation_are_left_alone(history: Gapless) -> None:
    """A validation of a day in a history of years looks at that day: what is wrong later is not its business."""
    future(history)
    early = history.validate(MINUTES, "KRW-BTC", "2024-06-02", "2024-06-02", level="basic")
    assert [one.findings for one in early.series] == [[]]
    whole = history.validate(MINUTES, "KRW-BTC", level="basic")
    assert [one.rule for its in whole.series for one in its.findings] == ["future", "unvouched"]


def test_nothing_is_found_in_clean_data(history: Gapless) -> None:
    """Every false alarm costs the trust in true ones."""
    for dataset in TABLES:
        found = history.validate(dataset, level="comprehensive")
        assert found.findings == []
        assert {one.score for one in found.series} == {100.0}
        assert found.series[0].rows > 10


@pytest.mark.parametrize("rule", FAULTS)
def test_a_planted_fault_is_found(history: Gapless, rule: str) -> None:
    dataset, level, plant = FAULTS[rule]
    plant(history)
    found = history.validate(dataset, level=level)
    assert rule in {each.rule for _, each in found.findings}
    assert found.series[0].score < 100


@pytest.mark.parametrize(
    "rule", ["ledger", "off_grid", "future", "low_high", "mistyped", "closed_session", "aggregate"]
)
def test_what_cannot_be_true_is_taken_back_and_fetched_again(history: Gapless, rule: str) -> None:
    """After a repair the rows are those of the source again, and nothing is found."""
    dataset, level, plant = FAULTS[rule]
    before = history.read(dataset, "KOSPI" if dataset == SHARES else "KRW-BTC", "2024-05-01", "2024-06-04", fill=False)
    plant(history)
    found = history.validate(dataset, level=level)
    running = history.repair(found.job)
    # What lay beyond the frontier is only taken away.
    assert running is None if rule == "future" else running is not None
    assert running is None or running.wait() is JobState.DONE
    after = history.read(dataset, "KOSPI" if dataset == SHARES else "KRW-BTC", "2024-05-01", "2024-06-04", fill=False)
    assert after.equals(before)
    assert history.validate(dataset, level=level).findings == []


#: 2 May as a day of UTC.
SECOND_OF_MAY = f"time = {DAY}"


@pytest.mark.parametrize(
    ("dataset", "plant", "said"),
    [
        (DAYS, set_(PRICES, "close = close * 1.01", SECOND_OF_MAY), "of user.prices KRW-BTC"),
        (DAYS, set_(PRICES, "volume = volume * 1.02", SECOND_OF_MAY), "volume"),
        (DAYS, delete(PRICES, SECOND_OF_MAY), "user.prices KRW-BTC has no record of 2024-05-02"),
        (DAYS, delete(DAYS, SECOND_OF_MAY), "only user.prices KRW-BTC has a record of 2024-05-02"),
        (PRICES, set_(PRICES, "open = open * 0.99", SECOND_OF_MAY), "of upbit.candles.1d KRW-BTC"),
        (SHARES, set_(PRICES, "close = close * 1.01", SECOND_OF_MAY), "of user.prices 0"),
    ],
)
def test_what_two_datasets_say_of_a_day_has_to_agree(
    history: Gapless, dataset: str, plant: Callable[[Gapless], None], said: str
) -> None:
    """Days of Seoul and of UTC are the same day; nobody is believed more: a warning on that day, and no other."""
    history.dataset(PRICES)
    plant(history)
    found = [one for _, one in history.validate(dataset, level="comprehensive").findings if one.rule == "cross_source"]
    assert len(found) == 1
    assert found[0].severity == "warning"
    assert found[0].span.start == (MAY if dataset == SHARES else DAY)
    assert said in found[0].evidence


def test_days_that_only_one_of_two_can_know_are_not_held_against_it(history: Gapless) -> None:
    """Where nobody vouches for the other's silence, it says nothing."""
    history.dataset(PRICES)

    def forget(tx) -> None:
        its = series.find(tx, PRICES, "KRW-BTC")
        pages.withdraw(tx, history.dataset(PRICES), its, Span(DAY, DAY + 1440 * MINUTE))
        rows.delete(tx, history.dataset(PRICES), its, Span(DAY, DAY + 1440 * MINUTE))

    history.store.write(forget)
    assert history.validate(DAYS, level="comprehensive").findings == []


@pytest.mark.parametrize(
    ("dataset", "what"),
    [
        (THREES, "low = low * 0.999"),
        (DAYS, "value = value * 1.0001"),
        (WEEKS, "open = open * 1.001"),
        (MONTHS, "high = high * 1.001"),
    ],
)
def test_candles_are_rebuilt_from_finer_ones(history: Gapless, dataset: str, what: str) -> None:
    """Three minutes and days from minutes; weeks, which begin on Mondays, and months from days."""
    last = {
        THREES: NOON,
        DAYS: at("2024-06-02T00:00:00Z"),
        WEEKS: at("2024-05-20T00:00:00Z"),
        MONTHS: at("2024-05-01T00:00:00Z"),
    }
    set_(dataset, what, f"time = {last[dataset]}")(history)
    found = {one.rule: one for _, one in history.validate(dataset, level="comprehensive").findings}
    assert found["aggregate"].span == Span(last[dataset], history.dataset(dataset).grid.add(last[dataset], 1))


def test_a_week_without_its_record_is_found_by_its_days(history: Gapless) -> None:
    monday = at("2024-05-20T00:00:00Z")
    delete(WEEKS, f"time = {monday}")(history)
    found = [one for _, one in history.validate(WEEKS, level="comprehensive").findings if one.rule == "aggregate"]
    assert [one.span.start for one in found] == [monday]


def test_a_halt_is_no_truncated_day(history: Gapless) -> None:
    """Quiet hours lie anywhere; only a hole that touches a midnight looks like a broken loop."""
    delete(MINUTES, f"time >= {NOON} AND time < {NOON + 300 * MINUTE}")(history)
    assert history.validate(MINUTES).findings == []


def test_findings_stay_within_what_was_asked(history: Gapless) -> None:
    FAULTS["low_high"][2](history)
    assert history.validate(MINUTES, "KRW-BTC", "2024-06-03", "2024-06-03").findings == []
    found = history.validate(MINUTES, "KRW-BTC", "2024-06-02", "2024-06-02")
    assert {one.span for _, one in found.findings} == {Span(NOON, NOON + MINUTE)}


def test_nothing_stored_and_unknown_levels_are_named(history: Gapless) -> None:
    with pytest.raises(UsageError, match="nothing is stored"):
        history.validate(MINUTES, "KRW-XRP")
    with pytest.raises(UsageError, match="level"):
        history.validate(MINUTES, level="thorough")


def test_a_validation_that_was_left_goes_on_without_repeating_itself(history: Gapless, tmp_path: Path) -> None:
    """Findings are written with the proof of their stretch: each exactly once."""
    FAULTS["low_high"][2](history)
    job = history.create(history.validation_wish(MINUTES)).job
    assert history.step(job.id, 1) == 1
    first = len(history.validated(job.id).findings)
    whole = len(history.validate(MINUTES).findings)
    assert history.run(job.id).wait() is JobState.DONE
    assert len(history.validated(job.id).findings) == whole >= first
    assert whole > 0
