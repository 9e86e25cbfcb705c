"""Notifications: each event is told once to each who wants it, signed, in the end, and nobody waits for it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

import gapless
from gapless.app import Gapless
from gapless.core.clock import ManualClock
from gapless.core.errors import UsageError
from gapless.core.job import Job
from gapless.core.span import DAY, HOUR, SECOND, iso
from gapless.engine.deliveries import DELAYS
from gapless.engine.notifications import EVENTS, shown_address
from gapless.store import budgets, claims, deliveries, segments
from gapless.testing.factories import MORNING
from gapless.testing.history import MINUTES, settings_for

SECRET_PATH = "/hooks/T0P-S3CRET"


@dataclass
class Heard:
    """One request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Receiver:
    """A web server that hears webhooks."""

    url: str
    heard: list[Heard] = field(default_factory=list)
    #: What it answers; a redirect leads to itself.
    status: int = 204


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A real one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            made.heard.append(Heard(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(made.status)
            if made.status in (301, 302):
                self.send_header("location", made.url)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Receiver(f"http://127.0.0.1:{server.server_address[1]}{SECRET_PATH}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands."""
    return ManualClock(MORNING)


@pytest.fixture
def history(tmp_path: Path, made_url: str, clock: ManualClock) -> Iterator[Gapless]:
    """A history on each database; nothing of it works by itself."""
    settings = replace(settings_for(tmp_path, "http://127.0.0.1:9"), database_url=made_url)
    with gapless.open(settings=settings, clock=clock) as opened:
        yield opened


def make(history: Gapless, name: str = "KRW-BTC") -> Job:
    return history.backfill(MINUTES, name, days=1, here=False, name="night").job


def cancelled(history: Gapless, name: str = "KRW-BTC") -> Job:
    return history.jobs.cancel(make(history, name).id)


def add(history: Gapless, receiver: Receiver, *events: str, name: str = "hook") -> str:
    return history.notifications.add(name, receiver.url, events or EVENTS).secret


def test_a_webhook_is_signed_so_that_the_receiver_can_trust_it(
    history: Gapless, receiver: Receiver, clock: ManualClock
) -> None:
    """By the Standard Webhooks specification: id, timestamp and body, under a secret that is shown once."""
    secret = add(history, receiver)
    job = cancelled(history)
    assert history.deliveries.tick() == 1
    (heard,) = receiver.heard
    name, stamp = heard.headers["webhook-id"], heard.headers["webhook-timestamp"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{name}.{stamp}.{heard.body}".encode(), hashlib.sha256).digest()
    assert heard.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert int(stamp) == clock.now() // SECOND
    said = msgspec.json.decode(heard.body)
    assert said["type"] == "job.cancelled"
    assert (said["data"]["id"], said["data"]["name"], said["data"]["state"]) == (job.id, "night", "cancelled")
    assert history.deliveries.tick() == 0


def test_an_address_is_tried_out(history: Gapless, receiver: Receiver) -> None:
    """At once, signed, also while it is switched off; nothing is stored, and no address is in what is said."""
    add(history, receiver)
    history.notifications.enable("hook", enabled=False)
    hook = history.notifications.get("hook")
    assert history.deliveries.test(hook).error == ""
    (heard,) = receiver.heard
    assert msgspec.json.decode(heard.body)["type"] == "test"
    assert heard.headers["webhook-signature"].startswith("v1,")
    receiver.status = 500
    assert history.deliveries.test(hook).error == "it answered 500"
    assert history.deliveries.recent() == []


def test_the_last_delivery_of_each_is_known(history: Gapless, receiver: Receiver) -> None:
    """And deliveries are listed a page at a time."""
    add(history, receiver)
    add(history, receiver, "failed", name="pager")
    cancelled(history)
    cancelled(history, "KRW-ETH")
    assert history.deliveries.last() == {}
    assert history.deliveries.tick() == 2
    newest, before = history.deliveries.recent()
    assert list(history.deliveries.last().values()) == [newest]
    assert history.deliveries.recent(below=newest.id) == [before]
    assert history.deliveries.recent(state="failed") == []


def test_each_wants_what_it_wants(history: Gapless, receiver: Receiver) -> None:
    """A pager hears of failures only."""
    add(history, receiver, "failed", name="pager")
    cancelled(history)
    assert history.deliveries.recent() == []
    history.notifications.enable("pager", enabled=False)
    add(history, receiver, "cancelled", "done", name="log")
    cancelled(history)
    assert [one.event for one in history.deliveries.recent()] == ["cancelled"]


def test_a_dead_address_is_tried_for_hours_and_then_given_up(
    history: Gapless, receiver: Receiver, clock: ManualClock
) -> None:
    """Bounded, with more and more time in between; always under the same id, so that a repetition can be told."""
    add(history, receiver)
    receiver.status = 503
    cancelled(history)
    for delay in DELAYS:
        assert history.deliveries.tick() == 0
        (one,) = history.deliveries.recent()
        assert (one.state, one.error) == ("waiting", "it answered 503")
        assert one.retry_at == clock.now() + round(delay * SECOND)
        assert history.deliveries.tick() == 0
        clock.advance(delay)
    assert history.deliveries.tick() == 0
    (one,) = history.deliveries.recent()
    assert (one.state, one.attempts) == ("failed", len(DELAYS) + 1)
    assert len(receiver.heard) == len(DELAYS) + 1
    assert len({heard.headers["webhook-id"] for heard in receiver.heard}) == 1
    clock.advance(DAY / SECOND)
    assert history.deliveries.tick() == 0
    assert len(receiver.heard) == len(DELAYS) + 1


def test_an_address_that_is_back_hears_everything_in_order(
    history: Gapless, receiver: Receiver, clock: ManualClock
) -> None:
    """What happened while it was away is not lost."""
    add(history, receiver)
    receiver.status = 500
    jobs = [cancelled(history, name) for name in ("KRW-BTC", "KRW-ETH", "KRW-XRP")]
    history.deliveries.tick()
    # The first failure ends the round: a dead address costs one attempt, however much waits for it.
    assert len(receiver.heard) == 1
    receiver.status = 200
    clock.advance(DELAYS[0])
    assert history.deliveries.tick() == 3
    told = [msgspec.json.decode(heard.body)["data"]["id"] for heard in receiver.heard[1:]]
    assert sorted(told) == [job.id for job in jobs]


@pytest.mark.parametrize(("status", "error"), [(410, "it answered 410"), (302, "it answered 302")])
def test_what_an_address_says_is_believed(
    history: Gapless, receiver: Receiver, clock: ManualClock, status: int, error: str
) -> None:
    """410 wants no more; a redirect is not followed: it could lead the body anywhere."""
    add(history, receiver)
    receiver.status = status
    cancelled(history)
    history.deliveries.tick()
    (one,) = history.deliveries.recent()
    assert one.error == error
    assert one.state == ("failed" if status == 410 else "waiting")
    assert len(receiver.heard) == 1


def test_a_process_that_dies_while_telling_leaves_the_rest_to_others(
    history: Gapless, receiver: Receiver, clock: ManualClock
) -> None:
    """At least once: who took a row and never came back holds it for a minute."""
    add(history, receiver)
    cancelled(history)
    (one,) = history.deliveries.recent()
    assert history.store.write(lambda tx: deliveries.take(tx, one, clock.now() + 60 * SECOND))
    assert not history.store.write(lambda tx: deliveries.take(tx, one, clock.now() + 60 * SECOND))
    assert history.deliveries.tick() == 0
    clock.advance(61)
    assert history.deliveries.tick() == 1
    assert history.deliveries.recent()[0].attempts == 2


def test_processes_that_look_together_tell_it_once(history: Gapless, receiver: Receiver, clock: ManualClock) -> None:
    """Every worker and every server looks."""
    add(history, receiver)
    for name in ("KRW-BTC", "KRW-ETH"):
        cancelled(history, name)
    with gapless.open(settings=history.settings, clock=clock) as other, ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: one.deliveries.tick(), (history, other)))
        history.deliveries.tick()
    assert len(receiver.heard) == 2
    assert {one.state for one in history.deliveries.recent()} == {"sent"}


def test_one_event_is_one_row_whoever_notices_it(history: Gapless, receiver: Receiver, clock: ManualClock) -> None:
    """A day's quota that is spent is seen by every process every ten seconds; it is told once a day."""
    add(history, receiver, "waiting")
    job = make(history)
    key = history.catalogue.limit(history.dataset(MINUTES)).key

    def told(seconds: float) -> int:
        until = clock.now() + round(seconds * SECOND)
        history.store.write(lambda tx: budgets.change(tx, key, lambda one: (replace(one, blocked_until=until), None)))
        for _ in range(3):
            history.notifications.tick()
        return len(history.deliveries.recent())

    # It has not begun: it is queued, and nothing has happened to it.
    assert told(3600) == 0
    assert history.store.write(lambda tx: claims.claim(tx, "backfill", "ghost", clock.now() + HOUR))
    # One of its segments is under way.
    assert told(3600) == 0
    history.store.write(lambda tx: segments.rescue(tx, "ghost"))
    # Nobody wants to hear of half a minute.
    assert told(30) == 0
    assert told(3600) == 1
    (one,) = history.deliveries.recent()
    assert (one.event, one.job) == ("waiting", job.id)
    assert msgspec.json.decode(one.body)["data"]["waitsUntil"] == iso(clock.now() + HOUR)
    clock.advance(2 * HOUR / SECOND)
    assert told(3600) == 2


def test_a_notification_that_is_gone_takes_its_deliveries_along(history: Gapless, receiver: Receiver) -> None:
    """Nobody is told who does not want to be told any more."""
    add(history, receiver)
    cancelled(history)
    history.notifications.remove("hook")
    history.deliveries.tick()
    assert receiver.heard == []
    assert history.deliveries.recent()[0].state == "failed"


def test_the_library_apprise_reaches_what_we_do_not(history: Gapless, receiver: Receiver) -> None:
    """Here its own JSON over HTTP; mail, Slack, Telegram and a hundred others go the same way."""
    address = receiver.url.replace("http://", "json://")
    history.notifications.add("friends", address)
    history.notifications.add("later", address, ("cancelled",))
    job = cancelled(history)
    assert history.deliveries.tick() == 1
    (heard,) = receiver.heard
    said = msgspec.json.decode(heard.body)
    assert said["title"] == f"gapless: job {job.id} is cancelled"
    assert MINUTES in said["message"]
    receiver.status = 500
    cancelled(history, "KRW-ETH")
    assert history.deliveries.tick() == 0
    assert history.deliveries.recent()[0].error == "apprise could not deliver it"


def test_secrets_are_used_and_never_shown(
    history: Gapless, receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """An address is a key to somebody's channel: not in errors, not in logs, not in what is listed."""
    secret = add(history, receiver)
    history.notifications.add("dead", f"http://user:hunter2@127.0.0.1:9{SECRET_PATH}", EVENTS)
    history.notifications.add("odd", f"json://user:hunter2@127.0.0.1:9{SECRET_PATH}", EVENTS)
    cancelled(history)
    history.deliveries.tick()
    shown = [repr(one) + shown_address(one) for one in history.notifications.every()]
    shown += [repr(one) for one in history.deliveries.recent()]
    written = capfd.readouterr()
    for planted in ("T0P-S3CRET", "hunter2", secret):
        assert planted not in "".join(shown) + caplog.text + written.out + written.err
    assert {one.error for one in history.deliveries.recent() if one.error}


@pytest.mark.parametrize(
    ("name", "url", "events", "secret", "field"),
    [
        ("", "http://127.0.0.1/x", ("done",), "", "name"),
        ("hook", "http://127.0.0.1/x", ("done",), "", "name"),
        ("x", "http:///x", ("done",), "", "url"),
        ("x", "what://ever", ("done",), "", "url"),
        ("x", "no address", ("done",), "", "url"),
        ("x", "http://127.0.0.1/x", ("sneezed",), "", "events"),
        ("x", "http://127.0.0.1/x", (), "", "events"),
        ("x", "http://127.0.0.1/x", ("done",), "short", "secret"),
        ("x", "http://127.0.0.1/x", ("done",), "whsec_c2hvcnQ=", "secret"),
    ],
)
def test_a_wrong_notification_is_refused_by_field(
    history: Gapless, name: str, url: str, events: tuple[str, ...], secret: str, field: str
) -> None:
    """And the refusal does not repeat the address."""
    history.notifications.add("hook", "http://127.0.0.1/x")
    with pytest.raises(UsageError) as told:
        history.notifications.add(name, url, events, secret=secret)
    assert told.value.field == field
    assert len(history.notifications.every()) == 1
