"""Reading Upbit's replies: strictly, exactly, and believing no more than they prove.

A server on this machine plays back prepared bodies; the source talks to it over real HTTP.
"""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapless.core.errors import (
    BadReply,
    HoldJob,
    Refused,
    SchemaChanged,
    SourceError,
    TryAgain,
    UnknownSeries,
    Unreachable,
)
from gapless.core.page import Ask, Page
from gapless.core.span import DAY, MINUTE, SECOND, Span, instant, moment
from gapless.sources.http import Http
from gapless.sources.upbit import Upbit
from gapless.testing.scripted import Provider, Script, scripted

NOON = instant(datetime(2026, 8, 3, 12, tzinfo=UTC))
MINUTES = Upbit.datasets["upbit.candles.1m"]
SECONDS = Upbit.datasets["upbit.candles.1s"]
DAYS = Upbit.datasets["upbit.candles.1d"]
ASK = Ask(series="KRW-BTC", span=Span(NOON - 200 * MINUTE, NOON), limit=200)


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with scripted() as provider:
        yield provider


@pytest.fixture
def script(server) -> Script:
    server.script = Script()
    return server.script


@pytest.fixture(scope="module")
def upbit(server) -> Iterator[Upbit]:
    source = Upbit(Http("upbit", server.url, timedelta(seconds=5)))
    yield source
    source.close()


def candle(minutes_ago: int, **changes: Any) -> dict[str, Any]:
    """A minute candle as Upbit writes it."""
    at = moment(NOON - minutes_ago * MINUTE)
    made = {
        "market": "KRW-BTC",
        "candle_date_time_utc": f"{at:%Y-%m-%dT%H:%M:%S}",
        "candle_date_time_kst": f"{at + timedelta(hours=9):%Y-%m-%dT%H:%M:%S}",
        "opening_price": 89435000.0,
        "high_price": 89440000.0,
        "low_price": 89431000.0,
        "trade_price": 89438000.0,
        "timestamp": (NOON - minutes_ago * MINUTE) // 1000 + 59_697,
        "candle_acc_trade_price": 54182011.01038,
        "candle_acc_trade_volume": 0.60582517,
        "unit": 1,
    }
    return {**made, **changes}


def without(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != name}


def say(script: Script, *records: dict[str, Any]) -> None:
    script.body = json.dumps(list(records)).encode()


def fetch(upbit: Upbit, ask: Ask = ASK, *, dataset=MINUTES, now: int = NOON + MINUTE) -> Page:
    return upbit.fetch(dataset, ask, now)


def refusal(upbit: Upbit, kind: type[SourceError] = SourceError, ask: Ask = ASK, **more: Any) -> Any:
    """The error that the next reply leads to: of this very kind, and naming its source."""
    with pytest.raises(kind) as caught:
        fetch(upbit, ask, **more)
    assert type(caught.value) is kind
    assert caught.value.source == "upbit"
    return caught.value


# The request


def test_a_request_asks_for_the_newest_rows_before_an_instant(upbit, script):
    """`to` is exclusive and ends in Z: a plus sign would arrive as a space."""
    fetch(upbit, Ask(series="KRW-BTC", span=Span(NOON - 7 * MINUTE, NOON), limit=7))
    path, query, _ = script.asked[0]
    assert path == "/v1/candles/minutes/1"
    assert query == {"market": ["KRW-BTC"], "to": ["2026-08-03T12:00:00Z"], "count": ["7"]}


def test_no_origin_is_sent(upbit, script):
    """With an `Origin` header Upbit allows one request in ten seconds."""
    fetch(upbit)
    assert "origin" not in script.asked[0][2]
    assert script.asked[0][2]["user-agent"].startswith("gapless")


@pytest.mark.parametrize("dataset", Upbit.datasets.values(), ids=list(Upbit.datasets))
def test_each_unit_asks_its_own_path(upbit, script, dataset):
    """A wrong path would be answered with other candles, not with an error."""
    unit = dataset.name.removeprefix("upbit.candles.")
    paths = {"1s": "seconds", "1d": "days", "1w": "weeks", "1M": "months", "1y": "years"}
    end = dataset.grid.floor(NOON)
    upbit.fetch(dataset, Ask(series="KRW-BTC", span=Span(dataset.grid.add(end, -5), end), limit=5), NOON)
    assert script.asked[0][0] == f"/v1/candles/{paths.get(unit, 'minutes/' + unit[:-1])}"


