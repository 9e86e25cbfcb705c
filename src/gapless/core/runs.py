"""Coverage as people look at it: a span cut into so many columns, each of one state, alike neighbours as one run."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from itertools import groupby

from gapless.core.span import Instant, Span


class Cover(IntEnum):
    """The state of a column; where several hold in one column, the one that needs a look wins."""

    MISSING = 0
    PRESENT = 1
    EMPTY = 2
    #: Quarantined.
    FAILED = 3
    #: Missing, and a slot is fetching it.
    IN_PROGRESS = 4
    #: The source has forgotten it, or it is not final yet.
    UNAVAILABLE = 5


#: Later layers are painted over earlier ones.
LAYERS = (Cover.UNAVAILABLE, Cover.EMPTY, Cover.PRESENT, Cover.MISSING, Cover.IN_PROGRESS, Cover.FAILED)


def edge(window: Span, width: int, column: int) -> Instant:
    """The first instant of a column."""
    return window.start + (window.end - window.start) * column // width


def column(window: Span, width: int, at: Instant) -> int:
    """The column of an instant inside the window."""
    # The inverse of `edge`, whose division rounds down.
    return ((at - window.start + 1) * width - 1) // (window.end - window.start)


def paint(window: Span, width: int, layers: Iterable[tuple[Cover, Iterable[Span]]]) -> list[tuple[int, int]]:
    """Runs of (columns, state) that sum up to `width`; what no layer covers is unavailable."""
    columns = bytearray([Cover.UNAVAILABLE]) * width
    by_state = dict(layers)
    for state in LAYERS:
        for part in by_state.get(state, ()):
            inside = part.clip(window)
            if inside is not None:
                first, last = column(window, width, inside.start), column(window, width, inside.end - 1)
                columns[first : last + 1] = bytes([state]) * (last + 1 - first)
    return [(len(list(run)), state) for state, run in groupby(columns)]
