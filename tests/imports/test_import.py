"""Imports: a table as a whole or nothing, with a ledger that stays honest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

import gapless
from gapless.app import Gapless
from gapless.app.imports import Order, import_table
from gapless.core.errors import UsageError
from gapless.core.job import JobState
from gapless.settings import Settings
from gapless.testing.dart import MovedClock

PRICES = "user.prices"
CSV = """Date,Open,Close,Vol
2024-01-02,10,11,100
2024-01-03,.,12,
2024-01-05,11,13.5,"1,200"
"""
MAP = {"time": "Date", "open": "Open", "close": "Close", "volume": "Vol"}


@pytest.fixture
def history(database_url: str) -> Iterator[Gapless]:
    """An empty history on each database."""
    with gapless.open(settings=Settings(database_url=database_url), clock=MovedClock("2024-06-14T03:00:00Z")) as opened:
        yield opened


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """A good CSV file."""
    (tmp_path / "prices.csv").write_text(CSV)
    return Order(dataset=PRICES, source=str(tmp_path / "prices.csv"), series="AAPL", columns=MAP)


def stored(history: Gapless) -> list[tuple[object, ...]]:
    frame = history.read(PRICES, "AAPL", "2024-01-01", "2024-01-31", fill=False)
    return frame.select(pl.col("time").dt.date(), "open", "close", "volume").rows()


GOOD = [
    (date(2024, 1, 2), 10.0, 11.0, 100.0),
    (date(2024, 1, 3), None, 12.0, None),
    (date(2024, 1, 5), 11.0, 13.5, 1200.0),
]


def test_csv_parquet_and_sql_tables_become_the_same_rows(history: Gapless, order: Order, tmp_path: Path) -> None:
    """Missing values are understood; importing twice changes nothing."""
    made = import_table(history, order)
    assert (made.rows, made.stored, made.covered) == (3, 3, 0)
    assert stored(history) == GOOD
    frame = pl.DataFrame(GOOD, schema=["Date", "Open", "Close", "Vol"], orient="row")
    frame.write_parquet(tmp_path / "prices.parquet")
    assert import_table(history, replace(order, source=str(tmp_path / "prices.parquet"))).rows == 3
    from sqlalchemy import create_engine, text

    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as tx:
        tx.execute(text('CREATE TABLE "my prices" ("Date" TEXT, "Open" REAL, "Close" REAL, "Vol" REAL)'))
        for row in GOOD:
            values = {"a": row[0].isoformat(), "b": row[1], "c": row[2], "d": row[3]}
            tx.execute(text('INSERT INTO "my prices" VALUES (:a, :b, :c, :d)'), values)
    engine.dispose()
    import_table(history, replace(order, source=f"sqlite:///{tmp_path / 'old.db'}", table="my prices"))
    assert stored(history) == GOOD


@pytest.mark.parametrize(
    ("vouch", "words"),
    [
        ("none", {"missing": 5}),
        ("rows", {"missing": 2}),
        ("2024-01-02..2024-01-05", {"missing": 1, "empty": 1}),
    ],
)
def test_only_what_the_user_vouches_for_is_covered(
    history: Gapless, order: Order, vouch: str, words: dict[str, int]
) -> None:
    import_table(history, replace(order, vouch=vouch))
    gaps = history.gaps(PRICES, "AAPL", "2024-01-01", "2024-01-05")
    told = {row["word"]: row["cells"] for row in gaps.group_by("word").agg(pl.col("cells").sum()).iter_rows(named=True)}
    if vouch == "none":
        # Rows that nobody vouches for are no proof.
        assert told == {"missing": 5}
    else:
        assert told == words
    assert not history.verify(PRICES).findings
    assert history.verify(PRICES).outside == (3 if vouch == "none" else 0)


@pytest.mark.parametrize(("policy", "close"), [("first", 11.0), ("last", 99.0)])
def test_duplicates_are_counted_and_decided(history: Gapless, order: Order, policy: str, close: float) -> None:
    Path(order.source).write_text(CSV + "2024-01-02,10,99,5\n")
    assert import_table(history, replace(order, on_duplicate=policy)).duplicates == 1
    assert stored(history)[0][2] == close
    with pytest.raises(UsageError, match="twice"):
        import_table(history, replace(order, on_duplicate="fail"))


@pytest.mark.parametrize(
    ("text", "changes", "said"),
    [
        (CSV, {"columns": {"time": "date"}}, "there is no column 'date'; the header is: 'Date', 'Open'"),
        (CSV, {"columns": {"time": "Date"}}, "nothing is told for close"),
        (CSV, {"columns": MAP | {"price": "Close"}}, "'price' is no column"),
        (CSV, {"series": ""}, "nothing is told for series"),
        (CSV.replace("13.5", "abc"), {}, "'Close', row 3: 'abc' is no float"),
        (CSV.replace("13.5", "."), {}, "'Close', row 3: there is no value for close"),
        (CSV.replace("2024-01-05", "5 Jan"), {}, "'Date', row 3: '5 Jan' is not a time"),
        (CSV.replace("2024-01-05", "2024-01-05T09:30:00Z"), {}, "no record of user.prices starts at"),
        ("Date,Close\n", {"columns": {"time": "Date", "close": "Close"}}, "has no rows"),
        (CSV, {"source": "nowhere.csv"}, "cannot be read"),
        (CSV, {"vouch": "2024"}, "vouch: '2024' is not understood"),
        (CSV, {"on_duplicate": "most"}, "on-duplicate: 'most' is unknown"),
        (CSV, {"dataset": "index.rsi"}, "is computed"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_stored(
    history: Gapless, order: Order, text: str, changes: dict[str, object], said: str
) -> None:
    Path(order.source).write_text(text)
    with pytest.raises(UsageError) as raised:
        import_table(history, replace(order, **changes))
    assert said in str(raised.value)
    assert not history.series(history.dataset(PRICES))


def test_the_us_index_is_computed_from_imported_inputs(history: Gapless, tmp_path: Path) -> None:
    """Five of the seven components are enough; what is not imported is a component without data."""
    import math
    from random import Random

    chance, lines = Random(5), ["day,series,value"]
    days = pl.date_range(date(2020, 1, 1), date(2023, 6, 30), eager=True)
    weekdays = [day for day in days if day.weekday() < 5]
    level = {"close": 3000.0, "vix": 20.0, "put_call": 0.8, "junk_bond": 1.2, "breadth": 500.0, "strength": 0.5}
    for day in weekdays:
        for name in list(level):
            level[name] *= math.exp(chance.gauss(0, 0.01))
            lines.append(f"{day},US.{name},{level[name]:.6f}")
    (tmp_path / "us.csv").write_text("\n".join(lines))
    whole = "2020-01-01..2023-06-30"
    made = import_table(
        history,
        Order(dataset="user.daily", source=str(tmp_path / "us.csv"), columns={"time": "day"}, vouch=whole),
    )
    assert made.series == len(level)
    running = history.compute("index.fear_greed", "", "2023-01-01", "2023-06-30", params={"market": "US"})
    # The look-back begins before what was vouched for: nothing is computed from inputs that nobody answers for.
    assert running.wait() is JobState.INCOMPLETE
    everything = replace(
        Order(dataset="user.daily", source=str(tmp_path / "us.csv"), columns={"time": "day"}),
        vouch="2018-01-01..2023-06-30",
    )
    import_table(history, everything)
    again = history.compute("index.fear_greed", "", "2023-01-01", "2023-06-30", params={"market": "US"})
    assert again.wait() is JobState.DONE
    frame = history.read("index.fear_greed", "US", "2023-01-01", "2023-06-30", fill=False)
    assert frame.height == sum(day.year == 2023 for day in weekdays)
    assert set(frame["components"]) == {6}
