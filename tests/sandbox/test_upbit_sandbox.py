"""The simulated Upbit over real HTTP: a client may rely on it as on the exchange's own documentation."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from gapless.sandbox.process import SandboxProcess

NOW = "2024-03-15T10:20:30Z"
MINUTES = "/v1/candles/minutes/1"


@pytest.fixture(scope="module")
def started() -> Iterator[SandboxProcess]:
    with SandboxProcess("upbit", rate=0, now=NOW) as process:
        yield process


@pytest.fixture
def upbit(started: SandboxProcess) -> SandboxProcess:
    """As new, its clock standing at NOW."""
    started.control(now=NOW, freeze=True, rate=0, latency_ms=0, down=False, date_skew_ms=0, faults=[], reset_stats=True)
    return started


def connect(upbit: SandboxProcess) -> HTTPConnection:
    return HTTPConnection(upbit.url.removeprefix("http://"), timeout=30)


def reply(upbit: SandboxProcess, target: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    with closing(connect(upbit)) as connection:
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        return response, response.read()


def rows(upbit: SandboxProcess, path: str = MINUTES, **parameters: Any) -> list[dict[str, Any]]:
    response, body = reply(upbit, f"{path}?{urlencode({'market': 'KRW-BTC', **parameters})}")
    assert response.status == 200, body
    found: list[dict[str, Any]] = json.loads(body)
    return found


def starts(found: list[dict[str, Any]]) -> list[str]:
    return [row["candle_date_time_utc"] for row in found]


def test_a_page_is_newest_first_and_ends_before_to(upbit: SandboxProcess) -> None:
    """Paging rests on this: the oldest start of a page is the next page's `to`, without overlap and without a hole."""
    page = rows(upbit, to="2024-03-15T00:02:00Z", count=3)
    assert starts(page) == ["2024-03-15T00:01:00", "2024-03-15T00:00:00", "2024-03-14T23:59:00"]
    following = rows(upbit, to=page[-1]["candle_date_time_utc"], count=1)
    assert starts(following) == ["2024-03-14T23:58:00"]


def test_a_row_has_the_documented_fields_in_their_order(upbit: SandboxProcess) -> None:
    _, body = reply(upbit, f"{MINUTES}?market=KRW-BTC&to=2024-03-15T00:00:00Z")
    (row,) = json.loads(body)
    assert list(row) == [
        "market",
        "candle_date_time_utc",
        "candle_date_time_kst",
        "opening_price",
        "high_price",
        "low_price",
        "trade_price",
        "timestamp",
        "candle_acc_trade_price",
        "candle_acc_trade_volume",
        "unit",
    ]
    assert row["candle_date_time_kst"] == "2024-03-15T08:59:00"
    assert json.dumps([row], separators=(",", ":")).encode() == body, "compact, with the shortest repr of each number"


@pytest.mark.parametrize(
    "to",
    ["2024-03-14T12:00:00Z", "2024-03-14T12:00:00", "2024-03-14 12:00:00", "2024-03-14T21:00:00+09:00"],
)
def test_every_documented_form_of_to_means_the_same(upbit: SandboxProcess, to: str) -> None:
    response, body = reply(upbit, f"/v1/candles/minutes/60?market=KRW-BTC&to={quote(to, safe='')}")
    assert response.status == 200
    assert starts(json.loads(body)) == ["2024-03-14T11:00:00"]


def test_a_to_inside_a_candle_shows_it_whole(upbit: SandboxProcess) -> None:
    """`to` bounds starts; the bar is not cut at `to`."""
    inside = rows(upbit, "/v1/candles/minutes/60", to="2024-03-14T12:00:01Z")
    assert inside == rows(upbit, "/v1/candles/minutes/60", to="2024-03-14T13:00:00Z")


def test_count_is_one_by_default_and_never_above_200(upbit: SandboxProcess) -> None:
    assert len(rows(upbit)) == 1
    assert len(rows(upbit, count=200)) == len(rows(upbit, count=500)) == 200


def test_history_starts_at_the_listed_minute(upbit: SandboxProcess) -> None:
    first = rows(upbit, market="KRW-NEW", to="2024-02-15T07:33:00Z", count=200)
    assert starts(first) == ["2024-02-15T07:32:00", "2024-02-15T07:31:00"]
    assert rows(upbit, market="KRW-NEW", to="2024-02-15T07:31:00Z", count=200) == []


