"""Fixtures that every room's tests share: a clock that stands still, and real databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gapless.core.clock import ManualClock
from gapless.store.store import Store, open_store
from gapless.testing.databases import fresh_database, postgres_server
from gapless.testing.factories import MORNING

# A store is too dear to make anew for each example: store tests give each example a series of its own instead.
settings.register_profile(
    "check",
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    # Whether examples are made fast enough depends on what else the machine does.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
#: `pytest --hypothesis-profile explore` looks further, at other examples each time.
settings.register_profile("explore", settings.get_profile("check"), max_examples=2000, derandomize=False)
settings.load_profile("check")

#: Suites that let Hypothesis run inside a plain test.
_EXPLORE = {"test_interleavings.py", "test_contract.py"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Properties first, in a process without a past; last of its kind, for Hypothesis marks its tests in another one.

    Hypothesis seeds and watches the state of the module `random`. Threads of libraries use it, too (PgQueuer,
    websockets), and some outlive the test that began them by a moment.
    """
    items.sort(key=lambda one: not (one.get_closest_marker("hypothesis") or one.path.name in _EXPLORE))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of this session's PostgreSQL server."""
    with postgres_server() as address:
        yield address


@pytest.fixture
def postgresql_url(postgres: str) -> Iterator[str]:
    """An empty PostgreSQL database."""
    with fresh_database(postgres) as address:
        yield address


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'gapless.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def sqlite_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables of the program, made once and copied for each test."""
    path = tmp_path_factory.mktemp("made") / "gapless.db"
    open_store(str(path)).close()
    return path


@pytest.fixture(scope="session")
def postgresql_made(postgres: str) -> Iterator[str]:
    """The same in PostgreSQL: making the tables takes longer than most tests."""
    with fresh_database(postgres) as address:
        open_store(address).close()
        yield address


@pytest.fixture
def sqlite_store(sqlite_made: Path, tmp_path: Path) -> Iterator[Store]:
    """A store on SQLite, for promises that do not depend on the database."""
    with closing(open_store(str(shutil.copy(sqlite_made, tmp_path)))) as opened:
        yield opened


@pytest.fixture
def postgresql_store(postgres: str, postgresql_made: str) -> Iterator[Store]:
    """A store on PostgreSQL, for what only several machines can do to each other."""
    with fresh_database(postgres, like=postgresql_made) as address, closing(open_store(address)) as opened:
        yield opened


@pytest.fixture
def sqlite_made_url(sqlite_made: Path, tmp_path: Path) -> str:
    """The address of a SQLite file with tables."""
    return f"sqlite:///{shutil.copy(sqlite_made, tmp_path)}"


@pytest.fixture
def postgresql_made_url(postgres: str, postgresql_made: str) -> Iterator[str]:
    """The address of a PostgreSQL database with tables."""
    with fresh_database(postgres, like=postgresql_made) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def made_url(request: pytest.FixtureRequest) -> str:
    """A database of each kind that has its tables: for tests that open it several times."""
    url: str = request.getfixturevalue(f"{request.param}_made_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store:
    """A store on each database."""
    opened: Store = request.getfixturevalue(f"{request.param}_store")
    return opened


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at minute 0 of the factories until the test moves it."""
    return ManualClock(MORNING)
