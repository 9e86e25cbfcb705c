"""Budgets and backoff as arithmetic.

A budget is a GCRA (generic cell rate algorithm, ITU-T I.371) with burst 1: one number, the theoretical arrival time
`tat`, is the earliest instant at which the next request may leave. The store loads a budget under a lock, applies one
of these functions, and saves it: the sum stands only here.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from enum import Enum, auto

from gapless.core.span import DAY, SECOND, Instant

#: Share of a windowed limit that we use, so that neither clock seconds nor sliding windows ever refuse us.
SAFETY = 0.95
#: From this many requests per second slots are taken in batches of `BATCH` microseconds.
BATCH_RATE = 100.0
BATCH = 20_000
#: Requests a second that can be kept to: from one a day to what no clock tells apart.
LEAST_RATE, MOST_RATE = 1e-5, 1e6
#: Departures in one reservation where nothing limits them: a transaction for each would cost more than the request.
UNPACED = 64
#: So much later than planned a request may be counted, in microseconds: half of the time that the safety leaves.
LATE = round(SECOND * (1 / SAFETY - 1) / 2)
#: A `tat` further ahead than this (or than four steps) is not believed.
HORIZON = 10 * SECOND
FREE, PROBE_NEXT, PROBE_OUT = 0, 1, 2
#: For so long after the reset of a daily quota a refusal is not believed to mean the new day's.
DAWN_OF_DAY = 900 * SECOND
#: How long the others wait for the one request that tries after a block.
PROBE_PATIENCE = 5 * SECOND
#: A wait longer than this gives the segment back.
PATIENCE = 2.0


class Lane(Enum):
    """For whom a request leaves: live goes before daily collection, and that before backfill."""

    BACKFILL = auto()
    DAILY = auto()
    LIVE = auto()


#: Parts of a batch period that a reservation may reach ahead: who reaches further goes first.
_LEAD = {Lane.BACKFILL: 0.25, Lane.DAILY: 0.6, Lane.LIVE: 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a source allows for one group of endpoints."""

    #: `source/group`; the scope (credential or egress address) is added by the settings.
    key: str
    #: Requests per second; None for no limit.
    rate: float | None
    #: Requests a day, and the zone offset in microseconds at whose midnight it starts anew.
    daily: int | None = None
    reset_offset: int = 0
    #: Whether the source counts the requests of each second, so that one that comes late crowds those that follow.
    by_second: bool = False


def interval(rate: float | None) -> int:
    """Microseconds between departures at 95 % of a windowed limit; 0 without a limit."""
    return 0 if not rate else round(SECOND / (rate * SAFETY))


