"""Sums over sliding windows: what they are, and that a window's bits depend on its own rows only."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapless.core.index.sliding import faded, highest, spread, total
from gapless.core.index.windows import standard

values = st.lists(
    st.one_of(st.just(math.nan), st.floats(-1e6, 1e6, allow_subnormal=False), st.just(100.0)), min_size=1, max_size=90
)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.tobytes() == other.tobytes()


@settings(max_examples=150, deadline=None)
@given(values, st.integers(1, 40))
def test_windows_hold_what_they_say(listed: list[float], rows: int) -> None:
    """Against a loop; what needs a row that is not there is not there."""
    value = np.array(listed)
    sums, fading, most = total(value, rows), faded(value, rows, 0.9), highest(value, rows)
    for t in range(len(listed)):
        part = listed[max(0, t - rows + 1) : t + 1]
        if len(part) < rows or any(math.isnan(one) for one in part):
            assert np.isnan([sums[t], fading[t], most[t]]).all()
            continue
        assert sums[t] == pytest.approx(math.fsum(part), rel=1e-9, abs=1e-6)
        assert fading[t] == pytest.approx(math.fsum(0.9**k * x for k, x in enumerate(part[::-1])), rel=1e-9, abs=1e-6)
        assert most[t] == max(part)


@settings(max_examples=150, deadline=None)
@given(values, st.integers(2, 40), st.integers(2, 40))
def test_spread_is_that_of_the_rows_that_are_there(listed: list[float], rows: int, least: int) -> None:
    mean, width = spread(np.array(listed), rows, least)
    for t in range(len(listed)):
        part = [one for one in listed[max(0, t - rows + 1) : t + 1] if not math.isnan(one)]
        if len(part) < least:
            assert np.isnan([mean[t], width[t]]).all()
        else:
            assert mean[t] == pytest.approx(fmean(part), rel=1e-9, abs=1e-6)
            assert width[t] == pytest.approx(stdev(part), rel=1e-6, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(values, st.integers(2, 30), st.integers(0, 60), st.booleans())
def test_bits_depend_on_the_rows_of_the_window_alone(listed: list[float], rows: int, lost: int, hole: bool) -> None:
    """Neither on where the rows begin nor on holes elsewhere, which take another way through the arithmetic."""
    value = np.array(listed)
    lost = min(lost, len(value) - 1)
    past = np.concatenate([[1e5, math.nan if hole else 1e-5], value])
    for make in (
        lambda one: (total(one, rows), faded(one, rows, 0.93), highest(one, rows)),
        lambda one: spread(one, rows, rows),
    ):
        for whole, part in zip(make(past), make(value[lost:]), strict=True):
            assert same(whole[2 + lost :][rows - 1 :], part[rows - 1 :])


def test_what_does_not_move_is_at_its_average() -> None:
    """0.1 has no exact binary form: sums of it must not make it seem to move."""
    assert set(standard(np.full(600, 0.1), 504, 252)[251:]) == {0.0}
    assert np.isnan(standard(np.full(600, 0.1), 504, 252)[:251]).all()
