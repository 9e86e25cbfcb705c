"""The datasets of OpenDART: what their columns hold, when their records are final, and how far back they go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gapless.core.dataset import Axis, Column, Dataset, Directory, Grouping, Revisions, Type, Variant
from gapless.core.grid import Months, Steps
from gapless.core.span import DAY, HOUR, Instant, instant

ZONE = "Asia/Seoul"
#: Korea has had no summer time since 1988.
KST = 9 * HOUR
#: Fiscal years by the calendar year that names them.
YEARS = Months(12, offset=KST)
DAYS = Steps(DAY, DAY - KST)
QUARTER, HALF, THREE_QUARTERS, ANNUAL = "11013", "11012", "11014", "11011"
#: The first `bsns_year` that the tables of periodic reports are served for.
SERVED_FROM = 2015
#: Years that an annual report tells: its own and two before.
REACH = 3
#: The series of all companies.
EVERYBODY = "all"
#: What reads a dividend table; a higher number reads stored answers anew.
PARSER = 1


def year_start(year: int) -> Instant:
    """Midnight of 1 January in Seoul."""
    return instant(datetime(year, 1, 1, tzinfo=UTC)) - KST


def year_of(start: Instant) -> int:
    """The fiscal year of a cell."""
    return datetime.fromtimestamp((start + KST) // 1_000_000, UTC).year


def _report(days: int, earliest: int, doc: str) -> Variant:
    # Two days of grace: a deadline on a weekend moves to the Monday after it.
    return Variant(
        settle=timedelta(days=days + 2), earliest=year_start(earliest), first_own=year_start(SERVED_FROM), doc=doc
    )


#: Due 90 days after the year, the others 45 days after their period: told as days after the end of the year.
REPORTS = {
    ANNUAL: _report(90, SERVED_FROM - REACH + 1, "annual"),
    QUARTER: _report(-230, SERVED_FROM, "first quarter"),
    HALF: _report(-139, SERVED_FROM, "half-year"),
    THREE_QUARTERS: _report(-47, SERVED_FROM, "third quarter"),
}


def _won(name: str, doc: str) -> Column:
    return Column(name=name, type=Type.DECIMAL, nullable=True, doc=doc)


COMPANIES = Dataset(
    name="dart.companies",
    source="dart",
    grid=DAYS,
    axis=Axis.DAY,
    columns=(
        Column(name="corp_code", type=Type.TEXT, doc="eight digits; never changes"),
        Column(name="corp_name", type=Type.TEXT, doc="as of `time`, the day of its last change"),
        Column(name="corp_eng_name", type=Type.TEXT, doc="may be empty"),
        Column(name="stock_code", type=Type.TEXT, doc="six digits or letters; empty for companies without one"),
    ),
    key=("corp_code",),
    # A day counts as told from its beginning on: the directory is asked for once a day.
    settle=timedelta(days=-1),
    zone=ZONE,
    example="all",
    pattern="all",
    grouping=Grouping(
        dataset="dart.disclosures",
        key="stock_code",
        column="corp_cls",
        names={"KOSPI": "Y", "KOSDAQ": "K", "KONEX": "N"},
        fill="gapless fill dart.disclosures all --days 120",
    ),
    period=timedelta(days=1),
)
DISCLOSURES = Dataset(
    name="dart.disclosures",
    source="dart",
    grid=DAYS,
    axis=Axis.EVENT,
    columns=(
        Column(name="rcept_no", type=Type.TEXT, doc="receipt number of the filing"),
        Column(name="rcept_dt", type=Type.DATE, doc="day of the receipt, in Seoul"),
        Column(name="corp_code", type=Type.TEXT, doc="of the company it is about"),
        Column(name="corp_name", type=Type.TEXT, doc="as of that day"),
        Column(name="stock_code", type=Type.TEXT, doc="as of that day; empty for companies without one"),
        Column(name="corp_cls", type=Type.TEXT, doc="Y KOSPI, K KOSDAQ, N KONEX, E none of them"),
        Column(name="report_nm", type=Type.TEXT, doc="what it is called; corrections begin with [기재정정]"),
        Column(name="flr_nm", type=Type.TEXT, doc="who has filed it"),
        Column(name="rm", type=Type.TEXT, doc="remarks when it was fetched: 정 a correction follows, 철 withdrawn, …"),
        Column(name="url", type=Type.TEXT, doc="where people read it; not to be crawled"),
    ),
    key=("rcept_no",),
    # A day takes filings until it is over; an hour later its listing stands still.
    settle=timedelta(hours=1),
    zone=ZONE,
    example="all, 005930, 00126380 or all/I",
    pattern=r"(all|[0-9A-Za-z]{6}|\d{8})(/[A-J](\d{3})?)?",
    directory=Directory(
        dataset="dart.companies", series="all", key="stock_code", value="corp_code", pattern="[0-9A-Za-z]{6}"
    ),
    period=timedelta(days=1),
)
DIVIDENDS = Dataset(
    name="dart.dividends",
    source="dart",
    grid=YEARS,
    axis=Axis.FISCAL_YEAR,
    columns=(
        Column(name="share_kind", type=Type.TEXT, doc="common, common.large, preferred, or as the report calls it"),
        Column(name="rcept_no", type=Type.TEXT, doc="receipt number of the report that says so"),
        Column(name="fiscal_year", type=Type.INT, doc="the year that `time` begins, as the report names it"),
        _won("dps", "cash dividend per share, won; 0 where the report says there is none, null where it is set aside"),
        _won("cash_yield", "by the company's own price, %"),
        _won("stock_dps", "dividend in shares per share"),
        _won("stock_yield", "%"),
        _won("face_value", "won; a jump tells a split"),
        _won("eps", "net income per share, won"),
        _won("net_income", "consolidated, million won"),
        _won("own_net_income", "separate, million won"),
        _won("total_cash", "cash dividends of all shares, million won"),
        _won("total_stock", "dividends in shares, million won"),
        _won("payout", "cash dividends of net income, %"),
        Column(name="period_end", type=Type.DATE, nullable=True, doc="last day of the period"),
        Column(name="known_at", type=Type.DATE, doc="day of the receipt, in Seoul"),
        Column(name="rank", type=Type.INT, doc="0: told by the report of its own year; 1, 2: by one of a later year"),
        Column(name="is_running", type=Type.BOOL, doc="a running total from the first day of the year"),
        Column(name="corp_code", type=Type.TEXT, doc="of the company that filed it"),
        Column(name="flags", type=Type.TEXT, doc="oddities that were met; see docs/reference/datasets.md"),
        Column(name="note", type=Type.TEXT, doc="what was set aside, as it was written"),
    ),
    key=("share_kind", "rcept_no"),
    zone=ZONE,
    example="005930 or 005930/11011",
    # Lenient: what is no stock code is held by itself, and the others of a list run.
    pattern=r"[0-9A-Za-z]{1,20}/\d{5}",
    variants=REPORTS,
    revisions=Revisions(version="rcept_no", rank="rank", known="known_at"),
    directory=Directory(dataset="dart.companies", series="all", key="stock_code", value="corp_code"),
    parser=PARSER,
    period=timedelta(days=366),
)
