"""Canonical addresses: one article, one key, however its address was passed on."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

#: Parameters that say how a reader came, never which article it is.
_TRACKING = re.compile(
    r"utm_\w+|fbclid|gclid|dclid|msclkid|yclid|igshid|mc_[ce]id|_ga|ref|ref_?src|cmpid|ncid|rss|from|amp|outputtype",
    re.IGNORECASE,
)
#: Hosts of the same article for phones and for AMP.
_MOBILE = re.compile(r"^(?:(?:m|amp|mobile)\.)+(?=[^.]+\.[^.]+)")
_AMP_PATH = re.compile(r"^/amp(?=/)|/amp(?:/|\.html)?$", re.IGNORECASE)
_NAVER_PATH = re.compile(r"/(?:mnews/)?article/(?:comment/)?(\d{3})/(\d{10})")
_PORTS = {"http": 80, "https": 443}
_SAFE = "/:@!$&'()*+,;=~-._"


def canonical(address: str) -> str:
    """The key of an article's address; giving it a key gives the same key.

    The source's own number where its address carries one (Naver: office and article); else the address with its host in
    lower case, as https, without default port, fragment, tracking parameters, phone and AMP variants and the slash at
    its end, parameters in order. What is no web address comes back stripped.
    """
    try:
        parts = urlsplit(address.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return address.strip()
    if parts.scheme.lower() not in _PORTS or not host:
        return address.strip()
    asked = parse_qsl(parts.query, keep_blank_values=True)
    if own := _naver(host, parts.path, dict(asked)):
        return own
    host = _MOBILE.sub("", host)
    place = host if port in (None, _PORTS[parts.scheme.lower()]) else f"{host}:{port}"
    query = urlencode(sorted(pair for pair in asked if not _TRACKING.fullmatch(pair[0])))
    return f"https://{place}{_path(parts.path)}{f'?{query}' if query else ''}"


def _path(path: str) -> str:
    """Spelt in one way, without AMP and the slash at its end."""
    spelt = quote(unquote(path, errors="surrogateescape"), safe=_SAFE, errors="surrogateescape")
    while (bare := _AMP_PATH.sub("", spelt).rstrip("/")) != spelt:
        spelt = bare
    return spelt


def _naver(host: str, path: str, asked: dict[str, str]) -> str | None:
    """The article of Naver News that an address of any of its faces means."""
    if not (host == "naver.com" or host.endswith(".naver.com")):
        return None
    told = _NAVER_PATH.search(path)
    office, article = told.groups() if told else (asked.get("oid", ""), asked.get("aid", ""))
    if not (office.isdecimal() and article.isdecimal()):
        office, article = asked.get("office_id", ""), asked.get("article_id", "")
    if not (office.isdecimal() and article.isdecimal()):
        return None
    return f"https://n.news.naver.com/mnews/article/{office:0>3}/{article:0>10}"


def publisher(address: str) -> str:
    """The host of an address, without `www.`; empty where it has none."""
    try:
        host = urlsplit(address.strip()).hostname or ""
    except ValueError:
        return ""
    return _MOBILE.sub("", host.removeprefix("www."))
