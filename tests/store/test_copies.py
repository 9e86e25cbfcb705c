"""Copies of whole histories, in every direction: all of it, exactly, or nothing in the target's place."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Table, make_url

from gapless.core.dataset import Axis, Column, Dataset, Type
from gapless.core.errors import StoreError, UsageError
from gapless.core.pacing import Limit
from gapless.core.segment import SegmentState
from gapless.core.span import DAWN, DOOM, MINUTE, Span
from gapless.store import budgets, copies, events, jobs, parts, quarantine, rows, segments, series, workers
from gapless.store.aside import beside
from gapless.store.copies import Order, Step
from gapless.store.database import Tx
from gapless.store.schema import metadata
from gapless.store.sqlite import dbapi
from gapless.store.store import Store, database, open_store
from gapless.store.workers import Worker
from gapless.testing.databases import fresh_database
from gapless.testing.factories import (
    BUDGET,
    CANDLES,
    MORNING,
    claim,
    commit,
    lease_of,
    make_job,
    make_page,
    make_wish,
    minute,
    minutes,
    read,
    write,
)

KINDS = ["sqlite", "postgresql"]
DIRECTIONS = list(product(KINDS, KINDS))
directions = pytest.mark.parametrize(("source_kind", "target_kind"), DIRECTIONS)
EVER = Span(DAWN, DOOM)
EVERYTHING = Dataset(
    name="test.everything",
    source="test",
    grid=CANDLES.grid,
    axis=Axis.STEP,
    columns=(
        Column(name="kind", type=Type.TEXT),
        Column(name="price", type=Type.FLOAT, nullable=True),
        Column(name="count", type=Type.INT, nullable=True),
        Column(name="is_final", type=Type.BOOL, nullable=True),
        Column(name="amount", type=Type.DECIMAL, nullable=True),
        Column(name="day", type=Type.DATE, nullable=True),
        Column(name="known_at", type=Type.TIME, nullable=True),
    ),
    key=("kind",),
)
DATASETS = [CANDLES, EVERYTHING]
#: More than two batches of rows.
MANY = 2 * parts.BATCH + 3000

Place = Callable[[str], str]


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Addresses of new databases: files that do not exist, empty databases of the session's server."""
    with ExitStack() as stack:
        given = iter(range(100))

        def new(kind: str) -> str:
            if kind == "sqlite":
                return f"sqlite:///{tmp_path / f'{next(given)}.db'}"
            return stack.enter_context(fresh_database(request.getfixturevalue("postgres")))

        yield new


@contextmanager
def opened(url: str) -> Iterator[Store]:
    with closing(open_store(url)) as store:
        yield store


def copied(source: str, target: str, **more: Any) -> copies.Copied:
    with opened(source) as store:
        return copies.copy(Order(store, database(target), DATASETS, **more))


def a_history(store: Store, *, many: int = 50) -> None:
    """One of everything that happens: rows of each type, a page under a lease, trouble, budgets, a dead worker."""
    store.prepare(DATASETS)
    make_job(store, make_wish(series=("KRW-BTC", "KRW-ETH")))
    lease = lease_of(store)
    commit(store, make_page(900, 1000, empty=(910, 911)), lease, prove=True)

    def more(tx: Tx) -> None:
        other = series.ensure(tx, EVERYTHING.name, "one")
        rows.upsert(tx, EVERYTHING, other, [everything(kind) for kind in ("B", "a", "ä", "한")])
        rows.upsert(tx, EVERYTHING, other, [(minute(1), "a", *[None] * 6), (minute(2), "a", -0.0, *[None] * 5)])
        quarantine.add(tx, 1, minutes(10, 20), job=1, reason="poison\nand 'quotes'", at=MORNING)
        budgets.ensure(tx, Limit(key=BUDGET, rate=10.0), 9.5)
        budgets.ensure(tx, Limit(key="Z/other", rate=None), None)
        events.add(tx, MORNING, "test", "something \\N happened\t한글", job=1, segment=1)
        workers.enter(tx, Worker(**{one.name: "dead" if one.type == "str" else 7 for one in fields(Worker)}))

    store.write(more)
    fill_up(store, many)


