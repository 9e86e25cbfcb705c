"""The components of Fear & Greed: what each measures, from which columns, and which way is greed.

The provider publishes what it measures, not how it puts that on a scale; the definitions here are ours, and documented
in docs/fear-greed.md. An input that is published ready-made has a column of the component's own name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gapless.core.index.windows import change, fall, mean, realised, smoothed

if TYPE_CHECKING:
    from gapless.core.index.sliding import Values

#: Rows before a day that any component needs, the day included.
REACH = 252
#: What is told of the days, by name: one number a day, NaN where there is none.
Columns = Mapping[str, "Values"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One measure of the mood of a market."""

    name: str
    doc: str
    #: Columns it is computed from.
    needs: tuple[str, ...]
    raw: Callable[[Columns], Values]
    #: 1 where a high value is greed, -1 where it is fear.
    sign: int = 1
    #: Columns it is computed from where those of `needs` are not there, and how.
    otherwise: tuple[tuple[str, ...], Callable[[Columns], Values]] | None = None

    def of(self, day: Columns) -> Values | None:
        """What it measures, by the columns that there are; None when it has no data."""
        if self.name in day:
            return day[self.name]
        if set(self.needs) <= day.keys():
            return self.raw(day)
        if self.otherwise is not None and set(self.otherwise[0]) <= day.keys():
            return self.otherwise[1](day)
        return None


def _momentum(day: Columns) -> Values:
    return day["close"] / mean(day["close"], 125) - 1


def _breadth(day: Columns) -> Values:
    # McClellan's summation index is the sum of (fast - slow) over all days. By the recursion of the averages that is
    # 20 slow - 10 fast + (fast - slow) and a constant, which does not need all days.
    fast, slow = smoothed(day["net_volume"], 19), smoothed(day["net_volume"], 39)
    return 20 * slow - 10 * fast + (fast - slow)


def _implied(day: Columns) -> Values:
    return day["vix"] / mean(day["vix"], 50)


def _realised(day: Columns) -> Values:
    swing = realised(day["close"], 20)
    return swing / mean(swing, 50)


def _safe_haven(day: Columns) -> Values:
    return change(day["close"], 20) - change(day["bond"], 20)


def _volume(day: Columns) -> Values:
    busy = mean(day["value"], 20) / mean(day["value"], 90)
    return busy * change(day["close"], 20)


def _drawdown(day: Columns) -> Values:
    return fall(day["close"], 90)


_LISTED = (
    Component(name="momentum", doc="close by its mean of 125 days", needs=("close",), raw=_momentum),
    Component(
        name="strength",
        doc="shares at a 52-week high less those at a low, by all",
        needs=("net_highs",),
        raw=lambda day: day["net_highs"],
    ),
    Component(
        name="breadth",
        doc="McClellan's volume summation: rising less falling volume, faded over 39 and 19 days",
        needs=("net_volume",),
        raw=_breadth,
    ),
    Component(
        name="put_call",
        doc="puts by calls, mean of five days, as published",
        needs=("put_call",),
        raw=lambda day: day["put_call"],
        sign=-1,
    ),
    Component(
        name="volatility",
        doc="volatility index by its mean of 50 days; without one, what 20 days of returns swing by",
        needs=("vix",),
        raw=_implied,
        otherwise=(("close",), _realised),
        sign=-1,
    ),
    Component(
        name="safe_haven",
        doc="20-day return of shares less that of bonds",
        needs=("close", "bond"),
        raw=_safe_haven,
    ),
    Component(
        name="junk_bond",
        doc="yield of junk bonds less that of good ones, as published",
        needs=("junk_bond",),
        raw=lambda day: day["junk_bond"],
        sign=-1,
    ),
    Component(
        name="volume",
        doc="20-day return, by how busy the last 20 days were among 90",
        needs=("close", "value"),
        raw=_volume,
    ),
    Component(name="drawdown", doc="close by the highest of 90 days", needs=("close",), raw=_drawdown),
)
COMPONENTS = {one.name: one for one in _LISTED}
