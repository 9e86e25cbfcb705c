"""Connectors to providers: a source says only what is special about its provider."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from gapless.sources.base import Source
from gapless.sources.fmp import Fmp
from gapless.sources.gdelt import Gdelt
from gapless.sources.http import Http
from gapless.sources.krx import Krx
from gapless.sources.naver import Naver
from gapless.sources.opendart import Dart
from gapless.sources.upbit import Upbit

#: Every source by name; each is made with the transport to its provider.
SOURCES: dict[str, Callable[[Http], Source]] = {one.name: one for one in (Upbit, Dart, Krx, Gdelt, Naver, Fmp)}
#: Where each provider is, unless the settings say otherwise.
DEFAULT_URLS = {one.name: one.default_url for one in (Upbit, Dart, Krx, Gdelt, Naver, Fmp)}
#: The form of the key of those that want one, and how to say it.
KEYS = {
    Dart.name: (r"[0-9A-Za-z]{40}", "a key has 40 letters and digits"),
    Krx.name: (r"[0-9A-Za-z]{40}", "a key has 40 letters and digits"),
    Fmp.name: (r"[0-9A-Za-z]{8,64}", "a key has 8 to 64 letters and digits"),
    Naver.name: (r"[0-9A-Za-z_]{4,40}:[0-9A-Za-z_]{4,40}", "give ID:SECRET as Naver's console shows them"),
}
#: Those with a daily quota.
QUOTAS = (Dart.name, Krx.name, Naver.name, Fmp.name)


def connect(name: str, base_url: str, timeout: timedelta, key: str = "") -> Source:
    """The source `name`, talking to `base_url` (scheme, host and port)."""
    return SOURCES[name](Http(name, base_url, timeout, key))
