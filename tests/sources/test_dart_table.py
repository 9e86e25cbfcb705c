"""The dividend table, read strictly: by a documented rule, or kept out of the number and flagged."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.sources.opendart.table import Line, Statement, read_table
from gapless.sources.opendart.words import Kind, Unread, read_kind, read_label, read_number

SPACES = st.sampled_from(["", " ", "  ", "\u00a0", "\u3000", "\t"])


def line(label: str, this: str | None, *, kind: str | None = None, before: str = "-", oldest: str = "-") -> Line:
    return Line(
        rcept_no="20210309000744",
        corp_code="00126380",
        se=label,
        stock_knd=kind,
        thstrm=this,
        frmtrm=before,
        lwfr=oldest,
        stlm_dt="2020-12-31",
    )


def plain(**changes: str) -> list[Line]:
    """The table of Samsung Electronics for 2020, abridged."""
    shown = {"common": "2,994", "preferred": "2,995", "total": "20,338,075"} | changes
    return [
        line("주당액면가액(원)", "100", before="100", oldest="100"),
        line("(연결)당기순이익(백만원)", "26,090,846", before="21,505,054", oldest="43,890,877"),
        line("(연결)주당순이익(원)", "3,841", before="3,166", oldest="6,461"),
        line("현금배당금총액(백만원)", shown["total"], before="9,619,243", oldest="9,619,243"),
        line("(연결)현금배당성향(%)", "78.00", before="44.70", oldest="21.90"),
        line("현금배당수익률(%)", "4.00", kind="보통주", before="2.60", oldest="3.70"),
        line("현금배당수익률(%)", "4.20", kind="우선주", before="3.10", oldest="4.50"),
        line("주당 현금배당금(원)", shown["common"], kind="보통주", before="1,416", oldest="1,416"),
        line("주당 현금배당금(원)", shown["preferred"], kind="우선주", before="1,417", oldest="1,417"),
        line("주당 주식배당(주)", "-", kind="보통주"),
    ]


def read(lines: list[Line], kind: str = "common", column: int = 0) -> Statement:
    (found,) = [one for one in read_table(lines, 2020, 3) if (one.kind, one.column) == (kind, column)]
    return found


def test_a_plain_table_tells_three_years_of_each_share() -> None:
    made = read_table(plain(), 2020, 3)

    assert [(one.kind, one.column, one.facts["dps"]) for one in made] == [
        ("common", 0, Decimal(2994)),
        ("preferred", 0, Decimal(2995)),
        ("common", 1, Decimal(1416)),
        ("preferred", 1, Decimal(1417)),
        ("common", 2, Decimal(1416)),
        ("preferred", 2, Decimal(1417)),
    ]
    assert not any(one.flags or one.notes for one in made)
    assert made[0].facts["payout"] == Decimal("78.00")
    assert made[0].facts["cash_yield"] == Decimal("4.00")
    assert str(made[2].period_end) == "2019-12-31"


@given(st.data())
def test_order_spaces_and_twins_change_nothing(data: st.DataObject) -> None:
    """Filers type these tables by hand."""

    def spaced(text: str | None) -> str | None:
        return None if text is None else "".join(data.draw(SPACES) + letter for letter in text) + data.draw(SPACES)

    lines = plain()
    twins = data.draw(st.lists(st.sampled_from(lines), max_size=6))
    shuffled = data.draw(st.permutations(lines + twins))
    odd = [
        Line(
            rcept_no=one.rcept_no,
            corp_code=one.corp_code,
            se=spaced(one.se) or "",
            stock_knd=spaced(one.stock_knd),
            thstrm=spaced(one.thstrm),
            frmtrm=spaced(one.frmtrm),
            lwfr=spaced(one.lwfr),
            stlm_dt=one.stlm_dt,
        )
        for one in shuffled
    ]

    assert read_table(odd, 2020, 3) == read_table(lines, 2020, 3)


ANY = st.one_of(
    st.none(), st.text(max_size=12), st.sampled_from(["-", "1,444", "(5)", "△3", "0", "보통주", "주당현금배당금"])
)


@given(
    st.lists(
        st.builds(line, st.sampled_from(["주당 현금배당금(원)", "현금배당금총액(백만원)", "x"]), ANY, kind=ANY),
        max_size=8,
    )
)
def test_no_table_crashes_the_reader_and_no_number_is_made_up(lines: list[Line]) -> None:
    """Whatever is filed: a dividend is a number that stands there, zero because all say so, or none."""
    for one in read_table(lines, 2020, 3):
        paid = one.facts.get("dps")
        assert paid is None or paid == 0 or any(_reads(it.values[one.column]) == paid for it in lines)


def _reads(text: str | None) -> Decimal | None:
    try:
        return read_number(text)
    except Unread:
        return None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("보통주", Kind("common")),
        ("보통주(주1)", Kind("common")),
        ("보 통 주", Kind("common")),
        ("보동주", Kind("common", "kind_misspelt")),
        ("보퉁주", Kind("common", "kind_misspelt")),
        ("의결권 있는 주식", Kind("common")),
        ("의결권 없는 주식", Kind("preferred")),
        ("우선주(주2)", Kind("preferred")),
        ("보통주(소액주주)", Kind("common", "holders_differ")),
        ("보통주(대주주)", Kind("common.large", "holders_differ")),
        ("2우선주B", Kind("2우선주B", "kind_unknown")),
        ("-", Kind("")),
        (None, Kind("")),
    ],
)
def test_share_kinds(text: str | None, kind: Kind) -> None:
    assert read_kind(text) == kind


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,444", "1444"),
        ("1444원", "1444"),
        (" 26, 090, 846 ", "26090846"),
        ("25.10%", "25.10"),
        ("1,444(주1)", "1444"),
        ("-1,234", "-1234"),
        ("(1,234)", "-1234"),
        ("△1,234", "-1234"),
        ("0", "0"),
    ],
)
def test_numbers(text: str, number: str) -> None:
    assert read_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["oops", "1.2.3", "12a", "미정", "1444 (예정)", "9" * 30])
def test_what_is_no_number_is_not_read(text: str) -> None:
    with pytest.raises(Unread):
        read_number(text)


def test_labels_lose_spaces_units_and_notes() -> None:
    for text in ("주당 현금배당금(원)", "주당현금배당금(원)", "주당  현금배당금 (원)", "주당 현금배당금(원)(주1)"):
        assert read_label(text).stem == "주당현금배당금"
    assert read_label("(별도)주당순이익(원)").is_separate


def test_a_total_in_place_of_a_dividend_is_kept_out() -> None:
    """Twenty trillion won a share would wreck a backtest."""
    odd = read(plain(common="20,338,075,000,000", preferred="20,338,075,000,000"))

    assert odd.facts["dps"] is None
    assert odd.flags == ("total_for_dps",)
    assert odd.notes == ("dps: 20,338,075,000,000",)
    assert read(plain(common="20,338,075,000,000"), column=1).facts["dps"] == 1416


def test_a_dividend_below_zero_or_in_words_is_kept_out() -> None:
    assert read(plain(common="-2,994")).flags == ("negative",)
    unread = read(plain(common="추후 결정"))
    assert (unread.facts["dps"], unread.flags, unread.notes) == (None, ("unread",), ("dps: 추후 결정",))


def test_two_amounts_for_one_share_are_kept_out() -> None:
    odd = read([*plain(), line("주당 현금배당금(원)", "3,100", kind="보통주", before="1,416", oldest="1,416")])

    assert odd.facts["dps"] is None
    assert odd.flags == ("differs",)
    assert odd.notes == ("dps: 2,994 / 3,100",)


def test_nothing_paid_is_zero_only_where_every_share_says_so() -> None:
    assert read(plain(common="-", preferred="-")).facts["dps"] == 0
    assert read(plain(common="-")).facts["dps"] is None
    assert read(plain(common="", preferred="0")).facts["dps"] is None


def test_a_table_without_share_kinds_is_read_by_its_order() -> None:
    """SK hynix, 2020: two lines, no share kind, the second one empty."""
    lines = [
        line("주당 현금배당금(원)", "1,170", before="1,000", oldest="1,500"),
        line("주당 현금배당금(원)", "-"),
    ]
    (first, *_) = made = read_table(lines, 2020, 3)

    assert {one.kind for one in made} == {"common"}
    assert (first.facts["dps"], first.flags) == (Decimal(1170), ("kind_missing",))
    both = read_table([lines[0], line("주당 현금배당금(원)", "1,180")], 2020, 3)
    assert [(one.kind, one.facts["dps"]) for one in both[:2]] == [
        ("common", Decimal(1170)),
        ("unnamed-2", Decimal(1180)),
    ]


def test_a_year_of_which_nothing_is_told_has_no_statement() -> None:
    """A company that is two years old has paid neither something nor nothing in the third."""
    lines = [line("주당액면가액(원)", "500"), line("주당 현금배당금(원)", "-", kind="보통주")]

    assert [(one.column, one.facts["dps"]) for one in read_table(lines, 2020, 3)] == [(0, Decimal(0))]


@pytest.mark.parametrize(
    ("end", "shown"),
    [("2020.12.31", "2020-12-31"), ("20201231", "2020-12-31"), ("", None), (None, None), ("2021-03-31", "2021-03-31")],
)
def test_period_ends(end: str | None, shown: str | None) -> None:
    (one,) = read_table([Line(rcept_no="1", corp_code="2", se="주당 현금배당금(원)", thstrm="5", stlm_dt=end)], 2020, 1)
    assert (None if one.period_end is None else str(one.period_end)) == shown
    assert "period_end" not in one.flags


def test_a_period_end_of_another_year_is_kept_out() -> None:
    (one,) = read_table(
        [Line(rcept_no="1", corp_code="2", se="주당 현금배당금(원)", thstrm="5", stlm_dt="2019-12-31")], 2020, 1
    )
    assert one.period_end is None
    assert "period_end" in one.flags