def test_all_candles_share_one_budget_and_pages_hold_200(upbit):
    """The limit counts per address over all units."""
    assert {upbit.limit(dataset).key for dataset in Upbit.datasets.values()} == {"upbit/candle"}
    assert upbit.limit(MINUTES).rate == 10.0
    shape = upbit.shape(MINUTES, "KRW-BTC")
    assert (shape.rows, shape.jumps_back) == (200, True)


# What a reply proves


def test_rows_prove_from_the_oldest_to_the_end_asked(upbit, script):
    """Between them no other candle exists, or it would be among the newest before the end."""
    say(script, candle(2), candle(3), candle(9))
    page = fetch(upbit)
    assert page.proven == Span(NOON - 9 * MINUTE, NOON)
    assert [row[0] for row in page.rows] == [NOON - 9 * MINUTE, NOON - 3 * MINUTE, NOON - 2 * MINUTE]
    assert page.nothing_before is None


def test_a_full_page_may_reach_below_the_span_asked(upbit, script):
    """The server counts rows, not time: what it proves beyond is kept."""
    say(script, *(candle(10 * number) for number in range(1, 201)))
    page = fetch(upbit)
    assert page.proven == Span(NOON - 2000 * MINUTE, NOON)
    assert len(page.rows) == 200


def test_a_short_page_does_not_prove_the_start_of_history(upbit, script):
    """That is a hint; only an empty reply says that nothing precedes."""
    say(script, candle(1))
    assert fetch(upbit).nothing_before is None


def test_an_empty_reply_says_that_nothing_precedes(upbit, script):
    """A dated fact, not coverage."""
    page = fetch(upbit)
    assert (page.rows, page.proven, page.nothing_before) == ([], None, NOON)


def test_a_row_carries_each_field_in_its_column(upbit, script):
    """Open and close exchanged would be a silent lie."""
    say(
        script,
        candle(
            1,
            opening_price=1.0,
            high_price=4.0,
            low_price=0.5,
            trade_price=3.0,
            candle_acc_trade_volume=0.25,
            candle_acc_trade_price=7.5,
            timestamp=1785754038697,
        ),
    )
    assert fetch(upbit).rows == [(NOON - MINUTE, 1.0, 4.0, 0.5, 3.0, 0.25, 7.5, 1785754038697000)]
    assert [one.name for one in MINUTES.columns] == [
        "open",
        "high",
        "low",
        "close",
        "volume",
        "value",
        "last_tick_at",
    ]


def test_a_day_has_the_close_before_it_where_there_is_one(upbit, script):
    """The first day of a market has none: null is an answer, a missing field is not."""
    end = NOON - NOON % DAY
    ask = Ask(series="KRW-BTC", span=Span(end - 2 * DAY, end), limit=2)
    first = candle(0, candle_date_time_utc="2026-08-01T00:00:00", prev_closing_price=None, change_price=None)
    second = candle(0, candle_date_time_utc="2026-08-02T00:00:00", prev_closing_price=8450000.0, change_price=176000)
    say(script, {**second, "change_rate": 0.0208284024}, {**first, "change_rate": None})
    rows = fetch(upbit, ask, dataset=DAYS).rows
    assert [row[0] for row in rows] == [end - 2 * DAY, end - DAY]
    assert [row[-3:] for row in rows] == [(None, None, None), (8450000.0, 176000.0, 0.0208284024)]
    say(script, without({**second, "change_rate": 0.1}, "prev_closing_price"))
    assert "prev_closing_price" in str(refusal(upbit, BadReply, ask, dataset=DAYS))


# Seconds are forgotten after three months


def seconds_ask(now: int, ago: int) -> Ask:
    return Ask(series="KRW-BTC", span=Span(now - ago - 200 * SECOND, now - ago), limit=200)


def test_an_empty_reply_of_seconds_proves_only_what_is_still_remembered(upbit, script):
    """What the source forgot is answered with `[]` too; believed, it would be false emptiness for ever."""
    now = NOON + MINUTE
    page = fetch(upbit, seconds_ask(now, 10 * DAY), dataset=SECONDS, now=now)
    assert page.proven == Span(now - 89 * DAY, now - 10 * DAY)
    assert (page.rows, page.nothing_before) == ([], None)


def test_an_empty_reply_before_the_retention_proves_nothing(upbit, script):
    """Neither coverage nor the start of history."""
    now = NOON + MINUTE
    page = fetch(upbit, seconds_ask(now, 120 * DAY), dataset=SECONDS, now=now)
    assert (page.rows, page.proven, page.nothing_before) == ([], None, None)


# Numbers


