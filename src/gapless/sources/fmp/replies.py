"""Reading Financial Modeling Prep's replies: text first, for not every answer is JSON.

| status | body | what we do |
|---|---|---|
| 200 | a list | read it; `[]` is an answer |
| 200 | an object with `Error Message` or `message` | by its words, as below |
| 401 | `Invalid API KEY` | hold the job |
| 402 | plain text: Premium, Restricted, Special | the plan does not cover this question or company |
| 403 | `Legacy Endpoint` | hold the job |
| 429 | `Limit Reach`, without `Retry-After` | a minute, longer each time |
| 5xx, a page, a cut body | | again later |
"""

from __future__ import annotations

from typing import Any

import msgspec

from gapless.core.errors import BadReply, HoldJob, NotCovered, Refused, SourceError, TryAgain, Unauthorized
from gapless.sources.http import Reply

SETTING = "GAPLESS_FMP_API_KEY"
WAIT_S = 60.0
_PLAN = (
    "premium",
    "restricted endpoint",
    "special endpoint",
    "exclusive endpoint",
    "upgrade your plan",
    "subscription",
)


class _Said(msgspec.Struct):
    error: str = msgspec.field(name="Error Message", default="")
    message: str = ""


_decoders: dict[Any, msgspec.json.Decoder[list[Any]]] = {}


def read(reply: Reply, record: Any, what: str) -> list[Any]:
    """The records of a list, each one checked; raises a `SourceError`. `what` names question and company."""
    if reply.status != 200 or not reply.body.lstrip().startswith(b"["):
        raise failure(reply, what)
    decoder = _decoders.get(record)
    if decoder is None:
        decoder = _decoders[record] = msgspec.json.Decoder(list[record])
    try:
        return decoder.decode(reply.body)
    except msgspec.ValidationError as error:
        raise BadReply(f"fmp: {what}: {error}", source="fmp", hint="look for a newer version of gapless") from None
    except msgspec.DecodeError:
        raise TryAgain(f"fmp broke off in the middle of {what}", source="fmp") from None


def failure(reply: Reply, what: str) -> SourceError:
    """Sort what is no list by what to do next."""
    said = _said(reply.body)
    words = said.lower()
    if reply.status == 429 or "limit reach" in words:
        return Refused(f"fmp told us to wait: {said}", source="fmp", seconds=WAIT_S)
    if reply.status == 401 or "invalid api key" in words:
        return Unauthorized("fmp refused the key", source="fmp", hint=f"check {SETTING}, then `gapless jobs retry`")
    if reply.status == 403 or "legacy endpoint" in words:
        return HoldJob(f"fmp has closed this address: {said}", source="fmp", hint="look for a newer version of gapless")
    if reply.status == 402 or any(word in words for word in _PLAN):
        return NotCovered(f"fmp: the plan does not cover {what}: {said}", source="fmp", hint="take a larger plan")
    if reply.status in (400, 404):
        return HoldJob(
            f"fmp did not understand {what}: HTTP {reply.status}", source="fmp", hint="check GAPLESS_FMP_BASE_URL"
        )
    return TryAgain(f"fmp has trouble with {what} (HTTP {reply.status}): {said}", source="fmp")


def _said(body: bytes) -> str:
    """The words of an error, without addresses and never long."""
    try:
        told = msgspec.json.decode(body, type=_Said)
        text = told.error or told.message
    except msgspec.MsgspecError:
        text = body[:500].decode(errors="replace")
    if text.lstrip().startswith("<"):
        return "a page"
    return " ".join(word for word in text.split() if "://" not in word)[:160].rstrip(".") or "no message"
