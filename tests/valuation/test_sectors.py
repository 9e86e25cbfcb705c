"""How dear a company was beside its sector: by hand, and never with a ratio of a later event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapless.core.valuation.inputs import UTC as MOMENT
from gapless.core.valuation.sectors import PEERS, WINDOW, to_sector

START = datetime(2024, 1, 1, tzinfo=UTC)
SCHEMA = {"event": pl.Int64, "company": pl.Int64, "at": MOMENT, "per": pl.Float64}
Row = tuple[int, datetime, float | None]


def compared(rows: list[Row]) -> dict[int, dict[str, object]]:
    """By event, numbered in their order: (company, when, ratio)."""
    told = to_sector(pl.DataFrame([(place, *row) for place, row in enumerate(rows)], schema=SCHEMA, orient="row"))
    return {int(one["event"]): one for one in told.iter_rows(named=True)}


def day(number: float) -> datetime:
    return START + timedelta(days=number)


OTHERS: list[Row] = [(company, day(company), 10.0 * company) for company in range(1, 6)]


def test_the_distance_is_to_the_median_of_the_others():
    """Of 10, 20, 30, 40 and 50 the middle is 30; when the first of them is dearer later, it is 40."""
    told = compared([*OTHERS, (9, day(6), 45.0), (1, day(8), 60.0), (9, day(10), 45.0)])
    assert told[5]["per_to_sector"] == pytest.approx(45 / 30 - 1)
    assert (told[5]["sector_from"], told[5]["sector_to"], told[5]["peers"]) == (day(1), day(5), 5)
    assert told[7]["per_to_sector"] == pytest.approx(45 / 40 - 1)
    assert (told[7]["sector_from"], told[7]["sector_to"], told[7]["peers"]) == (day(2), day(8), 5)


def test_what_cannot_be_compared_has_a_reason():
    """Too few others, too long ago, or no ratio of its own: null, never a guess."""
    few = compared([*OTHERS[: PEERS - 1], (9, day(10), 45.0)])[PEERS - 1]
    old = compared([*OTHERS, (9, day(5) + WINDOW, 45.0)])[5]
    loss = compared([*OTHERS, (9, day(10), None)])[5]
    assert [one["per_to_sector"] for one in (few, old, loss)] == [None] * 3
    assert "fewer than 5" in str(few["reason"])
    assert "fewer than 5" in str(old["reason"])
    assert "no price-earnings ratio" in str(loss["reason"])


moments = st.integers(0, 60 * 24 * 200).map(lambda minutes: START + timedelta(minutes=minutes))
histories = st.lists(
    st.tuples(st.integers(1, 9), moments, st.one_of(st.none(), st.floats(0.1, 99))), min_size=1, max_size=80
)


@settings(max_examples=60)
@given(histories, moments)
def test_what_happens_later_changes_nothing(rows, at):
    """Without everything from the moment of the event on, its distance is the same, bit for bit."""
    event: Row = (5, at, 12.0)
    with_all = compared([event, *rows])[0]
    with_known = compared([event, *[row for row in rows if row[1] < at]])[0]
    assert with_all == with_known
    assert with_all["sector_to"] is None or with_all["sector_to"] < at  # type: ignore[operator]
    assert (with_all["per_to_sector"] is None) == (with_all["reason"] is not None)


@settings(max_examples=30)
@given(histories, moments)
def test_a_ratio_that_moves_past_the_event_counts_no_more(rows, at):
    """Shifted to the event's own moment or later, it is as if it had never been."""
    event: Row = (5, at, 12.0)
    shifted = [(company, max(when, at), per) for company, when, per in rows]
    assert compared([event, *shifted])[0]["per_to_sector"] is None
