"""A store as such, on both databases: its schema, how it opens, what a transaction promises, how it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool

from gapless.core.errors import StoreError, UsageError
from gapless.core.pacing import Limit
from gapless.store import budgets, events
from gapless.store.database import Tx
from gapless.store.schema import metadata
from gapless.store.sqlite import SQLite, dbapi, is_safe_version
from gapless.store.store import HEAD, Store, open_store
from gapless.testing.factories import MORNING, read, write
from gapless.testing.fleet import eventually


def note(tx: Tx, message: str) -> None:
    """The smallest thing that a transaction can leave behind."""
    events.add(tx, MORNING, "test", message, job=1)


def notes(store: Store) -> list[str]:
    return [one.message for one in read(store, events.of_job, 1)]


def engine_of(store: Store) -> Engine:
    """SQLAlchemy on the store's own driver, for Alembic to look through."""
    if store.database.name == "sqlite":
        return create_engine("sqlite://", creator=store.database.connect, module=dbapi, poolclass=NullPool)
    return create_engine("postgresql+psycopg://", creator=store.database.connect, poolclass=NullPool)


# Ctrl-C


def test_a_ctrl_c_in_a_group_is_for_one_alone(sqlite_store):
    """Pages that are committed together with what a notebook's user breaks off are committed all the same."""
    store, under_way, go_on = sqlite_store, threading.Event(), threading.Event()

    def first(tx: Tx) -> None:
        note(tx, "first")
        under_way.set()
        assert go_on.wait(30)

    def broken(tx: Tx) -> None:
        note(tx, "broken off")
        raise KeyboardInterrupt

    with ThreadPoolExecutor(4) as pool:
        leading = pool.submit(store.write, first)
        assert under_way.wait(30)
        waiting = [pool.submit(store.write, work) for work in (broken, lambda tx: note(tx, "beside it"))]
        eventually(lambda: len(store.database._waiting) == 2, "both wait")
        go_on.set()
        leading.result()
        with pytest.raises(KeyboardInterrupt):
            waiting[0].result()
        waiting[1].result()
    store.write(lambda tx: note(tx, "after it"))
    assert set(notes(store)) == {"first", "beside it", "after it"}


def test_a_ctrl_c_while_waiting_leaves_no_gap_in_the_queue(sqlite_store):
    """Whoever waits for his turn to write and goes must not be the one whom the others wait for."""
    store, under_way = sqlite_store, threading.Event()

    def first(tx: Tx) -> None:
        under_way.set()
        eventually(lambda: len(store.database._waiting) == 2, "two wait")
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        eventually(lambda: len(store.database._waiting) == 1, "one has gone")

    def second() -> None:
        eventually(lambda: len(store.database._waiting) == 1, "one waits")
        store.write(lambda tx: note(tx, "second"))

    # What Ctrl-C does; processes of xdist ignore SIGINT itself.
    usual = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        with ThreadPoolExecutor(2) as pool:
            running = pool.submit(store.write, first)
            assert under_way.wait(30)
            other = pool.submit(second)
            with pytest.raises(KeyboardInterrupt):
                store.write(lambda tx: note(tx, "never"))
            running.result()
            other.result()
    finally:
        signal.signal(signal.SIGUSR1, usual)
    assert notes(store) == ["second"]


# The schema


def test_the_migrations_make_the_schema_of_the_code(store):
    """A column that only one of the two knows fails at a user's, who has the other."""
    with engine_of(store).connect() as connection:
        # SQLite has no identity columns, which Alembic would report as defaults; the next test compares its defaults.
        options = {
            "compare_type": True,
            "compare_server_default": store.database.name == "postgresql",
            # PgQueuer's tables are its own; another test compares them with the library.
            "include_name": lambda name, kind, _: kind != "table" or not str(name).startswith("gapless_"),
        }
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_the_migrations_make_the_checks_and_keys_of_the_code(store):
    """Alembic does not compare these; they are what keeps impossible states out of the database."""

    def shape(connection: Connection, schema: str | None = None) -> dict[str, Any]:
        seen = inspect(connection)
        return {
            name: (
                {one["name"]: one["sqltext"] for one in seen.get_check_constraints(name, schema=schema)},
                seen.get_pk_constraint(name, schema=schema)["constrained_columns"],
                [
                    (column["name"], str(column["type"]), column["nullable"], column["default"])
                    for column in seen.get_columns(name, schema=schema)
                ],
            )
            for name in metadata.tables
        }

    with engine_of(store).connect() as connection, twin(store, connection) as (other, schema):
        assert shape(connection) == shape(other, schema)


