"""The table that a run prints, line by line as the numbers come."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

_WIDTHS = (50, 18, 26, 8, 16, 4)
_HEAD = ("name", "measured", "limit in the same run", "ratio", "hold", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One number, what bounds it, and what DESIGN.md holds."""

    name: str
    measured: str
    limit: str
    ratio: float | None
    hold: str
    ok: bool | None = None


def at_most(name: str, value: float, limit: float, hold: float, unit: str, of: str = "") -> Line:
    """A line whose ratio to the limit must not pass `hold`."""
    ratio = value / limit
    limit_text = f"{_number(limit)} {unit}{f', {of}' if of else ''}"
    return Line(
        name=name,
        measured=f"{_number(value)} {unit}",
        limit=limit_text,
        ratio=ratio,
        hold=f"≤ {hold:g}",
        ok=ratio <= hold,
    )


def at_least(name: str, value: float, limit: float, hold: float, unit: str, of: str = "") -> Line:
    """A line whose ratio to the limit must reach `hold`."""
    ratio = value / limit
    limit_text = f"{_number(limit)} {unit}{f', {of}' if of else ''}"
    return Line(
        name=name,
        measured=f"{_number(value)} {unit}",
        limit=limit_text,
        ratio=ratio,
        hold=f"≥ {hold:g}",
        ok=ratio >= hold,
    )


def head() -> str:
    """The first two lines of the table."""
    return f"{_row(_HEAD)}\n{'─' * (sum(_WIDTHS) + 2 * len(_WIDTHS) - 2)}"


def text(line: Line) -> str:
    """A line of the table."""
    ratio = "" if line.ratio is None else f"{line.ratio:.3f}"
    verdict = {True: "ok", False: "miss", None: ""}[line.ok]
    return _row((line.name, line.measured, line.limit, ratio, line.hold, verdict))


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of all do not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def middle(values: list[float]) -> float:
    """The median: this machine is shared, and means follow its worst moments."""
    return float(median(values))


def _row(words: tuple[str, ...]) -> str:
    return "  ".join(word.ljust(width) for word, width in zip(words, _WIDTHS, strict=True)).rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
