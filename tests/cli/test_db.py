"""Moving house: copy, backup and restore as commands, with real workers and a real fill, and every wrong word."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import gapless
from gapless.app import copies
from gapless.core.clock import SystemClock
from gapless.core.period import parse
from gapless.core.span import DAY, Span
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit import listings
from gapless.settings import Settings
from gapless.store import jobs, workers
from gapless.store.store import open_store
from gapless.store.workers import Worker
from gapless.testing.factories import make_job, read, write
from gapless.testing.history import (
    MINUTES,
    assert_complete,
    command,
    environment,
    open_history,
    run,
    settings_for,
    until,
)

NOWHERE = "http://127.0.0.1:9"
SPAN = ("--from", "2024-06-01", "--to", "2024-06-03")
START = parse("2024-06-01", field="from").start


@pytest.fixture(scope="module")
def upbit() -> Iterator[SandboxProcess]:
    """A simulated Upbit without a limit."""
    with SandboxProcess("upbit", rate=0) as started:
        yield started


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Settings of a history in `gapless.db`, and no provider."""
    return environment(tmp_path, NOWHERE)


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("error:")]
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in line, line


def told(*words: str, env: dict[str, str]) -> dict[str, Any]:
    """What a command says with --json."""
    done = run(*words, "--json", env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def made(env: dict[str, str]) -> Path:
    """A history with a job in it; its file."""
    with closing(open_store(env["GAPLESS_DATABASE_URL"])) as store:
        make_job(store)
        store.write(lambda tx: tx.cursor.execute("DROP TABLE data_test_candles_1m"))
    return Path(env["GAPLESS_DATABASE_URL"].removeprefix("sqlite:///"))


# A history moves


def test_a_job_moves_to_postgresql_and_back_while_it_is_half_done(
    tmp_path: Path, upbit: SandboxProcess, postgresql_url: str
) -> None:
    """Begun on a laptop, gone on with on a server, taken home again: complete, and every minute fetched once."""
    env = environment(tmp_path, upbit.url)
    assert run("fill", MINUTES, "KRW-BTC", *SPAN, "--hold", env=env).returncode == 0
    assert run("jobs", "resume", "1", env=env).returncode == 0
    upbit.control(reset_stats=True)
    assert run("jobs", "step", "1", "--limit", "5", env=env).returncode == 0

    moved = told("db", "copy", "--to", postgresql_url, env=env)
    assert moved["rows"] > 1000
    assert {one["table"] for one in moved["parts"]} > {"job", "segment", "coverage", "tally", "data_upbit_candles_1m"}
    there = {**env, "GAPLESS_DATABASE_URL": postgresql_url}
    assert run("worker", "--until-idle", env=there).returncode == 0

    home = tmp_path / "home"
    home.mkdir()
    said = run("db", "copy", "--from", postgresql_url, "--to", str(home / "gapless.db"), env=env)
    assert (said.returncode, "both sides are equal" in said.stdout) == (0, True), said
    with open_history(home, upbit.url) as history:
        assert_complete(history, listings.world(), MINUTES, ["KRW-BTC"], Span(START, START + 3 * DAY))
    assert upbit.stats()["requests"] <= -(-3 * 1440 // 200) + 2


def certificate(settings: Settings) -> dict[str, Any]:
    """What the job of a history vouches for, filled first if it is not yet."""
    with gapless.open(settings=settings) as history:
        if not history.store.write(lambda tx: jobs.get(tx, 1)):
            history.backfill(MINUTES, "KRW-BTC", *SPAN[1::2]).wait()
        return history.certificate(1)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_brings_a_history_back(tmp_path: Path, upbit: SandboxProcess, kind: str, postgresql_url: str) -> None:
    """Backed up, damaged, restored: what a job vouched for holds again. The backup is left as it was."""
    env, settings = environment(tmp_path, upbit.url), settings_for(tmp_path, upbit.url)
    if kind == "postgresql":
        env["GAPLESS_DATABASE_URL"] = postgresql_url
        settings = replace(settings, database_url=postgresql_url)
    vouched = certificate(settings)
    file = tmp_path / "backup" / "one.db"
    file.parent.mkdir()
    assert told("db", "backup", str(file), env=env)["rows"] > 4000
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    content = file.read_bytes()
    # A backup is a history of its own.
    (tmp_path / "opened.db").write_bytes(content)
    assert certificate(replace(settings, database_url=str(tmp_path / "opened.db"))) == vouched

    with closing(open_store(settings.database_url)) as store:
        store.write(lambda tx: tx.cursor.execute("DELETE FROM data_upbit_candles_1m WHERE close > 0"))
    assert certificate(settings) != vouched
    refused(run("db", "restore", str(file), env=env), 5, "another history", "--force")
    assert told("db", "restore", str(file), "--force", env=env)["rows"] > 4000
    assert certificate(settings) == vouched
    assert told("db", "restore", str(file), env=env)["rowsKept"] > 4000
    assert file.read_bytes() == content


@contextmanager
def working(env: dict[str, str]) -> Iterator[str]:
    """A real worker; its name."""
    process = command("worker", env=env)
    try:
        with closing(open_store(env["GAPLESS_DATABASE_URL"])) as store:
            until(lambda: bool(read(store, workers.every)), 30)
            (one,) = read(store, workers.every)
        yield one.name
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_live_worker_is_named(tmp_path: Path, env: dict[str, str], kind: str, postgresql_url: str) -> None:
    """It would go on in the source, and the copy would stay behind; in a target it would lose what it stands on."""
    if kind == "postgresql":
        env["GAPLESS_DATABASE_URL"] = postgresql_url
    other = tmp_path / "other.db"
    with working(env) as worker:
        refused(run("db", "copy", "--to", str(other), env=env), 1, worker, "pid", "--force")
        assert not other.exists()
        assert told("db", "backup", str(tmp_path / "backup.db"), env=env)["rows"] == 0
        (tmp_path / "elsewhere").mkdir()
        made(environment(tmp_path / "elsewhere", NOWHERE))
        theirs = str(tmp_path / "elsewhere" / "gapless.db")
        refused(run("db", "restore", theirs, "--force", env=env), 1, worker, "stop")
        assert told("db", "copy", "--to", str(other), "--force", env=env)["rows"] == 0
    assert told("db", "copy", "--from", theirs, "--to", str(tmp_path / "third.db"), env=env)["rows"] > 0


def test_a_dead_worker_is_no_hindrance(sqlite_url: str, postgresql_url: str) -> None:
    """Killed long ago, on another machine: nobody hears its beats, and its rows stay behind."""
    with closing(open_store(postgresql_url)) as store:
        write(store, workers.enter, Worker(**{one.name: "dead" if one.type == "str" else 7 for one in fields(Worker)}))
        assert copies.living(store, SystemClock()) == []
    copies.copy(Settings(), postgresql_url, sqlite_url)
    with closing(open_store(sqlite_url)) as store:
        assert read(store, workers.every) == []


def test_progress_is_told_without_a_terminal(tmp_path: Path, env: dict[str, str]) -> None:
    """On standard error, so that --json stays JSON."""
    made(env)
    done = run("db", "copy", "--to", str(tmp_path / "other.db"), "--json", env=env)
    assert "100.0 %" in done.stderr
    assert json.loads(done.stdout)["target"].endswith("other.db")


# Wrong words


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("db", "copy"), ("--to",)),
        (("db", "copy", "--to", "mysql://host/db"), ("to", "mysql")),
        (("db", "copy", "--to", "postgresql://host:port/db"), ("to", "cannot be read")),
        (("db", "copy", "--to", ""), ("to",)),
        (("db", "copy", "--from", "HERE/nothing.db", "--to", "HERE/b.db"), ("from", "nothing.db")),
        (("db", "copy", "--to", "HERE/gapless.db"), ("to", "source itself")),
        (("db", "backup", "HERE/gapless.db"), ("file", "exists")),
        (("db", "backup", "HERE/nowhere/b.db"), ("file", "no folder")),
        (("db", "backup", "postgresql://host/db"), ("file", "SQLite")),
        (("db", "restore", "HERE/nothing.db"), ("file", "nothing.db")),
        (("db", "restore", "HERE/gapless.db"), ("database", "source itself")),
        (("db", "restore", "postgresql://host/db"), ("file", "SQLite")),
    ],
)
def test_wrong_words_are_a_usage_error(
    tmp_path: Path,
    env: dict[str, str],
    sqlite_made: Path,
    words: tuple[str, ...],
    named: tuple[str, ...],
) -> None:
    """Exit code 2, the word is named, and no file has come about."""
    shutil.copy(sqlite_made, tmp_path)
    before = sorted(one.name for one in tmp_path.iterdir())
    done = run(*(one.replace("HERE", str(tmp_path)) for one in words), env=env)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in named:
        assert word in done.stderr
    assert {one.name for one in tmp_path.iterdir()} <= {*before, "gapless.db-wal", "gapless.db-shm"}


def test_databases_that_cannot_be_used_say_what_to_do(tmp_path: Path, env: dict[str, str]) -> None:
    """Exit code 5, and the next step."""
    made(env)
    notes = tmp_path / "notes.txt"
    notes.write_text("not a database, but long enough to be looked at as one\n" * 20)
    (tmp_path / "folder").mkdir()
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).close()
    empty.touch()

    refused(run("db", "copy", "--to", str(notes), env=env), 5, "not a SQLite file", "name another database as to")
    refused(run("db", "copy", "--to", str(tmp_path / "folder"), env=env), 5, "is a folder")
    refused(run("db", "copy", "--to", str(notes / "b.db"), env=env), 5, "cannot be made")
    refused(run("db", "copy", "--to", "postgresql://127.0.0.1:9/nothing", env=env), 5, "cannot be used")
    refused(run("db", "restore", str(notes), "--force", env=env), 5, "not a SQLite file", "as file")
    refused(run("db", "restore", str(empty), "--force", env=env), 5, "holds no history")
    assert notes.read_text().startswith("not a database")
    with closing(open_store(env["GAPLESS_DATABASE_URL"])) as store:
        assert read(store, jobs.get, 1) is not None
