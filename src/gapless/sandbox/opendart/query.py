"""The parameters of OpenDART, by its own rules. What is not known is ignored.

Chosen, because the notes are silent: without `bgn_de` it is the day of `end_de`; three months are calendar months,
the same day included; a window that is too long without a company, or ends before it begins, is status 100; a
`page_count` above 100 is cut to 100; a missing key is 100; alotMatter.json takes one company, so that more are 100,
and more than 100 of them 021.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from gapless.sandbox.opendart.dates import REPORTS, day_of, number
from gapless.sandbox.opendart.statuses import Refused

#: Companies of one query, and lines of one page.
COMPANIES, LINES = 100, 100
_CODE = re.compile(r"[0-9]{8}")
_YEAR = re.compile(r"[0-9]{4}")
_RECEIPT = re.compile(r"[0-9]{14}")
_DETAIL = re.compile(r"[A-J][0-9]{3}")
_COUNT = re.compile(r"[0-9]{1,9}")
WINDOW = "corp_code가 없는 경우 검색기간은 3개월만 가능합니다."


class Matter(msgspec.Struct, frozen=True):
    """A request for a dividend table."""

    company: str
    year: int
    report: str


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A search for filings, all pages of it."""

    #: Empty is every company.
    company: str
    #: Days, both included.
    begin: int
    end: int
    #: Without filings that a correction has replaced.
    final: bool
    #: pblntf_ty, pblntf_detail_ty and corp_cls; empty is any.
    type: str
    detail: str
    market: str
    sort: str
    ascending: bool


def matter_of(asked: Mapping[str, str]) -> Matter:
    """The request of alotMatter.json, or `Refused`."""
    company = company_of(asked)
    year = _matching(asked, "bsns_year", _YEAR)
    report = _one_of(asked, "reprt_code", REPORTS)
    return Matter(company, int(year), report)


def company_of(asked: Mapping[str, str]) -> str:
    """The corp_code of a request that needs one."""
    if asked.get("corp_code", "").count(",") >= COMPANIES:
        raise Refused("021")
    return _matching(asked, "corp_code", _CODE)


def receipt_of(asked: Mapping[str, str]) -> int:
    """The receipt number of document.xml."""
    return int(_matching(asked, "rcept_no", _RECEIPT))


def search_of(asked: Mapping[str, str], today: int) -> Search:
    """The search of list.json, or `Refused`."""
    end = _day(asked, "end_de", today)
    begin = _day(asked, "bgn_de", end)
    company = _matching(asked, "corp_code", _CODE) if asked.get("corp_code") else ""
    if begin > end:
        raise Refused("100")
    if not company and end > _three_months_after(begin):
        raise Refused("100", WINDOW)
    return Search(
        company=company,
        begin=begin,
        end=end,
        final=_one_of(asked, "last_reprt_at", "YN", "N") == "Y",
        type=_one_of(asked, "pblntf_ty", "ABCDEFGHIJ", ""),
        detail=_matching(asked, "pblntf_detail_ty", _DETAIL, ""),
        market=_one_of(asked, "corp_cls", "YKNE", ""),
        sort=_one_of(asked, "sort", ("date", "crp", "rpt"), "date"),
        ascending=_one_of(asked, "sort_mth", ("asc", "desc"), "desc") == "asc",
    )


def page_of(asked: Mapping[str, str]) -> tuple[int, int]:
    """Number and length of the page, both from 1."""
    page, count = (
        int(_matching(asked, name, _COUNT, usual)) for name, usual in (("page_no", "1"), ("page_count", "10"))
    )
    if not (page and count):
        raise Refused("100")
    return page, min(count, LINES)


def _matching(asked: Mapping[str, str], name: str, form: re.Pattern[str], usual: str | None = None) -> str:
    text = asked.get(name) or usual
    if text is None or not (text == usual or form.fullmatch(text)):
        raise Refused("100")
    return text


def _one_of(asked: Mapping[str, str], name: str, allowed: str | tuple[str, ...], usual: str | None = None) -> str:
    text = asked.get(name) or usual
    if text is None or not (text == usual or text in tuple(allowed)):
        raise Refused("100")
    return text


def _day(asked: Mapping[str, str], name: str, usual: int) -> int:
    try:
        return number(day_of(asked.get(name) or str(usual)))
    except ValueError:
        raise Refused("100") from None


def _three_months_after(day: int) -> int:
    """The same day, a number to compare with: there need not be a 31 February."""
    year, month = divmod(day // 100 % 100 + 2, 12)
    return (day // 10_000 + year) * 10_000 + (month + 1) * 100 + day % 100