def batch(step: int) -> int:
    """How many departures are reserved at once when they are `step` microseconds apart."""
    return max(1, BATCH // step) if 0 < step <= SECOND / BATCH_RATE else 1


def lead(step: int, lane: Lane) -> int:
    """How far ahead of now, in microseconds, a reservation may leave."""
    return round(step * batch(step) * _LEAD[lane])


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A row of the budget table: one per source, group and scope, shared by every process."""

    key: str
    #: Requests per second of the source's limit; None for none.
    rate: float | None
    #: Earliest instant at which the next request may leave.
    tat: Instant = 0
    blocked_until: Instant = 0
    #: Refusals in a row, for doubling.
    blocks: int = 0
    #: 0: free; 1: the next departure after a block is a probe; 2: the probe is under way.
    probing: int = 0
    daily: int | None = None
    #: Requests of `day`, counted when reserved.
    used: int = 0
    day: int = 0
    reset_offset: int = 0
    #: Departures in clock second `second`, and in the one before.
    second: int = 0
    sent: int = 0
    sent_before: int = 0
    requests: int = 0
    refusals: int = 0

    @property
    def step(self) -> int:
        """Microseconds between departures."""
        return interval(self.rate)

    def recent(self, now: Instant) -> float:
        """Our own departures in the second before `now`; rather too many.

        Counted are those of two clock seconds. How many of the earlier one fall into the second before `now` is not
        known: all of them may, as far as they fit in at our pace.
        """
        age = now // SECOND - self.second
        rest = SECOND - now % SECOND
        fit = rest / self.step + 1 if self.step else math.inf
        if age < -1:
            # Longer ago than we count: nothing can be said, so nothing is held against others.
            return math.inf
        if age == -1:
            # The last departure was reserved across the edge of the second: this one's count is `sent_before`.
            return self.sent_before + fit
        if age == 0:
            return self.sent + min(self.sent_before, fit)
        return min(self.sent, fit) if age == 1 else 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """`count` departures from `at` on, `step` microseconds apart; a probe goes alone after a block."""

    at: Instant
    count: int
    step: int
    #: Number of the first among all requests of the budget.
    number: int
    probe: bool = False

    def departures(self) -> list[Departure]:
        """One for each request."""
        return [Departure(self.at + i * self.step, self.number + i, self.step, self.probe) for i in range(self.count)]


@dataclass(frozen=True, slots=True)
class Departure:
    """The instant at which one request is to leave, and its number among those of the budget."""

    at: Instant
    number: int
    step: int = 0
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """No departure yet: ask again at `at`, for this reason: budget, block, probe or quota."""

    at: Instant
    reason: str


def reserve(budget: Budget, now: Instant, lane: Lane, most: int = UNPACED) -> tuple[Budget, Grant | Later]:
    """The GCRA sum: the budget after it, and a grant of at most `most` or the instant from which one can be had."""
    if budget.blocked_until > now:
        return budget, Later(budget.blocked_until, "block")
    day = (now + budget.reset_offset) // DAY
    used = budget.used if budget.day == day else 0
    allowed = None if budget.daily is None else of_quota(budget.daily, lane)
    if allowed is not None and used >= allowed:
        return budget, Later((day + 1) * DAY - budget.reset_offset, "quota")
    step = budget.step
    reach = lead(step, lane)
    # Further ahead than anybody reserves: the trace of a clock that jumped.
    tat = budget.tat if budget.tat <= now + max(HORIZON, 4 * step) else now
    if tat > now + reach:
        return budget, Later(tat - reach, "probe" if budget.probing == PROBE_OUT else "budget")
    probe = budget.probing != FREE
    count = 1 if probe else min(most, batch(step))
    if step == 0 and budget.daily is None and not probe:
        count = UNPACED
    if allowed is not None:
        count = min(count, allowed - used)
    at = max(tat, now)
    second, same = at // SECOND, at // SECOND == budget.second
    after = replace(
        budget,
        tat=at + (PROBE_PATIENCE if probe else count * step),
        probing=PROBE_OUT if probe else FREE,
        day=day,
        used=used + count,
        second=second,
        sent=budget.sent + count if same else count,
        sent_before=budget.sent_before if same else (budget.sent if second == budget.second + 1 else 0),
        requests=budget.requests + count,
    )
    return after, Grant(at, count, step, budget.requests + 1, probe)


def refuse(budget: Budget, now: Instant, seconds: float, *, is_quota: bool = False) -> Budget:
    """After a refusal nobody sends for a while; refusals of requests that had left already do not add up.

    `is_quota`: the source may mean the day's quota. It does when we have used most of it ourselves, or when it says so
    again after the shorter wait.
    """
    if budget.blocked_until > now:
        until = max(budget.blocked_until, now + round(max(1.0, seconds) * SECOND))
        return replace(budget, blocked_until=until, tat=until, refusals=budget.refusals + 1)
    until = now + round(block_seconds(seconds, budget.blocks) * SECOND)
    if is_quota and _is_day_spent(budget, now):
        until = ((now + budget.reset_offset) // DAY + 1) * DAY - budget.reset_offset
    return replace(
        budget,
        blocked_until=until,
        tat=until,
        blocks=budget.blocks + 1,
        probing=PROBE_NEXT,
        refusals=budget.refusals + 1,
    )


def slow(budget: Budget, now: Instant, seconds: float) -> Budget:
    """After many failures in a row nobody sends for a while, then one goes alone; a refusal it is not."""
    until = max(budget.blocked_until, now + round(seconds * SECOND))
    return replace(budget, blocked_until=until, tat=max(budget.tat, until), probing=PROBE_NEXT)


def _is_day_spent(budget: Budget, now: Instant) -> bool:
    day, into = divmod(now + budget.reset_offset, DAY)
    if into < DAWN_OF_DAY:
        # The source's clock may be late: its old day must not cost us a new one.
        return False
    used = budget.used if budget.day == day else 0
    return budget.blocks > 0 or (budget.daily is not None and 2 * used >= budget.daily)


def answered(
    budget: Budget, now: Instant, left: Departure, *, remaining: int | None = None, late: int = 0, crowd: int = 1
) -> Budget:
    """After a reply to the request that left at `left`.

    A probe's return frees the others; foreign use of the same limit slows us down; and a request that may have been
    counted `late`, in microseconds, with `crowd` others, is made up for. What `remaining` counts is compared with our
    own requests up to when this one left: a reply that is read late, after a silence of ours, would look like foreign
    use.
    """
    after = budget
    if left.probe and budget.probing == PROBE_OUT:
        after = replace(after, probing=FREE, blocks=0, tat=now + budget.step)
    if budget.rate and remaining is not None and foreign_use(budget.rate, remaining, budget.recent(left.at)):
        after = replace(after, tat=max(after.tat, now + SECOND // (remaining + 1)))
    return _made_up(after, now, left, late, crowd)


def _made_up(budget: Budget, now: Instant, left: Departure, late: int, crowd: int) -> Budget:
    """Put the next departures off when the source may have counted a request so late that they would crowd it.

    A full second's worth of requests follows each one by a second and a twentieth; what was put off since it left
    counts, whoever did it. One late request takes the place of one other, so it needs no more than a step.
    """
    if late <= LATE or not minds_late(budget.step):
        return budget
    following = max(budget.tat, now)
    put_off = following - (left.at + (budget.requests + 1 - left.number) * budget.step)
    missing = late - LATE - max(0, put_off)
    return replace(budget, tat=following + min(missing, crowd * budget.step)) if missing > 0 else budget


def quota(budget: Budget, now: Instant) -> tuple[int, Instant] | None:
    """Requests left of today's quota for all but reads, and when the next day begins; None without a quota."""
    if budget.daily is None:
        return None
    day = (now + budget.reset_offset) // DAY
    used = budget.used if budget.day == day else 0
    return max(0, of_quota(budget.daily) - used), (day + 1) * DAY - budget.reset_offset


def of_quota(daily: int, lane: Lane = Lane.BACKFILL) -> int:
    """What of a daily quota is there for a lane.

    Backfill leaves a fiftieth of the day: half of that is there for the daily collection, the rest for reads.
    """
    return daily if lane is Lane.LIVE else daily - daily // (100 if lane is Lane.DAILY else 50)


def waits_until(budget: Budget, now: Instant) -> Instant:
    """From when on a budget lets requests leave again: `now`, the end of a block, or the reset of a spent quota."""
    left = quota(budget, now)
    reset = now if left is None or left[0] > 0 else left[1]
    return max(now, budget.blocked_until, reset)


def guard(step: int) -> float:
    """Seconds by which a departure may be late before it is forfeited and taken anew.

    One of a batch may be late by 30 ms, where the safety is a twentieth of a second: what is forfeited is lost.
    """
    if batch(step) > 1:
        return 0.030
    return max(0.004, min(0.050, step / SECOND / 8))


def minds_late(step: int) -> bool:
    """Whether one late request matters: where departures come in batches one more in a second is within the safety."""
    return step > 0 and batch(step) == 1


def early(step: int) -> float:
    """Seconds by which a departure may be early: going to sleep for less costs more than a request of a batch."""
    return 0.002 if batch(step) > 1 else 0.0


def foreign_use(limit: float, remaining: int, ours: float) -> bool:
    """Whether others use up the same limit: the source has less left than our own requests of a second explain."""
    return remaining + ours + 2 < limit


#: Failures in a row, of all slots of a process, from which on a source is in trouble, and not one of its series.
MANY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential, with jitter, bounded."""

    first: float = 1.0
    retries: int = 3
    most: float = 60.0

    def delay(self, attempt: int, chance: random.Random) -> float:
        """Seconds before attempt `attempt` (1 is the first retry): 1, 2, 4 … each ±10 %."""
        return float(min(self.most, self.first * 2 ** min(attempt - 1, 32)) * chance.uniform(0.9, 1.1))

    def is_spent(self, attempt: int) -> bool:
        """Whether `attempt` failures are all that is allowed."""
        return attempt > self.retries

    def silence(self, failures: int) -> float:
        """Seconds for which everybody keeps silent after so many failures in a row, whoever met them; 0: not yet."""
        over = failures - MANY
        return 0.0 if over < 0 else min(self.most, self.first * min(60, 2 ** min(over, 6)))


def block_seconds(told: float, repeats: int) -> float:
    """How long everybody keeps silent after a refusal; a repeated one doubles the wait, up to an hour."""
    return float(min(3600.0, max(told, 1.0) * 2 ** min(repeats, 12)))
