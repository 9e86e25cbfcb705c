"""gapless keeps the history of financial series complete: it fetches exactly what is missing.

import gapless

gapless.read("upbit.candles.1m", "KRW-BTC", "2024-01-01", "2024-01-31")

with gapless.open() as history:
    job = history.backfill("upbit.candles.1m", ["KRW-BTC", "KRW-ETH"], days=30)
    job.wait(progress=True)
"""

from gapless.app import Gapless, Running, open, read
from gapless.core.errors import GaplessError

__all__ = ["Gapless", "GaplessError", "Running", "__version__", "open", "read"]

__version__ = "0.1.0"