@contextmanager
def twin(store: Store, connection: Connection) -> Iterator[tuple[Connection, str | None]]:
    """The same schema, made without migrations: beside the real one, or in memory."""
    if store.database.name == "sqlite":
        with create_engine("sqlite://", module=dbapi).connect() as memory:
            metadata.create_all(memory)
            yield memory, None
        return
    connection.execute(text("CREATE SCHEMA twin"))
    metadata.create_all(connection.execution_options(schema_translate_map={None: "twin"}))
    yield connection, "twin"


def test_the_code_names_the_newest_migration():
    """A migration that is not named after its revision would never run."""
    config = Config()
    config.set_main_option("script_location", "gapless.store:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_sqlite_is_a_version_that_may_be_trusted():
    """Older ones have a rare corruption bug around WAL resets."""
    assert is_safe_version()


# Opening


def test_opening_again_finds_what_was_there(database_url):
    """The second start is not a new beginning."""
    store = open_store(database_url)
    write(store, note, "first")
    store.close()
    store = open_store(database_url)
    assert notes(store) == ["first"]
    store.close()


def test_processes_that_open_a_new_database_together_all_get_it(database_url):
    """Server and command line start at the same moment; only one of them may make the tables."""
    code = f"from gapless.store.store import open_store; open_store({database_url!r}).close()"
    started = [subprocess.Popen([sys.executable, "-W", "error", "-c", code]) for _ in range(2)]
    assert [one.wait(timeout=60) for one in started] == [0, 0]


def test_threads_that_open_new_histories_together_all_get_them(tmp_path):
    """One process may keep several histories; what migrates them keeps its state in modules."""
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(open_store, [f"sqlite:///{tmp_path / str(number)}.db" for number in range(4)]))
    for store in opened:
        write(store, note, "here")
        assert notes(store) == ["here"]
        store.close()


