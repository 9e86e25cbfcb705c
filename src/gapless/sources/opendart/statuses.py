"""The outcome of a request stands in the body, at HTTP status 200: sorted by what to do next.

| status | meaning | what we do |
|---|---|---|
| 000, 013 | good; nothing there | read it; *empty* |
| 010, 011, 012, 901 | key unknown, suspended, not for this address, expired | hold the job, with advice |
| 020 | too many requests: of a minute or of the day, which is not told apart | wait a minute, then for 00:00 in Seoul |
| 800 | maintenance | wait ten minutes, longer each time |
| 900 | undefined error | again later |
| 014, 021, 100, 101 | our request is wrong | hold the job: ours to mend |
| none: a page, a cut body | | again later |
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from gapless.core.errors import HoldJob, Refused, SourceError, TryAgain, Unauthorized
from gapless.sources.http import Reply

SETTING = "GAPLESS_DART_API_KEY"
GOOD, EMPTY = "000", "013"
#: A blocked minute, and a little for clocks that differ.
MINUTE_S = 65.0
MAINTENANCE_S = 600.0


class Outcome(msgspec.Struct):
    """What every body says."""

    status: str
    message: str = ""


def _key(advice: str) -> Callable[[str], SourceError]:
    return lambda said: Unauthorized(f"OpenDART refused the key: {said}", source="dart", hint=advice)


def _ours(said: str) -> SourceError:
    return HoldJob(
        f"OpenDART did not understand our request: {said}",
        source="dart",
        hint="this is ours to mend: please report it",
    )


_ERRORS: dict[str, Callable[[str], SourceError]] = {
    "010": _key(f"set {SETTING} to a key from opendart.fss.or.kr, then `gapless jobs retry`"),
    "011": _key("its owner has to lift the suspension at opendart.fss.or.kr, then `gapless jobs retry`"),
    "012": _key("add this machine's address to the key at opendart.fss.or.kr, then `gapless jobs retry`"),
    "901": _key("its account has expired: renew the consent at opendart.fss.or.kr, then `gapless jobs retry`"),
    "020": lambda said: Refused(f"OpenDART's quota is spent: {said}", source="dart", seconds=MINUTE_S, is_quota=True),
    "800": lambda said: Refused(f"OpenDART is closed: {said}", source="dart", seconds=MAINTENANCE_S),
    "900": lambda said: TryAgain(f"OpenDART has trouble: {said}", source="dart"),
    "014": _ours,
    "021": _ours,
    "100": _ours,
    "101": _ours,
}


def failure(outcome: Outcome) -> SourceError:
    """The error of a status that is neither good nor empty."""
    said = f"{outcome.message or 'no message'} (status {outcome.status})"
    known = _ERRORS.get(outcome.status)
    if known is None:
        return TryAgain(f"OpenDART answered with a status we do not know: {said}", source="dart")
    return known(said)


def no_answer(reply: Reply) -> SourceError:
    """What is no answer of OpenDART at all: a page, a cut body, an HTTP error."""
    head = reply.body[:200].lstrip().lower()
    looks = "a page" if head.startswith(b"<") else f"{len(reply.body)} bytes that cannot be read"
    return TryAgain(
        f"OpenDART answered with {looks} (HTTP {reply.status})",
        source="dart",
        hint="if this lasts, check GAPLESS_DART_BASE_URL",
    )


def outcome_of_xml(body: bytes) -> Outcome | None:
    """The outcome in a small XML or JSON body that came instead of a file."""
    said = re.search(rb"<status>\s*(\d+)\s*</status>(?:.*?<message>(.*?)</message>)?", body[:2000], re.DOTALL)
    if said:
        return Outcome(said[1].decode(), (said[2] or b"").decode(errors="replace"))
    try:
        return msgspec.json.decode(body, type=Outcome)
    except msgspec.MsgspecError:
        return None
