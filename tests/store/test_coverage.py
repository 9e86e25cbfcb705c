"""The ledger: what the source has answered for, merged, exact, and taken back where it turns out wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gapless.core.span import Span, intersect, subtract, union
from gapless.store import coverage, series
from gapless.store.database import Tx
from gapless.testing.factories import CANDLES, minutes, read, write

changes = st.lists(
    st.tuples(st.booleans(), st.integers(0, 60), st.integers(1, 15)).map(
        lambda at: (at[0], Span(at[1], at[1] + at[2]))
    ),
    max_size=15,
)


def new_series(tx: Tx) -> int:
    return series.ensure(tx, CANDLES.name, f"S{len(series.names(tx, CANDLES.name))}")


@given(changes)
def test_the_ledger_is_the_union_of_all_that_was_proven(store, changes):
    """Pages come in any order, overlapping and twice: the ledger is the plain set of their spans, less withdrawals."""

    def apply(tx: Tx) -> None:
        one, expected = new_series(tx), []
        for proven, part in changes:
            if proven:
                merged = coverage.extend(tx, one, part)
                expected = union([*expected, part])
                assert merged in expected
                assert intersect([merged], [part]) == [part]
            else:
                coverage.withdraw(tx, one, part)
                expected = subtract(expected, [part])
            assert coverage.spans(tx, one) == expected

    store.write(apply)


@given(changes, st.integers(0, 70), st.integers(1, 30))
def test_a_look_at_a_part_finds_all_that_touches_it(store, changes, start, length):
    """Planning one page must not read the ledger of ten years, nor miss what lies in its way."""
    within = Span(start, start + length)

    def apply(tx: Tx) -> None:
        one = new_series(tx)
        for _, part in changes:
            coverage.extend(tx, one, part)
        every = coverage.spans(tx, one)
        assert coverage.spans(tx, one, within) == [part for part in every if part.overlaps(within)]
        for backward in (False, True):
            assert coverage.near(tx, one, within, backward=backward) == (coverage.spans(tx, one, within), None)

    store.write(apply)


def test_a_long_ledger_is_looked_at_piece_by_piece(store):
    """A thousand gaps in one segment: each request looks at a few hundred ranges next to its cursor."""
    ranges = [Span(at, at + 1) for at in range(0, 2000, 2)]

    def fill(tx: Tx) -> int:
        one = new_series(tx)
        for part in ranges:
            coverage.extend(tx, one, part)
        return one

    one = store.write(fill)
    within = Span(0, 2000)
    newest, down_to = read(store, coverage.near, one, within, backward=True)
    oldest, up_to = read(store, coverage.near, one, within, backward=False)
    assert newest == ranges[-coverage.NEAR :]
    assert down_to == newest[0].start
    assert oldest == ranges[: coverage.NEAR]
    assert up_to == oldest[-1].end


def test_series_and_jobs_do_not_share_a_ledger(store):
    """A gap of one must not be closed by another."""
    one, other = write(store, new_series), write(store, new_series)
    write(store, coverage.extend, one, minutes(0, 10))
    write(store, coverage.extend, one, minutes(20, 30), job=7)
    assert read(store, coverage.spans, one) == [minutes(0, 10)]
    assert read(store, coverage.spans, one, job=7) == [minutes(20, 30)]
    assert read(store, coverage.spans, one, job=8) == []
    assert read(store, coverage.spans, other) == []


def test_a_series_has_one_id_for_ever(store):
    """Rows, coverage and jobs of a name must meet, whoever asked first."""
    one = write(store, series.ensure, CANDLES.name, "KRW-BTC")
    assert write(store, series.ensure, CANDLES.name, "KRW-BTC") == one
    assert write(store, series.ensure, "test.candles.3m", "KRW-BTC") != one
    assert read(store, series.find, CANDLES.name, "KRW-BTC") == one
    assert read(store, series.find, CANDLES.name, "KRW-ETH") is None
    assert read(store, series.names, CANDLES.name) == ["KRW-BTC"]
    assert read(store, series.since, one) == (None, None)