def everything(kind: str) -> tuple[Any, ...]:
    return (minute(0), kind, 0.1 + 0.2, 2**53 + 1, True, "361.50", "2026-02-28", minute(0) + 1)


def fill_up(store: Store, many: int, name: str = "KRW-XRP") -> None:
    """A series with so many rows."""
    made = [(minute(i), i / 7, float(i), minute(i) + MINUTE - 1) for i in range(many)]

    def fill(tx: Tx) -> None:
        rows.upsert(tx, CANDLES, series.ensure(tx, CANDLES.name, name), made)

    store.write(fill)


def difference(source: str, target: str) -> str:
    with opened(source) as here, opened(target) as there, here.read() as mine, there.read() as theirs:
        return copies.compare(mine, theirs, DATASETS)[1]


def leftovers(target: str) -> list[str]:
    """What lies beside the target."""
    if target.startswith("sqlite"):
        path = Path(target.removeprefix("sqlite:///"))
        return sorted(
            one.name for one in path.parent.glob(f"{path.name}?*") if not one.name.endswith((".lock", "-wal", "-shm"))
        )
    with psycopg.connect(target) as connection:
        found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%gapless%'").fetchall()
    return [str(name) for (name,) in found]


def is_nothing(target: str) -> bool:
    """Whether there is no history in the target's place."""
    if target.startswith("sqlite"):
        return not Path(target.removeprefix("sqlite:///")).exists()
    with psycopg.connect(target) as connection:
        (found,) = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() or (-1,)
    return found == 0


# What a copy holds


@directions
def test_a_copy_holds_everything_under_the_same_ids(place: Place, source_kind: str, target_kind: str) -> None:
    """Jobs, the ledger, budgets, events, rows of every type: who moves to another database must not lose a word."""
    source, target = place(source_kind), place(target_kind)
    with opened(source) as store:
        a_history(store)
    done = copied(source, target)

    assert difference(source, target) == ""
    assert leftovers(target) == []
    with opened(source) as here, opened(target) as there:
        for dataset, one in product(DATASETS, range(1, 5)):
            assert read(here, rows.content, dataset, one, EVER) == read(there, rows.content, dataset, one, EVER)
        assert read(there, jobs.get, 1) == read(here, jobs.get, 1)
        assert read(there, events.of_job, 1) == read(here, events.of_job, 1)
        assert read(there, budgets.every) == read(here, budgets.every)
    assert done.rows == sum(seal.rows for _, seal in done.parts)
    assert {part.label for part, _ in done.parts} >= {"job", "test.candles.1m KRW-BTC", "test.everything one"}


