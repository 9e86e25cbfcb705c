"""What to do after a request went wrong: one pure decision."""

from __future__ import annotations

import random
from dataclasses import dataclass

from gapless.core.errors import BadReply, HoldJob, OutOfReach, SourceError, TooHeavy, UnknownSeries, Unreachable
from gapless.core.pacing import Backoff
from gapless.core.paging import Window


@dataclass(frozen=True, slots=True)
class Retry:
    """Ask the same again after `seconds`."""

    seconds: float


class Halve:
    """Ask for half as much, to isolate what spoils the reply."""


class GiveUpCell:
    """Quarantine the cell that spoils every reply, and go on behind it."""


class FailSegment:
    """End the segment: the source does not answer, or the work is too heavy for its process."""


class HoldSeries:
    """End the work on this series until the owner acts."""


class HoldWork:
    """End the work on the whole job until the owner acts."""


Decision = Retry | Halve | GiveUpCell | FailSegment | HoldSeries | HoldWork


def decide(
    error: SourceError,
    *,
    failures: int,
    window: Window,
    suspects: int,
    backoff: Backoff,
    chance: random.Random,
    standing: bool,
    chore: bool = False,
) -> Decision:
    """Sort an error by what to do next.

    `failures`: in a row, this one included; `suspects`: cells given up in a row without a good reply between them
    (two mean that the source is broken, not the cell). A standing job never gives up on a source that is away. A chore
    gives no cells up: quarantine is about what a source has.
    """
    if isinstance(error, UnknownSeries | OutOfReach):
        return HoldSeries()
    if isinstance(error, HoldJob):
        return HoldWork()
    if isinstance(error, TooHeavy):
        return FailSegment()
    if not backoff.is_spent(failures) or (standing and not isinstance(error, BadReply)):
        return Retry(backoff.delay(min(failures, 12), chance))
    if isinstance(error, Unreachable) or chore:
        return FailSegment()
    if isinstance(error, BadReply) and error.span is not None:
        return GiveUpCell()
    if window.limit > 1:
        return Halve()
    return FailSegment() if suspects else GiveUpCell()
