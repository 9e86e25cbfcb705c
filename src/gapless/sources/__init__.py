"""Connectors to providers: a source says only what is special about its provider."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from gapless.sources.base import Source
from gapless.sources.http import Http
from gapless.sources.krx import Krx
from gapless.sources.opendart import Dart
from gapless.sources.upbit import Upbit

#: Every source by name; each is made with the transport to its provider.
SOURCES: dict[str, Callable[[Http], Source]] = {Upbit.name: Upbit, Dart.name: Dart, Krx.name: Krx}
#: Where each provider is, unless the settings say otherwise.
DEFAULT_URLS = {one.name: one.default_url for one in (Upbit, Dart, Krx)}
#: The form of the key of those that want one.
KEYS = {Dart.name: r"[0-9A-Za-z]{40}", Krx.name: r"[0-9A-Za-z]{40}"}
#: Those with a daily quota.
QUOTAS = (Dart.name, Krx.name)


def connect(name: str, base_url: str, timeout: timedelta, key: str = "") -> Source:
    """The source `name`, talking to `base_url` (scheme, host and port)."""
    return SOURCES[name](Http(name, base_url, timeout, key))
