"""A server over a history on SQLite, asked over real HTTP; a simulated provider beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from gapless.app import Gapless
from gapless.core.actor import Role
from gapless.engine.accounts import hash_of
from gapless.sandbox.process import SandboxProcess
from gapless.server.process import Serving
from gapless.store import accounts
from gapless.testing.history import open_history

PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def provider() -> Iterator[SandboxProcess]:
    """One simulator a session."""
    with SandboxProcess("upbit", rate=0) as started:
        yield started


@pytest.fixture
def history(tmp_path: Path, provider: SandboxProcess) -> Iterator[Gapless]:
    """An empty history."""
    with open_history(tmp_path, provider.url) as opened:
        yield opened


@pytest.fixture
def serving(history: Gapless) -> Iterator[Serving]:
    """A server without slots: jobs wait until a test lets them run."""
    with Serving(history, "127.0.0.1", 0) as started:
        yield started


@pytest.fixture(scope="session")
def hashed() -> str:
    """The hash of `PASSWORD`, made once: that takes longer than most tests."""
    return hash_of(PASSWORD)


Client = Callable[..., httpx.Client]


@pytest.fixture
def client(serving: Serving, history: Gapless, hashed: str) -> Iterator[Client]:
    """Makes clients with a token of a role: `client("operator")`, or nobody's: `client("")`."""
    made: list[httpx.Client] = []

    def make(role: str = "admin", name: str = "") -> httpx.Client:
        headers = {}
        if role:
            who = name or role
            if who not in {one.name for one in history.accounts.every()}:
                now = history.clock.now()
                history.store.write(lambda tx: accounts.add(tx, who, Role(role), hashed, now))
            headers["Authorization"] = f"Bearer {history.accounts.add_token(who, 'test', Role(role))[1]}"
        made.append(httpx.Client(base_url=serving.url, headers=headers, timeout=30))
        return made[-1]

    yield make
    for one in made:
        one.close()
