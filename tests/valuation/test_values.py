"""What a company was worth at an event: by hand for one, and never with anything that was published after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gapless.core.span import instant
from gapless.core.valuation import VALUES, Inputs, value
from gapless.core.valuation import inputs as schemas

OUTCOMES = {f"return_{ahead}" for ahead in (1, 5, 20, 60)}
PUBLISHED = ("income", "balance", "earnings", "targets", "grades")
START = date(2018, 1, 1)


def at(day: date, hour: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def weekdays(start: date, count: int) -> list[date]:
    days = (start + timedelta(days=one) for one in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


def frame(rows: list[tuple[Any, ...]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


DAYS = weekdays(START, 1500)
SESSIONS = frame([(number, day, at(day, 21)) for number, day in enumerate(DAYS)], schemas.SESSIONS)


def quarter_ends(count: int) -> list[date]:
    ends = [date(2017, 3, 31), date(2017, 6, 30), date(2017, 9, 30), date(2017, 12, 31)]
    return [date(end.year + year, end.month, end.day) for year in range(count // 4 + 1) for end in ends][:count]


def made(**changes: Any) -> Inputs:
    """A company whose close is 100 plus the number of the session, and which earns 10 a quarter with 4 shares."""
    ends = quarter_ends(24)
    filed = [at(end + timedelta(days=40), 21) for end in ends]
    usual: dict[str, Any] = {
        "sessions": SESSIONS,
        "prices": frame([(day, 100.0 + number) for number, day in enumerate(DAYS)], schemas.PRICES),
        "splits": frame([], schemas.SPLITS),
        "income": frame(
            [(end, known, 100.0 + i, 10.0, 20.0, 4.0) for i, (end, known) in enumerate(zip(ends, filed, strict=True))],
            schemas.INCOME,
        ),
        "balance": frame(
            [(end, known, 200.0, 50.0, 30.0) for end, known in zip(ends, filed, strict=True)], schemas.BALANCE
        ),
        "earnings": frame([(known, 1.1, 1.0) for known in filed], schemas.EARNINGS),
        "targets": frame(
            [(at(date(2019, 3, 1), 9), "Elm", 150.0), (at(date(2019, 3, 4), 9), "Fjord", 250.0)], schemas.TARGETS
        ),
        "grades": frame([(at(date(2019, 2, 1)), "Elm", 3, 0), (at(date(2019, 3, 5)), "Elm", 2, 1)], schemas.GRADES),
    }
    return Inputs(**(usual | changes))


def one(moment: datetime, inputs: Inputs | None = None) -> dict[str, Any]:
    events = pl.DataFrame({"event": [1], "at": [moment]}, schema={"event": pl.Int64, "at": schemas.UTC})
    return value(events, inputs or made()).row(0, named=True)


# By hand


def test_values_by_hand():
    """Every number of one event, computed on paper."""
    told = one(at(date(2019, 3, 6), 12))
    number = DAYS.index(date(2019, 3, 5))
    close = 100.0 + number
    assert told["close"] == close
    assert told["closed"] == instant(at(date(2019, 3, 5), 21))
    assert told["return_1"] == pytest.approx((close + 1) / close - 1)
    assert told["return_60"] == pytest.approx((close + 60) / close - 1)
    # The quarter that ended on 31 December was filed on 9 February: the last four are the quarters 5 to 8.
    assert told["filed"] == instant(at(date(2019, 2, 9), 21))
    assert told["market_cap"] == 4 * close
    assert told["per"] == pytest.approx(4 * close / 40)
    assert told["pbr"] == pytest.approx(4 * close / 200)
    assert told["psr"] == pytest.approx(4 * close / (104 + 105 + 106 + 107))
    assert told["ev_ebitda"] == pytest.approx((4 * close + 50 - 30) / 80)
    assert told["roe"] == pytest.approx(40 / 200)
    assert told["revenue_growth"] == pytest.approx((104 + 105 + 106 + 107) / (100 + 101 + 102 + 103) - 1)
    assert told["income_growth"] == 0
    assert (told["target_high"], told["target_low"], told["target_mean"], told["target_count"]) == (250, 150, 200, 2)
    assert (told["buy"], told["hold"], told["grade_balance"]) == (1, 0, 1)
    assert told["surprise"] == pytest.approx(0.1)
    assert all(told[f"{one.name}_reason"] is None for one in VALUES if told[one.name] is not None)


def test_the_own_median_is_of_the_ratios_so_far():
    """Of five years at most, and of 250 sessions at least."""
    told = one(at(date(2020, 6, 3), 12))
    ratios = []
    for day in DAYS:
        if at(day, 21) >= at(date(2020, 6, 3), 12):
            break
        if at(day, 21) > at(date(2018, 2, 9), 21):
            ratios.append(4 * (100.0 + DAYS.index(day)) / 40)
    ratios.sort()
    half = len(ratios) // 2
    middle = ratios[half] if len(ratios) % 2 else (ratios[half - 1] + ratios[half]) / 2
    assert told["per_to_median"] == pytest.approx(told["per"] / middle - 1)
    assert "250 sessions" in one(at(date(2018, 6, 1)))["per_to_median_reason"]


def test_an_event_before_the_close_takes_the_close_of_the_day_before():
    """Before open, after close, weekend: always the last close before it."""
    for moment, day in [
        (at(date(2019, 3, 6), 21), date(2019, 3, 5)),
        (at(date(2019, 3, 6), 22), date(2019, 3, 6)),
        (at(date(2019, 3, 9), 12), date(2019, 3, 8)),
        (at(date(2019, 3, 11), 6), date(2019, 3, 8)),
    ]:
        assert one(moment)["closed"] == instant(at(day, 21))


def test_a_split_changes_neither_returns_nor_the_worth_of_the_company():
    """Two for one: half the price, twice the shares; statements filed before tell the old shares."""
    split = DAYS[DAYS.index(date(2019, 3, 5)) + 3]
    prices = [(day, (100.0 + number) / (2 if day >= split else 1)) for number, day in enumerate(DAYS)]
    inputs = made(prices=frame(prices, schemas.PRICES), splits=frame([(split, 2.0)], schemas.SPLITS))
    before, plain = one(at(date(2019, 3, 6), 12), inputs), one(at(date(2019, 3, 6), 12))
    assert before["return_20"] == pytest.approx(plain["return_20"])
    after, plain = one(at(split + timedelta(days=2), 12), inputs), one(at(split + timedelta(days=2), 12))
    assert after["close"] == pytest.approx(plain["close"] / 2)
    assert after["per"] == pytest.approx(plain["per"])
    assert after["target_high"] == pytest.approx(125)
    assert before["target_high"] == 250


@pytest.mark.parametrize(("hour", "high"), [(3, 250), (5, 250), (20, 250), (22, 125)])
def test_targets_are_told_in_the_shares_of_the_close(hour, high):
    """Whatever day it is in London: the evening before a split in New York is before it, and so is its morning."""
    split = date(2019, 3, 8)
    prices = [(day, (100.0 + number) / (2 if day >= split else 1)) for number, day in enumerate(DAYS)]
    inputs = made(
        prices=frame(prices, schemas.PRICES), splits=frame([(split, 2.0)], schemas.SPLITS), zone="America/New_York"
    )
    told = one(at(split, hour), inputs)
    assert told["target_high"] == high
    assert (told["close"] > 300) is (high == 250)


def test_what_is_told_in_the_evening_before_a_split_is_of_that_day():
    """It is the next day in London; a day without a time lasts until midnight in New York."""
    split = date(2019, 3, 8)
    evening, midnight = at(split, 2), datetime(2019, 3, 8, 5, tzinfo=UTC)
    plain = made()
    income = plain.income.with_columns(
        known=pl.when(pl.col("end") == date(2018, 12, 31)).then(pl.lit(midnight)).otherwise("known").cast(schemas.UTC)
    )
    inputs = made(
        targets=frame([(evening, "Elm", 150.0)], schemas.TARGETS),
        income=income,
        splits=frame([(split, 2.0)], schemas.SPLITS),
        zone="America/New_York",
    )
    told = one(at(date(2019, 3, 12), 12), inputs)
    assert told["target_high"] == 75
    assert told["filed"] == instant(midnight)
    assert told["market_cap"] == pytest.approx(told["close"] * 4 * 2)


# What cannot be computed


@pytest.mark.parametrize(
    ("changes", "name", "why"),
    [
        ({"prices": frame([], schemas.PRICES)}, "close", "no close"),
        ({"prices": frame([(date(2018, 5, 1), 10.0)], schemas.PRICES)}, "per", "no close"),
        ({"income": frame([], schemas.INCOME)}, "per", "no statement"),
        ({"balance": frame([], schemas.BALANCE)}, "pbr", "no balance sheet"),
        ({"targets": frame([], schemas.TARGETS)}, "target_mean", "no price target"),
        ({"grades": frame([], schemas.GRADES)}, "buy", "no grade"),
        ({"earnings": frame([], schemas.EARNINGS)}, "surprise", "no earnings"),
        ({"lacking": {"grades": "the plan does not cover grades"}}, "grade_balance", "the plan does not cover"),
    ],
)
def test_what_cannot_be_computed_has_a_reason(changes, name, why):
    """Null, and a word why: never zero, never a guess."""
    told = one(at(date(2019, 3, 6), 12), made(**changes))
    assert told[name] is None
    assert why in told[f"{name}_reason"]


def test_a_loss_has_no_price_earnings_ratio():
    """A negative ratio means nothing."""
    income = made().income.with_columns(net_income=pl.lit(-10.0))
    told = one(at(date(2019, 3, 6), 12), made(income=income))
    assert told["per"] is None
    assert "loss" in told["per_reason"]
    assert told["roe"] == pytest.approx(-0.2)


def test_a_missing_quarter_is_no_year():
    """Four quarters that do not follow each other are no twelve months."""
    income = made().income.filter(pl.col("end") != date(2018, 9, 30))
    told = one(at(date(2019, 3, 6), 12), made(income=income))
    assert told["per"] is None
    assert "four quarters" in told["per_reason"]
    assert told["market_cap"] is not None


def test_every_null_has_a_reason_and_every_value_none():
    """On both sides, for all values, at many moments."""
    events = pl.DataFrame({"event": range(60), "at": [at(START + timedelta(days=30 * one), 15) for one in range(60)]})
    told = value(events.cast({"at": schemas.UTC}), made())
    for each in VALUES:
        assert (told[each.name].is_null() == told[f"{each.name}_reason"].is_not_null()).all(), each.name


# Nothing from after the event


def only_before(inputs: Inputs, moment: datetime) -> Inputs:
    """What had been published before a moment."""
    kept = {name: getattr(inputs, name).filter(pl.col("known") < moment) for name in PUBLISHED}
    closed = inputs.sessions.filter(pl.col("closed") < moment)["day"]
    prices = inputs.prices.filter(pl.col("day").is_in(closed.implode()))
    splits = inputs.splits.filter(pl.col("day") <= moment.date())
    return replace(inputs, prices=prices, splits=splits, **kept)


def moments() -> st.SearchStrategy[datetime]:
    return st.integers(0, 60 * 24 * 1900).map(lambda minutes: at(START) + timedelta(minutes=minutes))


@st.composite
def histories(draw: st.DrawFn) -> Inputs:
    """A company whose records were published at any time, in any order."""
    late = st.integers(1, 300)
    ends = quarter_ends(24)
    known = [at(end, 21) + timedelta(days=draw(late)) for end in ends]
    amount = st.floats(-50, 100)
    day = moments()
    firm = st.sampled_from(["Elm", "Fjord", ""])
    return made(
        income=frame(
            [
                (end, one, draw(st.floats(1, 99)), draw(amount), draw(amount), 4.0)
                for end, one in zip(ends, known, strict=True)
            ],
            schemas.INCOME,
        ),
        balance=frame(
            [(end, one, draw(amount), 5.0, 3.0) for end, one in zip(ends, reversed(known), strict=True)],
            schemas.BALANCE,
        ),
        earnings=frame([(one, draw(amount), draw(amount)) for one in known], schemas.EARNINGS),
        targets=frame(draw(st.lists(st.tuples(day, firm, st.floats(1, 99)), max_size=12)), schemas.TARGETS),
        grades=frame(
            draw(st.lists(st.tuples(day, firm, st.integers(1, 5), st.integers(-1, 1)), max_size=12)), schemas.GRADES
        ),
        splits=frame(draw(st.sampled_from([[], [(date(2019, 6, 3), 2.0)]])), schemas.SPLITS),
    )


@settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
@given(histories(), moments())
def test_what_was_published_later_changes_nothing(inputs, moment):
    """Taken away, all values are the same: none had looked at it. Returns are outcomes and need the time after."""
    with_all, with_known = one(moment, inputs), one(moment, only_before(inputs, moment))
    for each in VALUES:
        if each.name not in OUTCOMES:
            assert with_all[each.name] == with_known[each.name], each.name


@settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
@given(histories(), moments())
def test_the_dates_of_all_inputs_lie_before_the_event(inputs, moment):
    """So that everybody can check it."""
    told = one(moment, inputs)
    for each in VALUES:
        for name in each.dates:
            if told[each.name] is not None and told[name] is not None and not name.startswith("return_"):
                assert told[name] < instant(moment), (each.name, name)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("income", ("per", "psr", "revenue_growth")),
        ("balance", ("pbr", "roe", "ev_ebitda")),
        ("earnings", ("surprise",)),
        ("targets", ("target_mean", "target_count")),
        ("grades", ("buy", "grade_balance")),
    ],
)
def test_an_input_that_comes_after_the_event_leaves_the_older_one_or_nothing(name, values):
    """Whichever record is shifted past the event: the value falls back to what was there before it."""
    moment = at(date(2019, 3, 6), 12)
    inputs = made()
    told: pl.DataFrame = getattr(inputs, name)
    newest = told.filter(pl.col("known") < moment)["known"].max()
    later = pl.when(pl.col("known") == newest).then(pl.lit(moment)).otherwise(pl.col("known")).alias("known")
    shifted = one(moment, replace(inputs, **{name: told.with_columns(later)}))
    older = one(moment, replace(inputs, **{name: told.filter(pl.col("known") != newest)}))
    for each in values:
        assert shifted[each] == older[each], each
    nothing = one(moment, replace(inputs, **{name: told.with_columns(known=pl.lit(moment).cast(schemas.UTC))}))
    assert all(nothing[each] in (None, 0) for each in values)
