"""Forecasts: what is certain is reckoned, what is not is learned, and nine of ten jobs end within P90."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.forecast import (
    ENOUGH,
    Forecast,
    Outlook,
    Pace,
    Past,
    Quota,
    forecast,
    honesty,
)
from gapless.core.span import DAY, HOUR, SECOND
from gapless.testing.factories import MORNING


def past(job: int, **changes: object) -> Past:
    """A forecast of a hundred requests that took as long as expected."""
    known = {"job": job, "at": MORNING, "basis": "budget", "work": 100, "share": 1.0, "expected": 10.0, "took": 10.0}
    return Past(**{**known, **changes})  # type: ignore[arg-type]


def test_without_history_the_budget_says_how_long():
    """The first job of a source has nothing else to go by."""
    made = forecast(Outlook(at=MORNING, left=100, rate=10))
    assert (made.basis, made.work, made.idle) == ("budget", 10.0, 0.0)
    assert made.p50 == pytest.approx(10)
    assert made.p50 < made.p90 < 30


def test_half_of_a_budget_takes_twice_as_long():
    """Another job runs beside it."""
    whole, half = (forecast(Outlook(at=MORNING, left=100, rate=10, share=share)) for share in (1.0, 0.5))
    assert half.work == pytest.approx(2 * whole.work)


def test_what_goes_first_is_waited_for():
    """A pending job begins when the one before it has ended."""
    made = forecast(Outlook(at=MORNING, left=100, ahead=400, rate=10))
    assert made.work == pytest.approx(50)


def test_a_jobs_own_pages_outweigh_history():
    """Its series may be thinner, its network slower than those before it."""
    history = [past(job) for job in range(20)]
    slow = Outlook(at=MORNING, left=100, rate=10, past=history, own=[Pace(10, 10), Pace(500, 500)])
    made = forecast(slow)
    assert made.basis == "own"
    assert 80 < made.work < 100
    assert forecast(Outlook(at=MORNING, left=100, rate=10, past=history)).basis == "history"


def test_the_same_hour_is_believed_before_others():
    """Providers are slow when everybody asks."""
    morning = [past(job, took=40.0, expected=40.0) for job in range(ENOUGH)]
    night = [past(100 + job, at=MORNING + 12 * HOUR) for job in range(3 * ENOUGH)]
    made = {
        at: forecast(Outlook(at=at, left=100, rate=10, past=morning + night)) for at in (MORNING, MORNING + 12 * HOUR)
    }
    assert made[MORNING].work == pytest.approx(40)
    assert made[MORNING + 12 * HOUR].work == pytest.approx(10)


def test_a_block_is_waited_for_and_not_stretched():
    """The provider said until when: nothing about that is uncertain."""
    made = forecast(Outlook(at=MORNING, left=100, rate=10, blocked_until=MORNING + HOUR))
    free = forecast(Outlook(at=MORNING, left=100, rate=10))
    assert (made.p50 - free.p50, made.p90 - free.p90) == (pytest.approx(3600), pytest.approx(3600))
    assert made.idle == pytest.approx(3600)


def test_a_spent_quota_is_waited_for_day_by_day():
    """2,500 requests with 500 left today and 1,000 a day: today's 500, the next day's thousand, and the one after."""
    quota = Quota(left=500, daily=1000, resets_at=MORNING + 6 * HOUR)
    made = forecast(Outlook(at=MORNING, left=2500, rate=10, quota=quota))
    begins = 6 * 3600 + 86_400
    assert made.p50 == pytest.approx(begins + 100, abs=5)
    assert made.idle == pytest.approx(begins + 100 - 250)
    assert made.p90 < begins + 200


def test_a_quota_that_is_not_reached_changes_nothing():
    """Most jobs are smaller than a day."""
    quota = Quota(left=500, daily=1000, resets_at=MORNING + 6 * HOUR)
    assert forecast(Outlook(at=MORNING, left=500, rate=10, quota=quota)) == forecast(
        Outlook(at=MORNING, left=500, rate=10)
    )


def test_a_block_beyond_the_reset_finds_a_whole_quota():
    """What was left of yesterday is of no use tomorrow."""
    quota = Quota(left=0, daily=1000, resets_at=MORNING + HOUR)
    made = forecast(Outlook(at=MORNING, left=1000, rate=10, quota=quota, blocked_until=MORNING + 2 * HOUR))
    assert made.p50 == pytest.approx(2 * 3600 + 100, abs=1)


numbers = st.floats(min_value=0, max_value=1e6)


@given(
    left=numbers,
    ahead=numbers,
    rate=st.none() | st.floats(min_value=0.01, max_value=1e4),
    share=st.floats(min_value=0.01, max_value=1),
    blocked=st.integers(min_value=-DAY, max_value=3 * DAY),
    quota=st.none()
    | st.builds(
        Quota,
        left=st.integers(-5, 20_000),
        daily=st.integers(1, 20_000),
        resets_at=st.integers(0, DAY).map(lambda late: MORNING + late),
    ),
    own=st.lists(st.builds(Pace, numbers, numbers), max_size=4),
    took=st.lists(st.floats(min_value=0, max_value=1e5), max_size=20),
)
def test_a_forecast_is_a_number_whatever_is_known(left, ahead, rate, share, blocked, quota, own, took):
    """Nothing that a store can hold makes it endless, negative, or P90 the sooner one."""
    outlook = Outlook(
        at=MORNING,
        left=left,
        ahead=ahead,
        rate=rate,
        share=share,
        blocked_until=MORNING + blocked,
        quota=quota,
        own=own,
        past=[past(job, took=one) for job, one in enumerate(took)],
    )
    made = forecast(outlook)
    assert all(math.isfinite(one) and one >= 0 for one in (made.p50, made.p90, made.work, made.idle))
    assert max(0, blocked) / SECOND - 1 <= made.p50 <= made.p90


# -- honesty


def simulated(chance: random.Random, jobs: int) -> Iterator[tuple[int, Forecast, float]]:
    """Jobs one after another on a source that is slow in the mornings, each slow in its own way, forecast five times.

    The arithmetic knows of this world only what it is told: yields (job, forecast, seconds that it really took).
    """
    learned: list[Past] = []
    for job in range(jobs):
        at = MORNING + job * 7 * HOUR
        requests, share = chance.randint(50, 5000), chance.choice([1.0, 0.5, 0.25])
        busy = 0.5 if at // HOUR % 24 in (0, 1, 2) else 0.8
        pace = 10 * share * min(1.0, busy * math.exp(chance.gauss(0, 0.35)))
        parts = [0.02, 0.08, 0.2, 0.3, 0.4]
        # Pages are no clockwork either: every stretch has a pace of its own.
        took = [requests * part / (pace * math.exp(chance.gauss(0, 0.15))) for part in parts]
        told = []
        for step in range(len(parts)):
            own = [Pace(requests * part, one) for part, one in zip(parts[:step], took[:step], strict=True)]
            left = requests * sum(parts[step:])
            begun = at + round(sum(took[:step]) * SECOND)
            made = forecast(Outlook(at=begun, left=left, rate=10, share=share, own=own, past=learned[-750:]))
            told.append((left, begun, made, sum(took[step:])))
        for left, begun, made, actual in told:
            yield job, made, actual
            learned.append(
                Past(job=job, at=begun, basis=made.basis, work=left, share=share, expected=made.work, took=actual)
            )


@pytest.mark.parametrize("seed", [1, 2])
def test_nine_of_ten_jobs_end_within_p90(seed: int):
    """The promise of the number, on four hundred jobs; the first hundred are for learning."""
    runs = simulated(random.Random(seed), 400)
    told = honesty((job, made.p50, made.p90, actual) for job, made, actual in runs if job >= 100)
    assert told is not None
    assert told.jobs == 300
    assert 0.85 <= told.within_p90 <= 0.95, told
    assert 0.42 <= told.within_p50 <= 0.58, told
    assert 0.9 <= told.bias <= 1.1, told


def test_a_job_that_was_asked_often_counts_once():
    """A page left open must not make the numbers look better."""
    often = [(1, 10.0, 20.0, 5.0)] * 99
    told = honesty([*often, (2, 10.0, 20.0, 30.0)])
    assert told is not None
    assert (told.forecasts, told.jobs) == (100, 2)
    assert (told.within_p50, told.within_p90, told.bias) == pytest.approx((0.5, 0.5, 6 / 11))
    assert honesty([]) is None
