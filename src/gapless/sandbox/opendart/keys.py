"""Who may ask, and how often.

A key is 40 hex digits. Those of REFUSED are refused for ever; every other one is registered. Chosen, because the
notes are silent or unsure: the quota is per key and Korean day of the data's clock, counts every request of a good
key (an empty or wrong one, too) but no refused one, and starts anew at midnight; a key that asks more than
`per_minute` times within a minute gets 020 for `block_s` seconds, whatever it asks. Real time decides about the pace.
"""

from __future__ import annotations

import re
from random import Random

from gapless.sandbox.limits import Sliding
from gapless.sandbox.opendart.statuses import Refused

#: A key that may ask.
KEY = "5a" * 20
#: Keys that are refused, and with what.
REFUSED = {status.rjust(40, "0"): status for status in ("010", "011", "012", "901")}
_FORM = re.compile(r"[0-9a-fA-F]{40}")
_MINUTE_S = 60.0


class Keys:
    """What every key has used. A limit of 0 is none."""

    def __init__(self, quota: int, per_minute: int, block_s: float) -> None:
        self._quota, self._per_minute, self._block_s = quota, per_minute, block_s
        self._used: dict[str, _Use] = {}

    def admit(self, key: str | None, day: int, monotonic: float) -> None:
        """Count a request that came at `monotonic` seconds on a Korean day, or raise `Refused`."""
        if not key:
            raise Refused("100")
        if not _FORM.fullmatch(key):
            raise Refused("010")
        if key in REFUSED:
            raise Refused(REFUSED[key])
        use = self._used.get(key)
        if use is None:
            use = self._used[key] = _Use(self._per_minute)
        self._pace(use, monotonic)
        use.count(day, self._quota)

    def _pace(self, use: _Use, monotonic: float) -> None:
        if monotonic < use.blocked_until:
            raise Refused("020")
        if self._per_minute and use.minute.take(monotonic, monotonic) is None:
            use.blocked_until = monotonic + self._block_s
            raise Refused("020")


class _Use:
    """Of one key."""

    def __init__(self, per_minute: int) -> None:
        self.minute = Sliding(per_minute, 0.0, Random(0), _MINUTE_S)
        self.blocked_until = 0.0
        self._day = 0
        self._requests = 0

    def count(self, day: int, quota: int) -> None:
        if day != self._day:
            self._day, self._requests = day, 0
        if quota and self._requests >= quota:
            raise Refused("020")
        self._requests += 1
