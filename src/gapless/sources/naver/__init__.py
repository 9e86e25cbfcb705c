"""Naver: the news search, forward only."""

from gapless.sources.naver.source import Naver

__all__ = ["Naver"]
