"""Budgets: never refused by our own doing, never idle without need, and live before backfill."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.pacing import (
    FREE,
    HORIZON,
    LATE,
    PROBE_PATIENCE,
    SAFETY,
    Backoff,
    Budget,
    Departure,
    Grant,
    Lane,
    Later,
    answered,
    batch,
    block_seconds,
    early,
    foreign_use,
    guard,
    interval,
    lead,
    refuse,
    reserve,
    slow,
)
from gapless.core.span import DAY, HOUR, SECOND

NOW = 1_767_225_600 * SECOND
UPBIT = Budget(key="upbit/candle", rate=10.0)
rates = st.sampled_from([0.5, 1.0, 8.0, 10.0, 30.0, 100.0, 2000.0])
lanes = st.sampled_from(Lane)
#: (microseconds until the next question, for whom)
questions = st.lists(
    st.tuples(st.sampled_from([0, 1, 1_000, 26_000, 105_263, 250_000, 1_000_000]), lanes),
    min_size=1,
    max_size=60,
)


def grant(budget: Budget, now: int, lane: Lane = Lane.BACKFILL) -> tuple[Budget, Grant]:
    after, result = reserve(budget, now, lane)
    assert isinstance(result, Grant), result
    return after, result


def later(budget: Budget, now: int, lane: Lane = Lane.BACKFILL) -> Later:
    _, result = reserve(budget, now, lane)
    assert isinstance(result, Later), result
    return result


def departures(budget: Budget, asked: list[tuple[int, Lane]], now: int = NOW) -> list[int]:
    """The instants at which requests leave when questions come as listed."""
    left: list[int] = []
    for wait, lane in asked:
        now += wait
        budget, result = reserve(budget, now, lane)
        if isinstance(result, Grant):
            assert result.at >= now
            left += [result.at + i * result.step for i in range(result.count)]
        else:
            assert result.at > now
    return left


@given(rates, questions)
def test_departures_keep_their_distance(rate, asked):
    """Whoever asks whenever: two requests never leave closer than the budget's step."""
    budget = Budget(key="b", rate=rate)
    left = departures(budget, asked)
    assert all(after - before >= budget.step for before, after in pairwise(left))


@given(questions, st.integers(0, SECOND))
def test_no_second_holds_more_than_the_limit(asked, offset):
    """Upbit refuses the eleventh request of a second, whether it counts by the clock or by a sliding window."""
    left = departures(UPBIT, asked * 8, NOW + offset)
    assert all(later - first >= SECOND for first, later in zip(left, left[10:], strict=False))


@given(rates, questions)
def test_live_is_never_behind_backfill(rate, asked):
    """A live candle is late at once, history never is: where backfill may go live may too, and no later."""
    budget = Budget(key="b", rate=rate)
    now = NOW
    for pause, lane in asked:
        now += pause
        _, slow = reserve(budget, now, Lane.BACKFILL)
        _, fast = reserve(budget, now, Lane.LIVE)
        assert isinstance(fast, Grant) or (isinstance(slow, Later) and fast.at <= slow.at)
        assert isinstance(slow, Later) or fast == slow
        budget, _ = reserve(budget, now, lane)


@given(st.integers(0, 3_000_000))
def test_live_takes_the_next_departure_from_a_busy_backfill(start):
    """With backfill at full speed a live request waits for one departure, not for a queue."""
    budget, now = UPBIT, NOW + start
    for _ in range(20):
        budget, result = reserve(budget, now, Lane.BACKFILL)
        now = result.at
    _, live = grant(budget, now, Lane.LIVE)
    assert live.at <= now + 2 * UPBIT.step


@given(rates, questions)
def test_the_daily_collection_is_between_live_and_backfill(rate, asked):
    """Where backfill may go the daily collection may too, and no later; nor is it ever before live."""
    budget = Budget(key="b", rate=rate)
    now = NOW
    for pause, lane in asked:
        now += pause
        results = [reserve(budget, now, one)[1] for one in (Lane.LIVE, Lane.DAILY, Lane.BACKFILL)]
        for faster, slower in pairwise(results):
            assert isinstance(faster, Grant) or (isinstance(slower, Later) and faster.at <= slower.at)
        budget, _ = reserve(budget, now, lane)


