"""Plans that were shown: whoever starts one is told if the ledger has changed since."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from gapless.core.plan import Plan
from gapless.core.span import Span, intersect, iso, subtract

#: Plans kept in mind, each with at most `RANGES` ranges: one with more is not compared.
KEPT = 500
RANGES = 50_000


@dataclass(frozen=True, slots=True)
class Shown:
    """What a plan said: by series, what was wanted and what was missing."""

    dataset: str
    wanted: dict[str, Span]
    missing: dict[str, list[Span]]


class Plans:
    """The last plans by their ids."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Shown] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, made: Plan) -> str:
        """Keep a plan; returns its id, empty for one that is too large to be kept."""
        if sum(len(one.missing) + 1 for one in made.series) > RANGES:
            return ""
        plan_id = secrets.token_urlsafe(9)
        wanted = {one.series: one.wanted for one in made.series if one.wanted is not None}
        shown = Shown(made.dataset, wanted, {one.series: one.missing for one in made.series})
        with self._lock:
            self._kept[plan_id] = shown
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return plan_id

    def get(self, plan_id: str) -> Shown | None:
        """What a plan said; None for one that is not known (any more)."""
        with self._lock:
            return self._kept.get(plan_id)


def difference(before: Shown, now: Plan) -> list[dict[str, Any]]:
    """What is missing now and was not, and the other way round, inside what was wanted; empty when nothing changed."""
    found: list[dict[str, Any]] = []
    for one in now.series:
        wanted = before.wanted.get(one.series)
        if one.series not in before.missing:
            found.append({"series": one.series, "more": _pairs(one.missing), "less": []})
            continue
        if wanted is None:
            continue
        was = before.missing[one.series]
        more = subtract(intersect(one.missing, [wanted]), was)
        less = subtract(was, one.missing)
        if more or less:
            found.append({"series": one.series, "more": _pairs(more), "less": _pairs(less)})
    return found


def _pairs(parts: list[Span]) -> list[list[str]]:
    return [[iso(one.start), iso(one.end)] for one in parts[:200]]