def test_a_page_jumps_over_a_halt(upbit: SandboxProcess) -> None:
    """The exchange counts rows, not minutes."""
    page = rows(upbit, market="KRW-HALT", to="2024-03-13T00:01:00Z", count=2)
    assert starts(page) == ["2024-03-13T00:00:00", "2024-03-09T23:59:00"]


def test_seconds_are_forgotten_after_three_months(upbit: SandboxProcess) -> None:
    page = rows(upbit, "/v1/candles/seconds", to="2023-12-15T10:30:00Z", count=200)
    assert page
    assert "unit" not in page[0]
    assert rows(upbit, "/v1/candles/seconds", to="2023-12-15T10:20:30Z") == []


def test_a_day_tells_how_it_differs_from_the_day_before(upbit: SandboxProcess) -> None:
    day, before = rows(upbit, "/v1/candles/days", to="2024-03-15T00:00:00Z", count=2)
    assert day["prev_closing_price"] == before["trade_price"]
    assert day["change_price"] == day["trade_price"] - before["trade_price"]
    assert day["change_rate"] == round(day["change_price"] / before["trade_price"], 10)
    assert day["candle_date_time_kst"] == "2024-03-14T09:00:00"
    first = rows(upbit, "/v1/candles/days", to="2017-09-26T00:00:00Z")[0]
    assert first["prev_closing_price"] is first["change_price"] is first["change_rate"] is None


def test_days_of_other_quotes_are_converted_to_won(upbit: SandboxProcess) -> None:
    asked = {"to": "2024-03-15T00:00:00Z", "converting_price_unit": "KRW"}
    (day,) = rows(upbit, "/v1/candles/days", market="BTC-ETH", **asked)
    (won,) = rows(upbit, "/v1/candles/days", **asked)
    assert day["converted_trade_price"] == pytest.approx(day["trade_price"] * won["trade_price"])
    assert "converted_trade_price" not in won


@pytest.mark.parametrize(
    ("unit", "start"),
    [("weeks", "2024-03-11"), ("months", "2024-03-01"), ("years", "2024-01-01")],
)
def test_longer_candles_name_their_first_day(upbit: SandboxProcess, unit: str, start: str) -> None:
    assert rows(upbit, f"/v1/candles/{unit}")[0]["first_day_of_period"] == start


def test_the_unfinished_candle_grows_and_closed_ones_stay(upbit: SandboxProcess) -> None:
    growing, closed = rows(upbit, count=2)
    upbit.control(advance_ms=15_000)
    grown, still = rows(upbit, count=2)
    assert still == closed
    assert grown["candle_acc_trade_volume"] > growing["candle_acc_trade_volume"]
    upbit.control(advance_ms=15_000)
    assert starts(rows(upbit)) == ["2024-03-15T10:20:00"], "a candle is there from its first trade on"
    assert rows(upbit)[0]["candle_acc_trade_volume"] > grown["candle_acc_trade_volume"]


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        (MINUTES, 400, "Missing request parameter error. Check the required parameters!"),
        (f"{MINUTES}?market=KRW-BTC&count=ten", 400, "Type mismatch error. Check the parameters type!"),
        (f"{MINUTES}?market=KRW-BTC&count=0", 400, "Invalid parameter. Check the given value!"),
        (f"{MINUTES}?market=KRW-BTC&to=2024-13-01T00:00:00Z", 400, "Invalid parameter. Check the given value!"),
        (f"{MINUTES}?market=KRW-BTC&to=2024-03-14T21:00:00+09:00", 400, "Invalid parameter. Check the given value!"),
        ("/v1/candles/minutes/2?market=KRW-BTC", 400, "Invalid parameter. The specified unit is not valid!"),
        (f"{MINUTES}?market=KRW-NONE", 404, "Code not found"),
        (f"{MINUTES}?market=krw-btc", 404, "Code not found"),
    ],
)
def test_errors_are_those_of_the_documentation(upbit: SandboxProcess, target: str, status: int, message: str) -> None:
    response, body = reply(upbit, target)
    assert response.status == status
    assert json.loads(body) == {"error": {"name": status, "message": message}}


def test_headers_tell_the_sandbox_time_and_what_is_left(upbit: SandboxProcess) -> None:
    """A client may take the frontier from `Date`, so it must be the time of the data."""
    upbit.control(rate=10, date_skew_ms=-30_000)
    response, _ = reply(upbit, f"{MINUTES}?market=KRW-BTC")
    assert response.getheader("date") == "Fri, 15 Mar 2024 10:20:00 GMT"
    assert response.getheader("remaining-req") == "group=candles; min=600; sec=9"
    assert reply(upbit, "/v1/market/all")[0].getheader("remaining-req") == "group=market; min=600; sec=9"


