"""gapless keeps the history of financial series complete: it fetches exactly what is missing.

import gapless

gapless.read("upbit.candles.1m", "KRW-BTC", "2024-01-01", "2024-01-31")
gapless.get_dps_series("005930", 2015, 2025)

with gapless.open() as history:
    job = history.backfill("upbit.candles.1m", ["KRW-BTC", "KRW-ETH"], days=30)
    job.wait(progress=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gapless.core.errors import GaplessError

if TYPE_CHECKING:
    from gapless.app import Gapless, Running, get_dps_series, open, read

__all__ = ["Gapless", "GaplessError", "Running", "__version__", "get_dps_series", "open", "read"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Simulators and processes that compute live in this package, too, and need nothing of its face.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gapless import app

    return getattr(app, name)


def __dir__() -> list[str]:
    return list(__all__)
