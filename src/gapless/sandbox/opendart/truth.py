"""What a client should end up with. Nothing here reads a served table: values come from what companies pay.

A dividend is known by statements: each annual report tells three fiscal years, each other report its own year alone.
At any moment the best statement counts: the report's own year before a later report's prior-year columns (rank 0
before 1 and 2), then the latest receipt. Reports of fiscal years before 2015 are not served, so 2013 and 2014 are
known from later ones only.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import msgspec

from gapless.sandbox.opendart.api import served
from gapless.sandbox.opendart.companies import Company, Odd, World
from gapless.sandbox.opendart.dates import ANNUAL, FIRST, LAST, latest_receipt, public_at, today
from gapless.sandbox.opendart.dividends import Share
from gapless.sandbox.opendart.files import Entry, directory
from gapless.sandbox.opendart.filings import Filing, periodic, versions
from gapless.sandbox.opendart.query import Matter, Search
from gapless.sandbox.opendart.search import visible
from gapless.sandbox.opendart.table import column, rows, shows_table, table

#: Fiscal years of which there are reports.
YEARS = range(FIRST, LAST + 1)


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What one report tells of the dividend of one share in one fiscal year."""

    #: Won per share, running total of the year; 0 is none.
    amount: Decimal
    #: Face value in the same column: it tells a split.
    face: int
    #: 0 is the report's own year, 1 the one before, 2 the one before that.
    rank: int
    rcept_no: str
    #: Day of the receipt, and the moment from which it is public in microseconds UTC.
    day: int
    public_us: int
    #: What the report shows in its place: not always the amount.
    shown: str


def statements(world: World, code: str, year: int, report: str = ANNUAL, share: Share = "common") -> list[Statement]:
    """Everything that is ever told of a dividend, by receipt; corrected reports are among it."""
    company = world.by_code[code]
    reaches = 3 if report == ANNUAL else 1
    found = [
        _statement(world, filing, back, share)
        for back in range(reaches)
        for filing in versions(world.seed, company, year + back, report)
        if shows_table(filing)
    ]
    return sorted((one for one in found if one), key=lambda one: one.rcept_no)


def dividend(
    world: World, code: str, year: int, now_us: int, report: str = ANNUAL, share: Share = "common"
) -> Statement | None:
    """What is known of a dividend at a moment; None is nothing, for which the answer is 013 or has no such share."""
    known = [one for one in statements(world, code, year, report, share) if one.public_us <= now_us]
    return min(known, key=lambda one: (one.rank, -int(one.rcept_no)), default=None)


def answer(world: World, code: str, year: int, report: str, now_us: int) -> list[dict[str, str]] | None:
    """The lines that alotMatter.json sends at a moment; None is 013."""
    filing = served(world, Matter(code, year, report), latest_receipt(now_us))
    return rows(world.seed, filing) if filing else None


def reports(world: World, code: str, now_us: int) -> list[Filing]:
    """The periodic reports of a company that are public at a moment, corrections too, by receipt."""
    filed = [one for year in YEARS for one in periodic(world.seed, world.by_code[code], year)]
    return sorted((one for one in filed if public_at(one.receipt) <= now_us), key=lambda one: one.receipt)


def filings(world: World, begin: int, end: int, now_us: int, code: str = "") -> list[dict[str, str]]:
    """The lines of list.json between two days, both included, oldest first, for one company or for all."""
    search = Search(
        company=code,
        begin=begin,
        end=end,
        final=False,
        type="",
        detail="",
        market="",
        sort="date",
        ascending=True,
    )
    latest = latest_receipt(now_us)
    return [one.row(latest) for one in visible(world, search, latest)]


def companies(world: World, now_us: int) -> list[Entry]:
    """The lines of corpCode.xml at a moment; a blank stock code is empty here."""
    return directory(world, today(now_us))


def oddities(world: World) -> dict[str, list[tuple[Company, Odd]]]:
    """Who shows which oddity, and in the reports of which fiscal years."""
    found: dict[str, list[tuple[Company, Odd]]] = defaultdict(list)
    for company in world.companies:
        for odd in company.oddities:
            found[odd.name].append((company, odd))
    return dict(found)


def corrections(world: World) -> list[Filing]:
    """Every correction of a periodic report that is ever filed, by receipt."""
    filed = [
        filing
        for company in world.companies
        if company.corrected
        for year in YEARS
        for filing in periodic(world.seed, company, year)
        if filing.version
    ]
    return sorted(filed, key=lambda one: one.receipt)


def _statement(world: World, filing: Filing, back: int, share: Share) -> Statement | None:
    its = column(world.seed, filing, back)
    if share not in its.dividends:
        return None
    shown = next(line for line in table(world.seed, filing).dividends if line.share == share)
    return Statement(
        amount=its.dividends[share],
        face=its.face,
        rank=back,
        rcept_no=str(filing.receipt),
        day=filing.day,
        public_us=public_at(filing.receipt),
        shown=shown.values[back],
    )
