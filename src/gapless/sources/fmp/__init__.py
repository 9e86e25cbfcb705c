"""Financial Modeling Prep: what the value of a company at a moment can be told from."""

from gapless.sources.fmp.source import Fmp

__all__ = ["Fmp"]
