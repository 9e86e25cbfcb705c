"""KRX, the Korean exchange: prices of whole markets, a day at a time."""

from gapless.sources.krx.source import Krx

__all__ = ["Krx"]
