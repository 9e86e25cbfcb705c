"""The simulated OpenDART over real HTTP: a client may rely on it as on `apis/opendart.md`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import pytest

from gapless.sandbox.clock import instant, iso
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.dates import ANNUAL, QUARTER, REPORTS
from gapless.sandbox.opendart.keys import KEY
from gapless.sandbox.opendart.listings import PLANTED, world
from gapless.sandbox.process import SandboxProcess

NOW = "2024-06-14T03:00:00Z"
NOW_US = instant(NOW)
WORLD = world(companies=400)
SAMSUNG = PLANTED["samsung"].code
TABLE, LIST = "alotMatter.json", "list.json"


@pytest.fixture(scope="module")
def started() -> Iterator[SandboxProcess]:
    with SandboxProcess("opendart", companies=400, now=NOW) as process:
        yield process


@pytest.fixture
def dart(started: SandboxProcess) -> SandboxProcess:
    """As new, its clock standing at NOW, without limits."""
    started.control(now=NOW, freeze=True, quota=0, per_minute=0, block_s=60, maintenance=[], latency_ms=0, down=False)
    started.control(date_skew_ms=0, faults=[], reset_stats=True)
    return started


def reply(dart: SandboxProcess, name: str, method: str = "GET", **asked: Any) -> tuple[HTTPResponse, bytes]:
    words = {key: value for key, value in {"crtfc_key": KEY, **asked}.items() if value is not None}
    with closing(HTTPConnection(dart.url.removeprefix("http://"), timeout=30)) as connection:
        connection.request(method, f"/api/{name}?{urlencode(words)}")
        response = connection.getresponse()
        return response, response.read()


def told(dart: SandboxProcess, name: str, **asked: Any) -> dict[str, Any]:
    response, body = reply(dart, name, **asked)
    assert response.status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def status(dart: SandboxProcess, name: str, **asked: Any) -> str:
    return str(told(dart, name, **asked)["status"])


def table(dart: SandboxProcess, company: str, year: int, report: str = ANNUAL) -> dict[str, Any]:
    return told(dart, TABLE, corp_code=company, bsns_year=year, reprt_code=report)


def common(answer: dict[str, Any]) -> tuple[str, str, str]:
    """The cash dividend of the common share in a plain table, three years of it."""
    (line,) = [one for one in answer["list"] if one["se"] == "주당 현금배당금(원)" and one.get("stock_knd") == "보통주"]
    return line["thstrm"], line["frmtrm"], line["lwfr"]


# -- dividends


def test_an_annual_report_tells_three_fiscal_years(dart: SandboxProcess) -> None:
    """One request fills three years: the cheapest plan rests on this. These values are the true ones."""
    answer = table(dart, SAMSUNG, 2020)
    assert (answer["status"], answer["message"]) == ("000", "정상")
    assert common(answer) == ("2,994", "1,416", "1,416")
    assert common(table(dart, SAMSUNG, 2023)) == ("1,444", "1,444", "1,444")


def test_a_table_has_the_documented_lines_and_fields(dart: SandboxProcess) -> None:
    lines = table(dart, SAMSUNG, 2020)["list"]
    assert [(one["se"], one.get("stock_knd")) for one in lines] == [
        ("주당액면가액(원)", None),
        ("(연결)당기순이익(백만원)", None),
        ("(별도)당기순이익(백만원)", None),
        ("(연결)주당순이익(원)", None),
        ("현금배당금총액(백만원)", None),
        ("주식배당금총액(백만원)", None),
        ("(연결)현금배당성향(%)", None),
        ("현금배당수익률(%)", "보통주"),
        ("현금배당수익률(%)", "우선주"),
        ("주식배당수익률(%)", "보통주"),
        ("주식배당수익률(%)", "우선주"),
        ("주당 현금배당금(원)", "보통주"),
        ("주당 현금배당금(원)", "우선주"),
        ("주당 주식배당(주)", "보통주"),
        ("주당 주식배당(주)", "우선주"),
    ]
    fields = [
        "rcept_no",
        "corp_cls",
        "corp_code",
        "corp_name",
        "se",
        "stock_knd",
        "thstrm",
        "frmtrm",
        "lwfr",
        "stlm_dt",
    ]
    assert list(lines[-1]) == fields
    assert (lines[0]["corp_cls"], lines[0]["corp_name"], lines[0]["stlm_dt"]) == ("Y", "삼성전자", "2020-12-31")
    assert all(isinstance(value, str) for one in lines for value in one.values())


def test_quarterly_reports_tell_running_totals_beside_whole_years(dart: SandboxProcess) -> None:
    """So quarters must never be added to a year."""
    found = [common(table(dart, SAMSUNG, 2022, report)) for report in REPORTS]
    assert [this for this, _, _ in found] == ["361", "722", "1,083", "1,444"]
    assert {before for _, before, _ in found} == {"1,444"}
    dart.control(now="2026-06-14T03:00:00Z")
    assert common(table(dart, SAMSUNG, 2026, QUARTER)) == ("372", "1,668", "1,446")


@pytest.mark.parametrize(
    "role", ["samsung", "twin_unlisted", "closes_march", "corrected_twice", "konex", "spac", "never"]
)
def test_what_is_served_is_what_the_truth_tells(dart: SandboxProcess, role: str) -> None:
    """Tests compare what a client stored with this, value by value."""
    code = PLANTED[role].code
    for year in range(2013, 2026):
        for report in REPORTS:
            answer = table(dart, code, year, report)
            assert answer.get("list") == truth.answer(WORLD, code, year, report, NOW_US)
            assert answer["status"] == ("000" if "list" in answer else "013")
            known = truth.dividend(WORLD, code, year, NOW_US, report)
            if known and known.rank == 0:
                assert common(answer)[0] == (f"{known.amount:,}" if known.amount else "-") == known.shown
                assert answer["list"][0]["rcept_no"] == known.rcept_no


def test_a_report_is_there_from_its_receipt_on(dart: SandboxProcess) -> None:
    """013 before that is for now only: a client that stores it for ever loses the year."""
    (filed,) = [one for one in truth.statements(WORLD, SAMSUNG, 2023) if one.rank == 0]
    assert 20240301 <= filed.day <= 20240401
    for shift_us, expected in ((-1_000_000, "013"), (0, "000")):
        dart.control(now=iso(filed.public_us + shift_us))
        assert table(dart, SAMSUNG, 2023)["status"] == expected


def test_a_correction_changes_what_was_known(dart: SandboxProcess) -> None:
    """Under a receipt of its own; the answer is the latest version. What follows tells it as it was held by then."""
    code = PLANTED["corrected"].code
    first, second = [one for one in truth.statements(WORLD, code, 2020) if one.rank == 0]
    assert first.amount > second.amount
    for one in (first, second):
        dart.control(now=iso(one.public_us))
        answer = table(dart, code, 2020)
        assert (answer["list"][0]["rcept_no"], common(answer)[0]) == (one.rcept_no, f"{one.amount:,}")
    dart.control(now=NOW)
    assert common(table(dart, code, 2021))[1] == f"{second.amount:,}"


def test_a_later_report_may_tell_another_value_for_the_year_before(dart: SandboxProcess) -> None:
    """Once because it was filed before the correction, once because values drift without any."""
    for role in ("corrected_after_next", "drifts"):
        code = PLANTED[role].code
        assert common(table(dart, code, 2018))[0] != common(table(dart, code, 2019))[1]


def test_nothing_is_served_before_2015_but_its_columns_reach_back_to_2013(dart: SandboxProcess) -> None:
    assert table(dart, SAMSUNG, 2014)["status"] == "013"
    known = truth.dividend(WORLD, SAMSUNG, 2013, NOW_US)
    assert known is not None
    assert (common(table(dart, SAMSUNG, 2015))[2], known.rank) == (known.shown, 2)


def test_a_split_shows_in_the_face_value(dart: SandboxProcess) -> None:
    """After it earlier years are told in new shares by some, in old ones by others."""
    for role, expected in (("split_restated", ["500", "500", "500"]), ("split_as_stated", ["500", "5,000", "5,000"])):
        face = table(dart, PLANTED[role].code, 2019)["list"][0]
        assert [face["thstrm"], face["frmtrm"], face["lwfr"]] == expected
        assert table(dart, PLANTED[role].code, 2018)["list"][0]["thstrm"] == "5,000"


def test_a_fiscal_year_may_end_in_another_month(dart: SandboxProcess) -> None:
    line = table(dart, PLANTED["closes_march"].code, 2022)["list"][0]
    assert line["stlm_dt"] == "2023-03-31"
    assert line["rcept_no"].startswith("202306")
    assert told(dart, "company.json", corp_code=PLANTED["closes_march"].code)["acc_mt"] == "03"


# -- statuses


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"corp_code": "99999999"}, "013"),
        ({"bsns_year": 2031}, "013"),
        ({"corp_code": None}, "100"),
        ({"corp_code": "005930"}, "100"),
        ({"corp_code": "00126380,00900001"}, "100"),
        ({"corp_code": ",".join(["00126380"] * 101)}, "021"),
        ({"bsns_year": None}, "100"),
        ({"bsns_year": "20"}, "100"),
        ({"reprt_code": "110123"}, "100"),
        ({"crtfc_key": None}, "100"),
        ({"crtfc_key": "short"}, "010"),
        ({"crtfc_key": "x" * 40}, "010"),
        ({"crtfc_key": "010".rjust(40, "0")}, "010"),
        ({"crtfc_key": "011".rjust(40, "0")}, "011"),
        ({"crtfc_key": "012".rjust(40, "0")}, "012"),
        ({"crtfc_key": "901".rjust(40, "0")}, "901"),
    ],
)
def test_every_refusal_comes_with_http_200_and_without_a_list(
    dart: SandboxProcess, asked: dict[str, Any], expected: str
) -> None:
    """A client that looks at the HTTP status alone takes them for answers."""
    answer = told(dart, TABLE, **{"corp_code": SAMSUNG, "bsns_year": 2020, "reprt_code": ANNUAL} | asked)
    assert (answer["status"], sorted(answer)) == (expected, ["message", "status"])


def test_what_does_not_exist_is_improper_access(dart: SandboxProcess) -> None:
    assert status(dart, "nothing.json") == status(dart, LIST, method="POST") == "101"


def test_the_quota_is_per_key_and_ends_at_midnight_in_korea(dart: SandboxProcess) -> None:
    """An empty answer and a wrong request count; a refusal does not."""
    dart.control(quota=3, now="2024-06-14T14:59:00Z")
    found = [table(dart, SAMSUNG, year)["status"] for year in (2020, 2014)] + [status(dart, TABLE)]
    assert found == ["000", "013", "100"]
    assert [table(dart, SAMSUNG, 2020)["status"] for _ in range(2)] == ["020", "020"]
    assert status(dart, "company.json", corp_code=SAMSUNG) == "020", "all endpoints share it"
    assert status(dart, "company.json", corp_code=SAMSUNG, crtfc_key="b" * 40) == "000"
    dart.control(advance_ms=60_000)
    assert table(dart, SAMSUNG, 2020)["status"] == "000"
    assert dart.stats()["refused_020"] == 3


def test_too_many_requests_in_a_minute_block_the_key(dart: SandboxProcess) -> None:
    dart.control(per_minute=2)
    assert [table(dart, SAMSUNG, 2020)["status"] for _ in range(4)] == ["000", "000", "020", "020"]
    dart.control(per_minute=2)
    assert table(dart, SAMSUNG, 2020)["status"] == "000", "a change of limits begins anew"


def test_maintenance_is_a_status_or_a_page(dart: SandboxProcess) -> None:
    closed = {"from": "2024-06-15T15:00:00Z", "to": "2024-06-15T21:00:00Z"}
    dart.control(maintenance=[closed], now="2024-06-15T20:59:59Z", quota=1)
    assert table(dart, SAMSUNG, 2020)["status"] == "800"
    dart.control(maintenance=[closed | {"html": True}])
    response, body = reply(dart, TABLE)
    assert (response.status, body[:15]) == (200, b"<!DOCTYPE html>")
    dart.control(advance_ms=1_000)
    assert table(dart, SAMSUNG, 2020)["status"] == "000", "what was asked meanwhile cost nothing"


# -- list.json


def search(dart: SandboxProcess, **asked: Any) -> dict[str, Any]:
    return told(dart, LIST, **asked)


def test_pages_of_a_search_together_are_the_truth(dart: SandboxProcess) -> None:
    """Oldest or newest first, none twice, none left out, each as the truth tells it."""
    expected = truth.filings(WORLD, 20240301, 20240331, NOW_US)
    for sort_mth, order in (("asc", 1), ("desc", -1)):
        asked = {"bgn_de": 20240301, "end_de": 20240331, "page_count": 100, "sort_mth": sort_mth}
        first = search(dart, **asked)
        pages = [search(dart, **asked, page_no=page + 1) for page in range(first["total_page"])]
        assert [line for page in pages for line in page["list"]] == expected[::order]
        assert (first["page_no"], first["page_count"], first["total_count"]) == (1, 100, len(expected))
    assert len(expected) > 200
    assert search(dart, **asked, page_no=first["total_page"] + 1)["status"] == "013"


def test_a_line_has_the_documented_fields(dart: SandboxProcess) -> None:
    found = search(dart, corp_code=SAMSUNG, bgn_de=20240101, end_de=20240430, pblntf_detail_ty="A001")
    (line,) = found["list"]
    assert line == {
        "corp_cls": "Y",
        "corp_name": "삼성전자",
        "corp_code": SAMSUNG,
        "stock_code": "005930",
        "report_nm": "사업보고서 (2023.12)",
        "rcept_no": line["rcept_no"],
        "flr_nm": "삼성전자",
        "rcept_dt": line["rcept_no"][:8],
        "rm": "연",
    }


def test_without_a_company_a_window_has_three_months_at_most(dart: SandboxProcess) -> None:
    assert search(dart, bgn_de=20231130, end_de=20240229)["status"] == "000"
    assert search(dart, bgn_de=20231130, end_de=20240301)["status"] == "100"
    assert search(dart, bgn_de=20150101, end_de=20240301, corp_code=SAMSUNG)["status"] == "000"


def test_a_search_ends_today_and_has_ten_lines_unless_told_otherwise(dart: SandboxProcess) -> None:
    found = search(dart, bgn_de=20240401)
    assert (found["page_count"], len(found["list"])) == (10, 10)
    assert found["list"][0]["rcept_dt"] <= "20240614"
    assert len(search(dart, bgn_de=20240401, page_count=500)["list"]) == 100
    assert len(search(dart, bgn_de=20240401, per_page=50)["list"]) == 10, "what is not known is ignored"
    assert search(dart)["status"] == "000", "today"


@pytest.mark.parametrize(
    "asked",
    [
        {"bgn_de": "2024-01-01"},
        {"bgn_de": "20240230"},
        {"bgn_de": "20240615"},
        {"pblntf_ty": "Z"},
        {"pblntf_detail_ty": "A01"},
        {"corp_cls": "X"},
        {"sort": "name"},
        {"sort_mth": "up"},
        {"last_reprt_at": "1"},
        {"page_no": 0},
        {"page_count": "many"},
        {"corp_code": "samsung"},
    ],
)
def test_a_wrong_search_is_status_100(dart: SandboxProcess, asked: dict[str, Any]) -> None:
    assert search(dart, **asked)["status"] == "100"


def test_a_search_is_narrowed_by_type_class_and_order(dart: SandboxProcess) -> None:
    window = {"bgn_de": 20240301, "end_de": 20240520, "page_count": 100}
    assert {line["corp_cls"] for line in search(dart, **window, corp_cls="K")["list"]} == {"K"}
    named = {line["report_nm"].split(" ")[0] for line in search(dart, **window, pblntf_ty="A")["list"]}
    assert named <= {"사업보고서", "분기보고서", "반기보고서"} | {
        f"[기재정정]{one}보고서" for one in ("사업", "분기", "반기")
    }
    decisions = search(dart, **window, pblntf_ty="I", sort="crp", sort_mth="asc")["list"]
    assert "현금ㆍ현물배당결정" in {line["report_nm"] for line in decisions}
    names = [line["corp_name"] for line in decisions]
    assert names == sorted(names)


def test_a_corrected_filing_is_marked_once_the_correction_is_there(dart: SandboxProcess) -> None:
    """`rm` changes afterwards: rows of list.json are no eternal facts."""
    code = PLANTED["corrected"].code
    first, second = [one for one in truth.statements(WORLD, code, 2020) if one.rank == 0]
    asked = {"corp_code": code, "bgn_de": 20210101, "end_de": 20211231, "pblntf_detail_ty": "A001", "sort_mth": "asc"}
    dart.control(now=iso(second.public_us - 1_000_000))
    assert [line["rm"] for line in search(dart, **asked)["list"]] == ["연"]
    dart.control(now=iso(second.public_us))
    lines = search(dart, **asked)["list"]
    assert [(line["rcept_no"], line["rm"]) for line in lines] == [(first.rcept_no, "연정"), (second.rcept_no, "연")]
    assert lines[1]["report_nm"] == "[기재정정]사업보고서 (2020.12)"
    final = search(dart, **asked, last_reprt_at="Y")["list"]
    assert [line["rcept_no"] for line in final] == [second.rcept_no]


# -- companies and documents


def directory(dart: SandboxProcess) -> list[dict[str, str]]:
    response, body = reply(dart, "corpCode.xml")
    assert (response.status, body[:4]) == (200, b"PK\x03\x04")
    with ZipFile(io.BytesIO(body)) as pack:
        assert pack.namelist() == ["CORPCODE.xml"]
        root = ET.fromstring(pack.read("CORPCODE.xml"))
    return [{field.tag: field.text or "" for field in entry} for entry in root.findall("list")]


def test_companies_come_as_a_zip(dart: SandboxProcess) -> None:
    found = directory(dart)
    assert [one["corp_code"] for one in found] == [one.corp_code for one in truth.companies(WORLD, NOW_US)]
    assert found[0] == {
        "corp_code": SAMSUNG,
        "corp_name": "삼성전자",
        "corp_eng_name": PLANTED["samsung"].english,
        "stock_code": "005930",
        "modify_date": "20000103",
    }
    assert {one["stock_code"] for one in found if not one["stock_code"].strip()} == {"", " "}


def test_a_stock_code_may_change_hands_and_a_name_may_change(dart: SandboxProcess) -> None:
    """Only corp_code stays: a client maps by the present list and stores that."""
    for now, owner in (("2021-07-01T00:00:00Z", "delisted"), ("2021-07-07T00:00:00Z", "heir")):
        dart.control(now=now)
        assert [one["corp_code"] for one in directory(dart) if one["stock_code"] == "309000"] == [PLANTED[owner].code]
    for now, name in (("2020-03-30T00:00:00Z", "온누리기계"), ("2020-04-01T00:00:00Z", "온누리홀딩스")):
        dart.control(now=now)
        assert told(dart, "company.json", corp_code=PLANTED["renamed"].code)["corp_name"] == name


def test_a_file_is_refused_in_xml(dart: SandboxProcess) -> None:
    """No ZIP: a client looks at the first bytes."""
    for name, asked, expected in (
        ("corpCode.xml", {"crtfc_key": "010".rjust(40, "0")}, "010"),
        ("document.xml", {"rcept_no": "20240312999999"}, "014"),
        ("document.xml", {"rcept_no": "1"}, "100"),
    ):
        response, body = reply(dart, name, **asked)
        assert response.status == 200
        assert ET.fromstring(body).findtext("status") == expected


def test_the_document_of_a_dividend_decision_tells_its_days(dart: SandboxProcess) -> None:
    found = search(dart, corp_code=SAMSUNG, bgn_de=20210101, end_de=20211231, pblntf_ty="I")["list"]
    receipt = next(line["rcept_no"] for line in found if line["report_nm"] == "현금ㆍ현물배당결정")
    _, body = reply(dart, "document.xml", rcept_no=receipt)
    with ZipFile(io.BytesIO(body)) as pack:
        text = pack.read(f"{receipt}.xml").decode()
    assert "배당기준일" in text
    ET.fromstring(text)


# -- faults and stats


@pytest.mark.parametrize(("kind", "error"), [("reset", ConnectionError), ("truncate", IncompleteRead)])
def test_a_reply_may_break_off(dart: SandboxProcess, kind: str, error: type[Exception]) -> None:
    dart.control(faults=[{"kind": kind, "path": "/api/alotMatter.json", "times": 1}])
    assert status(dart, "company.json", corp_code=SAMSUNG) == "000"
    with pytest.raises(error):
        table(dart, SAMSUNG, 2020)
    assert table(dart, SAMSUNG, 2020)["status"] == "000"


def test_a_fault_may_be_an_http_error_a_page_or_a_status(dart: SandboxProcess) -> None:
    dart.control(faults=[{"kind": "status", "status": 500, "market": SAMSUNG}])
    assert reply(dart, TABLE, corp_code=SAMSUNG)[0].status == 500
    assert status(dart, TABLE, corp_code="00900001") == "100"
    dart.control(faults=[{"kind": "html", "status": 200}])
    response, body = reply(dart, TABLE)
    assert (response.status, body[:9]) == (200, b"<!DOCTYPE")
    for code in ("900", "800", "020"):
        dart.control(faults=[{"kind": "code", "code": code}])
        assert table(dart, SAMSUNG, 2020)["status"] == code
    assert ET.fromstring(reply(dart, "corpCode.xml")[1]).findtext("status") == "020"


def test_a_reply_may_change_its_schema(dart: SandboxProcess) -> None:
    dart.control(faults=[{"kind": "missing_field"}])
    assert not any("rcept_no" in line for line in table(dart, SAMSUNG, 2020)["list"])
    dart.control(faults=[{"kind": "malformed_row"}])
    assert {line["thstrm"] for line in table(dart, SAMSUNG, 2020)["list"]} == {"oops"}
    with pytest.raises(ValueError, match="revision"):
        dart.control(faults=[{"kind": "revision"}])


@pytest.mark.parametrize("kind", ["latency", "slow"])
def test_a_late_reply_is_whole(dart: SandboxProcess, kind: str) -> None:
    dart.control(faults=[{"kind": kind, "latency_ms": 20}])
    assert common(table(dart, SAMSUNG, 2020))[0] == "2,994"


def test_a_sandbox_that_is_down_cuts_connections_but_can_be_told_to_come_back(dart: SandboxProcess) -> None:
    dart.control(down=True)
    with pytest.raises((ConnectionError, HTTPException)):
        table(dart, SAMSUNG, 2020)
    dart.control(down=False)
    assert table(dart, SAMSUNG, 2020)["status"] == "000"


def test_stats_tell_every_request(dart: SandboxProcess) -> None:
    table(dart, SAMSUNG, 2020)
    search(dart, bgn_de=20240101, end_de=20240331, page_no=2, crtfc_key="c" * 40)
    reply(dart, "corpCode.xml")
    stats = dart.stats(log=True)
    assert stats["by_endpoint"] == {f"/api/{name}": 1 for name in (TABLE, LIST, "corpCode.xml")}
    assert stats["by_key"] == {KEY[-6:]: 2, "cccccc": 1}
    assert (stats["requests"], stats["bodies"], stats["by_code"], stats["refused_020"]) == (3, 3, {"000": 3}, 0)
    assert [entry[1:] for entry in stats["log"]][:2] == [
        ["/api/alotMatter.json", SAMSUNG, "2020", ANNUAL, KEY[-6:], 200, "000"],
        ["/api/list.json", None, "20240101..20240331", "2", "cccccc", 200, "000"],
    ]
    assert KEY not in json.dumps(stats)


def test_an_order_that_cannot_be_read_changes_nothing(dart: SandboxProcess) -> None:
    closed = {"from": "2024-06-15", "to": "2024-06-15"}
    for wrong in ({"quota": -1}, {"rate": 5}, {"quota": 5, "now": "soon"}, {"quota": 5, "maintenance": [closed]}):
        with pytest.raises(ValueError, match=r".+"):
            dart.control(**wrong)
    assert dart.control()["quota"] == 0


@pytest.mark.parametrize(
    "words", [["--companies", "3"], ["--quota", "-1"], ["--now", "soon"], ["--maintenance", "tonight"]]
)
def test_a_command_that_cannot_be_read_says_why(words: list[str]) -> None:
    command = [sys.executable, "-m", "gapless.sandbox", "opendart", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "error:" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_command_line_plays_it() -> None:
    closed = "2024-06-15T00:00:00Z..2024-06-16T00:00:00Z,html"
    with SandboxProcess("opendart", companies=200, seed=7, now=NOW, quota=1, maintenance=[closed]) as dart:
        assert [table(dart, SAMSUNG, 2020)["status"] for _ in range(2)] == ["000", "020"]
        assert dart.control()["maintenance"][0]["html"] is True
        assert dart.stop() == 0