@pytest.mark.parametrize(
    "text",
    [
        "92081396132.22375",
        "107184005903.68721",
        "804.24034244",
        "1e-08",
        "0.00000001",
        "12505.93101659",
        "113750000",
        "0",
    ],
)
def test_a_number_is_stored_as_it_was_written(upbit, script, text):
    """Float64 with the shortest text equals the source's text; anything else fails the page."""
    script.body = json.dumps([candle(1, candle_acc_trade_price="HERE")]).replace('"HERE"', text).encode()
    (row,) = fetch(upbit).rows
    assert row[6] == float(text)
    assert type(row[6]) is float


@pytest.mark.parametrize(
    "text",
    [
        "92081396132.2237512345",
        "0.12345678901234567890",
        "12345678901234567.8",
        "9007199254740993",
        "123456789012345678",
        "-0.12345678901234567890",
        "1.2345678901234567890e-3",
    ],
)
def test_a_number_that_float64_would_change_fails_its_page(upbit, script, text):
    """A silently rounded price is a wrong price (RULES 26)."""
    script.body = json.dumps([candle(1, candle_acc_trade_price="HERE")]).replace('"HERE"', text).encode()
    assert text in str(refusal(upbit, BadReply))


@given(st.lists(st.decimals(0, 10**11, places=5) | st.decimals(0, 10**12, places=8), min_size=1, max_size=20))
@settings(max_examples=30)
def test_upbit_s_own_numbers_are_read_exactly_or_refused(server, upbit, numbers):
    """Values have five decimals, volumes eight: the rows hold those very numbers, or there are no rows."""
    server.script = Script()
    bodies = [json.dumps(candle(ago, candle_acc_trade_volume="N")) for ago in range(1, len(numbers) + 1)]
    texts = [body.replace('"N"', f"{number:f}") for body, number in zip(bodies, numbers, strict=True)]
    server.script.body = f"[{','.join(texts)}]".encode()
    exact = all(Decimal(repr(float(number))) == number for number in numbers)
    try:
        found = fetch(upbit).rows
    except BadReply:
        assert not exact
    else:
        assert [Decimal(repr(row[5])) for row in reversed(found)] == numbers


# Spoilt records


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        ({"opening_price": "89435000.0"}, "opening_price"),
        ({"low_price": None}, "low_price"),
        ({"timestamp": 1785754038697.5}, "timestamp"),
        ({"candle_acc_trade_volume": True}, "candle_acc_trade_volume"),
        ({"market": 7}, "market"),
    ],
)
def test_a_spoilt_record_names_its_field_and_its_cell(upbit, script, spoil, names):
    """Only this cell is given up; what is newer in the same reply is proven and kept."""
    say(script, candle(1), candle(2), candle(3, **spoil), candle(4))
    error = refusal(upbit, BadReply)
    assert names in str(error)
    assert error.span == Span(NOON - 3 * MINUTE, NOON - 2 * MINUTE)
    assert error.page.proven == Span(NOON - 2 * MINUTE, NOON)
    assert [row[0] for row in error.page.rows] == [NOON - 2 * MINUTE, NOON - MINUTE]


@pytest.mark.parametrize("name", ["market", "opening_price", "timestamp", "candle_acc_trade_price"])
def test_a_missing_field_is_an_error_and_not_a_default(upbit, script, name):
    """A zero where a price was left out would look like a crash of the market."""
    say(script, candle(1), without(candle(2), name), candle(3))
    error = refusal(upbit, BadReply)
    assert name in str(error)
    assert error.span == Span(NOON - 2 * MINUTE, NOON - MINUTE)


def test_the_newest_of_several_spoilt_records_is_named(upbit, script):
    """Below it nothing is proven: the page ends there."""
    say(script, candle(1), candle(2, low_price="x"), candle(3), candle(4, low_price="x"))
    assert refusal(upbit, BadReply).span == Span(NOON - 2 * MINUTE, NOON - MINUTE)


def test_a_spoilt_newest_record_leaves_nothing_to_keep(upbit, script):
    """When the very first record cannot be read, the reply proves nothing."""
    say(script, candle(1, low_price=None), candle(2))
    error = refusal(upbit, BadReply)
    assert (error.span, error.page) == (Span(NOON - MINUTE, NOON), None)


def test_a_record_that_does_not_tell_its_time_cannot_be_placed(upbit, script):
    """Then the window is halved until the record stands alone."""
    say(script, candle(1), without(candle(2), "candle_date_time_utc"))
    error = refusal(upbit, BadReply)
    assert (error.span, error.page) == (None, None)


