"""All values of all events of a company, the dates of their inputs, and the reasons of those that are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from gapless.core.valuation.inputs import Inputs
from gapless.core.valuation.opinions import COUNTS, consensus, ratings, surprises
from gapless.core.valuation.prices import HORIZONS, STALE, around
from gapless.core.valuation.statements import balances, trailing


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One column of the result."""

    name: str
    #: Inputs without which there is none.
    needs: tuple[str, ...]
    #: Columns with the moments its inputs were published at.
    dates: tuple[str, ...]
    #: In order: when it cannot be told, and why. The last one holds for everything else.
    reasons: tuple[tuple[pl.Expr, str], ...]


# Reasons are short, and all of them speak of the time before the event: a row of them has to fit beside its values into
# a kilobyte, or SQLite gives each event a page of its own (a database four times as large, and slower).
_none = pl.lit(value=True)
_NO_CLOSE = (pl.col("closed").is_null(), f"no close in {STALE} sessions")
_NO_QUARTERS = (pl.col("filed").is_null(), "no statement filed")
_NO_YEAR = (~pl.col("follows"), "fewer than four quarters in a row filed")
_NO_SHARES = (pl.col("shares").is_null(), "no number of shares told")
_NO_BALANCE = (pl.col("balance_filed").is_null(), "no balance sheet filed")
_MISSING = (_none, "a figure is left out")
_STATED = ("prices", "income")
_FILED = ("closed", "filed")


def _value(name: str, needs: tuple[str, ...], dates: tuple[str, ...], *reasons: tuple[pl.Expr, str]) -> Value:
    return Value(name=name, needs=needs, dates=dates, reasons=reasons)


def _returns() -> list[Value]:
    later = [(ahead, (_none, f"no close {ahead} sessions later")) for ahead in HORIZONS]
    return [
        _value(f"return_{ahead}", ("prices",), ("closed", f"return_{ahead}_at"), _NO_CLOSE, why) for ahead, why in later
    ]


def _targets() -> list[Value]:
    none = (_none, "no price target in 180 days")
    return [
        _value(f"target_{one}", ("targets",), ("target_from", "target_to"), none)
        for one in ("high", "low", "mean", "median")
    ]


_LOSS = (pl.col("net_income") <= 0, "a loss over four quarters")
VALUES: tuple[Value, ...] = (
    _value("close", ("prices",), ("closed",), _NO_CLOSE),
    *_returns(),
    _value("market_cap", _STATED, _FILED, _NO_CLOSE, _NO_QUARTERS, _NO_SHARES, _MISSING),
    _value("per", _STATED, _FILED, _NO_CLOSE, _NO_QUARTERS, _NO_YEAR, _NO_SHARES, _LOSS, _MISSING),
    _value(
        "pbr",
        (*_STATED, "balance"),
        ("closed", "filed", "balance_filed"),
        _NO_CLOSE,
        _NO_QUARTERS,
        _NO_BALANCE,
        (pl.col("equity") <= 0, "equity is not positive"),
        _MISSING,
    ),
    _value("psr", _STATED, _FILED, _NO_CLOSE, _NO_QUARTERS, _NO_YEAR, _NO_SHARES, _MISSING),
    _value(
        "ev_ebitda",
        (*_STATED, "balance"),
        ("closed", "filed", "balance_filed"),
        _NO_CLOSE,
        _NO_QUARTERS,
        _NO_YEAR,
        _NO_BALANCE,
        (pl.col("ebitda") <= 0, "EBITDA is not positive"),
        _MISSING,
    ),
    _value(
        "roe",
        ("income", "balance"),
        ("filed", "balance_filed"),
        _NO_QUARTERS,
        _NO_YEAR,
        _NO_BALANCE,
        (pl.col("equity") <= 0, "equity is not positive"),
        _MISSING,
    ),
    *[
        _value(
            name,
            ("income",),
            ("filed", "before_filed"),
            _NO_QUARTERS,
            (~pl.col("follows_two"), "fewer than eight quarters in a row filed"),
            (pl.col(f"{of}_before") <= 0, "the year before was not positive"),
            _MISSING,
        )
        for name, of in (("revenue_growth", "revenue"), ("income_growth", "net_income"))
    ],
    _value(
        "per_to_median",
        _STATED,
        ("closed", "filed", "median_from"),
        _NO_CLOSE,
        _NO_QUARTERS,
        _NO_YEAR,
        _LOSS,
        (pl.col("per_median").is_null(), "fewer than 250 sessions with a ratio in five years"),
        _MISSING,
    ),
    *_targets(),
    _value("target_count", ("targets",), ("target_from", "target_to"), (_none, "price targets are not known")),
    *[
        _value(one, ("grades",), ("grade_from", "grade_to"), (_none, "no grade in 365 days"))
        for one in (*COUNTS, "grade_balance")
    ],
    _value(
        "surprise",
        ("earnings",),
        ("reported",),
        (pl.col("reported").is_null(), "no earnings reported"),
        (_none, "no estimate to compare with"),
    ),
)


