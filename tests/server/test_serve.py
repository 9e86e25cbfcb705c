"""`gapless serve` as a process, and the commands beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from alembic import command as alembic
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner

from gapless.cli import tree
from gapless.core.errors import GaplessError
from gapless.sandbox.process import SandboxProcess
from gapless.store.sqlite import dbapi
from gapless.store.store import HEAD, database, open_store, revision
from gapless.testing.history import MINUTES, command, environment, run, until

PASSWORD = "correct horse battery"


@dataclass
class Served:
    """A server in a process of its own."""

    url: str
    process: subprocess.Popen[str]
    lines: list[str]


@contextmanager
def served(env: dict[str, str], *words: str) -> Iterator[Served]:
    """`gapless serve` on a free port; its lines are read as they come."""
    lines: list[str] = []
    with command("serve", "--port", "0", *words, env=env) as process:
        assert process.stderr is not None
        # Nobody else may read: `communicate` would take lines away.
        reading = threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")), daemon=True)
        reading.start()
        try:
            until(lambda: any("serving on" in one for one in lines) or process.poll() is not None, 60)
            found = re.search(r"serving on (\S+)", "".join(lines))
            assert found, "".join(lines)
            yield Served(found[1], process, lines)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)
            reading.join(10)


@pytest.fixture
def env(tmp_path: Path, provider: SandboxProcess) -> dict[str, str]:
    """An empty history of its own."""
    return environment(tmp_path, provider.url)


def test_from_the_first_start_to_a_finished_job_and_over_a_restart(env: dict[str, str]):
    """The link makes the admin; a token works; the job is run here; after a restart everything is still there."""
    with served(env, "--slots", "2", "--log", "json") as one:
        until(lambda: any("/setup?token=" in line for line in one.lines), 30)
        link = re.search(r"/setup\?token=(\S+)", "".join(one.lines))
        assert link
        with httpx.Client(base_url=one.url, headers={"Origin": one.url}, timeout=60) as person:
            assert person.post("/api/setup", json={"token": link[1], "password": PASSWORD}).status_code == 200
            secret = person.post("/api/tokens", json={"name": "ci", "role": "operator"}).json()["token"]
            kept = dict(person.cookies)
        with httpx.Client(base_url=one.url, headers={"Authorization": f"Bearer {secret}"}, timeout=60) as api:
            body = {"dataset": MINUTES, "series": "KRW-BTC", "start": "2024-01-01", "end": "2024-01-01"}
            job = api.post("/api/batch/jobs", json=body).json()["id"]
            until(lambda: api.get(f"/api/batch/jobs/{job}").json()["state"] == "done", 60)
            # It listens first; its row is brought up to date at its next beat.
            until(lambda: [its["slots"] for its in api.get("/api/system").json()["workers"]] == [8], 30)
    logged = [json.loads(line) for line in one.lines if line.startswith("{")]
    assert {"server.started", "server.stopped", "job.made", "job.done"} <= {line["event"] for line in logged}
    assert secret not in "".join(one.lines)
    assert one.process.returncode == 0
    with served(env, "--slots", "0") as two:
        assert not any("/setup" in line for line in two.lines)
        with httpx.Client(base_url=two.url, cookies=kept, timeout=60) as person:
            assert person.get(f"/api/batch/jobs/{job}").json()["state"] == "done"


def test_a_public_address_without_a_password_is_refused(env: dict[str, str]):
    """Whoever came first would be the admin."""
    refused = run("serve", "--host", "0.0.0.0", "--port", "0", env=env)
    assert refused.returncode == 2
    assert "host: 0.0.0.0 can be reached from outside" in refused.stderr
    taken = run("serve", "--host", "256.0.0.1", "--port", "0", env={**env, "GAPLESS_ADMIN_PASSWORD": PASSWORD})
    assert taken.returncode == 2
    short = run("serve", env={**env, "GAPLESS_ADMIN_PASSWORD": "short"})
    assert (short.returncode, "short" in short.stderr) == (2, False)


def test_accounts_tokens_and_the_audit_from_the_command_line(env: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    """What the API can do, the command line can do."""
    for key, text in env.items():
        monkeypatch.setenv(key, text)

    def told(*words: str, text: str = "") -> tuple[int, str, str]:
        done = CliRunner().invoke(tree(), words, input=text)
        if isinstance(done.exception, GaplessError):
            return int(done.exception.exit), done.stdout, str(done.exception)
        return done.exit_code, done.stdout, done.stderr

    assert told("user", "add", "kim", "--role", "admin", "--password-stdin", text=f"{PASSWORD}\n")[0] == 0
    assert told("user", "add", "kim", "--password-stdin", text=f"{PASSWORD}\n")[0] == 1
    assert told("user", "set", "kim", "--role", "viewer")[0] == 1
    assert told("user", "set", "lee", "--role", "viewer")[0] == 2
    code, out, _ = told("token", "add", "ci", "--account", "kim", "--role", "operator", "--json")
    assert code == 0
    secret = json.loads(out)["token"]
    assert told("token", "revoke", "1")[0] == 0
    assert secret not in told("token", "--json")[1]
    code, out, _ = told("audit", "verify", "--json")
    head = json.loads(out)
    assert (code, head["holds"], head["entries"]) == (0, True, 3)
    assert [one["action"] for one in json.loads(told("audit", "--json")[1])] == [
        "token.revoked",
        "token.made",
        "account.made",
    ]
    path = env["GAPLESS_DATABASE_URL"].removeprefix("sqlite:///")
    with closing(dbapi.connect(path)) as connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE place = 2")
        connection.commit()
    assert told("audit", "verify")[0] == 1


def test_a_database_with_data_is_migrated_and_keeps_it(tmp_path: Path):
    """Jobs of the version before are listed; their states can be changed and are audited from then on."""
    path = tmp_path / "old.db"
    url = f"sqlite:///{path}"
    open_store(url).close()
    with closing(open_store(url)) as store:
        store.write(
            lambda tx: tx.cursor.execute(
                "INSERT INTO job (wish, owner, kind, dataset, series_count, name, start, end, mode, direction, queue,"
                " priority, turn, state, total, cached, lacking, created_at) VALUES ('w', 'me', 'collect', ?, 1, 'old',"
                " 0, 60000000, 'missing', 'both', 'backfill', 1, 1, 'paused', 1, 0, 1, 1)",
                (MINUTES,),
            )
        )
    with closing(database(url)) as opened:
        engine = create_engine("sqlite://", creator=opened.connect, module=dbapi, poolclass=NullPool)
        config = Config()
        config.set_main_option("script_location", "gapless.store:migrations")
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            alembic.downgrade(config, "-1")
            connection.commit()
        engine.dispose()
        assert revision(opened) != HEAD
    with closing(open_store(url)) as store, store.read() as tx:
        tx.cursor.execute("SELECT name, state FROM job")
        assert tx.cursor.fetchall() == [("old", "paused")]
        tx.cursor.execute("SELECT count(*) FROM audit")
        assert tx.cursor.fetchall() == [(0,)]
