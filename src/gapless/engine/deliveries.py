"""Deliveries: what is to be told reaches its address at least once, or is given up after bounded attempts.

A webhook is a POST after the Standard Webhooks specification: `webhook-id` (the same in every attempt, so that a
receiver can tell a repetition), `webhook-timestamp` (seconds) and `webhook-signature` (`v1,` and the base64 of the
HMAC-SHA256 of `id.timestamp.body`). Everything else is handed to the library apprise.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError

from gapless.core.clock import Clock
from gapless.core.errors import UsageError
from gapless.core.span import SECOND, iso
from gapless.store import deliveries, notifications
from gapless.store.deliveries import Delivery
from gapless.store.notifications import Notification
from gapless.store.store import Store

log = structlog.get_logger("gapless.deliveries")

#: Seconds before the next attempt, by how many there have been; after the last one it is given up (in 8 hours).
DELAYS = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18_000.0)
#: Seconds that one attempt may take, and for which nobody else tries.
TIMEOUT, HELD = 10.0, 60.0
#: The type of what is told only to see whether it arrives.
TEST = "test"
#: Addresses that are told at once; a slow one holds up no other.
LANES = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went: `error` is empty when it arrived; `is_final` when another attempt is of no use."""

    error: str = ""
    is_final: bool = False


def checked_address(url: str) -> str:
    """The kind of an address: `webhook` or `apprise`; raises `UsageError` that does not repeat it."""
    parts = urlsplit(url.strip())
    hint = "give https://HOST/PATH, or an address of apprise such as slack://… or mailto://…"
    if parts.scheme in ("http", "https"):
        if not parts.hostname:
            raise UsageError("url: has no host", field="url", hint=hint)
        return "webhook"
    if not parts.scheme or not _apprise().Apprise().add(url):
        raise UsageError("url: is not understood", field="url", hint=hint)
    return "apprise"


