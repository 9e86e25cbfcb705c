"""Financial Modeling Prep (financialmodelingprep.com, `stable` endpoints, with a key in a header).

It has no dataset of its own to keep complete: `work/enrich.py` asks each question once for a company and values all its
events with the answers. What an answer to `(symbol)` tells, newest first:

| question | cap | where the rest is |
|---|---|---|
| prices, not adjusted for splits | 5,000 days | asked again up to the day before the oldest one |
| price targets | 100 | page 1, 2, … until a page is short |
| splits, statements by quarter, earnings | 400–1,000 | beyond any history |
| grades | none known | |

Statements carry the moment they were filed; ratios and key metrics of the provider do not, and estimates, the target
and grade consensus are today's only. None of these is asked for: what a value needs is computed from dated records.
Rate: by plan 300, 750 or 3,000 a minute (`GAPLESS_FMP_RATE`, a second); the free plan has 250 a day
(`GAPLESS_FMP_DAILY`) and answers no question with a `limit` above 5. Facts: the project's notes on FMP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NoReturn

from gapless.core.dataset import Dataset
from gapless.core.errors import BadReply, HoldJob, Unauthorized, UsageError
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Shape
from gapless.core.span import Instant
from gapless.sources.fmp.records import Endpoint
from gapless.sources.fmp.replies import SETTING, read
from gapless.sources.http import Http

#: Requests a second of the smallest paid plan.
RATE = 5.0
#: Pages of targets that the provider serves.
MOST_PAGES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One answer: records newest first, the body they came in, and where the next page begins (empty: none)."""

    records: list[Any]
    body: bytes
    after: str


class Fmp:
    """The provider, or whatever stands in for it."""

    name = "fmp"
    default_url = "https://financialmodelingprep.com"
    datasets: Mapping[str, Dataset] = {}

    def __init__(self, http: Http) -> None:
        self._http = http

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        return self._http.base_url

    def check(self) -> None:
        """Nothing can be asked without a key."""
        if not self._http.key:
            raise UsageError(f"{SETTING}: is not set", field=SETTING, hint="give the key of your plan")

    def limit(self, dataset: Dataset | None = None) -> Limit:  # noqa: ARG002  all questions share one budget
        """One budget a key."""
        return Limit(key="fmp/api", rate=RATE)

    def ask(self, endpoint: Endpoint, symbol: str, since: date, after: str = "") -> Part:
        """One answer about a company, not older than `since` where the question has dates; `after` is the page before.

        Raises `NotCovered`, `Refused`, `TryAgain`, `BadReply` or a `Hold`.
        """
        if not self._http.key:
            raise Unauthorized("fmp wants a key and none is set", source=self.name, hint=f"set {SETTING}")
        query = [("symbol", symbol), *endpoint.query]
        if endpoint.pages == "by day":
            query += [("from", since.isoformat()), *([("to", after)] if after else [])]
        elif endpoint.pages == "by number":
            query.append(("page", after or "0"))
        reply = self._http.get(f"/stable/{endpoint.path}", query, [("apikey", self._http.key)])
        records = read(reply, endpoint.record, f"{endpoint.name} of {symbol}")
        return Part(records=records, body=reply.body, after=_after(endpoint, records, since, after))

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002  the form of a source
        """It has no datasets."""
        return self._none(dataset)

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:  # noqa: ARG002  the form of a source
        """It has no datasets."""
        return self._none(dataset)

    def _none(self, dataset: Dataset) -> NoReturn:
        raise HoldJob(f"fmp has no dataset {dataset.name}", source=self.name)

    def catalogue(self) -> list[tuple[str, str]]:
        """Any symbol will do: the list is for larger plans only."""
        return []

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()


def _after(endpoint: Endpoint, records: list[Any], since: date, after: str) -> str:
    """Where the page after a full one begins."""
    if endpoint.pages is None or len(records) < endpoint.cap:
        return ""
    if endpoint.pages == "by number":
        page = int(after or "0") + 1
        return str(page) if page < MOST_PAGES and records[-1].published[:10] >= since.isoformat() else ""
    try:
        oldest = min(date.fromisoformat(one.date) for one in records)
    except ValueError as error:
        raise BadReply(f"fmp: {endpoint.name}: {error}", source="fmp") from None
    if after and oldest >= date.fromisoformat(after) + timedelta(days=1):
        raise BadReply(f"fmp: {endpoint.name}: a page beyond {after} that was asked for", source="fmp")
    return (oldest - timedelta(days=1)).isoformat() if oldest > since else ""
