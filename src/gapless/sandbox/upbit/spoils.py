"""What Upbit's own faults do to a candle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from gapless.sandbox.faults import Edit

Fields = dict[str, object]


def malformed(row: Fields, count: int) -> None:  # noqa: ARG001
    """The price is no number."""
    row["trade_price"] = "oops"


def incomplete(row: Fields, count: int) -> None:  # noqa: ARG001
    """The price is not there."""
    del row["trade_price"]


def revised(row: Fields, count: int) -> None:
    """A little more was traded each time, by turns at the low and at the high."""
    price = row["low_price"] if count % 2 else row["high_price"]
    row["trade_price"] = price
    more = count * 1e-8
    row["candle_acc_trade_volume"] = round(cast(float, row["candle_acc_trade_volume"]) + more, 8)
    row["candle_acc_trade_price"] = round(cast(float, row["candle_acc_trade_price"]) + more * cast(float, price), 8)


EDITS: Mapping[str, Edit] = {"malformed_row": malformed, "missing_field": incomplete, "revision": revised}
