"""GDELT: addresses of news articles of the world, by English query."""

from gapless.sources.gdelt.source import Gdelt

__all__ = ["Gdelt"]