def shape(url: str) -> set[tuple[Any, ...]]:
    """Everything that the schema of a PostgreSQL database has, by kind and name."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT relkind::text, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " UNION ALL SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " UNION ALL SELECT 'type', typname FROM pg_type WHERE typnamespace = 'public'::regnamespace"
            " UNION ALL SELECT 'trigger', tgname FROM pg_trigger WHERE NOT tgisinternal"
            " UNION ALL SELECT 'check', conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        ).fetchall()
    return set(found)


@pytest.mark.parametrize("source_kind", KINDS)
@pytest.mark.parametrize("was_opened", [False, True])
def test_a_copy_in_postgresql_lacks_nothing_of_its_schema(place: Place, source_kind: str, was_opened: bool) -> None:
    """Views, functions and triggers move in with the tables; the doorbell has rung for every segment that waits."""
    source, target, fresh = place(source_kind), place("postgresql"), place("postgresql")
    with opened(source) as store, opened(fresh) as other:
        a_history(store)
        other.prepare(DATASETS)
    if was_opened:
        open_store(target).close()
    copied(source, target)

    assert shape(target) == shape(fresh)
    with psycopg.connect(target) as connection:
        waiting = connection.execute("SELECT count(*) FROM segment WHERE state = 'waiting'").fetchone()
        rings = connection.execute("SELECT count(*) FROM gapless_pgqueuer WHERE status = 'queued'").fetchone()
    assert waiting == rings == (2,)


def anything(table: Table, number: int) -> dict[str, Any]:
    """A row that the checks of its table accept, whatever columns it has."""
    states = {"segment": "failed", "chain": "started", "delivery": "sent"}
    known = {
        "start": 1,
        "end": 2,
        "cursor": 1,
        "job": number,
        "role": "viewer",
        "state": states.get(table.name, "done"),
        "after": "ended",
    }
    made: dict[str, Any] = {}
    for at, column in enumerate(table.columns):
        kind = column.type.python_type
        made[column.name] = known.get(column.name, {str: f"text {number}.{at}", bytes: b"\x00"}.get(kind, kind(number)))
    return made


@directions
def test_every_table_of_the_schema_comes_along(place: Place, source_kind: str, target_kind: str) -> None:
    """A table that is added later is copied without a word here; only rows about processes stay behind."""
    source, target = place(source_kind), place(target_kind)
    with opened(source) as store:
        for table, number in product(metadata.sorted_tables, (7, 8)):
            values = anything(table, number)
            marks = ["?" if source_kind == "sqlite" else "%s"] * len(values)
            text = f'INSERT INTO "{table.name}" ({", ".join(f"{chr(34)}{name}{chr(34)}" for name in values)})'
            write(
                store,
                lambda tx, *_: tx.cursor.execute(_[0], _[1]),
                f"{text} VALUES ({', '.join(marks)})",
                [*values.values()],
            )
    done = copied(source, target)

    assert {part.table: seal.rows for part, seal in done.parts} == dict.fromkeys(set(metadata.tables) - {"worker"}, 2)
    assert difference(source, target) == ""


@directions
def test_a_copy_goes_on_where_the_source_stood(place: Place, source_kind: str, target_kind: str) -> None:
    """No worker comes along: its segment waits again, and it is fenced off. New things get new ids."""
    source, target = place(source_kind), place(target_kind)
    with opened(source) as store:
        a_history(store)
        held = read(store, segments.get, 1)
    copied(source, target)

    with opened(target) as store:
        assert read(store, workers.every) == []
        waiting = read(store, segments.get, 1)
        assert (waiting.state, waiting.epoch, waiting.cursor) == (SegmentState.WAITING, held.epoch + 1, held.cursor)
        lease = claim(store, "another")
        assert lease is not None
        assert lease.segment.id == 1
        commit(store, make_page(800, 900), lease)
        assert read(store, rows.count, CANDLES, 1, minutes(0, 1000)) == 198
        old = max(one.id for one in read(store, segments.of_job, 1) for one in [one.segment])
        made = make_job(store, make_wish(series=("KRW-NEW",)))
        assert made.id == 2
        assert [one.segment.id for one in read(store, segments.of_job, made.id)] == [old + 1]
        assert read(store, series.find, CANDLES.name, "KRW-NEW") not in (None, 1, 2, 3, 4)


# Broken off


SCRIPT = """
import os, signal, sys
from gapless.core.dataset import Dataset
from gapless.store import copies
from gapless.store.store import database, open_store
from gapless.testing.factories import CANDLES

def tick(step):
    if step.done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

copies.copy(copies.Order(open_store(sys.argv[1]), database(sys.argv[2]), [CANDLES], tick=tick))
"""


def killed(source: str, target: str, after: int) -> None:
    """A process that copies, and is killed for good after so many rows."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, source, target, str(after)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def many(url: str, number: int = MANY) -> None:
    with opened(url) as store:
        store.prepare([CANDLES])
        make_job(store, make_wish(series=("KRW-BTC", "KRW-ETH")))
        fill_up(store, number)


@directions
@pytest.mark.parametrize("after", [1, 2 * parts.BATCH])
def test_a_copy_that_was_killed_goes_on(place: Place, source_kind: str, target_kind: str, after: int) -> None:
    """Until it is complete nothing is in the target's place; what had been copied need not be copied again."""
    source, target = place(source_kind), place(target_kind)
    many(source)
    killed(source, target, after)

    assert is_nothing(target)
    assert leftovers(target) != []
    done = copied(source, target)
    assert done.kept >= after - 1
    assert done.rows > MANY
    assert difference(source, target) == ""
    assert leftovers(target) == []


