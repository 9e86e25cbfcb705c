"""OpenDART: companies and their dividends."""

from gapless.sources.opendart.source import Dart

__all__ = ["Dart"]
