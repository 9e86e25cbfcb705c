"""Jobs move along one table; a wish is one job however often it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gapless.core.errors import NotAllowed
from gapless.core.job import (
    FINAL,
    MOVES,
    OWNER_VERBS,
    Direction,
    JobState,
    Mode,
    Priority,
    check_move,
    turn,
)
from gapless.core.span import HOUR
from gapless.testing.factories import MORNING, make_wish, minutes

EVERY = [(state, verb) for state in JobState for verb in MOVES]


@pytest.mark.parametrize(("state", "verb"), EVERY, ids=[f"{state}-{verb}" for state, verb in EVERY])
def test_a_move_is_allowed_exactly_where_the_table_has_it(state, verb):
    """The buttons, the commands and the engine ask the same table."""
    if state in MOVES[verb][0]:
        check_move(state, verb, 7)
        return
    with pytest.raises(NotAllowed, match=f"job 7 is {state} and cannot {verb}") as caught:
        check_move(state, verb, 7)
    assert caught.value.hint


def test_a_refused_move_names_the_ways_on():
    """Who is told no wants to know what to do instead."""
    with pytest.raises(NotAllowed) as caught:
        check_move(JobState.PAUSED, "pause", 1)
    assert caught.value.hint == "it can be: cancel, resume"
    with pytest.raises(NotAllowed) as caught:
        check_move(JobState.DONE, "resume", 1)
    assert "new job" in caught.value.hint


def test_every_final_state_but_done_can_be_retried():
    """Nothing that is not finished may be a dead end."""
    assert {JobState.DONE, JobState.INCOMPLETE, JobState.FAILED, JobState.CANCELLED} == FINAL
    assert MOVES["retry"][0] == FINAL - {JobState.DONE}


def test_no_verb_of_the_engine_leaves_a_final_state_or_a_pause():
    """A cancelled or paused job stays so until its owner says otherwise, whatever still runs."""
    for verb, (sources, _) in MOVES.items():
        if verb not in OWNER_VERBS:
            assert not sources & (FINAL | {JobState.PAUSED})


def test_an_identical_wish_has_an_identical_key():
    """The order in which series are named does not make another wish."""
    one = make_wish(series=("KRW-BTC", "KRW-ETH"))
    assert make_wish(series=("KRW-ETH", "KRW-BTC")).key == one.key


def test_any_difference_makes_another_wish():
    """Adopting the job of a different wish would leave something undone."""
    wish = make_wish()
    others = [
        replace(wish, owner="other"),
        replace(wish, dataset="test.candles.3m"),
        replace(wish, series=("KRW-ETH",)),
        replace(wish, series=("KRW-BTC", "KRW-ETH")),
        replace(wish, span=minutes(0, 1001)),
        replace(wish, mode=Mode.ALL),
        replace(wish, direction=Direction.FORWARD),
        replace(wish, recheck=1),
        replace(wish, said="days=30..now"),
    ]
    assert len({one.key for one in [wish, *others]}) == len(others) + 1


def test_a_moving_wish_is_the_same_when_it_is_said_the_same():
    """`--days 30` an hour later is the same wish: its job is adopted, not doubled."""
    one = make_wish(span=minutes(0, 100), said="days=30..now")
    assert make_wish(span=minutes(60, 160), said="days=30..now").key == one.key


def test_ageing_lifts_a_job_by_a_class_every_six_hours():
    """LOW never starves: a NORMAL job goes before a HIGH one that is more than six hours younger."""
    normal = turn(MORNING, Priority.NORMAL)
    assert turn(MORNING, Priority.HIGH) < normal < turn(MORNING, Priority.LOW)
    assert normal > turn(MORNING + 6 * HOUR - 1, Priority.HIGH)
    assert normal < turn(MORNING + 6 * HOUR + 1, Priority.HIGH)
    assert turn(MORNING, Priority.LOW) < turn(MORNING + 12 * HOUR + 1, Priority.HIGH)
