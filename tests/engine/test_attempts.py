"""Limited attempts, on both databases: counted for all processes together, and for five minutes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from gapless.core.clock import ManualClock
from gapless.core.span import SECOND
from gapless.engine.attempts import WINDOW, Attempt, Attempts, TooMany
from gapless.testing.factories import MORNING

KIM, HERE = ("name/kim", 3), ("address/here", 5)


def test_a_key_that_was_wrong_too_often_waits_wherever_it_asks(store) -> None:
    """A second server, or one that was started anew, counts on."""
    clock = ManualClock(MORNING)
    for _ in range(3):
        assert isinstance(Attempts(store, clock).begin([KIM, HERE]), Attempt)
        clock.advance(10)
    assert Attempts(store, clock).begin([KIM, HERE]) == TooMany(270)
    # Another name, from the same address.
    lee = ("name/lee", 3)
    assert isinstance(Attempts(store, clock).begin([lee, HERE]), Attempt)
    clock.advance(270)
    assert isinstance(Attempts(store, clock).begin([KIM, HERE]), Attempt)
    assert WINDOW == 300 * SECOND


def test_one_that_was_right_takes_itself_back_and_the_name_begins_anew(store) -> None:
    attempts = Attempts(store, ManualClock(MORNING))
    for _ in range(2):
        attempts.begin([KIM, HERE])
    right = attempts.begin([KIM, HERE])
    assert isinstance(right, Attempt)
    attempts.succeed(right)
    # The two wrong ones still count for the address.
    for _ in range(3):
        assert isinstance(attempts.begin([KIM, HERE]), Attempt)
    assert isinstance(attempts.begin([("name/lee", 3), HERE]), TooMany)


def test_many_at_the_same_moment_are_no_way_around(store) -> None:
    attempts = Attempts(store, ManualClock(MORNING))
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: attempts.begin([KIM]), range(12)))
    assert sum(isinstance(one, Attempt) for one in made) == 3


def test_what_was_typed_is_not_kept(store) -> None:
    """People type passwords where names belong."""
    Attempts(store, ManualClock(MORNING)).begin([("name/hunter2", 3)])
    with store.read() as tx:
        tx.cursor.execute("SELECT key FROM attempt")
        assert "hunter2" not in str(tx.cursor.fetchall())
