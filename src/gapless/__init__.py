"""gapless keeps the history of financial series complete: it fetches exactly what is missing.

import gapless

gapless.read("upbit.candles.1m", "KRW-BTC", "2024-01-01", "2024-01-31")
gapless.get_dps_series("005930", 2015, 2025)

with gapless.open() as history:
    job = history.backfill("upbit.candles.1m", ["KRW-BTC", "KRW-ETH"], days=30)
    job.wait(progress=True)
"""

from gapless.app import Gapless, Running, get_dps_series, open, read
from gapless.core.errors import GaplessError

__all__ = ["Gapless", "GaplessError", "Running", "__version__", "get_dps_series", "open", "read"]

__version__ = "0.1.0"
