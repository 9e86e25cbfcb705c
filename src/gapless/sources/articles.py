"""What the datasets of article addresses have in common: their columns, and which query a series means.

The article itself is never fetched. A series is a Korean stock code, whose company's name is looked up in
`dart.companies`; a stock code and a query of one's own, `005930=QUERY`; or a query alone. A query of one's own is part
of the series' name, because another query gets another answer.
"""

from __future__ import annotations

import html
import re
import unicodedata

from gapless.core.dataset import Column, Directory, Type

#: The stock codes of companies in Korea.
STOCK = r"\d[0-9A-Z]{5}"
#: Ends the query of a series: only articles with one of these names in their title are taken, `title:삼성전자|삼전`.
TITLE = " title:"
#: A series has words to ask for: neither `005930=` nor `title:NAME` alone has any.
WORDS = rf"(?!{STOCK}=(?: |$)|title:)"
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


def names_in(column: str, separator: str = "") -> Directory:
    """Where the name of a company stands that a stock code means, bare or before `separator`."""
    return Directory(
        dataset="dart.companies", series="all", key="stock_code", value=column, pattern=STOCK, separator=separator
    )


def words_of(series: str, alias: str) -> str:
    """The words to ask for: of `005930=QUERY` the query, else what the directory calls the series."""
    told = _OVERRIDE.fullmatch(series.partition(TITLE)[0])
    return told[1] if told else alias.partition(TITLE)[0]


def titled(series: str) -> tuple[str, ...]:
    """The names of which a title must have one, in the form of `is_titled`; none: every title will do."""
    return tuple(name for one in series.partition(TITLE)[2].split("|") if (name := _squeezed(one)))


def is_titled(title: str, names: tuple[str, ...]) -> bool:
    """Whether one of the names stands in a title; case and spaces do not count: GDELT adds some."""
    return not names or any(name in _squeezed(title) for name in names)


def _squeezed(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).casefold().split())


def plain(text: str) -> str:
    """A title without markup: tags go first, for what is escaped is text."""
    return " ".join(html.unescape(_MARKUP.sub("", text)).split())