@directions
def test_what_changed_while_a_copy_lay_broken_off_is_in_it(place: Place, source_kind: str, target_kind: str) -> None:
    """The source may have been worked on: half of one state and half of another would be a history that never was."""
    source, target = place(source_kind), place(target_kind)
    many(source)
    killed(source, target, 2 * parts.BATCH)
    with opened(source) as store:
        store.write(lambda tx: rows.upsert(tx, CANDLES, 3, [(minute(5), -1.0, -1.0, minute(5))]))
        store.write(lambda tx: tx.cursor.execute("DELETE FROM job_series WHERE series = 2"))
        fill_up(store, 10, "KRW-NEW")

    copied(source, target)
    assert difference(source, target) == ""


@pytest.mark.parametrize("target_kind", KINDS)
def test_a_broken_off_copy_of_another_history_is_replaced(place: Place, target_kind: str) -> None:
    """Whoever thinks again need not clean up first."""
    other, source, target = place("sqlite"), place("sqlite"), place(target_kind)
    many(other)
    killed(other, target, 2 * parts.BATCH)
    with opened(source) as store:
        a_history(store)

    copied(source, target)
    assert difference(source, target) == ""


def test_two_copies_to_one_target_do_not_meet(place: Place) -> None:
    """The second would tear down what the first builds."""
    source, target = place("sqlite"), place("sqlite")
    many(source, 1)
    with beside(database(target)), pytest.raises(StoreError, match="another process"):
        copied(source, target)


# Verified


@directions
def test_a_copy_made_twice_is_found_to_be_there(place: Place, source_kind: str, target_kind: str) -> None:
    """Killed after its last step, or simply repeated: it says so and changes nothing."""
    source, target = place(source_kind), place(target_kind)
    with opened(source) as store:
        a_history(store)
    first, second = copied(source, target), copied(source, target)
    assert (second.kept, second.parts) == (first.rows, first.parts)


@directions
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            "UPDATE data_test_candles_1m SET close = close + 0.1 WHERE series = 1 AND volume = 0.5",
            "KRW-BTC: the rows differ",
        ),
        ("DELETE FROM data_test_candles_1m WHERE series = 4 AND volume = 7", "KRW-XRP: 50 rows in the source, 49"),
        ('UPDATE coverage SET "end" = "end" + 1', "coverage: the rows differ"),
        ("UPDATE budget SET rate = NULL", "budget: the rows differ"),
        ("DELETE FROM data_test_everything", "test.everything one is only in one of them"),
    ],
)
def test_a_change_in_the_target_is_found(
    place: Place, source_kind: str, target_kind: str, change: str, named: str
) -> None:
    """The comparison reads both sides to the last value, and names the place; what is there is left alone."""
    source, target = place(source_kind), place(target_kind)
    with opened(source) as store:
        a_history(store)
    copied(source, target)
    with opened(target) as store:
        store.write(lambda tx: tx.cursor.execute(change))

    with pytest.raises(StoreError, match="holds another history") as caught:
        copied(source, target)
    assert named in str(caught.value)
    assert named in difference(source, target)


@pytest.mark.parametrize("target_kind", KINDS)
def test_a_row_that_changes_while_it_is_copied_is_found(place: Place, target_kind: str) -> None:
    """A disk that lies, a trigger, a hand: what is read back must be what was read."""
    source, target = place("sqlite"), place(target_kind)
    many(source)

    with opened(source) as store, beside(database(target)) as aside:
        aside.prepare()
        meddle = {
            "sqlite": "CREATE TRIGGER meddle AFTER INSERT ON job BEGIN UPDATE job SET name = 'other'; END",
            "postgresql": "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN NEW.name = 'other'; RETURN NEW; END$$;"
            " CREATE TRIGGER meddle BEFORE INSERT ON job FOR EACH ROW EXECUTE FUNCTION meddle()",
        }[target_kind]
        aside.made.write(lambda tx: tx.cursor.execute(meddle))
        del store
    with pytest.raises(StoreError, match="job: what was read back is not what was written"):
        copied(source, target)
    assert is_nothing(target)


