"""How long a job will still take: P50 and P90, and how honest such forecasts were.

A job works at a pace, in requests a second. Its own pages tell it best; before there are any, the jobs before it on the
same budget do, those of the same hour of the day first; before there are any of these, its share of the budget. What is
certain (a block, a spent quota, pauses) is reckoned, not learned. What is left is the error: past forecasts are scored
when their jobs end, and the quantiles of actual ÷ expected working time stretch the next ones. So P90 means that nine
of ten jobs ended by then, whatever the reason that they were slower.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from gapless.core.span import DAY, HOUR, SECOND, Instant

#: Requests of its own after which a job's own pace weighs half.
TRUSTED = 5.0
#: A stretch of its own weighs half as much as the one that follows it.
FADING = 0.5
#: Requests a second where nothing at all is known: no limit, no history.
UNKNOWN_RATE = 5.0
#: Seconds added to both sides of a ratio: what a tenth of a second took half a second was not five times too fast.
GRAIN = 1.0
#: Jobs of the same hour from which on the other hours are left out.
ENOUGH = 12
#: What is believed of errors before there are any, worth some jobs: log-normal.
PRIOR_SPREAD = 0.4
PRIOR_POINTS = tuple(math.exp(PRIOR_SPREAD * NormalDist().inv_cdf((point + 0.5) / 9)) for point in range(9))
PRIOR_WEIGHT = 0.25


@dataclass(frozen=True, slots=True)
class Pace:
    """A stretch of a job's own: so many requests in so many seconds of work."""

    requests: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A forecast on the same budget whose job has ended."""

    job: int
    at: Instant
    basis: str
    #: Requests that were left, of the job and of those that went first; its share of the budget.
    work: float
    share: float
    #: Seconds of work that were expected, and those that it took.
    expected: float
    took: float

    @property
    def ratio(self) -> float:
        """Actual ÷ expected."""
        return (self.took + GRAIN) / (self.expected + GRAIN)

    @property
    def rate(self) -> float:
        """Requests a second of the whole budget that it would have had alone."""
        return self.work / max(self.took, 0.001) / max(self.share, 0.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What is left of a daily quota."""

    left: int
    daily: int
    resets_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """All that a forecast may know of a job at one moment."""

    at: Instant
    #: Requests still to be made by the job, and by jobs that have to go first.
    left: float
    ahead: float = 0.0
    #: Requests a second that the budget allows; None for no limit.
    rate: float | None = None
    #: The job's part of the budget, 0–1; the rest is used by jobs that run beside it.
    share: float = 1.0
    blocked_until: Instant = 0
    quota: Quota | None = None
    #: Newest last.
    own: Sequence[Pace] = ()
    past: Sequence[Past] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How long from now: seconds."""

    p50: float
    p90: float
    #: Seconds of work expected before errors were considered, and of waiting that is certain.
    work: float
    idle: float
    #: What the pace was learned from: own, history or budget.
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Honesty:
    """How forecasts did; shares are 0–1, each job counting once however often it was asked."""

    forecasts: int
    jobs: int
    #: Share of jobs that ended within P50 and P90: 0.5 and 0.9 are honest.
    within_p50: float
    within_p90: float
    #: Median of actual ÷ P50.
    bias: float


def forecast(outlook: Outlook) -> Forecast:
    """P50 and P90 of the remaining time."""
    pace, basis = _pace(outlook)
    requests = outlook.left + outlook.ahead
    work = outlook.left / pace + outlook.ahead / max(pace, outlook.rate or 0.0)
    expected = _elapse(outlook, requests, work)
    errors = _errors(outlook, basis)
    p50, p90 = (_elapse(outlook, requests, _stretched(work, q)) for q in (_median(errors), _ninety(errors)))
    return Forecast(p50=p50, p90=max(p50, p90), work=work, idle=max(0.0, expected - work), basis=basis)


def honesty(scored: Iterable[tuple[int, float, float, float]]) -> Honesty | None:
    """Judge (job, p50, p90, actual seconds) of forecasts whose jobs have ended; None without any."""
    listed = list(scored)
    if not listed:
        return None
    per_job = Counter(job for job, *_ in listed)
    total = float(len(per_job))
    ratios = [((actual + GRAIN) / (p50 + GRAIN), 1.0 / per_job[job]) for job, p50, _, actual in listed]
    return Honesty(
        forecasts=len(listed),
        jobs=len(per_job),
        within_p50=sum(1.0 / per_job[job] for job, p50, _, actual in listed if actual <= p50) / total,
        within_p90=sum(1.0 / per_job[job] for job, _, p90, actual in listed if actual <= p90) / total,
        bias=_quantile(ratios, 0.5 * sum(weight for _, weight in ratios)),
    )


def _pace(outlook: Outlook) -> tuple[float, str]:
    """Requests a second that the job is to be expected to make, and what that was learned from."""
    alike = _of_hour(outlook.past, outlook.at)
    allowed = (outlook.rate or UNKNOWN_RATE) * outlook.share
    expected, basis = allowed, "budget"
    if alike:
        rates = _weighed(alike, [one.rate for one in alike])
        expected, basis = _quantile(rates, 0.5 * sum(w for _, w in rates)) * outlook.share, "history"
    own, requests = _own(outlook.own)
    if own:
        trust = requests / (requests + TRUSTED)
        expected = math.exp(trust * math.log(own) + (1 - trust) * math.log(max(expected, 1e-6)))
        basis = "own" if trust >= 0.5 else basis
    most = math.inf if outlook.rate is None else outlook.rate
    return max(1e-6, min(expected, most)), basis


def _own(stretches: Sequence[Pace]) -> tuple[float, float]:
    """A job's own pace, the newest stretches first, and how many requests it rests on."""
    requests = seconds = 0.0
    weight = 1.0
    for one in reversed(stretches):
        requests += weight * one.requests
        seconds += weight * one.seconds
        weight *= FADING
    return (requests / seconds, requests) if requests > 0 and seconds > 0 else (0.0, 0.0)


