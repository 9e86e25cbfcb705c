"""What companies file: periodic reports with their corrections, and a few other disclosures.

A filing belongs to its company's script alone, so it is the same whatever was asked before. Its name, class and stock
code are those of its day. Chosen, because the notes are silent: the detail types beside A001, what else is filed, and
how often.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from operator import attrgetter
from random import Random
from zlib import crc32

import msgspec

from gapless.sandbox.opendart.companies import Company, World
from gapless.sandbox.opendart.dates import (
    ANNUAL,
    FIRST,
    HALF,
    LAST,
    REPORTS,
    SLOTS,
    due,
    number,
    period_end,
    working,
)
from gapless.sandbox.opendart.dividends import payments

#: A filing that nothing corrects is followed by this receipt.
NONE = 10**14
#: Receipts of one day are a hundred for each company, in an order of their own: a multiplier without common factors.
PLACES = 100
_SCATTER, _COMPANIES = 6_181, SLOTS // PLACES
_UNSCATTER = pow(_SCATTER, -1, _COMPANIES)
#: Which of the hundred: reports 0 to 3; their corrections by last digit of the year, from 10 to 49.
_DECISION, _OTHER = 8, 9
#: Disclosures beside dividends: name, detail type, who files it.
_OTHERS = (
    ("주식등의대량보유상황보고서(일반)", "D001", "국민연금공단"),
    ("임원ㆍ주요주주특정증권등소유상황보고서", "D002", ""),
    ("주요사항보고서(유상증자결정)", "B001", ""),
    ("단일판매ㆍ공급계약체결", "I001", ""),
    ("주주총회소집결의", "I001", ""),
    ("증권신고서(지분증권)", "C001", ""),
)
#: Its dot is U+318D.
DECISION = "현금ㆍ현물배당결정"
_TITLES = {ANNUAL: ("사업보고서", "A001"), HALF: ("반기보고서", "A002")}
_MARKS = {"Y": "유", "K": "코", "N": "넥", "E": ""}


class Filing(msgspec.Struct, frozen=True, kw_only=True, gc=False, cache_hash=True):
    """One filing; periodic reports and dividend decisions tell which fiscal year and period they are about."""

    company: Company
    #: rcept_no.
    receipt: int
    title: str
    #: pblntf_detail_ty; its first letter is pblntf_ty.
    detail: str
    filer: str = ""
    year: int = 0
    report: str = ""
    #: 0 is the original.
    version: int = 0
    #: What a correction makes of the dividend.
    percent: int = 100
    #: Receipt of the correction that replaces it.
    followed: int = NONE

    @property
    def day(self) -> int:
        """rcept_dt."""
        return self.receipt // SLOTS

    @property
    def periodic(self) -> bool:
        """Whether it is a periodic report."""
        return self.detail[0] == "A"

    @property
    def name(self) -> str:
        """report_nm."""
        return f"[기재정정]{self.title}" if self.version else self.title

    def row(self, latest: int) -> dict[str, str]:
        """A line of list.json, when receipts up to `latest` are public."""
        company, day = self.company, self.day
        mark = "연" if self.periodic else _MARKS[company.class_on(day)] if self.detail[0] == "I" else ""
        return {
            "corp_cls": company.class_on(day),
            "corp_name": company.name_on(day),
            "corp_code": company.code,
            "stock_code": company.stock_on(day),
            "report_nm": self.name,
            "rcept_no": str(self.receipt),
            "flr_nm": self.filer or company.name_on(day),
            "rcept_dt": str(day),
            "rm": mark + ("정" if self.followed <= latest else ""),
        }


@lru_cache(maxsize=131_072)
def versions(seed: int, company: Company, year: int, report: str) -> tuple[Filing, ...]:
    """A periodic report and its corrections, in the order of their receipts; nothing if it is not to be filed."""
    if not FIRST <= year <= LAST or (company.market == "N" and report != ANNUAL):
        return ()
    last = due(company.closes, year, report)
    late = next((one.days for one in company.late if one.year == year and one.report == report), 0)
    day = working(last + timedelta(days=late) if late else last - _early(seed, company, last), before=not late)
    if not company.reports_on(number(day)):
        return ()
    return _corrected(company, year, report, day)


@lru_cache(maxsize=65_536)
def notices(seed: int, company: Company, year: int) -> tuple[Filing, ...]:
    """What else it files in a calendar year."""
    found = {one.receipt: one for one in _decisions(seed, company, year)}
    rng = Random(f"{seed}/{company.code}/notices/{year}")
    for _ in range(rng.randrange(4)):
        day = working(date(year, 1, 4) + timedelta(days=rng.randrange(355)), before=True)
        title, detail, filer = rng.choice(_OTHERS)
        receipt = _receipt(company, day, _OTHER)
        if company.registered <= number(day) and (company.class_on(number(day)) != "E" or detail[0] == "D"):
            found[receipt] = Filing(company=company, receipt=receipt, title=title, detail=detail, filer=filer)
    return tuple(found.values())


def periodic(seed: int, company: Company, year: int) -> list[Filing]:
    """The periodic reports of a fiscal year, corrections too."""
    return [one for report in REPORTS for one in versions(seed, company, year, report)]


def of_company(seed: int, company: Company, years: range) -> list[Filing]:
    """Everything that it files in some calendar years."""
    # A report of a year that ends in the next one can be corrected in the third.
    reports = [one for year in range(years.start - 3, years.stop) for one in periodic(seed, company, year)]
    found = [one for one in reports if one.day // 10_000 in years]
    return found + [one for year in years for one in notices(seed, company, year)]


@lru_cache(maxsize=32)
def of_year(world: World, year: int) -> list[Filing]:
    """Everything that is filed in a calendar year, in the order of the receipts."""
    years = range(year, year + 1)
    found = [one for company in world.companies for one in of_company(world.seed, company, years)]
    found.sort(key=attrgetter("receipt"))
    return found


def by_receipt(world: World, receipt: int) -> Filing | None:
    """The filing with this number, public or not."""
    index = receipt % SLOTS // PLACES * _UNSCATTER % _COMPANIES
    year = receipt // SLOTS // 10_000
    if index >= len(world.companies) or not FIRST <= year <= LAST + 2:
        return None
    filed = of_company(world.seed, world.companies[index], range(year, year + 1))
    return next((one for one in filed if one.receipt == receipt), None)


def _early(seed: int, company: Company, last: date) -> timedelta:
    """How long before the last day it is filed: up to 25 days, most often few."""
    drawn = crc32(f"{seed}/{company.code}/{last}".encode()) / 2**32
    return timedelta(days=int(25 * drawn**3))


def _corrected(company: Company, year: int, report: str, day: date) -> tuple[Filing, ...]:
    """The original, filed on `day`, and its corrections."""
    place = REPORTS.index(report)
    receipts, percents = [_receipt(company, day, place)], [100]
    corrections = [one for one in company.corrected if one.year == year and one.report == report]
    for one in sorted(corrections, key=attrgetter("days")):
        filed = working(day + timedelta(days=one.days), before=False)
        receipt = _receipt(company, filed, 10 * (1 + place) + year % 10)
        if receipt > receipts[-1] and company.reports_on(number(filed)):
            receipts.append(receipt)
            percents.append(one.percent)
    title, detail = _title(company.closes, year, report)
    return tuple(
        Filing(
            company=company,
            receipt=receipt,
            title=title,
            detail=detail,
            year=year,
            report=report,
            version=version,
            percent=percent,
            followed=following,
        )
        for version, (receipt, percent, following) in enumerate(
            zip(receipts, percents, [*receipts[1:], NONE], strict=True)
        )
    )


@lru_cache(maxsize=8_192)
def _title(closes: int, year: int, report: str) -> tuple[str, str]:
    title, detail = _TITLES.get(report, ("분기보고서", "A003"))
    return f"{title} ({period_end(closes, year, report):%Y.%m})", detail


def _decisions(seed: int, company: Company, year: int) -> list[Filing]:
    """Decisions to pay a dividend, some weeks after the end of its quarter."""
    found = []
    for fiscal in range(max(year - 2, FIRST), min(year, LAST) + 1):
        for report, won in zip(REPORTS, payments(seed, company)[fiscal].quarters, strict=True):
            end = period_end(company.closes, fiscal, report)
            day = working(end + timedelta(days=24 + company.index % 20), before=True)
            if won and day.year == year and company.class_on(number(day)) != "E":
                found.append(
                    Filing(
                        company=company,
                        receipt=_receipt(company, day, _DECISION),
                        title=DECISION,
                        detail="I001",
                        year=fiscal,
                        report=report,
                    )
                )
    return found


def _receipt(company: Company, day: date, place: int) -> int:
    return number(day) * SLOTS + company.index * _SCATTER % _COMPANIES * PLACES + place
