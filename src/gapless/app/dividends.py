"""Dividends as people ask for them: one share of one stock, year by year."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapless.core.errors import UsageError
from gapless.core.lazily import pl

if TYPE_CHECKING:
    from gapless.app.history import Gapless
    from gapless.app.orders import When

DATASET = "dart.dividends"
COMMON = "common"
#: The report whose running total ends where another one's last quarter begins.
BEFORE = {"11012": "11013", "11014": "11012"}
_SHOWN = ["fiscal_year", "dps", "is_running", "cash_yield", "payout", "known_at", "rcept_no", "rank", "flags", "note"]


def dps_series(
    history: Gapless,
    stock: str,
    start_year: int,
    end_year: int,
    *,
    reprt_code: str,
    share_kind: str,
    as_of: When | None,
    fill: bool,
    recheck: int,
) -> pl.DataFrame:
    """A row for each fiscal year that a report tells of; `dps_single` is what its last quarter adds to the total.

    For a first quarter that is the total itself; null where the report before it is not known, and for whole years.
    """
    if start_year > end_year:
        raise UsageError("start_year: lies after end_year", field="start_year", hint="swap them")

    def told(report: str) -> pl.DataFrame:
        frame = history.read(
            DATASET,
            stock,
            f"{start_year:04}",
            f"{end_year:04}",
            report=report,
            as_of=as_of,
            fill=fill,
            recheck=recheck,
        )
        year = pl.col("time").dt.convert_time_zone("Asia/Seoul").dt.year().cast(pl.Int64)
        # Of a year that was not known yet all columns are null: its year is not.
        return frame.filter(pl.col("share_kind") == share_kind).with_columns(fiscal_year=year).select(_SHOWN)

    frame = told(reprt_code)
    if not frame["is_running"].any():
        return frame.with_columns(dps_single=pl.lit(None, dtype=frame.schema["dps"]))
    before = BEFORE.get(reprt_code)
    if before is None:
        return frame.with_columns(dps_single=pl.col("dps"))
    earlier = told(before).select("fiscal_year", pl.col("dps").alias("dps_before"))
    joined = frame.join(earlier, on="fiscal_year", how="left", maintain_order="left")
    return joined.with_columns(dps_single=pl.col("dps") - pl.col("dps_before")).drop("dps_before")
