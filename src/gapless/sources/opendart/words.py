"""The words and numbers of a dividend table, whose filers type them by hand.

All spaces are taken away first, and notes such as `(주1)` or `*`. Then, and nothing else:

| shown | read as |
|---|---|
| `주당 현금배당금(원)`, `주당현금배당금`, … | the label without spaces, unit and leading `(연결)`/`(별도)` |
| `보통주`, `보통주식`; `보동주`, `보퉁주` (flag `kind_misspelt`); `의결권 있는 주식` | the common share |
| `우선주`, `우선주식`; `의결권 없는 주식`; `종류주식` where no line says `우선주` | the preferred share |
| `보통주(소액주주)`, `보통주(대주주)` | `common` is what a small holder gets; `common.large` what a large one gets |
| nothing, `-` | an unnamed share; `table` says which it is |
| anything else | a share of that name (flag `kind_unknown`) |
| `1,444`, `1444`, `1,444원`, `78.00%`, `1, 444` | a number |
| `-1,234`, `(1,234)`, `△1,234`, `▲1,234` | a number below zero |
| `-`, `–`, `—`, nothing | none |
| anything else | unread: kept out of the number, kept in `note` |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

COMMON, PREFERRED, LARGE = "common", "preferred", "common.large"
#: What a line without a share kind is about, until the table has been looked at as a whole.
UNNAMED = ""
#: Replaces the preferred share at some companies.
CLASS = "종류주식"
_KINDS = {
    "보통주": COMMON,
    "보통주식": COMMON,
    "보동주": COMMON,
    "보퉁주": COMMON,
    "의결권있는주식": COMMON,
    "의결권있는보통주": COMMON,
    "우선주": PREFERRED,
    "우선주식": PREFERRED,
    "의결권없는주식": PREFERRED,
    "종류주": CLASS,
    "종류주식": CLASS,
}
_MISSPELT = {"보동주", "보퉁주"}
_NOTE = re.compile(r"\(?주\d+\)|\*+|※")
_HOLDER = re.compile(r"[(\[]?(?:최?대주주|소액주주)(?:등)?[)\]]?")
_BASIS = re.compile(r"^\((연결|별도|개별)\)")
_UNIT = re.compile(r"\((?:원|주|%|백만원|단위:[^)]*)\)$")
_SUFFIX = re.compile(r"(?:원|%|주|백만원)$")
_NUMBER = re.compile(r"\d{1,24}(?:\.\d{1,6})?")
_NOTHING = {"", "-", "–", "—", "−", "―"}
_BELOW = re.compile(r"\((?P<bracketed>[^()]+)\)|[-−△▲](?P<signed>.+)")


class Unread(ValueError):
    """A text that is neither a number nor none."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a line tells: the bare words, and whether of the group or of the company alone."""

    stem: str
    is_separate: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """Whose line it is, and the oddity that was met, if any."""

    name: str
    flag: str = ""


def squeezed(text: str | None) -> str:
    """Without any space and without notes."""
    return _NOTE.sub("", "".join((text or "").split()))


def read_label(text: str) -> Label:
    """The bare words of a label."""
    bare = squeezed(text)
    basis = _BASIS.match(bare)
    return Label(_UNIT.sub("", _BASIS.sub("", bare)), basis is not None and basis[1] != "연결")


def read_kind(text: str | None) -> Kind:
    """The share that a line is about."""
    bare = squeezed(text)
    if bare in _NOTHING:
        return Kind(UNNAMED)
    holder = _HOLDER.search(bare)
    word = _HOLDER.sub("", bare)
    known = _KINDS.get(word)
    if known is None:
        return Kind(bare, "kind_unknown")
    if holder and known == COMMON:
        return Kind(LARGE if "대주주" in holder[0] else COMMON, "holders_differ")
    if holder:
        return Kind(bare, "kind_unknown")
    return Kind(known, "kind_misspelt" if word in _MISSPELT else "")


def read_number(text: str | None) -> Decimal | None:
    """The number that a text shows, None where it shows none; raises `Unread`."""
    bare = squeezed(text)
    if bare in _NOTHING:
        return None
    below = _BELOW.fullmatch(_SUFFIX.sub("", bare))
    if below:
        number = _unsigned(below["bracketed"] or below["signed"])
        return -number if number else number
    return _unsigned(bare)


def _unsigned(text: str) -> Decimal:
    bare = _SUFFIX.sub("", text).replace(",", "")
    if not _NUMBER.fullmatch(bare):
        raise Unread(text)
    return Decimal(bare)
