"""The answers of a provider as inputs of values: every record with the moment from which it was known.

Where only a day is told, a record counts from the end of that day in the exchange's zone; a moment of exactly midnight
is taken for a day. A statement without any day of filing cannot be placed and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gapless.core.errors import BadReply
from gapless.core.lazily import pl
from gapless.core.valuation import Inputs
from gapless.core.valuation import inputs as schemas
from gapless.work.sessions import Exchange

_GRADES = {
    1: ("strong buy", "conviction buy", "top pick"),
    2: ("buy", "outperform", "overweight", "accumulate", "add", "positive", "sector outperform", "market outperform"),
    3: (
        "hold",
        "neutral",
        "equal-weight",
        "equal weight",
        "market perform",
        "sector perform",
        "peer perform",
        "in-line",
    ),
    4: ("sell", "underperform", "underweight", "reduce", "negative", "sector underperform", "market underperform"),
    5: ("strong sell", "conviction sell"),
}
_NUMBERS = {word: number for number, words in _GRADES.items() for word in words}
_STEPS = {"upgrade": 1, "up": 1, "downgrade": -1, "down": -1}


def inputs_of(
    answers: Mapping[str, Sequence[Any]], exchange: Exchange, lacking: Mapping[str, str], symbol: str
) -> Inputs:
    """The inputs of a company; raises `BadReply` for a day that is none."""
    asked = {
        "prices": _prices(answers.get("prices", ())),
        "splits": _splits(answers.get("splits", ())),
        "income": _filed(answers.get("income", ()), schemas.INCOME, exchange.zone),
        "balance": _filed(answers.get("balance", ()), schemas.BALANCE, exchange.zone),
        "earnings": _earnings(answers.get("earnings", ()), exchange.zone),
        "targets": _targets(answers.get("targets", ())),
        "grades": _grades(answers.get("grades", ()), exchange.zone),
    }
    try:
        told = dict(zip(asked, pl.collect_all(list(asked.values())), strict=True))
    except pl.exceptions.PolarsError as error:
        raise BadReply(f"fmp: {symbol}: a day cannot be read: {str(error)[:200]}", source="fmp") from None
    return Inputs(sessions=exchange.sessions, zone=exchange.zone, lacking=lacking, **told)


def _frame(records: Sequence[Any], names: Sequence[str], schema: Mapping[str, Any]) -> pl.LazyFrame:
    columns = {name: [getattr(one, name) for one in records] for name in names}
    return pl.LazyFrame(columns, schema={name: schema.get(name, pl.String) for name in names})


def _day(column: str) -> pl.Expr:
    return pl.col(column).str.slice(0, 10).str.to_date("%Y-%m-%d")


def _after(day: pl.Expr, zone: str) -> pl.Expr:
    """The moment when a day is over somewhere."""
    midnight = (day + pl.duration(days=1)).cast(pl.Datetime("us"))
    return midnight.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null").dt.convert_time_zone("UTC")


def _moment(column: str, zone: str) -> pl.Expr:
    """A moment in a zone; null where only a day is told."""
    told = pl.col(column).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    placed = told.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null").dt.convert_time_zone("UTC")
    return pl.when(told.dt.time() != pl.time(0, 0, 0)).then(placed)


def _prices(records: Sequence[Any]) -> pl.LazyFrame:
    told = _frame(records, ("date", "close"), {"close": pl.Float64})
    return told.select(_day("date").alias("day"), "close").filter(pl.col("close") > 0)


def _splits(records: Sequence[Any]) -> pl.LazyFrame:
    told = _frame(records, ("date", "numerator", "denominator"), {"numerator": pl.Float64, "denominator": pl.Float64})
    ratio = pl.col("numerator") / pl.col("denominator")
    return told.select(_day("date").alias("day"), ratio=ratio).filter(
        pl.col("ratio").is_finite() & (pl.col("ratio") > 0)
    )


def _filed(records: Sequence[Any], schema: Mapping[str, Any], zone: str) -> pl.LazyFrame:
    numbers = [name for name in schema if name not in ("end", "known")]
    told = _frame(records, ("date", "filing_date", "accepted_date", *numbers), schema)
    day = pl.coalesce("filing_date", "accepted_date").str.slice(0, 10).str.to_date("%Y-%m-%d")
    known = pl.coalesce(_moment("accepted_date", zone), _after(day, zone))
    return told.select(_day("date").alias("end"), known.alias("known"), *numbers).drop_nulls("known")


def _earnings(records: Sequence[Any], zone: str) -> pl.LazyFrame:
    told = _frame(records, ("date", "actual", "estimated"), schemas.EARNINGS)
    return told.select(_after(_day("date"), zone).alias("known"), "actual", "estimated")


def _targets(records: Sequence[Any]) -> pl.LazyFrame:
    told = _frame(records, ("published", "firm", "price"), schemas.TARGETS)
    plain = pl.col("published").str.replace("T", " ").str.slice(0, 19)
    known = plain.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us").dt.replace_time_zone("UTC")
    return told.select(known.alias("known"), pl.col("firm").fill_null(""), "price")


def _grades(records: Sequence[Any], zone: str) -> pl.LazyFrame:
    told = _frame(records, ("date", "firm", "grade", "action"), {})
    grade = pl.col("grade").str.to_lowercase().replace_strict(_NUMBERS, default=None, return_dtype=pl.Int64)
    step = pl.col("action").str.to_lowercase().replace_strict(_STEPS, default=0, return_dtype=pl.Int64)
    return told.select(_after(_day("date"), zone).alias("known"), "firm", grade=grade, step=step)
