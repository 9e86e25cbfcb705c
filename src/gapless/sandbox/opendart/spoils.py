"""What OpenDART's own faults do to a reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from gapless.sandbox.faults import Fault, Spoil
from gapless.sandbox.http import PHRASES, Reply
from gapless.sandbox.opendart.statuses import MESSAGES, error_body

JSON, XML, HTML = (f"{kind};charset=UTF-8" for kind in ("application/json", "application/xml", "text/html"))


def _status(reply: Reply, fault: Fault) -> Reply:
    """An HTTP error, as a page."""
    status = fault.status or 500
    body = f"<html><body><h1>{status} {PHRASES.get(status, 'Error')}</h1></body></html>".encode()
    return msgspec.structs.replace(reply, status=status, body=body, headers=reply.headers | {"content-type": HTML})


def _code(reply: Reply, fault: Fault) -> Reply:
    """One of OpenDART's own statuses."""
    xml = reply.headers["content-type"] != JSON
    body = error_body(fault.code, MESSAGES.get(fault.code, MESSAGES["900"]), xml=xml)
    return msgspec.structs.replace(reply, body=body, headers=reply.headers | {"content-type": XML if xml else JSON})


def _missing(reply: Reply, fault: Fault) -> Reply:  # noqa: ARG001
    """No line has a receipt number any more."""
    return _lines(reply, lambda line: line.pop("rcept_no", None))


def _malformed(reply: Reply, fault: Fault) -> Reply:  # noqa: ARG001
    """No amount is a number, no day a day."""
    return _lines(reply, lambda line: line.update({name: "oops" for name in ("thstrm", "rcept_dt") if name in line}))


def _shifted(reply: Reply, fault: Fault) -> Reply:  # noqa: ARG001
    """A filing of an earlier page has gone: the first line of a last page stands on the page before it."""
    if not reply.body.startswith(b'{"status":"000"'):
        return reply
    told = msgspec.json.decode(reply.body)
    if 1 < told.get("page_no", 0) == told["total_page"]:
        told["total_count"] -= 1
        del told["list"][0]
    return msgspec.structs.replace(reply, body=msgspec.json.encode(told))


def _lines(reply: Reply, change: Callable[[dict[str, str]], object]) -> Reply:
    """The reply with every line of its list changed."""
    if not reply.body.startswith(b'{"status":"000"'):
        return reply
    told = msgspec.json.decode(reply.body)
    for line in told.get("list", ()):
        change(line)
    return msgspec.structs.replace(reply, body=msgspec.json.encode(told))


SPOILS: Mapping[str, Spoil] = {
    "status": _status,
    "code": _code,
    "missing_field": _missing,
    "malformed_row": _malformed,
    "shifted": _shifted,
}