def test_a_schema_newer_than_the_program_is_left_alone(database_url):
    """An old program that writes into a new schema destroys what it does not know."""
    store = open_store(database_url)
    store.write(lambda tx: tx.cursor.execute("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreError, match="newer than this program") as caught:
        open_store(database_url)
    assert "upgrade gapless" in caught.value.hint


def test_a_database_of_another_program_is_left_alone(database_url):
    """A table named `job` is not ours just because of its name."""
    store = open_store(database_url)
    store.write(lambda tx: tx.cursor.execute("DROP VIEW queue_depth"))
    for table in [*metadata.tables, "alembic_version"]:
        store.write(lambda tx, table=table: tx.cursor.execute(f"DROP TABLE {table}"))
    store.write(lambda tx: tx.cursor.execute("CREATE TABLE job (theirs INTEGER)"))
    store.close()
    with pytest.raises(StoreError, match="another program") as caught:
        open_store(database_url)
    assert "GAPLESS_DATABASE_URL" in caught.value.hint


def test_another_program_s_migrations_are_not_ours(database_url):
    """Alembic's table alone says nothing: many programs have one."""
    store = open_store(database_url)
    store.write(lambda tx: tx.cursor.execute("DROP TABLE coverage"))
    store.close()
    with pytest.raises(StoreError, match="another program"):
        open_store(database_url)


def test_tables_are_made_in_postgresql_only_when_asked(postgresql_url):
    """Whoever shares a database with others wants to say when its schema changes."""
    with pytest.raises(StoreError, match="behind this program") as caught:
        open_store(postgresql_url, create=False)
    assert "gapless db upgrade" in caught.value.hint


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """The wrong path in a setting must not cost somebody's file."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at as one\n" * 20)
    with pytest.raises(StoreError, match="not a SQLite file") as caught:
        open_store(f"sqlite:///{path}")
    assert "GAPLESS_DATABASE_URL" in caught.value.hint
    assert path.read_text().startswith("not a database")


def test_a_folder_is_no_database(tmp_path):
    """And a folder that cannot be made is said so, not a traceback."""
    with pytest.raises(StoreError, match="is a folder"):
        open_store(f"sqlite:///{tmp_path}")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made") as caught:
        open_store(f"sqlite:///{tmp_path / 'file' / 'gapless.db'}")
    assert caught.value.hint


def test_a_folder_that_is_missing_is_made(tmp_path):
    """The default lies in a data folder that a new user does not have yet."""
    path = tmp_path / "new" / "folder with spaces" / "gapless.db"
    open_store(str(path)).close()
    assert path.exists()


@contextmanager
def ordinary_rights() -> Iterator[None]:
    """Root may write everything; for a while be somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path
        path.chmod(0o755)


def test_a_read_only_file_says_so(open_folder):
    """A restored backup often is; the next step is its rights, not the network."""
    path = open_folder / "gapless.db"
    store = open_store(str(path))
    write(store, note, "first")
    store.close()
    path.chmod(0o444)
    open_folder.chmod(0o555)

    def open_and_write() -> None:
        with closing(open_store(str(path))) as store:
            write(store, note, "second")

    with ordinary_rights(), pytest.raises(StoreError) as caught:
        open_and_write()
    assert "rights" in caught.value.hint


def test_a_new_file_in_a_read_only_folder_says_so(open_folder):
    """The same for the very first start."""
    open_store(str(open_folder / "other.db")).close()
    open_folder.chmod(0o555)
    with ordinary_rights(), pytest.raises(StoreError) as caught:
        open_store(str(open_folder / "gapless.db"))
    assert caught.value.hint


def locked(path: Path) -> Any:
    """Another program's connection that holds the write lock."""
    other = dbapi.connect(str(path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_a_file_locked_by_another_program_says_so(sqlite_store, tmp_path):
    """Somebody's open database browser is the usual reason; afterwards the work goes on."""
    store = open_store(sqlite_store.address, busy_seconds=0.05)
    other = locked(tmp_path / "gapless.db")
    with pytest.raises(StoreError, match="locked by another program") as caught:
        write(store, note, "first")
    assert "run the command again" in caught.value.hint
    assert notes(store) == []
    other.close()
    write(store, note, "second")
    assert notes(store) == ["second"]
    store.close()


def test_a_new_file_that_is_locked_says_so(tmp_path):
    """The tables cannot be made then; that is no reason for a traceback either."""
    open_store(str(tmp_path / "warm.db")).close()
    other = locked(tmp_path / "gapless.db")
    with pytest.raises(StoreError, match="locked"):
        open_store(str(tmp_path / "gapless.db"), busy_seconds=0.05)
    other.close()


def test_a_server_out_of_reach_is_named_without_its_password():
    """Error messages end up in logs and tickets."""
    with pytest.raises(StoreError, match="cannot be used") as caught:
        open_store("postgresql://reader:secret@127.0.0.1:1/gapless")
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "GAPLESS_DATABASE_URL" in caught.value.hint


def test_a_user_without_rights_is_told_what_to_grant(postgresql_url, postgres):
    """The default schema of PostgreSQL is closed to ordinary users since version 15."""
    name = f"{make_url(postgresql_url).database}_guest"
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'guest'")
    guest = make_url(postgresql_url).set(username=name, password="guest").render_as_string(hide_password=False)
    try:
        with pytest.raises(StoreError) as caught:
            open_store(guest)
        assert "grant" in caught.value.hint
    finally:
        with psycopg.connect(postgresql_url, autocommit=True) as admin:
            admin.execute(f"DROP OWNED BY {name}")
            admin.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://localhost/gapless",
        "sqlite://gapless.db",
        "sqlite:/gapless.db",
        "postgresql:/me@somewhere/gapless",
        "postgres//me@somewhere/gapless",
        "postgresql://me:secret@somewhere:port/gapless",
        "postgresql://[::1/gapless",
    ],
)
def test_another_kind_of_database_is_refused(url):
    """Two are supported, each proven by this suite; the message names both."""
    with pytest.raises(UsageError) as caught:
        open_store(url)
    assert caught.value.field == "GAPLESS_DATABASE_URL"
    assert "postgresql://" in caught.value.hint


# Transactions


def test_work_that_fails_leaves_nothing(store):
    """All of a page or nothing of it rests on this."""

    def half(tx: Tx) -> None:
        note(tx, "half")
        raise LookupError

    with pytest.raises(LookupError):
        store.write(half)
    write(store, note, "whole")
    assert notes(store) == ["whole"]


def test_a_statement_that_fails_is_a_store_error(store):
    """Whatever a driver raises, users and the worker loop see one error with a next step."""
    with pytest.raises(StoreError) as caught:
        store.write(lambda tx: tx.cursor.execute("SELECT nothing FROM nowhere"))
    assert caught.value.hint
    write(store, note, "the next one works")
    assert notes(store) == ["the next one works"]


def test_a_view_does_not_move_while_it_is_looked_at(store):
    """A plan or a certificate put together from two moments would be of no moment at all."""
    with store.read() as tx:
        assert events.of_job(tx, 1) == []
        with ThreadPoolExecutor(1) as other:
            other.submit(write, store, note, "meanwhile").result()
        assert events.of_job(tx, 1) == []
        assert notes(store) == []
    assert notes(store) == ["meanwhile"]


def test_a_view_that_fails_leaves_the_connection_usable(store):
    """One bad question must not cost the thread its connection."""
    with pytest.raises(StoreError), store.read() as tx:
        tx.cursor.execute("SELECT nothing FROM nowhere")
    assert notes(store) == []


def together(store: Store, works: list[Callable[[Tx], Any]], **more: Any) -> list[BaseException | None]:
    """Write all works at once: on SQLite they queue up behind a held writer and are committed as a group."""
    holding, go = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        holding.set()
        assert go.wait(30)

    with ThreadPoolExecutor(len(works) + 1) as pool:
        first = pool.submit(store.write, hold)
        assert holding.wait(30)
        waiting = []
        for number, work in enumerate(works, 1):
            waiting.append(pool.submit(store.write, work, **more))
            if isinstance(store.database, SQLite):
                # The queue has no event to wait for: look at it until the work is in it, so that the order is known.
                while len(store.database._waiting) + len(store.database._urgent) < number:
                    pass
        go.set()
        first.result()
        return [one.exception() for one in waiting]


def test_one_bad_page_does_not_sink_the_others(store):
    """Pages of several slots share a transaction on SQLite; each must stand or fall alone."""

    def fails(tx: Tx) -> None:
        note(tx, "lost")
        raise LookupError

    def breaks(tx: Tx) -> None:
        note(tx, "lost too")
        tx.cursor.execute("SELECT nothing FROM nowhere")

    works = [lambda tx: note(tx, "a"), fails, lambda tx: note(tx, "b"), breaks, lambda tx: note(tx, "c")]
    outcomes = together(store, works)
    assert [type(one) for one in outcomes] == [type(None), LookupError, type(None), StoreError, type(None)]
    assert sorted(notes(store)) == ["a", "b", "c"]


def test_more_works_than_fit_one_transaction_all_get_their_turn(store):
    """Twenty slots may wait at once; a group holds eight."""
    works = [lambda tx, number=number: note(tx, str(number)) for number in range(20)]
    assert together(store, works) == [None] * 20
    assert sorted(notes(store), key=int) == [str(number) for number in range(20)]


def test_urgent_works_go_before_waiting_pages(sqlite_store):
    """A heartbeat stuck behind pages looks like a death."""
    order: list[str] = []
    holding, go = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        holding.set()
        assert go.wait(30)

    with ThreadPoolExecutor(4) as pool:
        works = [pool.submit(sqlite_store.write, hold)]
        assert holding.wait(30)
        for number, urgent in enumerate((False, False, True), 1):
            name = "beat" if urgent else "page"
            works.append(pool.submit(sqlite_store.write, lambda tx, name=name: order.append(name), urgent=urgent))
            while len(sqlite_store.database._waiting) + len(sqlite_store.database._urgent) < number:
                pass
        go.set()
        for work in works:
            work.result()
    assert order == ["beat", "page", "page"]


def test_isolated_work_shares_its_transaction_with_nobody(sqlite_store):
    """Making a table must neither fail with somebody's page nor take it along."""
    seen: list[list[str]] = []

    def look(tx: Tx) -> None:
        # This view is on another connection: it sees only what is committed.
        seen.append(notes(sqlite_store))
        note(tx, "looked")

    holding, go = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        holding.set()
        assert go.wait(30)

    with ThreadPoolExecutor(4) as pool:
        works = [pool.submit(sqlite_store.write, hold)]
        assert holding.wait(30)
        for number, isolated in enumerate((False, True, False), 1):
            work = look if number > 1 else lambda tx: note(tx, "page")
            works.append(pool.submit(sqlite_store.write, work, isolated=isolated))
            while len(sqlite_store.database._waiting) < number:
                pass
        go.set()
        for one in works:
            one.result()
    assert seen == [["page"], ["page", "looked"]]


def test_a_lock_fails_a_whole_group_with_the_reason(sqlite_store, tmp_path):
    """Nobody may be told that a page is stored when it is not."""
    store = open_store(sqlite_store.address, busy_seconds=0.05)
    other = locked(tmp_path / "gapless.db")
    barrier = threading.Barrier(3)

    def one(name: str) -> BaseException | None:
        barrier.wait(30)
        try:
            write(store, note, name)
        except StoreError as error:
            return error
        return None

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(one, "abc"))
    assert all("locked" in str(outcome) for outcome in outcomes)
    other.close()
    assert notes(store) == []
    store.close()


def test_eight_threads_write_without_losing_anything(store):
    """Each slot is a thread; each commit is somebody's page."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write(store, note, str(number)), range(80)))
    assert sorted(map(int, notes(store))) == list(range(80))


def cut(store: Store) -> None:
    """End the store's connections on the server's side, as a restart or a firewall does."""
    with psycopg.connect(store.database.url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_writer_gets_a_new_connection_after_a_cut(postgresql_store):
    """A restarted server must not need a restarted worker."""
    write(postgresql_store, note, "before")
    cut(postgresql_store)
    with suppress(StoreError):
        write(postgresql_store, note, "cut")
    write(postgresql_store, note, "after")
    assert notes(postgresql_store)[-1] == "after"


def test_a_reader_gets_a_new_connection_after_a_cut(postgresql_store):
    """A page of the web interface only reads: it must come back too."""
    assert notes(postgresql_store) == []
    cut(postgresql_store)
    with suppress(StoreError):
        notes(postgresql_store)
    assert notes(postgresql_store) == []


def test_a_deadlock_is_tried_again(postgresql_store):
    """Two transactions in each other's way are nobody's fault: one of them just runs again."""
    first, second = Limit(key="a", rate=1.0), Limit(key="b", rate=1.0)
    write(postgresql_store, budgets.ensure, first, 1.0)
    write(postgresql_store, budgets.ensure, second, 1.0)
    barrier, runs = threading.Barrier(2), []

    def cross(keys: list[str]) -> None:
        def work(tx: Tx) -> None:
            runs.append(keys)
            budgets.change(tx, keys[0], lambda budget: (replace(budget, rate=2.0), None))
            if len(runs) <= 2:
                barrier.wait(30)
            budgets.change(tx, keys[1], lambda budget: (replace(budget, rate=2.0), None))

        postgresql_store.write(work)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(cross, [["a", "b"], ["b", "a"]]))
    # A busy server may turn both back.
    assert len(runs) >= 3
    assert [one.rate for one in read(postgresql_store, budgets.every)] == [2.0, 2.0]