# Refused


@pytest.mark.parametrize("target_kind", KINDS)
def test_a_target_with_another_history_is_left_alone(place: Place, target_kind: str) -> None:
    """One line with what differs; nobody's rows are mixed or lost."""
    source, target = place("sqlite"), place(target_kind)
    many(source, 10)
    with opened(target) as store:
        make_job(store)

    with pytest.raises(StoreError, match="holds another history") as caught:
        copied(source, target)
    assert "empty database" in caught.value.hint
    with opened(target) as store:
        assert read(store, jobs.get, 1) is not None
    assert leftovers(target) == []


@pytest.mark.parametrize("target_kind", KINDS)
def test_a_target_that_was_only_opened_is_empty(place: Place, target_kind: str) -> None:
    """Its tables are there, nothing is in them: that is no history."""
    source, target = place("sqlite"), place(target_kind)
    many(source, 10)
    with opened(target) as store:
        store.prepare(DATASETS)

    copied(source, target)
    assert difference(source, target) == ""


def test_a_file_under_another_name_is_still_the_source(place: Place, tmp_path: Path) -> None:
    """A copy onto itself would end with neither."""
    source = place("sqlite")
    many(source, 1)
    link = tmp_path / "link.db"
    link.symlink_to(source.removeprefix("sqlite:///"))
    with pytest.raises(UsageError, match="the source itself") as caught:
        copied(source, f"sqlite:///{link}")
    assert caught.value.field == "to"


def test_a_database_under_another_address_is_still_the_source(place: Place) -> None:
    """An address has many spellings; the servers are asked."""
    source = place("postgresql")
    many(source, 1)
    spelled = make_url(source).update_query_dict({"application_name": "other"})
    with pytest.raises(UsageError, match="the source itself"):
        copied(source, spelled.render_as_string(hide_password=False))
    copied(source, place("postgresql"))


@pytest.mark.parametrize("source_kind", KINDS)
def test_data_of_an_unknown_dataset_is_not_left_behind(place: Place, source_kind: str) -> None:
    """A source that was switched off still has its rows here."""
    source, target = place(source_kind), place("sqlite")
    with opened(source) as store:
        store.prepare([replace(CANDLES, name="test.forgotten")])
    with pytest.raises(StoreError, match="data_test_forgotten"):
        copied(source, target)
    assert is_nothing(target)


@pytest.mark.parametrize("source_kind", KINDS)
def test_tables_of_others_are_told_and_left(place: Place, source_kind: str) -> None:
    """Somebody's notes beside the history are not ours to move, and not ours to hide."""
    source, target = place(source_kind), place("sqlite")
    many(source, 1)
    with opened(source) as store:
        store.write(lambda tx: tx.cursor.execute("CREATE TABLE notes (text TEXT)"))
    assert copied(source, target).left == ("notes",)


def test_a_file_that_somebody_has_open_is_not_swapped_under_them(place: Place) -> None:
    """They would go on writing into a file that is no longer there."""
    source, target = place("sqlite"), place("sqlite")
    many(source, 1)
    with opened(target) as store:
        with store.read() as tx:
            parts.tables(tx)
        with pytest.raises(StoreError, match="open in another program"):
            copied(source, target)
    copied(source, target)
    assert difference(source, target) == ""


@pytest.mark.parametrize("target_kind", KINDS)
def test_a_target_filled_meanwhile_is_not_overwritten(place: Place, target_kind: str) -> None:
    """Somebody begins there between our look and our last step."""
    source, target = place("sqlite"), place(target_kind)
    many(source)
    others: list[int] = []

    def tick(step: Step) -> None:
        if step.done >= parts.BATCH and not others:
            others.append(1)
            with psycopg.connect(target, autocommit=True) if target_kind == "postgresql" else theirs(target) as they:
                they.execute("INSERT INTO event (at, level, name, message) VALUES (1, 'info', 'test', 'mine')")

    open_store(target).close()
    with pytest.raises(StoreError, match="filled by somebody"):
        copied(source, target, tick=tick)
    with opened(target) as store, store.read() as tx:
        assert not parts.is_empty(tx, DATASETS)


