"""Things that go wrong on request: late, broken, odd or changing replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from gapless.sandbox.clock import SECOND, instant
from gapless.sandbox.http import PHRASES, Reply

#: Start in seconds and JSON object of each record of a reply, newest first.
Records = list[tuple[int, bytes]]
#: Changes a record; the number says how often this fault has hit.
Edit = Callable[[dict[str, object], int], None]
#: Those which are answered by the provider's own edit of a record.
Odd = Literal["malformed_row", "missing_field", "revision"]
#: A provider's own way to spoil a reply as a whole.
Spoil = Callable[[Reply, "Fault"], Reply]
#: Those which every provider has.
COMMON = {"latency", "reset", "truncate", "html", "slow", "status"}
_HTML = b"<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>"


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What goes wrong, and when: in replies with a record that starts in `[from, to)`."""

    kind: Literal["latency", "status", "reset", "truncate", "html", "slow", "code", "shifted"] | Odd
    #: Only requests for this market, or for this company.
    market: str | None = None
    #: Only requests of this path, where a provider tells its paths apart.
    path: str | None = None
    from_: str | None = None
    to: str | None = None
    #: So many times; None is for ever.
    times: int | None = None
    #: Only each n-th of the requests that it could hit.
    every: Annotated[int, msgspec.Meta(ge=1)] = 1
    #: Of `status` (else 500) and `html` (else 502).
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    #: Of `code`: what a provider that always sends status 200 says in the body.
    code: str = "900"
    #: Of `latency`, and how long a `slow` body takes.
    latency_ms: float = 1_000.0


class Faults:
    """All faults that are on. Raises `ValueError` for a time that cannot be read, or a fault the provider has not."""

    def __init__(
        self, faults: Sequence[Fault], edits: Mapping[str, Edit], spoils: Mapping[str, Spoil] | None = None
    ) -> None:
        self._armed = [_Armed(fault) for fault in faults]
        self._edits = edits
        self._spoils = spoils or {}
        if unknown := {fault.kind for fault in faults} - COMMON - edits.keys() - self._spoils.keys():
            raise ValueError(f"this provider has no fault {min(unknown)!r}")

    def __len__(self) -> int:
        return len(self._armed)

    def spoil(
        self, reply: Reply, market: str | None, records: Records, open_from: int, path: str | None = None
    ) -> Reply:
        """The reply after all faults that hit it; records from `open_from` on are unfinished."""
        for armed in self._armed:
            if armed.fault.path in (None, path) and armed.hits(market, records, open_from):
                if edit := self._edits.get(armed.fault.kind):
                    records = [
                        (at, edited(record, edit, armed.count)) if armed.edits(i, at, open_from) else (at, record)
                        for i, (at, record) in enumerate(records)
                    ]
                    body = b"[" + b",".join(record for _, record in records) + b"]"
                    reply = msgspec.structs.replace(reply, body=body)
                else:
                    reply = self._spoils.get(armed.fault.kind, _spoilt)(reply, armed.fault)
        return reply


def edited(record: bytes, edit: Edit, count: int) -> bytes:
    """The record with one change; the order of fields stays."""
    fields = msgspec.json.decode(record)
    edit(fields, count)
    return msgspec.json.encode(fields)


def _spoilt(reply: Reply, fault: Fault) -> Reply:
    replace = msgspec.structs.replace
    late_s = fault.latency_ms / 1_000
    match fault.kind:
        case "latency":
            return replace(reply, delay_s=reply.delay_s + late_s)
        case "slow":
            return replace(reply, manner="slow", slow_s=late_s)
        case "reset":
            return replace(reply, manner="reset")
        case "truncate":
            return replace(reply, manner="truncate")
        case "html":
            headers = reply.headers | {"content-type": "text/html; charset=utf-8"}
            return replace(reply, status=fault.status or 502, body=_HTML, headers=headers)
        case _:
            status = fault.status or 500
            return replace(reply, status=status, body=error_body(status, PHRASES.get(status, "Error")))


def error_body(name: int | str, message: str) -> bytes:
    """`{"error":{"name":404,"message":"Code not found"}}`."""
    return msgspec.json.encode({"error": {"name": name, "message": message}})


class _Armed:
    """A fault and how often it could hit and did."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.count = 0
        self._seen = 0
        self._start = instant(fault.from_) / SECOND if fault.from_ else None
        self._end = instant(fault.to) / SECOND if fault.to else None

    def hits(self, market: str | None, records: Records, open_from: int) -> bool:
        """Whether it is this request's turn."""
        if self.fault.market not in (None, market) or self.count == self.fault.times:
            return False
        if not self._could(records, open_from):
            return False
        self._seen += 1
        hit = self._seen % self.fault.every == 0
        self.count += hit
        return hit

    def edits(self, i: int, at: int, open_from: int) -> bool:
        """Whether the i-th record, the one that starts `at`, is to be changed."""
        match self.fault.kind:
            case "missing_field":
                return True
            case "revision":
                return at >= open_from and self._holds(at)
            case _:
                return self._holds(at) if self._spanned else i == 0

    def _could(self, records: Records, open_from: int) -> bool:
        if self.fault.kind == "revision":
            return any(at >= open_from and self._holds(at) for at, _ in records)
        return not self._spanned or any(self._holds(at) for at, _ in records)

    @property
    def _spanned(self) -> bool:
        return self._start is not None or self._end is not None

    def _holds(self, at: int) -> bool:
        return (self._start is None or self._start <= at) and (self._end is None or at < self._end)
