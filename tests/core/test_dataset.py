"""A dataset knows what its source may still change, what it has forgotten, and where its rows live."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gapless.core.dataset import Variant
from gapless.core.grid import Steps
from gapless.core.span import DAWN, DAY, MINUTE, SECOND, Span
from gapless.sources.upbit import Upbit
from gapless.testing.factories import CANDLES, minute


def test_a_candle_is_final_two_seconds_after_its_end():
    """Upbit stores last trades some milliseconds late; the settle delay keeps us off them."""
    assert CANDLES.frontier(minute(10)) == minute(9)
    assert CANDLES.frontier(minute(10) + 2 * SECOND - 1) == minute(9)
    assert CANDLES.frontier(minute(10) + 2 * SECOND) == minute(10)


def test_what_a_source_forgets_is_unavailable_not_missing():
    """Asking for it again and again would never end."""
    forgetful = replace(CANDLES, retention=timedelta(days=1))
    assert CANDLES.unavailable(minute(0)) is None
    assert forgetful.unavailable(minute(0) + 1) == Span(DAWN, minute(1) - DAY)


def test_no_two_datasets_share_a_table():
    """Upbit has 1m and 1M; databases fold case."""
    tables = [dataset.table for dataset in Upbit.datasets.values()]
    assert len(set(tables)) == len(tables) == 13
    assert all(table.isidentifier() and table == table.lower() for table in tables)


def test_a_tally_holds_a_thousand_periods():
    """A hole made by hand is found to within a few pages; borders lie on the grid, so that no cell has two tallies."""
    assert CANDLES.tally_width == 1000 * MINUTE
    for dataset in Upbit.datasets.values():
        for bucket in (-1, 0, 1, 2) if isinstance(dataset.grid, Steps) else ():
            border = dataset.tally_of(bucket).end
            assert dataset.tally_of(bucket + 1).start == border == dataset.grid.floor(border)


def test_a_series_must_look_like_one():
    """A typo is refused before any request."""
    candles = Upbit.datasets["upbit.candles.1m"]
    assert candles.is_series("KRW-BTC")
    assert not any(candles.is_series(name) for name in ("krw-btc", "KRWBTC", "KRW-BTC ", "KRW-", "KRW-BTC\n", ""))


def test_variants_have_a_frontier_and_an_oldest_period_of_their_own():
    """A quarterly report is final before its year is over; an annual one long after."""
    spring, year = Variant(settle=timedelta(minutes=-1)), Variant(settle=timedelta(minutes=3), earliest=minute(-50))
    both = replace(CANDLES, variants={"Y": year, "Q": spring})

    assert both.frontier(minute(10), "KRW-BTC/Q") == minute(11)
    assert both.frontier(minute(10), "KRW-BTC/Y") == minute(7)
    assert both.unavailable(minute(10), "KRW-BTC/Q") is None
    assert both.unavailable(minute(10), "KRW-BTC/Y") == Span(DAWN, minute(-50))
    assert not both.is_series("KRW-BTC")