def test_markets_are_listed_once_they_are_there(upbit: SandboxProcess) -> None:
    """Nobody learns the listing date from here."""
    listed = json.loads(reply(upbit, "/v1/market/all")[1])
    assert {"market": "KRW-BTC", "korean_name": "비트코인", "english_name": "Bitcoin"} in listed
    assert "market_event" in json.loads(reply(upbit, "/v1/market/all?is_details=true")[1])[0]
    upbit.control(now="2024-02-15T07:30:59Z")
    assert "KRW-NEW" not in {one["market"] for one in json.loads(reply(upbit, "/v1/market/all")[1])}
    assert reply(upbit, f"{MINUTES}?market=KRW-NEW")[0].status == 404


def test_an_origin_header_allows_one_request_in_ten_seconds_and_insisting_bans(upbit: SandboxProcess) -> None:
    upbit.control(rate=10)
    target = f"{MINUTES}?market=KRW-BTC"
    statuses = [reply(upbit, target, Origin="https://example.org")[0].status for _ in range(4)]
    assert statuses == [200, 429, 429, 429]
    response, body = reply(upbit, target, Origin="https://example.org")
    assert response.status == 418
    assert "blocked for 5 seconds" in json.loads(body)["error"]["message"]
    assert reply(upbit, target)[0].status == 418, "a ban holds for the address"
    stats = upbit.stats()
    assert (stats["refused_429"], stats["refused_418"]) == (3, 2)


def test_stats_tell_every_request(upbit: SandboxProcess) -> None:
    rows(upbit, to="2024-03-15T00:00:00Z", count=7)
    reply(upbit, f"{MINUTES}?market=KRW-NONE")
    stats = upbit.stats(log=True)
    assert (stats["requests"], stats["bodies"], stats["by_market"]) == (2, 2, {"KRW-BTC": 1, "KRW-NONE": 1})
    assert [entry[1:] for entry in stats["log"]] == [
        [MINUTES, "KRW-BTC", "2024-03-15T00:00:00Z", 7, 200],
        [MINUTES, "KRW-NONE", None, None, 404],
    ]
    assert 1 <= stats["max_per_second"] <= 2


def test_one_connection_serves_requests_that_were_sent_at_once_in_order(upbit: SandboxProcess) -> None:
    """Keep-alive and pipelining, also when replies come late."""
    upbit.control(latency_ms=5)
    target = f"{MINUTES}?market=KRW-BTC&to=2024-03-15T00:0{{}}:00Z"
    asked = "".join(f"GET {target.format(n)} HTTP/1.1\r\nHost: upbit\r\n\r\n" for n in (3, 1, 2))
    with socket.create_connection(("127.0.0.1", int(upbit.url.rpartition(":")[2])), timeout=30) as line:
        line.sendall(asked.encode() + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: line.recv(65_536), b""))
    order = [received.index(f"2024-03-15T00:0{n}:00".encode()) for n in (2, 0, 1)]
    assert order == sorted(order)
    assert received.count(b"HTTP/1.1 ") == 4


def fault(upbit: SandboxProcess, kind: str, **more: Any) -> None:
    upbit.control(faults=[{"kind": kind, "from": "2024-03-14T12:00:00Z", "to": "2024-03-14T12:05:00Z", **more}])


def test_a_fault_hits_only_replies_with_a_row_of_its_span(upbit: SandboxProcess) -> None:
    fault(upbit, "status", status=503, times=1)
    assert len(rows(upbit, to="2024-03-14T12:00:00Z", count=5)) == 5
    assert reply(upbit, f"{MINUTES}?market=KRW-BTC&to=2024-03-14T12:01:00Z")[0].status == 503
    assert len(rows(upbit, to="2024-03-14T12:01:00Z")) == 1, "it was to happen once"


def test_a_fault_may_hit_each_nth_request_of_one_market(upbit: SandboxProcess) -> None:
    upbit.control(faults=[{"kind": "html", "market": "KRW-ETH", "every": 2}])
    found = [reply(upbit, f"{MINUTES}?market={name}")[0] for name in ("KRW-BTC", "KRW-ETH", "KRW-ETH", "KRW-ETH")]
    assert [one.status for one in found] == [200, 200, 502, 200]
    assert str(found[2].getheader("content-type")).startswith("text/html")


@pytest.mark.parametrize(("kind", "error"), [("reset", ConnectionError), ("truncate", IncompleteRead)])
def test_a_reply_may_break_off(upbit: SandboxProcess, kind: str, error: type[Exception]) -> None:
    fault(upbit, kind)
    with pytest.raises(error):
        rows(upbit, to="2024-03-14T12:05:00Z", count=200)


