"""Data tables: what is read is what was written, to the last bit, on both databases alike."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.dataset import Axis, Column, Conflict, Dataset, Type
from gapless.core.grid import Months
from gapless.core.span import MINUTE, Span, instant, moment
from gapless.store import rows
from gapless.store.store import open_store
from gapless.testing.factories import CANDLES, MORNING, minute, minutes, read, row, write

EVER = minutes(-100_000, 100_000)
SERIES = 7
#: Values that a text, a 32-bit or a decimal column would change.
TRICKY = [
    92081396132.22375,
    804.24034244,
    1e-08,
    0.1 + 0.2,
    2.0**53 + 2,
    5e-324,
    1.7976931348623157e308,
    113750000.0,
]

EVERYTHING = Dataset(
    name="test.everything",
    source="test",
    grid=CANDLES.grid,
    axis=Axis.STEP,
    columns=(
        Column(name="kind", type=Type.TEXT),
        Column(name="price", type=Type.FLOAT, nullable=True),
        Column(name="count", type=Type.INT, nullable=True),
        Column(name="note", type=Type.TEXT, nullable=True),
        Column(name="is_final", type=Type.BOOL, nullable=True),
        Column(name="amount", type=Type.DECIMAL, nullable=True),
        Column(name="day", type=Type.DATE, nullable=True),
        Column(name="known_at", type=Type.TIME, nullable=True),
    ),
    key=("kind",),
)


def put(store, dataset: Dataset, *given: tuple) -> int:
    store.prepare([dataset])
    return write(store, rows.upsert, dataset, SERIES, sorted(given, key=lambda one: one[0]))


def frame(store, dataset: Dataset = CANDLES, within: Span = EVER) -> pl.DataFrame:
    return read(store, rows.frame, dataset, SERIES, within)


# Exactness


def test_floats_and_times_come_back_exactly(store):
    """A price that changes in storage is a wrong price; float64 and microseconds are kept to the last bit."""
    given = [(minute(i), value, -value, minute(i) + 59_999_999) for i, value in enumerate(TRICKY)]
    assert put(store, CANDLES, *given) == len(given)
    found = frame(store)
    assert found.columns == ["time", "close", "volume", "last_tick_at"]
    assert found["close"].to_list() == TRICKY
    assert [str(value) for value in found["volume"].to_list()] == [str(-value) for value in TRICKY]
    assert found["time"].to_list() == [moment(one[0]) for one in given]
    assert found["last_tick_at"].to_list() == [moment(one[3]) for one in given]
    assert found["time"].dtype == pl.Datetime("us", "UTC")


floats = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=20))
def test_any_float_survives(store, values):
    """Whatever a source sends within float64."""
    given = [(minute(i), close, volume, minute(i)) for i, (close, volume) in enumerate(values)]
    put(store, replace(CANDLES, conflict=Conflict.LAST), *given)
    found = frame(store, within=minutes(0, len(given)))
    assert found["close"].to_list() == [one[1] for one in given]
    assert found["volume"].to_list() == [one[2] for one in given]


@pytest.mark.parametrize("year", [1900, 1969, 1970, 2000, 2026, 2254])
def test_times_of_any_year_come_back_exactly(store, year):
    """Stock histories begin long before 1970, and microseconds must not be rounded away."""
    at = instant(datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
    put(store, CANDLES, (at, 1.0, 1.0, at + 1))
    found = frame(store, within=Span(at, at + 1))
    assert (found["time"].item(), found["last_tick_at"].item()) == (moment(at), moment(at + 1))
    assert read(store, rows.count, CANDLES, SERIES, Span(at + 1, at + 2)) == 0
    assert read(store, rows.newest_in, CANDLES, SERIES, Span(at - 5, at + 5)) == at
    assert read(store, rows.newest, CANDLES, SERIES, 10) == (1, at, at)


def test_a_server_s_own_habits_change_nothing(postgresql_url):
    """Administrators set number and date formats for a whole database; values must come back as they were stored."""
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        for setting in ("extra_float_digits = 0", "datestyle = 'German'", "timezone = 'Asia/Seoul'"):
            admin.execute(f"ALTER DATABASE {admin.info.dbname} SET {setting}")
    with closing(open_store(postgresql_url)) as store:
        put(store, CANDLES, *((minute(i), value, value, minute(i)) for i, value in enumerate(TRICKY)))
        put(store, EVERYTHING, everything(0))
        prices, (other,) = frame(store)["close"].to_list(), frame(store, EVERYTHING).to_dicts()
    assert prices == TRICKY
    assert (other["time"], other["day"], other["amount"]) == (moment(minute(0)), date(2026, 2, 28), Decimal("361.50"))


def everything(number: int, **more) -> tuple:
    """A row of each type; exact decimals and dates are handed over as text."""
    values = {
        "price": 1.5,
        "count": 2**53 + number,
        "note": 'Ünïcode, "quotes" and\nlines 한글',
        "is_final": number % 2 == 0,
        "amount": "361.50",
        "day": "2026-02-28",
        "known_at": minute(number) + 1,
    }
    return (minute(number), "a", *{**values, **more}.values())


NOTHING = dict.fromkeys(["price", "count", "note", "is_final", "amount", "day", "known_at"])


def test_every_type_comes_back_as_it_was(store):
    """Each type has a native column on both databases; null stays null."""
    assert put(store, EVERYTHING, everything(0), everything(1, **NOTHING)) == 2
    first, second = frame(store, EVERYTHING).to_dicts()
    assert first == {
        "time": moment(minute(0)),
        "kind": "a",
        "price": 1.5,
        "count": 2**53,
        "note": 'Ünïcode, "quotes" and\nlines 한글',
        "is_final": True,
        "amount": Decimal("361.50"),
        "day": date(2026, 2, 28),
        "known_at": moment(minute(0) + 1),
    }
    assert second == {"time": moment(minute(1)), "kind": "a", **NOTHING}


def test_a_frame_has_its_columns_and_types_also_without_rows(store):
    """Whoever joins frames must not have to ask whether one is empty."""
    store.prepare([EVERYTHING])
    empty = frame(store, EVERYTHING)
    put(store, EVERYTHING, everything(0))
    assert empty.is_empty()
    assert empty.schema == frame(store, EVERYTHING).schema == rows.empty(EVERYTHING).schema
    put(store, EVERYTHING, everything(1, **NOTHING))
    assert frame(store, EVERYTHING, minutes(1, 2)).schema == empty.schema


def test_the_content_of_a_span_has_one_hash_on_both_databases(sqlite_url, postgresql_url):
    """A certificate made on SQLite must hold after the move to PostgreSQL."""
    given = [(minute(i), value, value, minute(i)) for i, value in enumerate(TRICKY)]
    assert content(sqlite_url, CANDLES, given) == content(postgresql_url, CANDLES, given)


def test_minus_zero_is_zero_on_both_databases(sqlite_url, postgresql_url):
    """SQLite keeps whole numbers as integers and so drops the sign of -0.0; the other must not keep it."""
    given = [(minute(0), -0.0, 0.0, minute(0))]
    assert content(sqlite_url, CANDLES, given) == content(postgresql_url, CANDLES, given)


def test_the_hash_is_the_same_for_every_type(sqlite_url, postgresql_url):
    """Booleans, decimals and dates look different in the two databases; in the hash they must not."""
    given = [everything(0), everything(1, **NOTHING), everything(2)]
    assert content(sqlite_url, EVERYTHING, given) == content(postgresql_url, EVERYTHING, given)


def test_text_is_ordered_by_its_bytes_whatever_the_language_of_the_database(postgresql_store):
    """Certificates hash rows in key order: in a database of another language `a` would come before `B`.

    The server of the tests knows no language but C, so the columns are asked what they were told.
    """
    postgresql_store.prepare([EVERYTHING])
    with postgresql_store.read() as tx:
        tx.cursor.execute(
            "SELECT DISTINCT collation_name FROM information_schema.columns"
            " WHERE table_name = %s AND data_type = 'text'",
            (EVERYTHING.table,),
        )
        assert tx.cursor.fetchall() == [("C",)]


def content(url: str, dataset: Dataset, given: list[tuple]) -> tuple[int, str]:
    with closing(open_store(url)) as store:
        put(store, dataset, *given)
        return read(store, rows.content, dataset, SERIES, EVER)


def test_a_hash_tells_any_change(store):
    """A certificate is worth as much as its hash notices."""
    put(store, CANDLES, *(row(number) for number in range(10)))
    before = read(store, rows.content, CANDLES, SERIES, minutes(0, 10))
    assert before == read(store, rows.content, CANDLES, SERIES, minutes(0, 500))
    assert before != read(store, rows.content, CANDLES, SERIES, minutes(0, 9))
    put(store, CANDLES, row(5, close=100.0))
    assert before != read(store, rows.content, CANDLES, SERIES, minutes(0, 10))
    put(store, CANDLES, row(5))
    assert before == read(store, rows.content, CANDLES, SERIES, minutes(0, 10))


# Conflicts


def closes(store, dataset: Dataset) -> list[float]:
    return frame(store, dataset)["close"].to_list()


def test_keep_first_never_changes_what_is_there(store):
    """Where the first answer counts, a later one is not even looked at."""
    first = replace(CANDLES, name="test.first", conflict=Conflict.FIRST)
    assert put(store, first, row(0, close=1.0)) == 1
    assert put(store, first, row(0, close=2.0), row(1, close=3.0)) == 1
    assert closes(store, first) == [1.0, 3.0]


def test_last_wins_replaces(store):
    """Where the source restates, the newest answer counts."""
    last = replace(CANDLES, name="test.last", conflict=Conflict.LAST)
    put(store, last, row(0, close=1.0))
    assert put(store, last, row(0, close=2.0)) == 1
    assert closes(store, last) == [2.0]


def test_only_what_changed_is_written_and_counted(store):
    """A replayed page must not grow the database, nor look like progress."""
    assert put(store, CANDLES, row(0, close=1.0), row(1, close=1.0)) == 2
    assert put(store, CANDLES, row(0, close=1.0), row(1, close=1.0)) == 0
    assert put(store, CANDLES, row(0, close=1.0), row(1, close=2.0), row(2, close=3.0)) == 2
    assert closes(store, CANDLES) == [1.0, 2.0, 3.0]


def test_null_is_a_value_that_changes(store):
    """Comparing with null says neither yes nor no; a value that vanishes or appears is a change."""
    assert put(store, EVERYTHING, everything(0, **NOTHING)) == 1
    assert put(store, EVERYTHING, everything(0, **NOTHING)) == 0
    assert put(store, EVERYTHING, everything(0, **{**NOTHING, "price": 1.0})) == 1
    assert put(store, EVERYTHING, everything(0, **NOTHING)) == 1


@pytest.mark.parametrize("policy", [Conflict.LAST, Conflict.CHANGED])
def test_a_worse_rank_never_replaces_a_better_one(store, policy):
    """A year's own report counts more than the next year's column of it, whichever was read last."""
    columns = (Column(name="close", type=Type.FLOAT), Column(name="rank", type=Type.INT))
    ranked = replace(CANDLES, name=f"test.ranked.{policy.name}", columns=columns, conflict=policy, rank="rank")
    put(store, ranked, (minute(0), 1.0, 1))
    assert put(store, ranked, (minute(0), 2.0, 2)) == 0
    assert closes(store, ranked) == [1.0]
    assert put(store, ranked, (minute(0), 3.0, 1)) == 1
    assert put(store, ranked, (minute(0), 4.0, 0)) == 1
    assert closes(store, ranked) == [4.0]


def test_a_longer_key_keeps_rows_of_one_time_apart(store):
    """Two events of one moment are two rows; the same one again is not."""
    one, other = everything(0), (minute(0), "b", *everything(0)[2:])
    assert put(store, EVERYTHING, one, other) == 2
    assert put(store, EVERYTHING, one, other) == 0
    assert frame(store, EVERYTHING)["kind"].to_list() == ["a", "b"]


def test_a_page_longer_than_a_statement_is_stored_whole(store):
    """SQLite takes 200 rows at a time; sources with larger pages must not notice."""
    assert put(store, CANDLES, *(row(number) for number in range(501))) == 501
    assert read(store, rows.count, CANDLES, SERIES, EVER) == 501
    assert write(store, rows.upsert, CANDLES, SERIES, []) == 0


def test_series_do_not_see_each_other_s_rows(store):
    """One table holds all series of a dataset."""
    put(store, CANDLES, row(0))
    assert read(store, rows.count, CANDLES, SERIES + 1, EVER) == 0
    assert read(store, rows.frame, CANDLES, SERIES + 1, EVER).is_empty()
    assert read(store, rows.newest, CANDLES, SERIES + 1, 5) is None


def test_making_a_table_twice_is_no_error(store):
    """Every process prepares what it uses."""
    store.prepare([CANDLES, EVERYTHING])
    store.prepare([CANDLES])
    write(store, rows.create, CANDLES)


# Emptiness


@given(st.sets(st.integers(0, 29)), st.integers(0, 29), st.integers(1, 30))
def test_empties_are_the_covered_minutes_without_a_row(store, traded, start, length):
    """Present, empty, missing: emptiness is what the ledger vouches for and the table does not hold."""
    end = min(30, start + length)
    name = len(traded) * 10_000 + start * 100 + end + hash(frozenset(traded)) % 1_000_003 * 1_000_000
    store.prepare([CANDLES])
    write(store, rows.upsert, CANDLES, name, [row(at) for at in sorted(traded)])
    holes = read(store, rows.empties, CANDLES, name, minutes(start, end))
    found = {at for hole in holes for at in range((hole.start - MORNING) // MINUTE, (hole.end - MORNING) // MINUTE)}
    assert found == set(range(start, end)) - traded
    assert all(one.end < other.start for one, other in pairwise(holes))


def test_months_are_next_to_each_other_although_their_lengths_differ(store):
    """31 days after January comes February: no emptiness. A skipped month is found, be it as short as February."""
    months = replace(CANDLES, name="test.months", grid=Months(1), period=timedelta(days=30))
    starts = [instant(datetime(2026, month, 1, tzinfo=UTC)) for month in range(1, 13)]
    put(store, months, *((at, 1.0, 1.0, at) for at in starts if at not in (starts[1], starts[6], starts[11])))
    covered = Span(starts[0], instant(datetime(2027, 1, 1, tzinfo=UTC)))
    assert read(store, rows.empties, months, SERIES, covered) == [
        Span(starts[1], starts[2]),
        Span(starts[6], starts[7]),
        Span(starts[11], covered.end),
    ]


def test_the_newest_rows_tell_the_density(store):
    """An estimate must come from what is traded now, not from the quiet years after a listing."""
    put(store, CANDLES, *(row(number) for number in range(0, 100, 10)))
    assert read(store, rows.newest, CANDLES, SERIES, 3) == (3, minute(70), minute(90))
    assert read(store, rows.newest, CANDLES, SERIES, 100) == (10, minute(0), minute(90))
    assert read(store, rows.newest_in, CANDLES, SERIES, minutes(0, 85)) == minute(80)
    assert read(store, rows.newest_in, CANDLES, SERIES, minutes(1, 10)) is None
