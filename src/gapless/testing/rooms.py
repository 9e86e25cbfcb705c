"""A history with the server over it, in this process: for tests that look at pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import gapless
from gapless.app import Gapless
from gapless.core.job import Job, Mode, Priority, Queue
from gapless.engine.worker import Range
from gapless.sandbox.opendart.keys import KEY
from gapless.sandbox.process import SandboxProcess
from gapless.server.process import Serving
from gapless.settings import Settings
from gapless.store import jobs
from gapless.store import series as series_store
from gapless.store.database import Tx

PASSWORD = "correct horse battery"
MINUTES = "upbit.candles.1m"
DAYS = "upbit.candles.1d"
DIVIDENDS = "dart.dividends"


@dataclass
class Room:
    """A history, the server over it, and its slots; it can be started again at the same address."""

    settings: Settings
    slots: int = 4
    history: Gapless = field(init=False)
    serving: Serving = field(init=False)
    port: int = 0
    #: Jobs that a fixture has made, by what they are for.
    named: dict[str, int] = field(default_factory=dict)
    #: Of a signed-in browser.
    cookies: list[Any] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.history = gapless.open(settings=self.settings)
        self.history.accounts.ensure_admin(PASSWORD)
        if self.slots:
            self.history.worker(list(Queue), Range(self.slots, self.slots))
        self.serving = Serving(self.history, "127.0.0.1", self.port).__enter__()
        self.port = int(self.url.rpartition(":")[2])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.serving.__exit__(kind, error, trace)
        self.history.close()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return self.serving.url

    def job(
        self,
        series: str | Sequence[str] = "KRW-BTC",
        start: str = "2026-01-01",
        end: str = "2026-01-31",
        *,
        dataset: str = MINUTES,
        name: str = "",
        rate: float | None = None,
        hold: bool = False,
        mode: Mode = Mode.MISSING,
    ) -> Job:
        """Make a job."""
        wish = self.history.wish(self.history.dataset(dataset), series, start, end, mode=mode)
        return self.history.create(wish, name=name, rate=rate, hold=hold).job

    def spoil(self, series: str = "KRW-BTC") -> None:
        """Make a stored day of a series impossible: its lowest price above its highest."""
        with self.history.store.read() as tx:
            its = series_store.find(tx, DAYS, series)
        day = f"SELECT min(time) FROM data_upbit_candles_1d WHERE series = {its}"
        broken = f"UPDATE data_upbit_candles_1d SET low = high * 2 WHERE series = {its} AND time = ({day})"
        self.history.store.write(lambda tx: tx.cursor.execute(broken))

    def many(self, count: int) -> None:
        """Make jobs by the thousand, without segments: for a room without slots, where nobody looks after them."""
        store, dataset = self.history.store, self.history.dataset(MINUTES)
        wish = self.history.wish(dataset, "KRW-BTC", "2026-01-01", "2026-01-31")

        def write(tx: Tx) -> None:
            known = [series_store.ensure(tx, MINUTES, "KRW-BTC")]
            for i in range(count):
                jobs.add(
                    tx,
                    replace(wish, said=f"number {i}"),
                    known,
                    now=self.history.clock.now() + i,
                    queue=Queue.BACKFILL.value,
                    priority=Priority.NORMAL,
                    name="one of many",
                    total=43_200,
                    cached=0,
                )

        store.write(write)


def settings_of(folder: Path, upbit: SandboxProcess, dart: SandboxProcess) -> Settings:
    """As fast as the simulators answer; a key that OpenDART takes."""
    return Settings(
        database_url=f"sqlite:///{folder / 'gapless.db'}",
        base_urls={"upbit": upbit.url, "dart": dart.url},
        rates={"upbit": None, "dart": None},
        dailies={"dart": None},
        api_keys={"dart": KEY},
        retry_delay=timedelta(milliseconds=20),
        timeout=timedelta(seconds=10),
    )