@pytest.mark.parametrize("kind", ["latency", "slow"])
def test_a_late_reply_is_whole(upbit: SandboxProcess, kind: str) -> None:
    fault(upbit, kind, latency_ms=20)
    late = rows(upbit, to="2024-03-14T12:05:00Z", count=200)
    upbit.control(faults=[])
    assert late == rows(upbit, to="2024-03-14T12:05:00Z", count=200)


def test_a_malformed_row_spoils_no_other(upbit: SandboxProcess) -> None:
    fault(upbit, "malformed_row", to="2024-03-14T12:01:00Z")
    page = rows(upbit, to="2024-03-14T12:02:00Z", count=3)
    assert [isinstance(row["trade_price"], float) for row in page] == [True, False, True]


def test_a_missing_field_is_missing_in_the_whole_page(upbit: SandboxProcess) -> None:
    fault(upbit, "missing_field")
    assert not any("trade_price" in row for row in rows(upbit, to="2024-03-14T12:05:00Z", count=9))


def test_a_revised_candle_differs_each_time_until_it_is_closed(upbit: SandboxProcess) -> None:
    upbit.control(faults=[{"kind": "revision"}])
    (first, closed), (second, same) = rows(upbit, count=2), rows(upbit, count=2)
    assert first != second
    assert closed == same


def test_a_sandbox_that_is_down_cuts_connections_but_can_be_told_to_come_back(upbit: SandboxProcess) -> None:
    with closing(connect(upbit)) as waiting:
        waiting.request("GET", "/v1/market/all")
        waiting.getresponse().read()
        upbit.control(down=True)
        with pytest.raises((ConnectionError, HTTPException)):
            rows(upbit)
        with pytest.raises(ConnectionResetError):
            waiting.sock.recv(1)
    assert upbit.stats()["by_status"]["0"] == 1
    upbit.control(down=False)
    assert rows(upbit)


def test_an_order_that_cannot_be_read_changes_nothing(upbit: SandboxProcess) -> None:
    for wrong in ({"jitter_ms": 51}, {"rat": 1}, {"rate": 5, "now": "soon"}, {"faults": [{"kind": "odd"}]}):
        with pytest.raises(ValueError, match=r".+"):
            upbit.control(**wrong)
    assert upbit.control()["rate"] == 0
    with pytest.raises(ValueError, match="KRW-NONE"):
        upbit.warm("KRW-NONE", "1m", "2024-01-01", "2024-01-02")


def test_warming_makes_whole_blocks(upbit: SandboxProcess) -> None:
    assert upbit.warm("KRW-BTC", "1m", "2024-01-01", "2024-01-03") == {"blocks": 2, "rows": 2_880}


def test_the_command_line_adds_markets_and_ends_quietly() -> None:
    spec = "KRW-DEMO:density=0.1,listed=2024-03-01T07:31,halt=2024-03-05..2024-03-08"
    with SandboxProcess("upbit", now=NOW, rate=0, market=[spec, "KRW-BTC:listed=2024-03-15"]) as upbit:
        demo = rows(upbit, market="KRW-DEMO", to="2024-03-01T12:00:00Z", count=200)
        assert starts(demo)[-1] == "2024-03-01T07:31:00"
        assert len(demo) < 60
        assert len(rows(upbit, "/v1/candles/days", market="KRW-DEMO", count=200)) == 12
        assert len(rows(upbit, "/v1/candles/days", count=200)) == 1
        assert upbit.stop() == 0


@pytest.mark.parametrize("words", [["--market", "btc"], ["--jitter-ms", "99"], ["--now", "soon"], ["--rate", "-1"]])
def test_a_command_that_cannot_be_read_says_why(words: list[str]) -> None:
    command = [sys.executable, "-m", "gapless.sandbox", "upbit", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "error:" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_sandbox_ends_with_its_parent() -> None:
    """A killed test run leaves no servers behind."""
    script = (
        "import time; from gapless.sandbox.process import SandboxProcess\n"
        "with SandboxProcess() as it: print(it.url, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert parent.stdout
    assert parent.stderr
    assert parent.stdout.readline().startswith("http://127.0.0.1:")
    parent.send_signal(signal.SIGKILL)
    # Both held this pipe: it ends when the sandbox has ended too.
    assert parent.stderr.read() == ""
    parent.stdout.close()
    parent.stderr.close()
    parent.wait()