def theirs(url: str) -> Any:
    return closing(dbapi.connect(url.removeprefix("sqlite:///"), isolation_level=None))


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_behind_the_program_is_refused(place: Place, kind: str) -> None:
    """It is not upgraded on the way: reading must not write."""
    source = place(kind)
    open_store(source).close()
    with opened(source) as store:
        store.write(lambda tx: tx.cursor.execute("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(StoreError, match="newer"):
            copies.existing(database(source), "from")


# Backups


def tables_agree(url: str) -> int:
    """Rows that a writer adds to two tables in one transaction; they must be as many in both."""
    with opened(url) as store, store.read() as tx:
        tx.cursor.execute("SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM quarantine)")
        one, other = tx.cursor.fetchone()
    assert one == other
    return int(one)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_is_one_moment_while_others_write(place: Place, kind: str) -> None:
    """Rows, ledger and cursor belong together; a backup taken table by table would tear them apart."""
    source, target = place(kind), place("sqlite")
    # More pages than go in one step.
    many(source, 200_000 if kind == "sqlite" else MANY)
    steps: list[Step] = []

    with opened(source) as store, opened(source) as writer:

        def both(tx: Tx) -> None:
            events.add(tx, MORNING, "test", "both", job=1)
            quarantine.add(tx, 1, minutes(1, 2), job=1, reason="both", at=MORNING)

        def tick(step: Step) -> None:
            steps.append(step)
            writer.write(both)

        writer.write(both)
        order = Order(store, database(target), DATASETS, tick=tick)
        done = copies.take_over(order) if kind == "sqlite" else copies.copy(order)

    assert sum(one.doing.startswith("copying") for one in steps) >= 2
    assert tables_agree(target) == 1
    assert tables_agree(source) == 1 + len(steps)
    assert done.rows > MANY


def test_a_copy_by_pages_is_like_any_other(place: Place) -> None:
    """A backup can be opened and gone on with: no dead workers, nothing that runs."""
    source, target = place("sqlite"), place("sqlite")
    with opened(source) as store:
        a_history(store)
        copies.take_over(Order(store, database(target), DATASETS))
    assert leftovers(target) == []
    assert difference(source, target) == ""
    with opened(target) as store:
        assert read(store, workers.every) == []
        assert read(store, segments.get, 1).state == SegmentState.WAITING


@pytest.mark.parametrize("target_kind", KINDS)
def test_another_history_is_replaced_as_a_whole(place: Place, target_kind: str) -> None:
    """After a restore nothing of the old one is left, not even its table of a dataset that the new one lacks."""
    source, target = place("sqlite"), place(target_kind)
    with opened(target) as store:
        a_history(store)
    many(source, 10)

    copied(source, target, replace=True)
    assert difference(source, target) == ""


@pytest.mark.parametrize("target_kind", KINDS)
def test_a_replacement_that_is_killed_leaves_the_old_history(place: Place, target_kind: str) -> None:
    """The old one goes in the instant in which the new one is complete."""
    old, source, target = place("sqlite"), place("sqlite"), place(target_kind)
    with opened(old) as store:
        a_history(store)
    copied(old, target)
    many(source)
    script = SCRIPT.replace("tick=tick", "tick=tick, replace=True").replace("[CANDLES]", "[CANDLES, OTHER]")
    other = "OTHER = Dataset(name='test.everything', source='', grid=CANDLES.grid, axis=CANDLES.axis, columns=())"
    done = subprocess.run(
        [sys.executable, "-c", script.replace("def tick", f"{other}\ndef tick"), source, target, str(parts.BATCH)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert difference(old, target) == ""
    copied(source, target, replace=True)
    assert difference(source, target) == ""
