"""Charts by matplotlib: SVG for pages, PNG for the rest; their words are dates and numbers, in any language."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from gapless.core.lazily import pl
from gapless.work.report.facts import Period

_INK, _LINE, _SOFT = "#1f2937", "#2563eb", "#93c5fd"
#: Points of a line at most: more than pixels says nothing more.
POINTS = 1500
_BANDS = ((0, 25, "#fecaca"), (25, 45, "#fde8d0"), (45, 55, "#f3f4f6"), (55, 75, "#dcfce7"), (75, 100, "#bbf7d0"))


def _figure(height: float) -> tuple[Any, Any]:
    # Without pyplot: nothing global, safe in threads.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=8)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, in the kinds that are wanted; the others are empty."""

    svg: bytes = b""
    png: bytes = b""


def _drawn(figure: Any, kinds: Collection[str]) -> Picture:
    made = {}
    for kind in kinds:
        target = io.BytesIO()
        # Without a date, and with names that do not change: the same facts give the same file.
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(target, format=kind, dpi=150, metadata=metadata)
        made[kind] = target.getvalue()
    return Picture(**made)


def _thinned(frame: pl.DataFrame) -> pl.DataFrame:
    step = max(1, frame.height // POINTS)
    return frame.gather_every(step) if step > 1 else frame


def path_chart(path: pl.DataFrame, kinds: Collection[str], *, is_index: bool) -> Picture:
    """The value over time; an index on its bands."""
    figure, axes = _figure(3.2)
    thin = _thinned(path)
    times = [one.astimezone(UTC) for one in thin["time"]]
    if is_index:
        for low, high, colour in _BANDS:
            axes.axhspan(low, high, color=colour, linewidth=0)
        axes.set_ylim(0, 100)
    axes.plot(times, thin["value"].to_list(), color=_LINE, linewidth=1.2)
    _dates(axes)
    return _drawn(figure, kinds)


def _dates(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    # Months as numbers, so that no language is needed.
    formats = ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%S"]
    zeros = ["", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M"]
    offsets = ["", "%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d %H:%M"]
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(  # type: ignore[no-untyped-call]
            locator, formats=formats, zero_formats=zeros, offset_formats=offsets
        )
    )


def components_chart(path: pl.DataFrame, names: list[str], kinds: Collection[str]) -> Picture:
    """Every component of an index over time."""
    figure, axes = _figure(3.6)
    thin = _thinned(path)
    times = [one.astimezone(UTC) for one in thin["time"]]
    colours = ["#2563eb", "#dc2626", "#16a34a", "#9333ea", "#ea580c", "#0891b2", "#a16207", "#be185d", "#475569"]
    for name, colour in zip(names, colours, strict=False):
        axes.plot(times, thin[name].to_list(), linewidth=0.9, label=name, color=colour)
    axes.set_ylim(0, 100)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=5, fontsize=8, frameon=False)
    _dates(axes)
    return _drawn(figure, kinds)


def completeness_chart(periods: list[Period], kinds: Collection[str]) -> Picture:
    """A bar for each period: what is answered for, in percent."""
    figure, axes = _figure(1.9)
    shares = [one.completeness or 0.0 for one in periods]
    colours = [_LINE if share >= 99.995 else _SOFT for share in shares]
    axes.bar(range(len(periods)), shares, color=colours, width=0.8)
    axes.set_ylim(0, 100)
    step = max(1, len(periods) // 12)
    axes.set_xticks(range(0, len(periods), step), [one.label for one in periods[::step]])
    return _drawn(figure, kinds)
