"""Columns packed by us: the server reads in them what the driver's own lists tell it."""

from __future__ import annotations

import math

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.store import arrays

NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False), st.integers(-(2**53), 2**53).map(float))
WHOLE = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))


@pytest.fixture(scope="module")
def server(postgres):
    with psycopg.connect(postgres, autocommit=True, prepare_threshold=1) as connection:
        connection.execute("SET extra_float_digits = 3")
        arrays.teach(connection)
        yield connection


def told(server, values, element: str) -> list:
    """What the server finds in a column, row by row."""
    (column,) = arrays.columns([(value,) for value in values], [element])
    assert isinstance(column, arrays.Packed)
    found = server.execute(f"SELECT one FROM unnest(%b::{element}[]) AS one", (column,), binary=True)
    return [row[0] for row in found.fetchall()]


@given(values=st.lists(NUMBERS, min_size=1, max_size=300))
def test_floats_arrive_as_they_are(server, values):
    """To the last bit, with those that are missing in their places."""
    found = told(server, values, "double precision")
    assert [(one, one is not None and math.copysign(1, one)) for one in found] == [
        (one, one is not None and math.copysign(1, one)) for one in values
    ]


@given(values=st.lists(WHOLE, min_size=1, max_size=300))
def test_whole_numbers_arrive_as_they_are(server, values):
    assert told(server, values, "bigint") == values


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_arrives_too(server, value):
    (found,) = told(server, [value], "double precision")
    assert repr(found) == repr(value)


@pytest.mark.parametrize(("value", "element"), [(2**63, "bigint"), (1.5, "bigint"), ("1", "double precision")])
def test_what_does_not_fit_is_the_driver_s_own_error(server, value, element):
    """So it becomes a line for people, like every trouble with the database."""
    with pytest.raises(psycopg.DataError, match=element):
        told(server, [value], element)


def test_other_columns_go_as_the_driver_s_own_lists():
    """Texts, dates and exact amounts."""
    assert arrays.columns([("a", None), ("b", 1)], ["text", "bigint"])[0] == ["a", "b"]
