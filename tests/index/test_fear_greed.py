"""Fear & Greed: against an independent computation, without a look ahead, and bit for bit whoever computes it."""

from __future__ import annotations

import importlib.util
import math
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapless.core.errors import UsageError
from gapless.core.index.fear_greed import banded, fear_greed, within
from gapless.core.index.preset import PRESETS, SEVEN, band, preset, with_weights
from gapless.core.index.windows import moving_average, relative_strength
from gapless.core.span import instant

_spec = importlib.util.spec_from_file_location("reference", Path(__file__).with_name("reference.py"))
assert _spec
assert _spec.loader
reference = importlib.util.module_from_spec(_spec)
sys.modules["reference"] = reference
_spec.loader.exec_module(reference)

KST = timedelta(hours=9)
START = datetime(2010, 1, 4, tzinfo=UTC) - KST


def days(count: int) -> list[datetime]:
    """Weekdays from the start on."""
    listed = (START + timedelta(days=number) for number in range(count * 7 // 5 + 7))
    return [day for day in listed if (day + KST).weekday() < 5][:count]


def market(count: int, seed: int = 1, *, members: int = 5) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Inputs of a market (bonds only from day 300 on) and its members, one of which comes late."""
    chance, close, bond, vix, rows, listed = Random(seed), 1000.0, 100.0, 20.0, [], []
    prices = [50.0 * (number + 1) for number in range(members)]
    for t, day in enumerate(days(count)):
        close *= math.exp(chance.gauss(0, 0.01))
        bond *= math.exp(chance.gauss(0, 0.002))
        vix = max(9.0, vix + chance.gauss(0, 1))
        rows.append((day, close, bond if t >= 300 else None, vix, chance.uniform(1e9, 2e9)))
        for number in range(members):
            prices[number] = round(prices[number] * math.exp(chance.gauss(0, 0.02)), 1)
            if number or t >= 100:
                listed.append((day, f"{number}", prices[number], chance.randrange(1, 1000)))
    utc = pl.Datetime("us", "UTC")
    made = pl.DataFrame(
        rows, orient="row", schema={"time": utc, "close": pl.Float64, "bond": pl.Float64, "vix": pl.Float64,
                                    "value": pl.Float64},
    )  # fmt: skip
    schema = {"time": utc, "code": pl.String, "close": pl.Float64, "volume": pl.Int64}
    return made, pl.DataFrame(listed, orient="row", schema=schema)


def plain(inputs: pl.DataFrame, members: pl.DataFrame) -> dict[str, list[float | None]]:
    """The same for the reference."""
    listed: dict[str, list[tuple[float, float] | None]] = {}
    at = {day: number for number, day in enumerate(inputs["time"])}
    for day, code, close, volume in members.iter_rows():
        listed.setdefault(code, [None] * len(at))[at[day]] = (close, volume)
    nets = [reference.net(listed, t) for t in range(len(at))]
    columns = {name: inputs[name].to_list() for name in inputs.columns if name != "time"}
    return columns | {"net_highs": [one[0] for one in nets], "net_volume": [one[1] for one in nets]}


INPUTS, MEMBERS = market(900)


@pytest.mark.parametrize("case", ["KOSPI", "CRYPTO", "US", "weights"])
def test_the_index_is_what_an_independent_computation_says(case: str) -> None:
    """Every component, every day, the renormalisation while bonds are missing, and the number of components."""
    inputs = INPUTS
    if case == "weights":
        made = with_weights(preset("kospi"), {"momentum": 60, "safe_haven": 40})
    else:
        made = preset(case)
    if case == "KOSPI":
        inputs = inputs.drop("vix")
    if case == "US":
        chance = Random(7)
        published = [pl.Series(name, [chance.gauss(1, 0.2) for _ in range(inputs.height)]) for name in
                     ("put_call", "junk_bond")]  # fmt: skip
        inputs = inputs.with_columns(published)
    ours = fear_greed(inputs, made, MEMBERS)
    theirs = reference.index(plain(inputs, MEMBERS), dict(made.weights), made.enough)

    assert ours["components"].to_list() == [count for _, count in theirs]
    for mine, (score, _) in zip(ours["score"], theirs, strict=True):
        assert (mine is None) == (score is None)
        assert mine is None or math.isclose(mine, score, abs_tol=1e-7)
    assert ours["score"].is_not_null().sum() > 300
    assert (ours["band"].is_null() == ours["score"].is_null()).all()


@settings(max_examples=12)
@given(st.integers(520, 899), st.integers(0, 10**6))
def test_no_day_looks_ahead(t: int, seed: int) -> None:
    """Whatever happens later, or whether it is known at all, a day keeps its bits."""
    made = preset("KOSPI")
    shock = Random(seed)
    later = pl.int_range(pl.len()) > t
    changed = INPUTS.with_columns(
        pl.when(later).then(pl.col(name) * shock.uniform(0.5, 2)).otherwise(pl.col(name)) for name in ("close", "bond")
    )
    last = INPUTS["time"][t]
    others = MEMBERS.with_columns(
        pl.when(pl.col("time") > last).then(pl.col("close") * 3).otherwise(pl.col("close")).alias("close")
    )
    wanted = (instant(INPUTS["time"][t]), instant(INPUTS["time"][t]) + 1)
    before = within(fear_greed(INPUTS, made, MEMBERS), wanted)
    assert before.height == 1
    assert before.equals(within(fear_greed(changed, made, others), wanted))
    known = fear_greed(INPUTS.head(t + 1), made, MEMBERS.filter(pl.col("time") <= last))
    assert before.equals(known.tail(1))


@settings(max_examples=12)
@given(st.integers(0, 140), st.lists(st.integers(760, 899), min_size=1, max_size=4, unique=True))
def test_days_in_chunks_are_bit_for_bit_the_days_of_one_pass(lost: int, cuts: list[int]) -> None:
    """Chunks, a stream of single days and processes: a day needs its reach, and what lies before has no part in it."""
    made = preset("KOSPI")
    whole = fear_greed(INPUTS, made, MEMBERS)
    for first, past in pairwise([lost + made.reach - 1, *sorted(c for c in cuts if c > lost + made.reach), 900]):
        begin = max(first - (made.reach - 1) - lost, 0)
        days = INPUTS.slice(begin, past - begin)
        listed = MEMBERS.filter(pl.col("time").is_between(days["time"][0], days["time"][-1]))
        assert fear_greed(days, made, listed).slice(first - begin).equals(whole.slice(first, past - first))


def test_a_member_that_is_not_there_every_day_counts_as_far_as_days_tell() -> None:
    """However long ago it was last there, it has no part in today: else a day would depend on where reading began."""
    made = preset("KOSPI")
    halted = MEMBERS.filter((pl.col("code") != "2") | pl.col("time").dt.ordinal_day().is_between(40, 300))
    begin, whole = 100, fear_greed(INPUTS, made, halted)
    later = halted.filter(pl.col("time") >= INPUTS["time"][begin])
    part = fear_greed(INPUTS.slice(begin), made, later)
    assert part.slice(made.reach - 1).equals(whole.slice(begin + made.reach - 1))
    assert not whole["strength_raw"].equals(fear_greed(INPUTS, made, MEMBERS)["strength_raw"])


def test_a_component_that_never_moves_is_neutral() -> None:
    flat = INPUTS.with_columns(close=pl.lit(100.0), put_call=pl.lit(1.0), junk_bond=pl.lit(2.0))
    made = with_weights(preset("US"), {"put_call": 0.5, "junk_bond": 0.5})
    assert set(fear_greed(flat, made)["score"].drop_nulls()) == {50.0}


def test_bands_are_those_of_the_documentation() -> None:
    scores = [0.0, 24.99, 25.0, 44.99, 45.0, 55.0, 55.01, 75.0, 75.01, 100.0]
    frame = pl.DataFrame({"score": [*scores, None]}).select(banded(pl.col("score")))
    assert frame.to_series().to_list() == [*[band(one) for one in scores], None]
    assert [band(one) for one in scores] == [
        "extreme fear", "extreme fear", "fear", "fear", "neutral", "neutral", "greed", "greed", "extreme greed",
        "extreme greed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"momentun": 1.0}, "did you mean momentum"),
        ({"momentum": 0.5, "strength": 0.4}, "sum to 0.9"),
        ({"momentum": 1.5, "strength": -0.5}, "strength has -0.5"),
        ({"momentum": math.nan}, "momentum has nan"),
        ({}, "sum to 0"),
    ],
)
def test_wrong_weights_are_named(weights: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        with_weights(preset("KOSPI"), weights)


def test_presets_hold_what_they_promise() -> None:
    assert set(PRESETS["US"].weights) == set(SEVEN)
    assert all(math.isclose(math.fsum(one.weights.values()), 1) for one in PRESETS.values())
    with pytest.raises(UsageError, match="no preset"):
        preset("MOON")


def test_moving_average_and_rsi_against_plain_python() -> None:
    closes, values = INPUTS["close"].to_list(), INPUTS["close"].to_numpy()
    mean, rsi = moving_average(values, 20), relative_strength(values, 14)
    for t in range(250, 900, 37):
        assert math.isclose(mean[t], sum(closes[t - 19 : t + 1]) / 20, rel_tol=1e-12)
    moves = [b - a for a, b in pairwise(closes)]
    for t in range(250, 900, 37):
        gain = loss = 0.0
        for k in range(250):
            move, weight = moves[t - 1 - k], (13 / 14) ** k
            gain, loss = gain + weight * max(move, 0), loss + weight * max(-move, 0)
        assert math.isclose(rsi[t], 100 * gain / (gain + loss), rel_tol=1e-9)
