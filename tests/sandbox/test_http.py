"""The sandbox's HTTP server reads requests however they are cut, and refuses what it does not speak."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.sandbox.http import HEAD_BYTES, BadRequest, Reply, Request, parse

ASKED = (
    b"GET /v1/market/all?is_details=true HTTP/1.1\r\nHost: upbit\r\n\r\n"
    b"POST /_sandbox/control HTTP/1.1\r\nContent-Length: 11\r\nAccept:  */* \r\n\r\n"
    b'{"rate":10}'
    b"GET /last HTTP/1.0\r\n\r\n"
)


@given(cuts=st.lists(st.integers(0, len(ASKED)), max_size=8))
def test_requests_are_the_same_however_they_arrive(cuts: list[int]) -> None:
    """TCP keeps no message borders."""
    edges = [0, *sorted(cuts), len(ASKED)]
    found: list[Request] = []
    waiting = b""
    for start, end in pairwise(edges):
        waiting += ASKED[start:end]
        request, waiting = parse(waiting)
        while request:
            found.append(request)
            request, waiting = parse(waiting)
    assert waiting == b""
    assert found == [
        Request("GET", "/v1/market/all", "is_details=true", {"host": "upbit"}),
        Request("POST", "/_sandbox/control", "", {"content-length": "11", "accept": "*/*"}, b'{"rate":10}'),
        Request("GET", "/last", "", {"connection": "close"}),
    ]


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / SPDY/3\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"x" * (HEAD_BYTES + 1), 431),
    ],
)
def test_what_is_no_request_is_refused(received: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(received)
    assert refused.value.status == status


def test_a_reply_tells_its_length() -> None:
    head = Reply(status=404, body=b"gone", headers={"date": "today"}).encoded_head()
    assert head == b"HTTP/1.1 404 Not Found\r\ndate: today\r\ncontent-length: 4\r\n\r\n"
