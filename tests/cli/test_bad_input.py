"""Bad input: one line that names the thing and the next step, the documented exit code, nothing half done."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gapless.testing.history import MINUTES, environment, run

NOWHERE = "http://127.0.0.1:9"
FILL = ("fill", MINUTES, "KRW-BTC", "--days", "1")


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("fill", "upbit.candles.2m", "KRW-BTC", "--days", "1"), ("upbit.candles.2m", "did you mean")),
        (("fill", "nothing.at.all", "KRW-BTC", "--days", "1"), ("nothing.at.all", "gapless datasets")),
        (("fill", MINUTES, "krw btc", "--days", "1"), ("series", "KRW-BTC")),
        (("fill", MINUTES, "--days", "1"), ("series", "KRW-BTC")),
        (("fill", MINUTES, "KRW-BTC"), ("from", "--days")),
        (("fill", MINUTES, "KRW-BTC", "--from", "2024-02-01", "--to", "2024-01-01"), ("from", "swap")),
        (("fill", MINUTES, "KRW-BTC", "--from", "2024-02-01T00:00:00"), ("offset", "Z")),
        (("fill", MINUTES, "KRW-BTC", "--from", "yesterday"), ("from", "2024-01-31")),
        (("fill", MINUTES, "KRW-BTC", "--from", "2099-01-01"), ("future",)),
        (("fill", MINUTES, "KRW-BTC", "--days", "1", "--mode", "some"), ("mode", "missing+failed")),
        (("fill", MINUTES, "KRW-BTC", "--days", "1", "--priority", "urgent"), ("priority", "high")),
        (("fill", MINUTES, "KRW-BTC", "--days", "1", "--rate", "-1"), ("rate",)),
        (("read", MINUTES, "KRW-BTC", "--days", "1", "--format", "xml"), ("format", "parquet")),
        (("read", MINUTES, "KRW-BTC", "--days", "1", "-o", "/nowhere/at/all.csv"), ("output", "folder")),
        (("jobs", "show", "99"), ("99", "gapless jobs")),
        (("worker", "--slots", "0"), ("slots",)),
        (("serve", "--port", "99999"), ("--port", "65535")),
        (("jobs", "list", "--most", "-1"), ("--most", "1")),
        (("fill", MINUTES, "KRW-BTC", "--day", "1"), ("--day", "fill --help")),
        (("jobs", "show", "last"), ("JOB", "jobs show --help")),
        (("nonsense",), ("nonsense", "--help")),
    ],
)
def test_wrong_words_are_a_usage_error(tmp_path: Path, words: tuple[str, ...], named: tuple[str, ...]) -> None:
    """Exit code 2, one line, and the field is named."""
    done = run(*words, env=environment(tmp_path, NOWHERE))
    refused(done, 2, *named)
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GAPLESS_SLOTS", "many"),
        ("GAPLESS_UPBIT_BASE_URL", "api.upbit.com"),
        ("GAPLESS_RETRY_DELAY", "soon"),
        ("GAPLESS_DATABASE_URL", "mysql://somewhere/db"),
    ],
)
def test_wrong_settings_name_their_variable(tmp_path: Path, variable: str, value: str) -> None:
    """Checked at the start, before anything is done."""
    refused(run(*FILL, env={**environment(tmp_path, NOWHERE), variable: value}), 2, variable)


def test_a_database_that_is_locked(tmp_path: Path) -> None:
    """Another program holds the write lock: exit code 5 after the busy timeout."""
    env = {**environment(tmp_path, NOWHERE), "GAPLESS_BUSY_TIMEOUT": "300ms"}
    assert run("jobs", "list", env=env).returncode == 0
    holder = sqlite3.connect(tmp_path / "gapless.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    refused(run(*FILL, env=env), 5, "locked")
    holder.execute("ROLLBACK")
    holder.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """And it stays as it was."""
    (tmp_path / "gapless.db").write_text("these are my notes, not a database\n" * 50)

    refused(run(*FILL, env=environment(tmp_path, NOWHERE)), 5, "gapless.db", "GAPLESS_DATABASE_URL")
    assert (tmp_path / "gapless.db").read_text().startswith("these are my notes")


def test_a_database_of_another_program(tmp_path: Path) -> None:
    """We do not move in with others."""
    other = sqlite3.connect(tmp_path / "gapless.db")
    other.execute("CREATE TABLE customers (id INTEGER)")
    other.commit()
    other.close()

    refused(run(*FILL, env=environment(tmp_path, NOWHERE)), 5, "another program")


def test_a_database_newer_than_the_program(tmp_path: Path) -> None:
    """An old program must not write into a new schema."""
    env = environment(tmp_path, NOWHERE)
    assert run("jobs", "list", env=env).returncode == 0
    newer = sqlite3.connect(tmp_path / "gapless.db")
    newer.execute("UPDATE alembic_version SET version_num = '9999'")
    newer.commit()
    newer.close()

    refused(run(*FILL, env=env), 5, "newer", "9999")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file lies where the folder should be."""
    (tmp_path / "in-the-way").write_text("")
    env = {**environment(tmp_path, NOWHERE), "GAPLESS_DATABASE_URL": f"sqlite:///{tmp_path}/in-the-way/gapless.db"}

    refused(run(*FILL, env=env), 5, "in-the-way")


@contextmanager
def somebody_else(status: int, body: bytes) -> Iterator[str]:
    """A web server that is not Upbit."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"<html>not here</html>"), (200, b"<html>log in</html>"), (302, b"")]
)
def test_a_base_url_that_answers_something_else(tmp_path: Path, status: int, body: bytes) -> None:
    """Exit code 4, and the setting to look at."""
    with somebody_else(status, body) as url:
        refused(run(*FILL, env=environment(tmp_path, url)), 4, "GAPLESS_UPBIT_BASE_URL")


def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    """Bounded attempts, then a job that can be retried."""
    refused(run(*FILL, env=environment(tmp_path, NOWHERE)), 4, "cannot be reached", "retry")


def test_the_program_runs_as_a_module_and_prints_its_version() -> None:
    """`gapless --version`."""
    done = subprocess.run([sys.executable, "-m", "gapless", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("gapless ")


def test_an_order_of_two_parts_is_done_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """A priority is not changed where the rate beside it is refused."""
    env = environment(tmp_path, NOWHERE)
    assert run(*FILL, "--hold", env=env).returncode == 0
    refused(run("jobs", "set", "1", "--priority", "high", "--rate", "-1", env=env), 2, "rate")
    shown = run("jobs", "show", "1", "--json", env=env)
    assert json.loads(shown.stdout)["priority"] == "normal"


def test_a_certificate_of_another_job_is_not_compared(tmp_path: Path) -> None:
    """Neither does it hold, nor has anything changed."""
    env = environment(tmp_path, NOWHERE)
    for days in ("1", "2"):
        assert run(*FILL[:-1], days, "--hold", env=env).returncode == 0
    printed = tmp_path / "certificate.json"
    printed.write_text(run("jobs", "certificate", "1", env=env).stdout)
    assert "still holds" in run("jobs", "certificate", "1", "--check", str(printed), env=env).stdout
    refused(run("jobs", "certificate", "2", "--check", str(printed), env=env), 2, "of job 1", str(printed))
