"""Puts the parts together: the face of the library."""

from gapless.app.history import Gapless, get_dps_series, open, read
from gapless.app.running import Running
from gapless.app.validation import Validated

__all__ = ["Gapless", "Running", "Validated", "get_dps_series", "open", "read"]
