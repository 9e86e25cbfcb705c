"""Puts the parts together: the face of the library."""

from gapless.app.history import Gapless, get_dps_series, open, read
from gapless.app.running import Running

__all__ = ["Gapless", "Running", "get_dps_series", "open", "read"]