def test_numbers_are_checked_beside_a_spoilt_record_too(upbit, script):
    """What is kept of such a reply has to be as exact as any page."""
    body = json.dumps([candle(1, candle_acc_trade_price="HERE"), candle(2, low_price=None), candle(3)])
    script.body = body.replace('"HERE"', "0.12345678901234567890").encode()
    error = refusal(upbit, BadReply)
    assert error.page is None or error.page.rows == []


def test_a_reply_of_which_no_record_fits_is_a_changed_schema(upbit, script):
    """The provider has changed its answer: retrying or giving up cells would only spoil the ledger."""
    say(script, *(without(candle(number), "trade_price") for number in (1, 2, 3)))
    error = refusal(upbit, SchemaChanged)
    assert "trade_price" in str(error)
    assert "newer version" in error.hint


def test_a_new_field_is_no_change(upbit, script):
    """Providers add; that breaks nobody."""
    say(script, candle(1, first_day_of_period="2026-08-01", unheard_of=[1, 2]))
    assert len(fetch(upbit).rows) == 1


@pytest.mark.parametrize(
    "records",
    [
        [candle(0)],
        [candle(-5)],
        [candle(2), candle(1)],
        [candle(1), candle(1)],
        [candle(1, market="KRW-ETH")],
        [candle(1, candle_date_time_utc="2026-08-03T11:59:30")],
        [candle(1, candle_date_time_utc="2026-08-03T11:59:00Z")],
        [candle(1, candle_date_time_utc="2026-08-03 11:59:00")],
        [candle(1, candle_date_time_utc="2026-02-30T11:59:00")],
        [candle(1, candle_date_time_utc="2026-08-03T24:00:00")],
    ],
    ids=[
        "at the end asked",
        "after it",
        "oldest first",
        "twice",
        "of another market",
        "off the grid",
        "with an offset",
        "without a T",
        "of no day",
        "of no hour",
    ],
)
def test_a_candle_out_of_place_fails_its_page(upbit, script, records):
    """What is not asked for, or not in order, makes the whole proof doubtful."""
    say(script, *records)
    assert "out of place" in str(refusal(upbit, BadReply))


def test_more_rows_than_asked_for_fail_the_page(upbit, script):
    """The count is what the proof rests on."""
    say(script, candle(1), candle(2), candle(3))
    ask = Ask(series="KRW-BTC", span=Span(NOON - 2 * MINUTE, NOON), limit=2)
    assert "3 candles where 2" in str(refusal(upbit, BadReply, ask))


# Other bodies


@pytest.mark.parametrize(
    ("body", "looks"),
    [
        (b"<!DOCTYPE html><html>maintenance</html>", "an HTML page"),
        (b"  <html></html>", "an HTML page"),
        (b"", "an empty body"),
        (b'[{"market":"KRW-BTC","candle_date', "no JSON list"),
        (b"{}", "no JSON list"),
        (b"null", "no JSON list"),
        (b"[1, 2]", "no JSON list"),
        (b"\xff\xfe[]", "no JSON list"),
    ],
)
def test_a_body_that_is_no_list_of_candles_is_passing_trouble(upbit, script, body, looks):
    """A page of maintenance comes with 200: ask again later, store nothing."""
    script.body = body
    assert looks in str(refusal(upbit, TryAgain))


def test_a_reply_that_breaks_off_is_passing_trouble(upbit, script):
    """A cut connection must never look like a short page."""
    say(script, candle(1), candle(2))
    script.missing = 100
    assert "broke off" in str(refusal(upbit, TryAgain))


def test_a_compressed_reply_is_read(upbit, script):
    """Upbit honours gzip; it saves nine tenths of the bytes."""
    say(script, candle(1))
    script.body = gzip.compress(script.body)
    script.headers["Content-Encoding"] = "gzip"
    assert len(fetch(upbit).rows) == 1
    assert "gzip" in script.asked[0][2]["accept-encoding"]


# Refusals and errors


