"""What must never be shown: keys, passwords, tokens, taken out of any text on its way to a log, an error or a page."""

from __future__ import annotations

import re

MASK = "***"
_SIGNS = [
    # postgresql://user:password@host
    (re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@"), rf"\1:{MASK}@"),
    # crtfc_key=…, apikey=…, password=…, in query strings, JSON and prose
    (
        re.compile(
            r"((?:crtfc_key|api[_-]?key|password|passwd|secret|token|access[_-]key|authorization)[\"']?\s*[=:]\s*[\"']?)"
            r"(?:Bearer\s+)?[^\s\"'&,;}]{6,}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\bBearer\s+\S+", re.IGNORECASE), f"Bearer {MASK}"),
    (re.compile(r"\bgl_[A-Za-z0-9_-]{20,}"), MASK),
]
_known: set[str] = set()


def keep_secret(*texts: str) -> None:
    """Never show these texts, whatever stands around them."""
    _known.update(one for one in texts if len(one) >= 6)


def redacted(text: str) -> str:
    """The text without what is secret."""
    for one in _known:
        if one in text:
            text = text.replace(one, MASK)
    for sign, shown in _SIGNS:
        text = sign.sub(shown, text)
    return text
