"""The query of a series, in the language of GDELT."""

from __future__ import annotations

import re

#: Words of the law at the end of a company's name, which no newspaper writes.
_LEGAL = re.compile(
    r"[\s,.]+(?:co|company|ltd|limited|inc|incorporated|corp|corporation|plc|llc|holdings)\b[\s,.]*$", re.IGNORECASE
)
#: What makes a query of words: a phrase, a filter, an alternative.
_OPERATORS = re.compile(r'["():]|\b(?:OR|near\d+)\b')
LANGUAGE = "sourcelang:korean"


def query_of(words: str) -> str:
    """The query for `words`: as it is where it uses GDELT's operators, else the name as a phrase in Korean articles.

    A query that names no language is asked for in Korean articles, too. Empty without any word.
    """
    asked = " ".join(words.split())
    if not _OPERATORS.search(asked):
        asked = bare(asked)
        asked = f'"{asked}"' if " " in asked else asked
    if not asked:
        return ""
    return asked if "sourcelang:" in asked.lower() else f"{asked} {LANGUAGE}"


def bare(name: str) -> str:
    """A company's name without the words of the law: `SAMSUNG ELECTRONICS CO,.LTD` is SAMSUNG ELECTRONICS."""
    while (shorter := _LEGAL.sub("", name).strip(" ,.")) != name and shorter:
        name = shorter
    return name
