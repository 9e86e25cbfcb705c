"""When a schedule runs: five cron fields in a time zone.

The fields mean what they mean to Debian's cron, daylight saving included: a fixed time that the clock jumps over runs
right after the jump, one that comes twice runs the first time; a field with `*` follows the hours that really pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from gapless.core.errors import UsageError
from gapless.core.span import Instant, instant, moment

#: Missed times are counted up to here: who was away for longer need not know how much longer.
MOST_MISSED = 1000
FIELDS = 5


@dataclass(frozen=True, slots=True)
class Due:
    """What a look at a schedule says."""

    #: Times that have come, the one that is run for included; 0 when it is not due.
    times: int
    #: The first time that has not come yet.
    next_at: Instant


@dataclass(frozen=True, slots=True)
class Cron:
    """A checked expression and its zone."""

    expression: str
    zone: str

    def after(self, at: Instant) -> Instant:
        """The first time after an instant; raises `UsageError` when there is none within fifty years."""
        try:
            for found in CronSim(self.expression, moment(at).astimezone(ZoneInfo(self.zone))):
                after = instant(found.astimezone(UTC))
                # In the hour that comes twice the library starts from the wall clock and may look back.
                if after > at:
                    return after
        except CronSimError as error:
            raise _wrong(self.expression, str(error)) from None
        raise _wrong(self.expression, "it never comes")

    def due(self, next_at: Instant, now: Instant) -> Due:
        """How many times have come since `next_at`: however many, they are caught up by one run."""
        times = 0
        while next_at <= now and times < MOST_MISSED:
            times += 1
            next_at = self.after(next_at)
        return Due(times, next_at if next_at > now else self.after(now))


def cron(expression: str, zone: str) -> Cron:
    """Check an expression and a zone; raises `UsageError` that names the field."""
    if len(expression.split()) != FIELDS:
        raise _wrong(expression, "there are five fields: minute, hour, day of month, month, day of week")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"zone: {zone!r} is unknown", field="zone", hint="give a name such as Asia/Seoul or UTC"
        ) from None
    made = Cron(" ".join(expression.split()), zone)
    made.after(instant(datetime(2026, 1, 1, tzinfo=UTC)))
    return made


def _wrong(expression: str, why: str) -> UsageError:
    return UsageError(
        f"cron: {expression!r} is not understood ({why})",
        field="cron",
        hint="'0 9 * * MON-FRI' is nine o'clock from Monday to Friday",
    )