def value(events: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """The values of `events` (`event`: any key, `at`: its instant), one row each, in the order of `at`.

    Columns: `event`; the values; for each value `NAME` its `NAME_reason`, null where there is a value; and the instants
    named by `Value.dates`, as whole microseconds.
    """
    asked = events.select("event", "at").sort("at", maintain_order=True)
    sums = trailing(inputs)
    placed = around(asked, inputs, sums)
    found = _asof(placed, sums, "told")
    found = _asof(found, balances(inputs), "balance_filed")
    for told in (consensus(placed, inputs), ratings(asked, inputs), surprises(asked, inputs)):
        found = found.join(told, on="event", how="left", maintain_order="left")
    found = found.with_columns(
        market_cap=pl.col("close") * pl.col("shares") * pl.col("factor") / pl.col("shares_factor"),
        follows=pl.col("follows").fill_null(value=False),
        follows_two=pl.col("follows_two").fill_null(value=False),
        target_count=pl.col("target_count").fill_null(0),
    )
    return _explained(found.with_columns(_ratios()).with_columns(per_to_median=_over("per", "per_median") - 1), inputs)


def _asof(found: pl.DataFrame, told: pl.DataFrame, filed: str) -> pl.DataFrame:
    return found.join_asof(
        told, left_on="at", right_on=filed, strategy="backward", allow_exact_matches=False, coalesce=False
    )


def _over(one: str, other: str) -> pl.Expr:
    return pl.when(pl.col(other) > 0).then(pl.col(one) / pl.col(other))


def _ratios() -> dict[str, Any] | list[pl.Expr]:
    worth = pl.col("market_cap") + pl.col("debt") - pl.col("cash")
    return [
        _over("market_cap", "net_income").alias("per"),
        _over("market_cap", "equity").alias("pbr"),
        _over("market_cap", "revenue").alias("psr"),
        pl.when(pl.col("ebitda") > 0).then(worth / pl.col("ebitda")).alias("ev_ebitda"),
        _over("net_income", "equity").alias("roe"),
        (_over("revenue", "revenue_before") - 1).alias("revenue_growth"),
        (_over("net_income", "net_income_before") - 1).alias("income_growth"),
    ]


def _explained(found: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """With a reason beside each value that is missing; what an input lacks goes before what the records lack."""
    reasons: list[pl.Expr] = []
    values: list[pl.Expr] = []
    for one in VALUES:
        lacking = next((inputs.lacking[name] for name in one.needs if name in inputs.lacking), None)
        if lacking is not None:
            values.append(pl.lit(None, found.schema[one.name]).alias(one.name))
            reasons.append(pl.lit(lacking).alias(f"{one.name}_reason"))
            continue
        values.append(pl.col(one.name))
        first, *others = one.reasons
        chain = pl.when(pl.col(one.name).is_not_null()).then(None).when(first[0]).then(pl.lit(first[1]))
        for condition, why in others:
            chain = chain.when(condition).then(pl.lit(why))
        reasons.append(chain.alias(f"{one.name}_reason"))
    dates = sorted({date for one in VALUES for date in one.dates})
    return found.select("event", *values, *reasons, *[pl.col(one).dt.epoch("us") for one in dates])
