"""The cluster's commands: who is at work, who may work, and what every wrong word and unusable server gets."""

from __future__ import annotations

import json
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from gapless.core.job import Queue
from gapless.engine.worker import Range
from gapless.sandbox.process import SandboxProcess
from gapless.store.store import HEAD, database, open_store, revision
from gapless.testing.databases import fresh_database
from gapless.testing.fleet import Fleet, done, eventually, held, living, make
from gapless.testing.servers import GUARDED, Server

pytestmark = pytest.mark.xdist_group("fleet")

WORKER = ("--queue", "backfill", "--slots", "2")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that asks for a password."""
    with Server() as started:
        yield started


@pytest.fixture(scope="module")
def provider() -> Iterator[SandboxProcess]:
    """A simulated Upbit without a limit."""
    with SandboxProcess("upbit", rate=0) as started:
        yield started


@pytest.fixture
def fleet(server: Server, provider: SandboxProcess, tmp_path: Path) -> Iterator[Fleet]:
    """An empty history, and whoever works on it."""
    with fresh_database(server.url) as url:
        open_store(url).close()
        with Fleet(url, provider.url, tmp_path) as made:
            yield made


def refused(fleet: Fleet, code: int, cases: dict[tuple[str, ...], tuple[str, ...]], url: str = "") -> None:
    """Each of these commands ends with the code and one line that holds these words; all at once, to save time."""
    started = {words: fleet.start(*words, url=url) for words in cases}
    for words, one in started.items():
        assert one.wait() == code, (words, one.out, one.err)
        assert "Traceback" not in one.err
        lines = [line for line in one.err.splitlines() if line.startswith("error:")]
        assert len(lines) <= 1
        for word in cases[words]:
            assert word in one.err, (words, one.err)


def test_wrong_words_of_a_worker_are_a_usage_error(fleet: Fleet) -> None:
    """Exit code 2, the word is named, and nobody has entered as a worker."""
    refused(
        fleet,
        2,
        {
            ("worker", "--queue", "night"): ("night", "backfill"),
            ("worker", "--slots", "0"): ("slots", "1 or more"),
            ("worker", "--slots", "4..1"): ("slots", "1..8"),
            ("worker", "--slots", "0..4"): ("slots", "1 or more"),
            ("workers", "--limit", "night=2"): ("night", "backfill=8"),
            ("workers", "--limit", "backfill=0"): ("limit", "1 or more"),
        },
    )
    with fleet.open() as history:
        assert living(history) == []


def test_a_server_that_cannot_be_used_is_one_line_and_code_five(fleet: Fleet, server: Server) -> None:
    """Down, wrong password, no such database, no rights: the line says which, and never the password."""
    address = make_url(fleet.url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = address.set(port=free.getsockname()[1])
    secret = secrets.token_hex(8)
    role = f"poor_{secrets.token_hex(4)}"
    with psycopg.connect(fleet.url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN")
    cases = {
        nobody: ("refused", "GAPLESS_DATABASE_URL"),
        address.set(username=GUARDED, password=secret): ("password", "GAPLESS_DATABASE_URL"),
        address.set(database="nowhere"): ("nowhere", "GAPLESS_DATABASE_URL"),
        address.set(username=role): ("permission denied", "rights"),
    }
    try:
        started = {url: fleet.start("worker", *WORKER, url=url.render_as_string(hide_password=False)) for url in cases}
        for url, one in started.items():
            assert one.wait() == 5, (url, one.out, one.err)
            assert one.err.startswith("error:"), one.err
            assert one.err.count("\n") == 1, one.err
            assert secret not in one.err
            for word in cases[url]:
                assert word in one.err, one.err
    finally:
        with psycopg.connect(fleet.url, autocommit=True) as admin:
            admin.execute(f"DROP ROLE {role}")
    # And with its password the same role comes as far as its rights reach.
    right = address.set(username=GUARDED, password=GUARDED).render_as_string(hide_password=False)
    refused(fleet, 5, {("workers",): ("permission denied",)}, right)


def test_a_schema_of_a_newer_program_is_left_alone(fleet: Fleet) -> None:
    """One machine was updated first: the old program must not write into tables that it does not know."""
    with psycopg.connect(fleet.url, autocommit=True) as admin:
        admin.execute("UPDATE alembic_version SET version_num = '9999'")
    told = ("newer", "9999", "upgrade gapless")
    refused(fleet, 5, {("worker", *WORKER): told, ("db", "upgrade"): told})
    with psycopg.connect(fleet.url) as looking:
        assert looking.execute("SELECT count(*) FROM worker").fetchone() == (0,)


def test_a_schema_of_an_older_program_is_brought_up_and_its_jobs_go_on(fleet: Fleet) -> None:
    """`db upgrade` under jobs that waited: they had no rings before, and are found all the same."""
    with fleet.open() as history:
        job = make(history, "KRW-BTC", "2024-06-01", "2024-06-01")
    _downgrade(fleet.url, "0001")
    with closing(database(fleet.url)) as opened:
        assert revision(opened) == "0001"
    upgraded = fleet.start("db", "upgrade")
    assert upgraded.wait() == 0, upgraded.err
    assert HEAD in upgraded.out
    with fleet.open() as history:
        engine = history.worker([Queue.BACKFILL], Range(2, 2))
        eventually(lambda: done(history, job), "the job is done")
        history.release(engine)


def _downgrade(url: str, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", "gapless.store:migrations")
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, to)
    engine.dispose()


def test_a_readiness_probe_tells_a_worker_at_work_from_a_dead_one(fleet: Fleet) -> None:
    """Kubernetes asks: a row in a table is not enough, the worker has to count on."""
    assert fleet.start("workers", "--ready").wait() == 1
    with fleet.open() as history:
        (worker,) = fleet.workers(history, WORKER)
        assert fleet.start("workers", "--ready").wait() == 0
        worker.end()
        assert len(living(history)) == 1
        assert fleet.start("workers", "--ready").wait() == 1


def test_workers_shows_who_is_alive_on_what_since_when_and_what_waits(fleet: Fleet, provider: SandboxProcess) -> None:
    """For people and for an autoscaler: the same numbers in the table, in JSON and in the view of the database."""
    provider.control(faults=[{"kind": "latency", "latency_ms": 90_000}])
    with fleet.open() as history:
        (worker,) = fleet.workers(history, (*WORKER, "--name", "night-1"))
        job = make(history, ["KRW-BTC", "KRW-ETH"], "2024-06-01", "2024-06-02")
        eventually(lambda: len(held(history, job)) == 2, "both slots are busy")
        shown, people = fleet.start("workers", "--json"), fleet.start("workers")
        assert (shown.wait(), people.wait()) == (0, 0)
        history.jobs.cancel(job.id)
    provider.control(faults=[], down=True)
    provider.control(down=False)
    assert worker.end(signal.SIGTERM) == 0

    told = json.loads(shown.out)
    (one,) = told["workers"]
    assert (one["name"], one["pid"], one["queues"], one["slots"]) == ("night-1", worker.pid, ["backfill"], 2)
    assert one["host"] == socket.gethostname()
    assert {part["series"] for part in one["segments"]} <= {"KRW-BTC", "KRW-ETH"}
    assert {part["job"] for part in one["segments"]} == {job.id}
    queues = {row["queue"]: row for row in told["queues"]}
    assert set(queues) == {"live", "daily", "backfill", "compute"}
    assert (queues["backfill"]["waiting"], queues["backfill"]["running"]) == (2, 2)
    assert queues["backfill"]["oldestSeconds"] > 0
    assert (queues["live"]["waiting"], queues["live"]["oldestSeconds"]) == (0, 0)
    for word in ("night-1", str(worker.pid), "backfill", f"job {job.id} KRW-BTC"):
        assert word in people.out
