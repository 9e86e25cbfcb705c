"""Live events: what changed is told once, to everybody, in order; a new run of the server is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import websockets.exceptions
import websockets.sync.client

from gapless.core.actor import ENGINE
from gapless.core.job import Queue
from gapless.server.process import Serving
from gapless.store import audit
from gapless.testing.history import MINUTES, until

DAY = {"dataset": MINUTES, "series": ["KRW-BTC"], "start": "2024-01-01", "end": "2024-01-01"}


@contextmanager
def reader(serving: Serving, api: Any) -> Iterator[Any]:
    """A program that reads the socket."""
    headers = {"Authorization": api.headers["authorization"]}
    address = serving.url.replace("http", "ws") + "/api/live"
    with websockets.sync.client.connect(address, additional_headers=headers) as socket:
        yield socket


def hear(socket: Any, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first message that is wanted."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(30))
        if wanted(message):
            return message


def state_of(message: dict[str, Any], job: int) -> str:
    """The state of a job that a message tells, if it does."""
    return next((one[1] for one in message.get("d", []) if one[0] == job), "")


def test_every_reader_hears_of_every_change_in_order(client, serving, history):
    """Made, running, done: with counts, without a hole in `rev`, the same to both."""
    api = client("operator")
    with reader(serving, api) as one, reader(serving, api) as other:
        hello = json.loads(one.recv(30))
        assert (hello["k"], hello["fields"][:2], json.loads(other.recv(30))["boot"]) == (
            "hello",
            ["id", "state"],
            hello["boot"],
        )
        job = api.post("/api/batch/jobs", json=DAY).json()["id"]
        made = hear(one, lambda m: state_of(m, job) == "pending")
        assert made["counts"] == {"pending": 1}
        engine = history.engine({Queue.BACKFILL: 2})
        revs = [made["rev"]]

        def done(message: dict[str, Any]) -> bool:
            if message["k"] == "jobs":
                revs.append(message["rev"])
            return state_of(message, job) == "done"

        last = hear(one, done)
        history.release(engine)
        assert revs == list(range(revs[0], revs[0] + len(revs)))
        assert (last["counts"], last["boot"]) == ({"done": 1}, hello["boot"])
        array = next(one for one in last["d"] if one[0] == job)
        assert array[2] == 100
        assert hear(other, lambda m: state_of(m, job) == "done")["rev"] == last["rev"]


def test_a_page_that_was_drawn_while_nobody_listened_sees_a_hole(client, serving, history):
    """However much has happened since: its first message counts further than the page has."""
    api = client("operator")
    job = api.post("/api/batch/jobs", json={**DAY, "autoStart": False}).json()["id"]
    live = serving.context.live
    drawn = live.rev
    history.jobs.cancel(job)
    until(lambda: live.rev > drawn)
    with reader(serving, api) as one:
        assert hear(one, lambda m: m["k"] == "hello")["rev"] > drawn


def test_a_log_is_followed_by_whoever_asks_for_it(client, serving):
    """And by nobody else."""
    api = client("operator")
    job = api.post("/api/batch/jobs", json=DAY).json()["id"]
    with reader(serving, api) as one:
        one.send(json.dumps({"sub": [f"log:{job}"]}))
        hear(one, lambda m: m["k"] == "hello")
        # The place from which it is followed is taken at a look: order until one has been told.
        for verb in ("pause", "resume") * 50:
            api.post(f"/api/batch/jobs/{job}/{verb}")
            message = hear(one, lambda m: m["k"] in ("log", "jobs"))
            if message["k"] == "log":
                break
        assert message["job"] == job
        assert {line["event"] for line in message["lines"]} <= {"job.paused", "job.resumed"}
        one.send("nonsense")
        assert hear_close(one) == 1003


def hear_close(socket: Any) -> int:
    """The code with which a socket is closed."""
    try:
        while True:
            socket.recv(30)
    except websockets.exceptions.ConnectionClosed as closed:
        return closed.rcvd.code


def test_a_stream_for_curl_tells_the_same(client):
    """Server-sent events: one line `data:` a message."""
    api = client("operator")
    with api.stream("GET", "/api/events") as stream:
        lines = (one for one in stream.iter_lines() if one.startswith("data: "))
        assert json.loads(next(lines)[6:])["k"] == "hello"
        job = api.post("/api/batch/jobs", json=DAY).json()["id"]
        assert any(state_of(json.loads(one[6:]), job) == "pending" for one in lines)


def test_a_server_that_starts_anew_lets_its_readers_go_and_has_another_name(client, serving, history):
    """A page connects again, sees another `boot`, and reads anew; sessions and tokens still hold."""
    api = client("operator")
    job = api.post("/api/batch/jobs", json=DAY).json()["id"]
    with reader(serving, api) as one:
        boot = json.loads(one.recv(30))["boot"]
        port = int(serving.url.rpartition(":")[2])
        serving.__exit__(None, None, None)
        assert hear_close(one) == 1012
    with Serving(history, "127.0.0.1", port) as again, reader(again, api) as other:
        assert json.loads(other.recv(30))["boot"] != boot
        assert api.get(f"/api/batch/jobs/{job}").json()["state"] == "pending"


def test_thousands_that_move_at_once_are_told_by_one_word(client, serving, history):
    """Not one by one: a page reads its list again."""
    api = client("operator")
    wish = history.wish(history.dataset(MINUTES), "KRW-BTC", "2024-01-01", "2024-01-01")
    with reader(serving, api) as one:
        hear(one, lambda m: m["k"] == "hello")
        now = history.clock.now()

        def many(tx: Any) -> None:
            for number in range(600):
                audit.add(tx, now, ENGINE, "job.made", f"job/{number + 1}", after="pending")

        history.store.write(many)
        history.jobs.create(wish)
        assert hear(one, lambda m: m["k"] == "jobs" and m.get("stale", False))["d"] is not None
