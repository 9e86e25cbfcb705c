"""What the datasets of article addresses have in common: their columns, and which query a series means.

The article itself is never fetched. A series is a Korean stock code, whose company's name is looked up in
`dart.companies`; a stock code and a query of one's own, `005930=QUERY`; or a query alone. A query of one's own is part
of the series' name, because another query gets another answer.
"""

from __future__ import annotations

import html
import re

from gapless.core.dataset import Column, Directory, Type

#: The stock codes of companies in Korea.
STOCK = r"\d[0-9A-Z]{5}"
_OVERRIDE = re.compile(rf"{STOCK}=(.+)")
_MARKUP = re.compile(r"</?b>")

COLUMNS = (
    Column(name="address", type=Type.TEXT, doc="canonical: without tracking, phone and AMP variants"),
    Column(name="link", type=Type.TEXT, doc="as the source gives it"),
    Column(name="title", type=Type.TEXT, doc="as the source gives it"),
    Column(name="publisher", type=Type.TEXT, doc="host of the publisher's address"),
    Column(
        name="certainty",
        type=Type.TEXT,
        doc="of `time`: exact, day, relative (resolved against the fetch), or seen (by the source; not before it)",
    ),
    Column(name="first_seen", type=Type.TIME, doc="when we were first told of it"),
    Column(name="query", type=Type.TEXT, doc="what it was found by"),
)
KEY = ("address",)


def names_in(column: str) -> Directory:
    """Where the name of a company stands that a bare stock code means."""
    return Directory(
        dataset="dart.companies", series="all", key="stock_code", value=column, pattern=STOCK, separator=""
    )


def words_of(series: str, alias: str) -> str:
    """The words to ask for: of `005930=QUERY` the query, else what the directory calls the series."""
    told = _OVERRIDE.fullmatch(series)
    return told[1] if told else alias


def plain(text: str) -> str:
    """A title without markup: tags go first, for what is escaped is text."""
    return " ".join(html.unescape(_MARKUP.sub("", text)).split())
