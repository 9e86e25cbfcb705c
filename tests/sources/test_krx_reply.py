"""Reading KRX's replies: every row of the table of what a reply proves, and every way in which one can be wrong.

A server on this machine plays back prepared bodies; the source talks to it over real HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gapless.core.errors import BadReply, HoldJob, Refused, SchemaChanged, SourceError, TryAgain, Unauthorized
from gapless.core.page import Ask, Page
from gapless.core.span import DAY, HOUR, Instant, Span, instant
from gapless.sources.http import Http
from gapless.sources.krx import Krx
from gapless.testing.scripted import Provider, Script, scripted

KEY = "5A" * 20
STOCKS, INDICES, ETFS = (Krx.datasets[name] for name in ("krx.stocks", "krx.indices", "krx.etfs"))


def seoul(year: int, month: int, day: int) -> Instant:
    """Midnight in Seoul."""
    return instant(datetime(year, month, day, tzinfo=UTC)) - 9 * HOUR


THURSDAY, FRIDAY, MONDAY = seoul(2024, 6, 13), seoul(2024, 6, 14), seoul(2024, 6, 17)
#: Long after: what is empty then stays so.
LATER = seoul(2024, 12, 2)
ASK = Ask(series="KOSPI", span=Span(THURSDAY, FRIDAY), limit=1)


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with scripted() as provider:
        yield provider


@pytest.fixture
def script(server) -> Script:
    server.script = Script()
    return server.script


@pytest.fixture(scope="module")
def krx(server) -> Iterator[Krx]:
    source = Krx(Http("krx", server.url, timedelta(seconds=5), KEY))
    yield source
    source.close()


def share(code: str = "005930", **changes: Any) -> dict[str, Any]:
    """A share on Thursday as KRX writes it."""
    made = {
        "BAS_DD": "20240613",
        "ISU_CD": code,
        "ISU_NM": "삼성전자",
        "MKT_NM": "KOSPI",
        "TDD_CLSPRC": "78,600",
        "TDD_OPNPRC": "77700",
        "TDD_HGPRC": "79000",
        "TDD_LWPRC": "77500",
        "ACC_TRDVOL": "19,743,748",
        "ACC_TRDVAL": "1547000000000",
        "MKTCAP": "469225850730000",
        "LIST_SHRS": "5969782550",
    }
    return {**made, **changes}


def level(name: str = "코스피", **changes: Any) -> dict[str, Any]:
    """An index on Thursday."""
    made = {
        "BAS_DD": "20240613",
        "IDX_NM": name,
        "CLSPRC_IDX": "2,754.89",
        "OPNPRC_IDX": "2,740.10",
        "HGPRC_IDX": "2,760.00",
        "LWPRC_IDX": "2,735.55",
        "ACC_TRDVOL": "447,000",
        "ACC_TRDVAL": "11,200,000,000",
    }
    return {**made, **changes}


def without(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != name}


def say(script: Script, *records: dict[str, Any]) -> None:
    script.body = json.dumps({"OutBlock_1": list(records)}).encode()


def fail(script: Script, status: int, message: str = "", **headers: str) -> None:
    script.status, script.headers = status, headers
    script.body = json.dumps({"respMsg": message, "respCode": str(status)}).encode() if message else b"<html></html>"


def fetch(krx: Krx, ask: Ask = ASK, *, dataset=STOCKS, now: Instant = LATER) -> Page:
    return krx.fetch(dataset, ask, now)


def refusal(krx: Krx, kind: type[SourceError], **more: Any) -> Any:
    """The error that the next reply leads to: of this very kind, naming its source, and never the key."""
    with pytest.raises(kind) as caught:
        fetch(krx, **more)
    assert type(caught.value) is kind
    assert caught.value.source == "krx"
    assert KEY not in str(caught.value)
    return caught.value


# The request


def test_a_request_asks_for_one_day_with_the_key_in_a_header(krx: Krx, script: Script) -> None:
    """A key in the address would stand in the logs of every proxy."""
    say(script, share())
    fetch(krx)
    ((path, query, headers),) = script.asked
    assert (path, query) == ("/svc/apis/sto/stk_bydd_trd", {"basDd": ["20240613"]})
    assert headers["auth_key"] == KEY


@pytest.mark.parametrize(
    ("dataset", "series", "path"),
    [
        (STOCKS, "KOSDAQ", "/svc/apis/sto/ksq_bydd_trd"),
        (INDICES, "KOSPI", "/svc/apis/idx/kospi_dd_trd"),
        (ETFS, "ETF", "/svc/apis/etp/etf_bydd_trd"),
    ],
)
def test_each_market_has_its_own_path(krx: Krx, script: Script, dataset, series: str, path: str) -> None:
    say(script)
    fetch(krx, Ask(series=series, span=ASK.span, limit=1), dataset=dataset)
    assert script.asked[0][0] == path


def test_of_a_longer_span_the_newest_day_is_asked(krx: Krx, script: Script) -> None:
    """One call tells one day; it proves that one and nothing before it."""
    say(script, share())
    page = fetch(krx, Ask(series="KOSPI", span=Span(seoul(2024, 6, 10), FRIDAY), limit=4))
    assert script.asked[0][1] == {"basDd": ["20240613"]}
    assert page.proven == Span(THURSDAY, FRIDAY)


# 200 with records of day D


def test_records_prove_their_day(krx: Krx, script: Script) -> None:
    """In the order of their key, commas left out."""
    say(script, share("035420"), share("005930"))
    page = fetch(krx)
    assert page.proven == Span(THURSDAY, FRIDAY)
    assert page.nothing_before is None
    assert page.raw is None
    assert [row[:3] for row in page.rows] == [(THURSDAY, "005930", "삼성전자"), (THURSDAY, "035420", "삼성전자")]
    assert page.rows[0][3:] == (
        77700.0,
        79000.0,
        77500.0,
        78600.0,
        19_743_748,
        1_547_000_000_000,
        469_225_850_730_000,
        5_969_782_550,
    )


def test_a_friday_proves_the_weekend_after_it(krx: Krx, script: Script) -> None:
    """Saturday and Sunday are no days of the grid: they may never be asked for."""
    say(script, share(BAS_DD="20240614"))
    assert fetch(krx, Ask(series="KOSPI", span=Span(FRIDAY, MONDAY), limit=1)).proven == Span(FRIDAY, MONDAY)


def test_a_share_that_did_not_trade_has_no_open_high_and_low(krx: Krx, script: Script) -> None:
    """Zeros and dashes are no prices; no volume is none traded."""
    say(script, share(TDD_OPNPRC="0", TDD_HGPRC="-", TDD_LWPRC="", ACC_TRDVOL="-", ACC_TRDVAL=""))
    assert fetch(krx).rows[0][3:9] == (None, None, None, 78600.0, 0, 0)


def test_an_index_is_read_with_its_decimals(krx: Krx, script: Script) -> None:
    say(script, level(" 코스피 "))
    assert fetch(krx, dataset=INDICES).rows == [
        (THURSDAY, "코스피", 2740.10, 2760.0, 2735.55, 2754.89, 447_000, 11_200_000_000)
    ]


def test_a_fund_has_its_net_asset_value_or_none(krx: Krx, script: Script) -> None:
    say(script, share("148070", NAV="112,345.67"), share("152380", NAV="-"))
    rows = fetch(krx, Ask(series="ETF", span=ASK.span, limit=1), dataset=ETFS).rows
    assert [row[-1] for row in rows] == [112_345.67, None]


def test_a_new_field_is_no_change(krx: Krx, script: Script) -> None:
    say(script, share(NEW_FIELD="1"))
    assert len(fetch(krx).rows) == 1


# 200 with an empty OutBlock_1


def test_an_old_empty_day_is_proven_for_good(krx: Krx, script: Script) -> None:
    """Nothing was traded: a holiday."""
    say(script)
    page = fetch(krx, now=THURSDAY + 14 * DAY)
    assert (page.rows, page.proven, page.raw) == ([], Span(THURSDAY, FRIDAY), None)


def test_a_young_empty_day_is_believed_for_a_day(krx: Krx, script: Script) -> None:
    """It may be told late: its answer is kept with the time at which it counts no more."""
    say(script)
    now = THURSDAY + 14 * DAY - 1
    page = fetch(krx, now=now)
    assert page.proven == Span(THURSDAY, FRIDAY)
    assert page.raw is not None
    assert (page.raw.name, page.raw.again_at) == ("20240613", now + DAY)


def test_a_young_day_with_records_needs_no_second_look(krx: Krx, script: Script) -> None:
    say(script, share())
    assert fetch(krx, now=FRIDAY + DAY).raw is None


# All is cut at the frontier


def test_what_may_still_change_is_neither_stored_nor_proven(krx: Krx, script: Script) -> None:
    """The frontier stands at ten o'clock of the next weekday in Seoul."""
    assert STOCKS.frontier(FRIDAY + 10 * HOUR - 1) == THURSDAY
    assert STOCKS.frontier(FRIDAY + 10 * HOUR) == FRIDAY
    # Friday itself is final on Monday.
    assert STOCKS.frontier(MONDAY + 10 * HOUR - 1) == FRIDAY
    assert STOCKS.frontier(MONDAY + 10 * HOUR) == MONDAY
    say(script, share())
    page = fetch(krx)
    assert page.before(FRIDAY) == page
    assert (page.before(THURSDAY).rows, page.before(THURSDAY).proven) == ([], None)


