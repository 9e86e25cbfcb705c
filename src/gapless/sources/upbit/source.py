"""Upbit candles (quotation REST API, no key).

What a reply to `(to=T, count=n)` proves; the server counts existing rows, newest first, all starting before T:

| reply | proves |
|---|---|
| n rows | `[oldest, T)` |
| 1 … n-1 rows | `[oldest, T)`; a hint, no proof, that history starts at the oldest |
| `[]` | nothing precedes T: a dated fact of the series (seconds: only back to the retention of 3 months) |
| 404 "Code not found" | unknown or delisted market |
| 429, 418 | nothing; everybody waits |
| anything else | nothing |

All is cut at the frontier: the unfinished candle is never stored. An interval without a trade has no row at all.
Rate: 10 requests a second and address for all candle units together. `Remaining-Req` says `group=candles` in life and
`candle` in the documentation, so the group is not compared. Facts and their sources: the project's notes on Upbit.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gapless.core.dataset import Dataset
from gapless.core.errors import TryAgain
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Shape
from gapless.core.span import Instant, Span, iso, span
from gapless.sources.http import Http
from gapless.sources.upbit.datasets import units
from gapless.sources.upbit.replies import failure, read_rows, remaining

PAGE_ROWS = 200
RATE = 10.0


class _Market(msgspec.Struct):
    market: str
    english_name: str


class Upbit:
    """The exchange at api.upbit.com, or whatever stands in for it."""

    name = "upbit"
    default_url = "https://api.upbit.com"
    units = units()
    datasets: Mapping[str, Dataset] = {name: unit.dataset for name, unit in units.items()}

    def __init__(self, http: Http) -> None:
        self._http = http

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        return self._http.base_url

    def check(self) -> None:
        """Quotations need no key."""

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002  all units page alike
        """Pages of 200, cut by a count of existing rows."""
        return Shape(rows=PAGE_ROWS)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  all units share one budget
        """All candle units share one budget per address."""
        return Limit(key="upbit/candle", rate=RATE, by_second=True)

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:
        """One page of candles; see the table above for what it proves."""
        unit = self.units[dataset.name]
        query = [("market", ask.series), ("to", iso(ask.span.end)), ("count", str(ask.limit))]
        reply = self._http.get(unit.path, query)
        if reply.status != 200:
            raise failure(reply, ask.series)
        rows = read_rows(unit, reply.body, ask)
        proven = Span(rows[0][0], ask.span.end) if rows else None
        nothing_before = None if rows else ask.span.end
        gone = dataset.unavailable(now)
        if not rows and gone:
            # What the source forgot is empty too: only the part it still remembers is proven.
            proven, nothing_before = span(gone.end, ask.span.end), None
        return Page(
            rows=rows,
            proven=proven,
            nothing_before=nothing_before,
            source_time=reply.source_time,
            remaining=remaining(reply.remaining),
        )

    def catalogue(self) -> list[tuple[str, str]]:
        """All markets with their English names, from `market/all`."""
        reply = self._http.get("/v1/market/all", [])
        if reply.status != 200:
            # No market was named: a 404 here is somebody else's.
            raise failure(reply, "")
        try:
            markets = msgspec.json.decode(reply.body, type=list[_Market])
        except msgspec.MsgspecError as error:
            raise TryAgain(f"upbit: market/all is not what it was: {error}", source="upbit") from None
        return [(one.market, one.english_name) for one in markets]

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()