def fail(script: Script, status: int, message: str | None = None, **headers: str) -> None:
    script.status = status
    script.headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if message is not None:
        script.body = json.dumps({"error": {"name": status, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "message", "headers", "seconds"),
    [
        (429, "Too many requests", {}, 1.0),
        (429, None, {}, 1.0),
        (429, "Too many requests", {"Retry_After": "7"}, 7.0),
        (418, "blocked", {}, 60.0),
        (418, "Your IP is blocked for 120 seconds", {}, 120.0),
        (418, "blocked, 30s left", {"Retry_After": "45"}, 45.0),
    ],
)
def test_a_refusal_tells_everybody_how_long_to_wait(upbit, script, status, message, headers, seconds):
    """429 and 418 count per address: the seconds go to the budget, not to one job."""
    fail(script, status, message, **headers)
    assert refusal(upbit, Refused).seconds == seconds


def test_an_unknown_market_holds_its_series(upbit, script):
    """Unknown and delisted look the same; asking again would not help."""
    fail(script, 404, "Code not found")
    error = refusal(upbit, UnknownSeries)
    assert "KRW-BTC" in str(error)
    assert error.hint


def test_a_404_that_is_not_upbit_s_names_the_setting(upbit, script):
    """A wrong base URL must not be taken for a delisted market."""
    fail(script, 404)
    script.body = b"<html>nginx</html>"
    error = refusal(upbit, HoldJob)
    assert "not upbit" in str(error)
    assert "GAPLESS_UPBIT_BASE_URL" in error.hint


@pytest.mark.parametrize("status", [301, 302, 401, 403])
def test_an_answer_of_something_else_is_not_followed(upbit, script, status):
    """A provider that moves, or a login page in between, is worth knowing."""
    fail(script, status, Location="https://example.invalid/")
    script.body = b"<html>moved</html>"
    assert "GAPLESS_UPBIT_BASE_URL" in refusal(upbit, HoldJob).hint
    assert len(script.asked) == 1


def test_a_bad_request_holds_the_job_with_upbit_s_words(upbit, script):
    """It would be refused for ever: the owner, or we, have to change something."""
    fail(script, 400, "Invalid parameter. Check the given value!")
    assert "Invalid parameter" in str(refusal(upbit, HoldJob))


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_a_server_error_is_passing_trouble(upbit, script, status):
    """Maintenance ends by itself."""
    fail(script, status)
    script.body = b"<html>502 Bad Gateway</html>"
    assert str(status) in str(refusal(upbit, TryAgain))


def test_an_error_name_may_be_a_number_or_a_word(upbit, script):
    """Quotation endpoints send numbers, exchange endpoints slugs."""
    script.status = 404
    script.body = b'{"error":{"name":"not_found","message":"Code not found"}}'
    refusal(upbit, UnknownSeries)


def test_nobody_at_the_address_is_unreachable():
    """The message names the address and the setting behind it."""
    source = Upbit(Http("upbit", "http://127.0.0.1:9", timedelta(seconds=5)))
    error = refusal(source, Unreachable)
    assert "127.0.0.1:9" in str(error)
    assert "GAPLESS_UPBIT_BASE_URL" in error.hint
    source.close()


def test_a_silent_provider_is_unreachable():
    """A connection that is taken and never answered must not hold a slot for ever."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        source = Upbit(Http("upbit", address, timedelta(milliseconds=50)))
        assert "did not answer within 0.05 s" in str(refusal(source, Unreachable))
        source.close()


# Headers


@pytest.mark.parametrize(
    ("header", "remaining"),
    [
        ("group=candles; min=600; sec=9", 9),
        ("group=candle; min=1800; sec=0", 0),
        ("group=candles;min=600;sec=10", 10),
        ("group=candles; min=600", None),
        (None, None),
    ],
)
def test_what_is_left_of_the_second_is_read(upbit, script, header, remaining):
    """Life says `candles`, the documentation `candle`; `min` is a constant of old times."""
    script.headers = {} if header is None else {"Remaining-Req": header}
    assert fetch(upbit).remaining == remaining


def test_the_source_s_clock_is_never_read_too_late(upbit, script):
    """The frontier is the earlier of two clocks as they were when the request left."""
    page = fetch(upbit)
    assert page.source_time is not None
    now = instant(datetime.now(UTC))
    assert now - MINUTE < page.source_time <= now


# The catalogue


def test_the_catalogue_lists_markets_with_their_names(upbit, script):
    """`gapless sources upbit` shows what can be asked for."""
    market = {"market": "KRW-BTC", "korean_name": "비트코인", "english_name": "Bitcoin"}
    say(script, market, {**market, "market": "KRW-ETH", "english_name": "Ethereum"})
    assert upbit.catalogue() == [("KRW-BTC", "Bitcoin"), ("KRW-ETH", "Ethereum")]
    assert script.asked[0][0] == "/v1/market/all"
    say(script, without(market, "english_name"))
    with pytest.raises(TryAgain, match="english_name"):
        upbit.catalogue()
