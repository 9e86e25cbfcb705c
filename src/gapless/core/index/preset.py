"""Which components make an index, with which weights; and what a score is called."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gapless.core.errors import UsageError
from gapless.core.index.components import COMPONENTS, REACH

#: Raised whenever the arithmetic changes: values of two versions are not comparable.
VERSION = 2
SEVEN = ("momentum", "strength", "breadth", "put_call", "volatility", "safe_haven", "junk_bond")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The parameters of an index."""

    name: str
    #: By component; they sum to 1.
    weights: Mapping[str, float]
    #: Rows of the past that a component is compared with, and how many of them have to be there.
    window: int = 504
    least: int = 252
    #: Part of all weight that components with data must have.
    enough: float = 0.8

    @property
    def reach(self) -> int:
        """Rows that a value depends on, its own included."""
        return self.window + REACH


def _equal(*names: str) -> dict[str, float]:
    return {name: 1 / len(names) for name in names}


#: US: inputs that the user has imported. The others need prices and volumes only.
PRESETS = {
    "US": Preset(name="US", weights=_equal(*SEVEN), enough=5 / 7),
    "KOSPI": Preset(name="KOSPI", weights=_equal("momentum", "strength", "breadth", "volatility", "safe_haven")),
    "CRYPTO": Preset(
        name="CRYPTO", weights=_equal("momentum", "strength", "breadth", "volatility", "volume", "drawdown")
    ),
}


def preset(name: str) -> Preset:
    """A preset by name, in any case; raises `UsageError`."""
    found = PRESETS.get(name.upper())
    if found is None:
        raise UsageError(
            f"market: there is no preset {name!r}", field="market", hint=f"give one of: {', '.join(PRESETS)}"
        )
    return found


def with_weights(made: Preset, weights: Mapping[str, float]) -> Preset:
    """The preset with other weights: each a part of 1, or all parts of 100; raises `UsageError`."""
    for name, weight in weights.items():
        if name not in COMPONENTS:
            near = difflib.get_close_matches(name, COMPONENTS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(COMPONENTS)}"
            raise UsageError(f"weights: there is no component {name!r}", field="weights", hint=hint)
        if not (math.isfinite(weight) and weight > 0):
            raise UsageError(
                f"weights: {name} has {weight:g}", field="weights", hint="give more than 0, or leave it out"
            )
    total = math.fsum(weights.values())
    for whole in (1.0, 100.0):
        if math.isclose(total, whole, rel_tol=1e-9):
            return replace(made, weights={name: weight / whole for name, weight in weights.items()})
    raise UsageError(f"weights: they sum to {total:g}", field="weights", hint="let them sum to 1 (or to 100)")


def checked(made: Preset) -> Preset:
    """The preset itself; raises `UsageError` for a window that cannot be."""
    if not 20 <= made.window <= 5_000:
        raise UsageError(f"window: {made.window} days", field="window", hint="give 20 to 5000")
    if not 2 <= made.least <= made.window:
        raise UsageError(f"least: {made.least} of {made.window} days", field="least", hint="give 2 to the window")
    if not 0 < made.enough <= 1:
        raise UsageError(f"enough: {made.enough:g}", field="enough", hint="give a part of 1")
    return made


#: Upper ends and names. Published bands are whole numbers; between them we take <25, <45, <=55, <=75.
BANDS = ("extreme fear", "fear", "neutral", "greed", "extreme greed")


def band(score: float) -> str:
    """What a score from 0 to 100 is called."""
    if score < 25:
        return BANDS[0]
    if score < 45:
        return BANDS[1]
    return BANDS[2] if score <= 55 else BANDS[3] if score <= 75 else BANDS[4]