# 200 with records of another day, and records that cannot be true


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([share(BAS_DD="20240612")], "a record of day 20240612"),
        ([share(), share("035420", BAS_DD="20240612")], "a record of day 20240612"),
        ([share(), share()], "ISU_CD is there twice"),
        ([share(TDD_CLSPRC="-")], "005930: there is no closing price"),
        ([share(TDD_CLSPRC="many")], "005930: could not convert"),
        ([share(ACC_TRDVOL="1.5")], "005930: '1.5' is not a whole number"),
    ],
)
def test_a_reply_that_cannot_be_true_is_bad(krx: Krx, script: Script, records: list[dict[str, Any]], said: str) -> None:
    """The runner gives such a day up after bounded attempts; it is never covered."""
    say(script, *records)
    error = refusal(krx, BadReply)
    assert said in str(error)
    assert "KOSPI on 20240613" in str(error)


@pytest.mark.parametrize("name", ["BAS_DD", "ISU_CD", "TDD_CLSPRC", "ACC_TRDVAL", "LIST_SHRS"])
def test_a_missing_field_is_an_error_and_not_a_default(krx: Krx, script: Script, name: str) -> None:
    say(script, without(share(), name))
    assert name in str(refusal(krx, SchemaChanged))


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"OutBlock_1": 7}', b'{"OutBlock": []}', b'"gone"'])
def test_a_body_of_another_form_is_a_changed_schema(krx: Krx, script: Script, body: bytes) -> None:
    """Asking again would not help: a newer version of gapless might."""
    script.body = body
    assert "newer version" in refusal(krx, SchemaChanged).hint


