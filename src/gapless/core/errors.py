"""One tree of errors, sorted by what to do next.

*again later* (`TryAgain`), *wait as told* (`Refused`), *give this span up* (`BadReply`), *hold* the series or the
job (`Hold`). Everything a user can cause ends in a message whose last words are the next step, and in an exit code.
"""

from __future__ import annotations

from enum import IntEnum

from gapless.core.page import Page
from gapless.core.span import Span


class Exit(IntEnum):
    """What a command's exit code means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    REFUSED = 4
    DATABASE = 5
    INTERRUPTED = 130


class GaplessError(Exception):
    """Anything we can explain: a message, and the next step as `hint`."""

    exit = Exit.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(GaplessError):
    """The caller's words are off; `field` names the one to change."""

    exit = Exit.USAGE

    def __init__(self, message: str, *, field: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class NotFound(UsageError):
    """There is no such thing as the caller names."""


class NotAllowed(GaplessError):
    """The state of the thing does not allow this verb now."""


class StoreError(GaplessError):
    """The database is out of reach, locked, read-only, full, newer than the program, or not ours."""

    exit = Exit.DATABASE


class StoreLost(StoreError):
    """The database server is out of reach for now: it may be starting anew, or the network is down."""


class LeaseLost(GaplessError):
    """Somebody else holds the segment now: nothing of this page was stored."""


class SourceError(GaplessError):
    """A provider did not give what was asked."""

    exit = Exit.REFUSED

    def __init__(self, message: str, *, source: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.source = source


class TryAgain(SourceError):
    """Passing trouble: time-outs, 5xx, bodies cut or not what was announced."""


class Shifted(TryAgain):
    """A listing changed while it was read page by page: what is not proven of it is asked from its beginning."""


class Unreachable(TryAgain):
    """Nothing answers at the provider's address."""


class Refused(SourceError):
    """The provider told us to wait (429, 418, 020): `seconds` from now, for everybody who shares the budget.

    `is_quota`: what is spent may as well be the day's quota, which the provider does not tell apart.
    """

    def __init__(self, message: str, *, source: str, seconds: float, is_quota: bool = False, hint: str = "") -> None:
        super().__init__(message, source=source, hint=hint)
        self.seconds = seconds
        self.is_quota = is_quota


class BadReply(SourceError):
    """A well-formed reply with records we cannot read.

    Where the newest such record can be placed, `span` is its cell and `page` holds what the reply proves after it.
    """

    def __init__(
        self, message: str, *, source: str, span: Span | None = None, page: Page | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, source=source, hint=hint)
        self.span = span
        self.page = page


class TooMuch(SourceError):
    """The span holds more records than one reply tells, and nothing says which are left out: ask for half of it."""


class TooHeavy(SourceError):
    """A child process went over its limit of time, processor time or memory, or was ended: doing it again as it is
    would end in the same way."""


class Hold(SourceError):
    """Asking again would not help before the owner has acted."""


class UnknownSeries(Hold):
    """The provider does not know this series; only this series is held."""


class NotCovered(UnknownSeries):
    """The plan of our key does not cover what was asked for."""


class OutOfReach(Hold):
    """The provider does not go back that far; what it told stays, the rest of this series is held."""


class HoldJob(Hold):
    """The whole job is held."""


class Unauthorized(HoldJob):
    """The provider refused our key."""


class SchemaChanged(HoldJob):
    """No record of the reply has the shape we know: the provider changed its answer."""
