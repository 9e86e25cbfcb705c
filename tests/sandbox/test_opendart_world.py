"""The simulated companies: what they file and pay depends on the seed alone, and every oddity has its companies."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.sandbox.clock import SECOND, instant
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.companies import Company
from gapless.sandbox.opendart.dates import (
    ANNUAL,
    FIRST,
    HALF,
    LAST,
    NEVER,
    REPORTS,
    day_of,
    due,
    latest_receipt,
    period_end,
    public_at,
    today,
)
from gapless.sandbox.opendart.filings import by_receipt, of_year
from gapless.sandbox.opendart.listings import PLANTED, world
from gapless.sandbox.opendart.oddities import ODDITIES
from gapless.sandbox.opendart.query import search_of
from gapless.sandbox.opendart.statuses import Refused

WORLD = world()
NOW_US = instant("2025-06-14T03:00:00Z")
ANYBODY = st.sampled_from(WORLD.companies)
ANY_YEAR = st.integers(FIRST, LAST)
ANY_REPORT = st.sampled_from(REPORTS)
ANYTIME = st.datetimes(datetime(2013, 1, 1), datetime(2034, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda at: round(at.timestamp()) * SECOND
)
PLAIN = [one for one in WORLD.companies if not one.oddities]


def number(text: str) -> Decimal:
    """As a client reads a plain value."""
    return Decimal(0) if text == "-" else Decimal(text.replace(",", ""))


def shown(company: Company, year: int, report: str = ANNUAL) -> list[dict[str, str]]:
    """The lines of a table that tell the dividend, however odd."""
    lines = truth.answer(WORLD, company.code, year, report, NOW_US)
    assert lines
    return [one for one in lines if "현금배당금" in one["se"] and "총액" not in one["se"]]


def odd(name: str) -> Company:
    """The first company with an oddity."""
    return truth.oddities(WORLD)[name][0][0]


# -- truth


@given(company=st.sampled_from(PLAIN), year=ANY_YEAR, report=ANY_REPORT, now_us=ANYTIME)
def test_a_plain_reader_of_what_is_served_gets_the_truth(company: Company, year: int, report: str, now_us: int) -> None:
    """The rule of precedence applied to the answers of any moment is what `dividend` tells."""
    found: list[Decimal] = []
    for back, column in enumerate(("thstrm", "frmtrm", "lwfr") if report == ANNUAL else ("thstrm",)):
        lines = truth.answer(WORLD, company.code, year + back, report, now_us) or []
        found += [
            number(one[column])
            for one in lines
            if one["se"] == "주당 현금배당금(원)" and one.get("stock_knd") == "보통주"
        ]
    known = truth.dividend(WORLD, company.code, year, now_us, report)
    assert found[:1] == ([known.amount] if known else [])


@given(company=ANYBODY, year=ANY_YEAR)
def test_the_present_only_adds_statements(company: Company, year: int) -> None:
    """What was known at a moment stays known: `as_of` rests on this."""
    said = truth.statements(WORLD, company.code, year)
    assert [one.rcept_no for one in said] == sorted({one.rcept_no for one in said})
    for one in said:
        assert truth.dividend(WORLD, company.code, year, one.public_us - SECOND) != one
    best = [truth.dividend(WORLD, company.code, year, one.public_us) for one in said]
    assert all(after.rank <= before.rank for before, after in pairwise(one for one in best if one))


@given(company=ANYBODY, year=ANY_YEAR)
def test_running_totals_never_fall_unless_corrected(company: Company, year: int) -> None:
    totals = [truth.statements(WORLD, company.code, year, report) for report in REPORTS]
    firsts = [own[0].amount for said in totals if (own := [one for one in said if one.rank == 0])]
    assert firsts == sorted(firsts)


def test_a_seed_is_a_world_of_its_own() -> None:
    """And it does not matter what was asked before."""
    again, other = world(companies=200), world(seed=7, companies=200)
    order = list(again.companies)
    Random(0).shuffle(order)
    for company in order:
        assert WORLD.by_code[company.code] == company
        expected = truth.answer(WORLD, company.code, 2021, ANNUAL, NOW_US)
        assert truth.answer(again, company.code, 2021, ANNUAL, NOW_US) == expected
    assert [one.pays for one in again.companies] != [one.pays for one in other.companies]
    assert other.by_code.keys() == again.by_code.keys()


def test_the_known_dividends_are_the_true_ones() -> None:
    code, now_us = PLANTED["samsung"].code, instant("2026-06-14")
    found = [truth.dividend(WORLD, code, year, now_us) for year in range(2018, 2026)]
    assert [one.shown for one in found if one] == [
        "1,416",
        "1,416",
        "2,994",
        "1,444",
        "1,444",
        "1,444",
        "1,446",
        "1,668",
    ]
    preferred = truth.dividend(WORLD, code, 2024, now_us, share="preferred")
    assert preferred
    assert preferred.amount == 1_447


# -- companies


def test_all_sorts_of_companies_are_there() -> None:
    companies = WORLD.companies
    assert len({one.code for one in companies}) == len(companies) == 3_000
    assert all(len(one.code) == 8 and one.code.isdigit() for one in companies)
    assert {one.market for one in companies} == set("YKNE")
    assert {one.closes for one in companies} == {3, 6, 9, 12}
    assert {one.pays for one in companies} == {"never", "annual", "interim", "quarterly", "sometimes"}
    assert sum(bool(one.preferred) for one in companies) > 100
    assert sum(one.delisted < NEVER for one in companies) > 50
    assert sum(not one.stock.isdigit() for one in companies if one.stock) > 50
    assert sum(20150101 < one.listed < NEVER for one in companies) > 500
    codes = [one.stock for one in companies if one.stock]
    assert len(codes) - len(set(codes)) == 1, "one code changes hands"
    names = [one.name for one in companies]
    assert len(names) - len(set(names)) == 1, "two companies share a name"


@given(company=ANYBODY)
def test_a_company_reports_while_it_is_listed(company: Company) -> None:
    filed = truth.reports(WORLD, company.code, instant("2034-01-01"))
    if not (company.stock or company.files):
        assert not filed
    if company.stock:
        assert all(company.listed <= one.day < company.delisted for one in filed)
    if company.market == "N":
        assert {one.report for one in filed} <= {ANNUAL}
    assert all(one.version == 0 or one.title in {other.title for other in filed} for one in filed)


def test_spacs_and_foreign_issuers_file_reports_without_a_dividend_table() -> None:
    for role in ("spac", "foreign"):
        code = PLANTED[role].code
        assert truth.reports(WORLD, code, NOW_US)
        assert truth.answer(WORLD, code, 2023, ANNUAL, NOW_US) is None


# -- filings


def test_receipts_are_unique_and_tell_their_day() -> None:
    filed = of_year(WORLD, 2022)
    receipts = [one.receipt for one in filed]
    assert receipts == sorted(set(receipts))
    assert all(day_of(str(one.day)).weekday() < 5 for one in filed)
    assert all(by_receipt(WORLD, one.receipt) is one for one in filed[::97])
    assert by_receipt(WORLD, receipts[0] + 1) is None


@given(company=ANYBODY, year=ANY_YEAR, report=ANY_REPORT)
def test_reports_are_filed_after_their_period_and_in_time_unless_late(company: Company, year: int, report: str) -> None:
    own = [one for one in truth.statements(WORLD, company.code, year, report) if one.rank == 0]
    if own:
        filed, last = day_of(str(own[0].day)), due(company.closes, year, report)
        late = any((one.year, one.report) == (year, report) for one in company.late)
        assert filed > period_end(company.closes, year, report)
        assert (filed > last) is late


def test_business_reports_are_due_by_the_end_of_march() -> None:
    assert due(12, 2023, ANNUAL) == date(2024, 3, 31)
    assert due(12, 2023, HALF) == date(2023, 8, 14)
    assert due(3, 2023, ANNUAL) == date(2024, 6, 30)
    (late,) = [one for one in truth.statements(WORLD, PLANTED["late"].code, 2021) if one.rank == 0]
    assert late.day == 20220420


@given(day=st.dates(date(2013, 1, 1), date(2033, 12, 31)), slot=st.integers(0, 999_999))
def test_a_receipt_is_public_from_its_moment_on(day: date, slot: int) -> None:
    """And its moment lies in the Korean day that it names."""
    receipt = int(f"{day:%Y%m%d}") * 1_000_000 + slot
    assert latest_receipt(public_at(receipt)) >= receipt
    assert latest_receipt(public_at(receipt) - SECOND) < receipt
    assert today(public_at(receipt)) == receipt // 1_000_000


def test_corrections_have_receipts_of_their_own_and_mark_what_they_replace() -> None:
    found = truth.corrections(WORLD)
    assert len(found) > 500
    changed = [one for one in found if one.percent != 100]
    assert len(found) > len(changed) > 100
    for one in found[:200]:
        filed = [
            other
            for other in truth.reports(WORLD, one.company.code, instant("2036-01-01"))
            if (other.year, other.report) == (one.year, one.report)
        ]
        assert [other.version for other in filed] == list(range(len(filed)))
        assert filed[one.version - 1].followed == one.receipt
        assert one.name.startswith("[기재정정]")


@pytest.mark.parametrize(
    ("begin", "end", "allowed"),
    [
        ("20240131", "20240430", True),
        ("20240131", "20240501", False),
        ("20231130", "20240229", True),
        ("20231130", "20240301", False),
        ("20231015", "20240115", True),
        ("99991231", "99991231", True),
    ],
)
def test_three_months_are_calendar_months(begin: str, end: str, allowed: bool) -> None:
    asked = {"bgn_de": begin, "end_de": end}
    if allowed:
        search_of(asked, 20240614)
    else:
        with pytest.raises(Refused):
            search_of(asked, 20240614)


# -- oddities


@pytest.mark.parametrize("name", sorted(ODDITIES))
def test_every_oddity_has_two_companies_that_pay(name: str) -> None:
    """Also in a world that is as small as it may be."""
    small = truth.oddities(world(companies=120))
    assert len(small[name]) >= 2
    for company, _ in truth.oddities(WORLD)[name][:2]:
        known = truth.dividend(WORLD, company.code, 2021, NOW_US)
        assert known
        assert known.rank == 0
        assert known.amount > 0


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("kind_missing", [None, None]),
        ("kind_dash", ["-", "-"]),
        ("kind_dash_elsewhere", ["보통주", "우선주"]),
        ("kind_misspelt_dong", ["보동주", "우선주"]),
        ("kind_misspelt_tung", ["보퉁주", "우선주"]),
        ("kind_spaced", ["보 통 주", "우 선 주"]),
        ("kind_padded", [" 보통주 ", " 우선주 "]),
        ("kind_noted", ["보통주(주1)", "우선주(주2)"]),
        ("kind_voting", ["의결권 있는 주식", "의결권 없는 주식"]),
        ("kind_class", ["보통주", "종류주식"]),
        ("twin", ["보통주", "보통주", "우선주", "우선주"]),
        ("twin_empty", [None, None]),
        ("empty_preferred", ["보통주", "우선주"]),
        ("two_amounts", ["보통주(소액주주)", "우선주", "보통주(대주주)"]),
    ],
)
def test_share_kinds_may_be_odd(name: str, kinds: list[str | None]) -> None:
    assert [one.get("stock_knd") for one in shown(odd(name), 2021)] == kinds


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("label_tight", "주당현금배당금(원)"),
        ("label_wide", "주당  현금배당금 (원)"),
        ("label_noted", "주당 현금배당금(원)(주1)"),
        ("label_separate", "(별도)현금배당성향(%)"),
        ("label_bare", "현금배당성향(%)"),
        ("label_face", "주당 액면가액 (원)"),
    ],
)
def test_labels_may_be_odd(name: str, label: str) -> None:
    lines = truth.answer(WORLD, odd(name).code, 2021, ANNUAL, NOW_US)
    assert lines
    assert label in {one["se"] for one in lines}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("negative", "-{:,}"),
        ("no_commas", "{}"),
        ("suffix", "{:,}원"),
        ("value_noted", "{:,}(주1)"),
        ("decimal", "{:,}"),
    ],
)
def test_values_may_be_odd_while_the_amount_is_known(name: str, form: str) -> None:
    company = odd(name)
    known = truth.dividend(WORLD, company.code, 2021, NOW_US)
    assert known
    assert shown(company, 2021)[0]["thstrm"] == known.shown == form.format(known.amount)
    assert (known.amount % 1 == Decimal("0.5")) is (name == "decimal")


def test_spaces_and_percent_signs_may_stand_in_values() -> None:
    company = odd("value_spaced")
    known = truth.dividend(WORLD, company.code, 2021, NOW_US)
    assert known
    assert known.shown == f" {known.amount:,} ".replace(",", ", ")
    lines = truth.answer(WORLD, odd("suffix_percent").code, 2021, ANNUAL, NOW_US)
    assert lines
    assert all(one["thstrm"].endswith("%") for one in lines if one["se"] == "현금배당수익률(%)")


def test_a_total_may_stand_where_a_share_belongs() -> None:
    company = odd("total_won")
    known = truth.dividend(WORLD, company.code, 2021, NOW_US)
    assert known
    assert number(known.shown) > 1_000 * known.amount


@pytest.mark.parametrize(("name", "text"), [("empty_value", ""), ("zero", "0")])
def test_nothing_may_be_odd(name: str, text: str) -> None:
    assert shown(odd(name), 2021, HALF)[0]["thstrm"] == text
    known = truth.dividend(WORLD, odd(name).code, 2021, NOW_US, HALF)
    assert known
    assert known.amount == 0


@pytest.mark.parametrize(("name", "start"), [("loss_minus", "-"), ("loss_brackets", "("), ("loss_triangle", "△")])
def test_losses_have_three_forms(name: str, start: str) -> None:
    lines = truth.answer(WORLD, odd(name).code, 2021, ANNUAL, NOW_US)
    assert lines
    assert lines[1]["thstrm"].startswith(start)
    assert lines[1]["thstrm"] != "-"


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("end_missing", None),
        ("end_empty", ""),
        ("end_dotted", "2021.12.31"),
        ("end_compact", "20211231"),
        ("end_year_before", "2020-12-31"),
    ],
)
def test_the_end_of_the_period_may_be_odd(name: str, end: str | None) -> None:
    assert shown(odd(name), 2021)[0].get("stlm_dt") == end


def test_large_and_small_holders_may_get_different_amounts() -> None:
    code = odd("two_amounts").code
    small, large = (truth.dividend(WORLD, code, 2021, NOW_US, share=share) for share in ("common", "large"))
    assert small
    assert large
    assert small.amount > large.amount > 0


def test_a_share_that_does_not_exist_has_no_truth_even_where_a_line_pretends() -> None:
    assert truth.dividend(WORLD, odd("empty_preferred").code, 2021, NOW_US, share="preferred") is None
    assert shown(odd("empty_preferred"), 2021)[1]["thstrm"] == "-"