# 401, 403, 429, and everything else


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_holds_the_job(krx: Krx, script: Script, status: int) -> None:
    fail(script, status, "Unauthorized Key")
    error = refusal(krx, Unauthorized)
    assert "Unauthorized Key" in str(error)
    assert "GAPLESS_KRX_API_KEY" in error.hint


def test_a_refusal_in_a_good_status_is_a_refusal(krx: Krx, script: Script) -> None:
    """Some gateways say everything with 200."""
    script.body = json.dumps({"respMsg": "Unauthorized Key", "respCode": "401"}).encode()
    refusal(krx, Unauthorized)


def test_without_a_key_nothing_is_asked(server: Provider, script: Script) -> None:
    bare = Krx(Http("krx", server.url, timedelta(seconds=5)))
    assert "GAPLESS_KRX_API_KEY" in refusal(bare, Unauthorized).hint
    assert script.asked == []
    bare.close()


@pytest.mark.parametrize(
    ("headers", "seconds"), [({}, 60.0), ({"Retry-After": "7"}, 7.0), ({"Retry-After": "x"}, 60.0)]
)
def test_too_many_calls_make_everybody_wait(krx: Krx, script: Script, headers: dict[str, str], seconds: float) -> None:
    """Whether a moment or the day is spent is not told."""
    fail(script, 429, "Too Many Requests", **headers)
    error = refusal(krx, Refused)
    assert (error.seconds, error.is_quota) == (seconds, True)


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_a_server_error_is_passing_trouble(krx: Krx, script: Script, status: int) -> None:
    fail(script, status)
    assert f"a page (HTTP {status})" in str(refusal(krx, TryAgain))


@pytest.mark.parametrize("status", [301, 400, 404])
def test_another_status_holds_the_job_with_its_words(krx: Krx, script: Script, status: int) -> None:
    """It would be refused for ever: the owner, or we, have to change something."""
    fail(script, status, "Bad Request", Location="https://example.invalid/")
    error = refusal(krx, HoldJob)
    assert f"Bad Request (HTTP {status})" in str(error)
    assert "GAPLESS_KRX_BASE_URL" in error.hint
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("body", "looks"), [(b"<!DOCTYPE html><html></html>", "a page"), (b"", "0 bytes"), (b'{"OutBlock_1": [', "bytes")]
)
def test_a_body_that_is_no_answer_is_passing_trouble(krx: Krx, script: Script, body: bytes, looks: str) -> None:
    script.body = body
    assert looks in str(refusal(krx, TryAgain))


def test_a_reply_that_breaks_off_is_passing_trouble(krx: Krx, script: Script) -> None:
    say(script, share())
    script.missing = 10
    assert "broke off" in str(refusal(krx, TryAgain))


# Nothing before 4 January 2010


def test_what_was_never_served_is_unavailable() -> None:
    """It is neither asked for nor covered."""
    for dataset in (STOCKS, INDICES, ETFS):
        gone = dataset.unavailable(LATER)
        assert gone is not None
        assert gone.end == seoul(2010, 1, 4)