@given(rates, st.integers(2, 40))
def test_a_daily_collection_that_asks_at_once_is_delayed_by_no_backfill(rate, wanted):
    """However many backfills wait for each departure: after the one that is out, the next ones are the daily's."""
    budget = Budget(key="b", rate=rate)
    budget, _ = grant(budget, NOW)
    out, asks = budget.tat, {Lane.DAILY: NOW, Lane.BACKFILL: NOW}
    left: list[tuple[int, Lane]] = []
    while sum(lane is Lane.DAILY for _, lane in left) < wanted:
        lane = min(asks, key=lambda one: (asks[one], one is Lane.DAILY))
        budget, result = reserve(budget, asks[lane], lane)
        if isinstance(result, Grant):
            left.append((result.at, lane))
        asks[lane] = max(result.at, asks[lane] + 1) if isinstance(result, Later) else asks[lane]
    assert all(lane is Lane.DAILY for _, lane in left)
    assert left[0][0] <= out


@given(
    st.sampled_from([1.0, 4.0, 10.0, 30.0]),
    st.lists(st.sampled_from([0, 0, 0, 5_000, 20_000, 60_000, 150_000, 400_000]), min_size=5, max_size=60),
)
def test_however_late_requests_are_counted_no_second_holds_more_than_the_limit(rate, lates):
    """New connections, stalls of a machine: who was counted late pushes the followers away before they can crowd it."""
    budget, now = Budget(key="b", rate=rate), NOW
    waiting: list[tuple[int, Departure, int]] = []
    counted: list[int] = []
    for late in lates * (1 + round(2 * rate) // len(lates)):
        result: Grant | Later = Later(now, "")
        while not isinstance(result, Grant):
            for reply in sorted(waiting, key=lambda one: one[0]):
                if reply[0] <= now:
                    waiting.remove(reply)
                    budget = answered(budget, reply[0], reply[1], late=reply[2], crowd=len(waiting) + 1)
            budget, result = reserve(budget, now, Lane.BACKFILL)
            now = result.at
        left = result.departures()[0]
        waiting.append((left.at + late, left, late))
        counted.append(left.at + late)
    counted.sort()
    most = round(rate)
    # To the microsecond, but for rounding.
    assert all(later - first >= SECOND - 10 for first, later in zip(counted, counted[most:], strict=False))


def test_who_was_counted_late_is_made_up_for_once():
    """Two replies that a stall held up together put the followers off by the longer wait, not by the sum of both."""
    budget, first = grant(UPBIT, NOW)
    budget, second = grant(budget, budget.tat)
    now = second.at + 200_000
    lates = [(one.departures()[0], now - one.at) for one in (first, second)]
    once = answered(budget, now, lates[0][0], late=lates[0][1], crowd=2)
    assert once.tat == now + lates[0][1] - LATE - (now - first.at - 2 * UPBIT.step)
    assert answered(once, now, lates[1][0], late=lates[1][1], crowd=2) == once
    assert answered(budget, now, lates[0][0], late=LATE) == budget


@pytest.mark.parametrize("rate", [1.0, 10.0, 150.0, 2000.0])
def test_a_busy_queue_uses_95_percent_of_the_limit(rate):
    """Slower than need be is a cost too: asking again when told, backfill alone gets its whole rate."""
    budget, now, left = Budget(key="b", rate=rate), NOW, 0
    while now < NOW + 20 * SECOND:
        budget, result = reserve(budget, now, Lane.BACKFILL)
        left += result.count if isinstance(result, Grant) else 0
        now = max(now, result.at) if isinstance(result, Later) else now
    assert left >= 20 * rate * SAFETY * 0.999
    assert left <= 20 * rate * SAFETY + 1 + batch(budget.step)


@given(rates, questions)
def test_whoever_comes_back_when_told_gets_a_departure(rate, asked):
    """`Later` names the instant from which a departure can be had; waiting longer would waste the budget."""
    budget, now = Budget(key="b", rate=rate), NOW
    for pause, lane in asked:
        now += pause
        budget, result = reserve(budget, now, lane)
        if isinstance(result, Later):
            grant(budget, result.at, lane)


def test_a_budget_without_a_rate_never_waits():
    """A source may allow everything; then only the network is the limit."""
    budget = Budget(key="b", rate=None)
    assert (interval(None), lead(0, Lane.LIVE)) == (0, 0)
    for _ in range(3):
        budget, result = grant(budget, NOW)
        assert result.at == NOW


def test_high_rates_are_taken_in_batches_of_20_ms():
    """Thirty-two processes at 2,000/s could not each write the row for every request."""
    assert interval(10.0) == 105_263
    assert (batch(interval(10.0)), batch(interval(99.0)), batch(interval(2000.0))) == (1, 1, 38)
    _, result = grant(Budget(key="b", rate=2000.0), NOW)
    assert result.count * result.step <= 20_000


def test_a_refusal_silences_everybody():
    """429 means the whole address: nobody sends before the time is over, live neither."""
    blocked = refuse(UPBIT, NOW, 3.0)
    for lane in Lane:
        told = later(blocked, NOW, lane)
        assert (told.at, told.reason) == (NOW + 3 * SECOND, "block")
        assert later(blocked, told.at - 1, lane).at == told.at
    assert blocked.refusals == 1


def test_after_a_block_one_request_tries_and_the_rest_follow_its_success():
    """A herd after every block is how blocks get longer."""
    blocked = refuse(UPBIT, NOW, 1.0)
    open_at = NOW + SECOND
    probing, probe = grant(blocked, open_at)
    assert (probe.probe, probe.count) == (True, 1)
    assert later(probing, open_at, Lane.LIVE).reason == "probe"
    assert later(probing, open_at + PROBE_PATIENCE - UPBIT.step - 1, Lane.LIVE).reason == "probe"
    free = answered(probing, open_at + 50_000, probe.departures()[0])
    assert (free.probing, free.blocks) == (FREE, 0)
    _, next_one = grant(free, open_at + 50_000 + UPBIT.step)
    assert not next_one.probe


def test_a_probe_that_never_comes_back_is_replaced():
    """Its worker may have been killed: after some patience another one tries."""
    probing, _ = grant(refuse(UPBIT, NOW, 1.0), NOW + SECOND)
    _, other = grant(probing, NOW + SECOND + PROBE_PATIENCE)
    assert other.probe


def test_a_reply_from_before_the_block_frees_nobody():
    """Requests that had left already may still succeed; that says nothing about now."""
    blocked = refuse(UPBIT, NOW, 10.0)
    assert answered(blocked, NOW + 1000, Departure(NOW, 1), late=LATE + 1) == blocked


def test_a_refused_probe_doubles_the_silence():
    """The provider was not yet done with us; asking at the same pace would lengthen its block."""
    budget, now, waits = UPBIT, NOW, []
    for _ in range(4):
        budget = refuse(budget, now, 2.0)
        waits.append((budget.blocked_until - now) / SECOND)
        now = budget.blocked_until
        budget, probe = grant(budget, now)
    assert waits == [2, 4, 8, 16]
    budget = answered(budget, now, probe.departures()[0])
    assert (refuse(budget, now, 2.0).blocked_until - now) / SECOND == 2


def test_refusals_of_one_burst_count_once():
    """Eight requests under way when the limit is hit come back refused together: that is one offence."""
    budget = UPBIT
    for i in range(8):
        budget = refuse(budget, NOW + i * 1000, 1.0)
    assert (budget.blocks, budget.refusals) == (1, 8)
    assert budget.blocked_until <= NOW + 2 * SECOND


def test_a_longer_sentence_while_blocked_is_obeyed():
    """A 418 that follows a 429 brings its own time."""
    budget = refuse(refuse(UPBIT, NOW, 1.0), NOW + 1000, 60.0)
    assert later(budget, NOW + 2 * SECOND).at == NOW + 1000 + 60 * SECOND


@given(st.floats(0, 1e6), st.integers(0, 1000))
def test_a_block_lasts_between_a_second_and_an_hour(told, repeats):
    """Neither zero (a busy loop of refusals) nor for ever."""
    assert 1.0 <= block_seconds(told, repeats) <= 3600.0


def test_a_daily_quota_starts_anew_at_the_midnight_of_its_zone():
    """OpenDART counts Korean days: a spent key works again at 15:00 UTC."""
    budget = Budget(key="dart", rate=None, daily=100, reset_offset=9 * HOUR)
    midnight = (NOW // DAY) * DAY + 15 * HOUR
    now = midnight - HOUR
    for _ in range(98):
        budget, _ = grant(budget, now)
    told = later(budget, now)
    assert (told.at, told.reason) == (midnight, "quota")
    budget, _ = grant(budget, midnight)
    assert budget.used == 1


def test_interactive_reads_keep_a_fiftieth_of_the_day():
    """A backfill that has eaten the quota must not leave the owner without a single read."""
    budget = replace(Budget(key="dart", rate=None, daily=100), used=98, day=NOW // DAY)
    assert later(budget, NOW).reason == "quota"
    budget, _ = grant(budget, NOW, Lane.LIVE)
    budget, _ = grant(budget, NOW, Lane.LIVE)
    assert later(budget, NOW, Lane.LIVE).reason == "quota"


def test_backfills_leave_a_hundredth_of_the_day_to_the_daily_collection():
    """A backfill that has eaten the quota must not cost it the day; the last hundredth is for reads."""
    budget = replace(Budget(key="naver", rate=None, daily=1000), used=980, day=NOW // DAY)
    assert later(budget, NOW).reason == "quota"
    for _ in range(10):
        budget, result = reserve(budget, NOW, Lane.DAILY)
        assert isinstance(result, Grant)
    assert isinstance(reserve(budget, NOW, Lane.DAILY)[1], Later)
    grant(budget, NOW, Lane.LIVE)


def test_a_batch_never_exceeds_what_is_left_of_the_day():
    """The last request of the day is the last one, at any rate."""
    budget = replace(Budget(key="b", rate=2000.0, daily=1000), used=975, day=NOW // DAY)
    budget, result = grant(budget, NOW)
    assert (result.count, budget.used) == (5, 980)


@given(st.integers(2 * HORIZON, 30 * DAY), lanes)
def test_the_trace_of_a_clock_that_jumped_is_soon_gone(ahead, lane):
    """A departure time days ahead, left by a wrong clock, must not stop all work for days (RULES 30)."""
    budget, now = replace(UPBIT, tat=NOW + ahead), NOW
    for _ in range(3):
        budget, result = reserve(budget, now, lane)
        if isinstance(result, Grant):
            break
        now = result.at
    assert isinstance(result, Grant)
    assert result.at <= NOW + HORIZON + SECOND


def test_foreign_use_of_our_limit_slows_us_down():
    """Another program on this address: the source has less left than our own requests explain."""
    budget, result = grant(UPBIT, NOW)
    slower = answered(budget, result.at + 1000, result.departures()[0], remaining=1)
    assert slower.tat >= result.at + 1000 + SECOND // 2
    same = answered(budget, result.at + 1000, result.departures()[0], remaining=9)
    assert same.tat == budget.tat


@given(st.integers(0, 9))
def test_our_own_use_never_slows_us_down(phase):
    """`Remaining-Req` at full speed is near zero because of us: reacting to it would halve the speed."""
    budget, now = UPBIT, NOW + phase * SECOND // 10
    sent: list[int] = []
    for _ in range(60):
        budget, result = reserve(budget, now, Lane.BACKFILL)
        if isinstance(result, Grant):
            sent.append(result.at)
            in_second = sum(1 for at in sent if at // SECOND == result.at // SECOND)
            before = budget.tat
            budget = answered(budget, result.at, result.departures()[0], remaining=10 - in_second)
            assert budget.tat == before
        now = max(now, result.at)


@given(
    st.integers(0, SECOND),
    st.lists(st.sampled_from([0, 0, 0, 0, 30_000, 150_000, 450_000, 900_000, 2_500_000]), min_size=5, max_size=60),
    st.booleans(),
)
def test_our_own_use_never_slows_us_down_after_a_pause_either(phase, pauses, ahead):
    """A second that began with silence and ended at full speed is no sign of others: half a minute would be lost."""
    budget, now, sent = UPBIT, NOW + phase, list[int]()
    waiting: list[Departure] = []
    for pause in pauses * 3:
        now += pause
        result: Grant | Later = Later(now, "")
        while not isinstance(result, Grant):
            now = max(now, result.at)
            budget, result = reserve(budget, now, Lane.BACKFILL)
        waiting += result.departures()
        sent.append(result.at)
        # The reply may come before or after the next one reserves its departure.
        if len(waiting) > ahead:
            left = waiting.pop(0)
            counted = sum(left.at - SECOND - 20_000 < at <= left.at for at in sent)
            assert answered(budget, now, left, remaining=10 - counted) == budget


def test_a_little_less_than_expected_is_no_foreign_use():
    """Our count of a sliding second is an estimate; only a clear difference counts."""
    assert not foreign_use(10, 0, 9.5)
    assert not foreign_use(10, 5, 3.0)
    assert foreign_use(10, 5, 1.0)


@given(st.integers(1, 5000), st.integers(0, 100), st.sampled_from([0.1, 1.0, 5.0]))
def test_backoff_grows_twofold_within_ten_percent_and_has_an_end(attempt, seed, first):
    """1 s, 2 s, 4 s … up to a minute, spread so that workers do not come back together."""
    backoff = Backoff(first=first)
    even = min(60.0, first * 2.0 ** min(attempt - 1, 20))
    assert 0.9 * even <= backoff.delay(attempt, random.Random(seed)) <= 1.1 * even


def test_retries_are_bounded():
    """Three retries means four attempts in all."""
    backoff = Backoff(retries=3)
    assert [backoff.is_spent(failures) for failures in (1, 2, 3, 4)] == [False, False, False, True]


def test_the_guard_is_a_small_part_of_a_step():
    """A departure missed by more is forfeited, or a late thread would crowd the next one."""
    assert guard(interval(10.0)) == pytest.approx(0.0132, abs=0.0001)
    assert (guard(interval(2000.0)), guard(interval(50.0)), guard(interval(0.5))) == (0.03, 0.004, 0.05)


@pytest.mark.parametrize("rate", [100.0, 150.0, 500.0, 2000.0])
def test_a_batch_that_leaves_as_late_and_as_early_as_it_may_crowds_no_second(rate):
    """What leaves in a second that is stretched by 20 ms, what was late before it, and what comes early after it."""
    step = interval(rate)
    assert rate * SAFETY * (1 + 0.020 + guard(step) + early(step)) <= rate


def test_a_departure_reserved_into_the_next_second_does_not_look_like_foreign_use():
    """Reservations reach ahead: at the edge of a second our own requests must not be taken for somebody else's."""
    now = NOW // SECOND * SECOND + 990_000
    ahead = replace(UPBIT, second=now // SECOND + 1, sent=1, sent_before=9)
    assert ahead.recent(now) >= 9
    assert answered(ahead, now, Departure(now, 10), remaining=0) == ahead


def test_a_reply_that_is_read_late_is_not_foreign_use():
    """A machine that stalls for half a second would else slow down for another one, on top."""
    budget, at = Budget(key="a", rate=10), NOW
    for _ in range(10):
        budget, granted = reserve(budget, at, Lane.LIVE)
        assert isinstance(granted, Grant)
        at = budget.tat
    left, late = granted.departures()[0], granted.at + 700_000
    assert answered(budget, late, left, remaining=0) == budget
    assert answered(budget, late, replace(left, at=late), remaining=0) != budget
    assert answered(budget, late, replace(left, at=left.at - 3 * SECOND), remaining=0) == budget


def test_what_may_be_the_days_quota_is_believed_when_it_is_said_again():
    """A source that does not tell a minute from a day: the short wait first, then midnight of its zone."""
    zone = 9 * 3600 * SECOND
    noon = 20_000 * DAY + DAY // 2 - zone
    midnight = 20_001 * DAY - zone
    fresh = Budget(key="dart/api", rate=10, daily=20_000, reset_offset=zone)

    first = refuse(fresh, noon, 65, is_quota=True)
    assert first.blocked_until == noon + 65 * SECOND
    again = refuse(first, noon + 70 * SECOND, 65, is_quota=True)
    assert again.blocked_until == midnight
    much = replace(fresh, used=15_000, day=20_000)
    assert refuse(much, noon, 65, is_quota=True).blocked_until == midnight


def test_an_old_days_refusal_does_not_cost_the_new_day():
    """The source's clock may be a little late at midnight."""
    zone = 9 * 3600 * SECOND
    dawn = 20_000 * DAY - zone + 5 * SECOND
    waited = Budget(key="dart/api", rate=10, daily=20_000, reset_offset=zone, blocks=2)

    assert refuse(waited, dawn, 65, is_quota=True).blocked_until < dawn + 600 * SECOND


def test_many_failures_in_a_row_silence_everybody_for_longer_each_time():
    """Below ten it is one series' trouble; from then on the source's, and a probe a minute is enough."""
    backoff = Backoff(first=1.0)

    assert [backoff.silence(failures) for failures in (1, 9, 10, 11, 12, 16, 1_000)] == [0, 0, 1, 2, 4, 60, 60]


def test_a_slowed_budget_lets_one_go_alone_and_its_success_frees_the_others():
    """It is no refusal: nothing is counted as one, and a longer block stays."""
    now = 20_000 * DAY
    slowed = slow(Budget(key="dart/api", rate=10), now, 4.0)

    assert slowed.blocked_until == now + 4 * SECOND
    assert slowed.refusals == slowed.blocks == 0
    assert slow(replace(slowed, blocked_until=now + 60 * SECOND), now, 4.0).blocked_until == now + 60 * SECOND
    later = now + 5 * SECOND
    probing, granted = reserve(slowed, later, Lane.BACKFILL)
    assert isinstance(granted, Grant)
    assert granted.probe
    assert not isinstance(reserve(probing, later, Lane.BACKFILL)[1], Grant)
    freed = answered(probing, later, granted.departures()[0])
    assert isinstance(reserve(freed, later + SECOND, Lane.BACKFILL)[1], Grant)
