"""The parameters of Upbit's quotation API, by its own rules."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from gapless.sandbox.upbit.candles import BY_PATH, Unit
from gapless.sandbox.upbit.listings import seconds_of

CANDLES = "/v1/candles/"
#: More is silently cut to this.
MOST = 200
#: `before` of a query for the newest candles.
NEWEST = 10**12
_TO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?")


class Wrong(Exception):
    """The request is answered with this error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Query(msgspec.Struct, frozen=True):
    """A request for candles."""

    market: str
    unit: Unit
    #: Candles start before this second.
    before: int
    count: int
    #: Days also show their price in won.
    won: bool = False


def query_of(path: str, asked: Mapping[str, str]) -> Query:
    """The query, or `Wrong`."""
    unit = _unit(path.removeprefix(CANDLES))
    if not asked.get("market"):
        raise Wrong(400, "Missing request parameter error. Check the required parameters!")
    won = unit.name == "1d" and _won(asked)
    return Query(asked["market"], unit, _before(asked.get("to", "")), _count(asked.get("count", "")), won)


def details_of(asked: Mapping[str, str]) -> bool:
    """Whether market/all shall show details; the older spelling is understood too."""
    text = (asked.get("is_details") or asked.get("isDetails") or "false").lower()
    if text not in ("true", "false"):
        raise _mismatch()
    return text == "true"


def _unit(path: str) -> Unit:
    known = BY_PATH.get(path)
    if known:
        return known
    kind, slash, number = path.partition("/")
    if kind != "minutes" or not slash:
        raise Wrong(404, "Not found")
    if not number.isdecimal():
        raise _mismatch()
    raise Wrong(400, "Invalid parameter. The specified unit is not valid!")


def _before(text: str) -> int:
    if not text:
        return NEWEST
    if not _TO.fullmatch(text):
        raise _invalid()
    try:
        return seconds_of(text)
    except ValueError:
        raise _invalid() from None


def _count(text: str) -> int:
    if not text:
        return 1
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise _mismatch()
    if int(text) < 1:
        raise _invalid()
    return min(int(text), MOST)


def _won(asked: Mapping[str, str]) -> bool:
    text = asked.get("converting_price_unit") or asked.get("convertingPriceUnit")
    if text not in (None, "", "KRW"):
        raise _invalid()
    return bool(text)


def _invalid() -> Wrong:
    return Wrong(400, "Invalid parameter. Check the given value!")


def _mismatch() -> Wrong:
    return Wrong(400, "Type mismatch error. Check the parameters type!")
