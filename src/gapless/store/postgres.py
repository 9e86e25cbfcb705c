"""PostgreSQL through psycopg 3: a connection a thread, short transactions, row locks in a fixed order."""

from __future__ import annotations

import random
import time
from typing import Any, TypeVar

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from gapless.core.errors import StoreError, StoreLost, UsageError
from gapless.core.lazily import psycopg
from gapless.store import arrays
from gapless.store.database import Database, Tx, Work

T = TypeVar("T")

#: A deadlock is tried again this often, a broken connection once: works do not mind being repeated.
ATTEMPTS = 5
_CHANCE = random.Random()


#: Seconds that a writing transaction may idle; ours never do. The rest of a rescue fits into its five seconds.
FROZEN_SECONDS = 2
#: The oldest PostgreSQL that has all we use.
OLDEST = 14


class Postgres(Database):
    """A PostgreSQL database; any number of processes and machines may use it."""

    name = "postgresql"
    # A view holds nobody up, and may take long: what is read is looked at while it is open.
    begin_view = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0"

    def __init__(self, url: str) -> None:
        super().__init__()
        try:
            parsed = make_url(url)
        except (ValueError, ArgumentError):
            # Its own words repeat the address, and with it the password.
            raise UsageError(
                "GAPLESS_DATABASE_URL: the address cannot be read",
                field="GAPLESS_DATABASE_URL",
                hint="postgresql://USER:PASSWORD@HOST:PORT/NAME, with %40 for an @ in a password",
            ) from None
        self.url = url
        self.address = parsed.render_as_string(hide_password=True)
        query = {key: value for key, value in parsed.query.items() if isinstance(value, str)}
        self._kwargs: dict[str, Any] = {
            "host": parsed.host,
            "port": parsed.port,
            "user": parsed.username,
            "password": parsed.password,
            "dbname": parsed.database,
            "connect_timeout": 5,
            # A network that drops everything is noticed in some fifteen seconds, not in the kernel's two hours.
            "keepalives_idle": 5,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            "application_name": "gapless",
            **query,
        }

    def connect(self) -> Any:
        given = {key: value for key, value in self._kwargs.items() if value is not None}
        # A prepared statement after three uses; our texts are few and repeated.
        connection = psycopg.connect(**given, autocommit=True, prepare_threshold=3)
        if connection.info.server_version < OLDEST * 10_000:
            found = connection.info.server_version // 10_000
            connection.close()
            raise StoreError(
                f"{self.address} is PostgreSQL {found}", hint=f"gapless needs {OLDEST} or newer: upgrade the server"
            )
        arrays.teach(connection)
        # Whatever the server's own habits are: numbers with all their digits, times and dates as we read them.
        connection.execute("SET extra_float_digits = 3; SET datestyle = 'ISO'; SET timezone = 'UTC'")
        # A process that freezes between two statements must not keep its locks: what it had not committed is undone.
        connection.execute(f"SET idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'")
        return connection

    def asyncpg_arguments(self) -> dict[str, Any]:
        """How asyncpg reaches the same database: it knows the same words but for a few."""
        given = {key: value for key, value in self._kwargs.items() if value is not None}
        for ours in ("connect_timeout", "application_name", "options", "channel_binding", "gssencmode"):
            given.pop(ours, None)
        given = {key: value for key, value in given.items() if not key.startswith(("keepalives", "tcp_"))}
        words = {"dbname": "database", "sslmode": "ssl"}
        settings = {"application_name": "gapless bell"}
        return {**{words.get(key, key): value for key, value in given.items()}, "server_settings": settings}

    def write(self, work: Work[T], *, urgent: bool = False, isolated: bool = False) -> T:  # noqa: ARG002  no queue here
        for attempt in range(1, ATTEMPTS + 1):
            connection = self._mine()
            try:
                with connection.transaction(), connection.cursor() as cursor:
                    return work(Tx(self.name, cursor))
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure) as error:
                if attempt == ATTEMPTS:
                    raise StoreError("the database is too busy", hint="run the command again") from error
                # Two that were both turned back would meet again in step.
                time.sleep(_CHANCE.uniform(0, 0.02 * attempt))
            except psycopg.Error as error:
                if connection.closed:
                    self.drop(connection)
                    if attempt == 1:
                        continue
                meant = self.explain(error)
                raise meant or error from error
        raise AssertionError("unreachable")

    def is_broken(self, connection: Any) -> bool:
        return bool(connection.closed)

    def explain(self, error: BaseException) -> StoreError | None:
        if isinstance(error, StoreError):
            return error
        if not isinstance(error, psycopg.Error):
            return None
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return StoreError(f"{self.address}: {first}", hint="grant the user the rights on its schema")
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            # Without a code there was no server to give one; class 08: connection, 57: told to go.
            is_lost = error.sqlstate is None or error.sqlstate[:2] in ("08", "57")
            return (StoreLost if is_lost else StoreError)(
                f"{self.address} cannot be used: {first}", hint="check GAPLESS_DATABASE_URL and the server"
            )
        return StoreError(f"{self.address} failed: {first}", hint="run `gapless doctor`")