def _elapse(outlook: Outlook, requests: float, work: float) -> float:
    """Seconds until so many requests are made that take so many seconds of work: blocks and quotas are waited for."""
    begin = max(outlook.at, outlook.blocked_until)
    waited = (begin - outlook.at) / SECOND
    if outlook.quota is None or requests <= 0 or work <= 0:
        return waited + work
    pace, quota = requests / work, outlook.quota
    late = max(0, (begin - quota.resets_at) // DAY + 1)
    today = (quota.resets_at + late * DAY - begin) / SECOND
    done = min(float(max(0, quota.daily if late else quota.left)), pace * today)
    if requests <= done:
        return waited + work
    left, a_day = requests - done, min(float(quota.daily), pace * DAY / SECOND)
    days = max(0, math.ceil(left / a_day) - 1) if a_day >= 1 else 0
    return waited + today + days * (DAY / SECOND) + (left - days * a_day) / pace


def _stretched(work: float, ratio: float) -> float:
    """Seconds of work that are `ratio` times the expected ones, in the sense of `Past.ratio`."""
    return max(0.0, ratio * (work + GRAIN) - GRAIN)


def _of_hour(past: Sequence[Past], at: Instant) -> Sequence[Past]:
    """What happened at the same hour of the day (UTC), if that is enough to learn from, else all."""
    hour = at // HOUR % 24
    same = [one for one in past if one.at // HOUR % 24 == hour]
    return same if len({one.job for one in same}) >= ENOUGH else past


def _weighed(past: Sequence[Past], values: Sequence[float]) -> list[tuple[float, float]]:
    """Values with weights, so that a job counts once however often it was forecast."""
    per_job = Counter(one.job for one in past)
    return [(value, 1.0 / per_job[one.job]) for one, value in zip(past, values, strict=True)]


def _errors(outlook: Outlook, basis: str) -> list[tuple[float, float]]:
    """Ratios of what was forecast in the same way, and what is believed without any."""
    alike = _of_hour([one for one in outlook.past if one.basis == basis], outlook.at)
    return [(point, PRIOR_WEIGHT) for point in PRIOR_POINTS] + _weighed(alike, [one.ratio for one in alike])


def _median(errors: Sequence[tuple[float, float]]) -> float:
    return _quantile(errors, 0.5 * sum(weight for _, weight in errors))


def _ninety(errors: Sequence[tuple[float, float]]) -> float:
    # The job itself may be worse than all before it: it counts, too (conformal prediction).
    return _quantile(errors, 0.9 * (sum(weight for _, weight in errors) + 1))


def _quantile(weighed: Iterable[tuple[float, float]], target: float) -> float:
    """The value at which the weights of all smaller ones have come to `target`; the largest where they never do."""
    reached, largest = 0.0, 0.0
    for value, weight in sorted(weighed):
        reached, largest = reached + weight, value
        if reached >= target - 1e-9:
            break
    return largest