class Deliveries:
    """Sends what is due. Any number of processes may: a row is taken by one of them at a time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._client: SyncClient | None = None
        self._making = threading.Lock()

    def recent(self, most: int = 50, *, below: int = 2**62, state: str = "") -> list[Delivery]:
        """Deliveries with an id below `below`, newest first; those of one state if it is given."""
        with self._store.read() as tx:
            return deliveries.recent(tx, most, below=below, state=state)

    def last(self) -> dict[int, Delivery]:
        """How it went the last time, by notification."""
        with self._store.read() as tx:
            return deliveries.last(tx)

    def test(self, target: Notification) -> Outcome:
        """Tell an address something at once, also when it is switched off; nothing is stored, nothing tried again."""
        now = self._clock.now()
        said = {"type": TEST, "timestamp": iso(now), "data": {"notification": target.name}}
        return self._tell(target, f"gapless-test-{now}", TEST, msgspec.json.encode(said).decode())

    def tick(self) -> int:
        """Send what is due, to each address in the order of its events; returns how many arrived."""
        with self._store.read() as tx:
            due = deliveries.due(tx, self._clock.now())
        lanes: dict[int, list[Delivery]] = {}
        for one in due:
            lanes.setdefault(one.notification, []).append(one)
        if not lanes:
            return 0
        with ThreadPoolExecutor(min(LANES, len(lanes)), thread_name_prefix="gapless-tell") as pool:
            return sum(pool.map(self._send_all, lanes.values()))

    def _send_all(self, listed: Sequence[Delivery]) -> int:
        """One address: the first failure ends its turn, so that a dead one costs one time-out a round."""
        arrived = 0
        try:
            for one in listed:
                if not self._send(one):
                    break
                arrived += 1
        finally:
            self._store.database.release()
        return arrived

    def _send(self, one: Delivery) -> bool:
        again = self._clock.now() + round(HELD * SECOND)
        if not self._store.write(lambda tx: deliveries.take(tx, one, again)):
            return True
        with self._store.read() as tx:
            target = notifications.get(tx, one.notification)
        if target is None or not target.enabled:
            outcome = Outcome("its notification is gone or disabled", is_final=True)
        else:
            outcome = self._tell(target, f"gapless-{one.id}", one.event, one.body)
        self._note(one, outcome)
        return not outcome.error

    def _note(self, one: Delivery, outcome: Outcome) -> None:
        now, attempts = self._clock.now(), one.attempts + 1
        if not outcome.error:
            self._store.write(lambda tx: deliveries.sent(tx, one.id, now))
        elif outcome.is_final or attempts > len(DELAYS):
            self._store.write(lambda tx: deliveries.failed(tx, one.id, outcome.error, now))
            log.warning("delivery.failed", delivery=one.id, job=one.job, error=outcome.error)
        else:
            again = now + round(DELAYS[attempts - 1] * SECOND)
            self._store.write(lambda tx: deliveries.later(tx, one.id, again, outcome.error))

    def _tell(self, target: Notification, name: str, event: str, body: str) -> Outcome:
        """Send a body under a name that is the same in every attempt."""
        return self._post(target, name, body) if target.kind == "webhook" else _hand_over(target, event, body)

    def _post(self, target: Notification, name: str, body: str) -> Outcome:
        stamp = self._clock.now() // SECOND
        headers = {
            "content-type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature(target.secret, name, stamp, body),
        }
        try:
            answer = self._http().post(target.url).headers(headers).body_text(body).build().send()
        except (PyreqwestError, OSError, ValueError) as error:
            # Its own words hold the address.
            return Outcome(f"no answer ({type(error).__name__})")
        if 200 <= answer.status < 300:
            return Outcome()
        # 410 Gone is how a receiver of the specification says that it wants no more.
        return Outcome(f"it answered {answer.status}", is_final=answer.status == 410)

    def _http(self) -> SyncClient:
        with self._making:
            if self._client is None:
                self._client = (
                    SyncClientBuilder()
                    .timeout(timedelta(seconds=TIMEOUT))
                    .connect_timeout(timedelta(seconds=TIMEOUT / 2))
                    .follow_redirects(False)
                    .user_agent("gapless")
                    .build()
                )
            return self._client

    def close(self) -> None:
        """Close idle connections."""
        if self._client is not None:
            self._client.close()


def signature(secret: str, name: str, stamp: int, body: str) -> str:
    """The value of `webhook-signature`."""
    key = base64.b64decode(secret.partition("_")[2])
    digest = hmac.new(key, f"{name}.{stamp}.{body}".encode(), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _apprise() -> Any:
    try:
        import apprise
    except ImportError:
        raise UsageError(
            "url: only http and https can be told without the library apprise",
            field="url",
            hint="install gapless[notify]",
        ) from None
    return apprise


def _hand_over(target: Notification, event: str, said: str) -> Outcome:
    """Tell an address of apprise's; what it logs may hold the address and is kept from us."""
    try:
        library = _apprise()
    except UsageError as error:
        return Outcome(error.message)
    teller = library.Apprise()
    if not teller.add(target.url):
        return Outcome("the address is not understood", is_final=True)
    title, body = _words(said)
    is_told = teller.notify(title=title, body=body, notify_type=_TYPES.get(event, "info"))
    return Outcome() if is_told else Outcome("apprise could not deliver it")


_TYPES = {"done": "success", "incomplete": "warning", "failed": "failure", "waiting": "warning"}


def _words(body: str) -> tuple[str, str]:
    """A title and a sentence for people."""
    said = msgspec.json.decode(body)
    if said["type"] == TEST:
        return "gapless: a test", f"notification {said['data']['notification']} reaches you"
    job, event = said["data"], said["type"].removeprefix("job.")
    title = f"gapless: job {job['id']} is {event}"
    name = f" ({job['name']})" if job["name"] else ""
    until = f" until {job['waitsUntil']}" if job["waitsUntil"] else ""
    error = f": {job['error']}" if job["error"] else ""
    return title, f"{job['dataset']}{name}, {job['rows']:,} rows{until}{error}"
