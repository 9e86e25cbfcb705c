"""list.json: searches over everything that is filed, in pages.

Chosen, because the notes are silent: the four counts of a page are JSON numbers, as clients commonly declare them; a
page behind the last one is 013; what sorts alike is ordered by receipt.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter

import msgspec

from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.dates import FIRST, LAST, SLOTS
from gapless.sandbox.opendart.filings import Filing, of_company, of_year
from gapless.sandbox.opendart.query import Search
from gapless.sandbox.opendart.statuses import MESSAGES, Refused

_RECEIPT = attrgetter("receipt")
_ORDERS: dict[str, Callable[[Filing], object]] = {
    "crp": lambda one: (one.company.name_on(one.day), one.receipt),
    "rpt": lambda one: (one.name, one.receipt),
    "date": _RECEIPT,
}


def page(world: World, search: Search, page_no: int, count: int, latest: int) -> bytes:
    """The reply when receipts up to `latest` are public; raises `Refused` when there is nothing."""
    filed = visible(world, search, latest)
    first = (page_no - 1) * count
    if first >= len(filed):
        raise Refused("013")
    return msgspec.json.encode(
        {
            "status": "000",
            "message": MESSAGES["000"],
            "page_no": page_no,
            "page_count": count,
            "total_count": len(filed),
            "total_page": -(-len(filed) // count),
            "list": [one.row(latest) for one in filed[first : first + count]],
        }
    )


def visible(world: World, search: Search, latest: int) -> list[Filing]:
    """What a search finds when receipts up to `latest` are public, in its order."""
    filed = _matching(world, search)
    if search.final or search.end >= latest // SLOTS:
        filed = [one for one in filed if one.receipt <= latest and not (search.final and one.followed <= latest)]
    return filed


@lru_cache(maxsize=128)
def _matching(world: World, search: Search) -> list[Filing]:
    """What it finds once everything is filed, corrected or not."""
    years = range(max(search.begin // 10_000, FIRST), min(search.end // 10_000, LAST + 2) + 1)
    filed = [one for one in _filed(world, search, years) if _fits(one, search)]
    filed.sort(key=_ORDERS[search.sort], reverse=not search.ascending)  # type: ignore[arg-type]
    return filed


def _filed(world: World, search: Search, years: range) -> list[Filing]:
    """Everything of a company, or of the window."""
    if search.company:
        company = world.by_code.get(search.company)
        found = of_company(world.seed, company, years) if company else []
        return [one for one in found if search.begin <= one.day <= search.end]
    found = []
    for year in years:
        filed = of_year(world, year)
        i = bisect_left(filed, search.begin * SLOTS, key=_RECEIPT)
        found += filed[i : bisect_left(filed, (search.end + 1) * SLOTS, key=_RECEIPT)]
    return found


def _fits(one: Filing, search: Search) -> bool:
    return (
        one.detail.startswith(search.type)
        and search.detail in ("", one.detail)
        and search.market in ("", one.company.class_on(one.day))
    )
