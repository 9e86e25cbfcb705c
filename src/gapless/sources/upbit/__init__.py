"""Upbit, the Korean exchange: candles of all units."""

from gapless.sources.upbit.source import Upbit

__all__ = ["Upbit"]
