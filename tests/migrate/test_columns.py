"""Other columns: a table of an older version is told, changed in one transaction, and filled without a lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

import gapless
from gapless.app import Gapless, columns
from gapless.cli import tree
from gapless.core.errors import StoreError, UsageError
from gapless.core.job import JobState
from gapless.core.span import DAWN, DOOM, Span
from gapless.sandbox.clock import instant as at
from gapless.sandbox.process import SandboxProcess
from gapless.settings import Settings
from gapless.store import audit, rows, series
from gapless.testing.dart import MovedClock

DAYS, TABLE = "upbit.candles.1d", "data_upbit_candles_1d"
NOW = "2024-06-14T03:00:00Z"
EVER = Span(DAWN, DOOM)


@pytest.fixture(scope="module")
def upbit() -> Iterator[SandboxProcess]:
    """One simulator."""
    with SandboxProcess("upbit", rate=0, now=NOW) as started:
        yield started


@pytest.fixture
def reopen(made_url: str, upbit: SandboxProcess) -> Iterator[Callable[[], Gapless]]:
    """Opens the same history again, as a new start of the program would."""
    with ExitStack() as stack:
        settings = Settings(
            database_url=made_url,
            base_urls={"upbit": upbit.url},
            rates={"upbit": None},
            retry_delay=timedelta(milliseconds=20),
        )
        yield lambda: stack.enter_context(gapless.open(settings=settings, clock=MovedClock(NOW)))


def fill(history: Gapless) -> None:
    assert history.backfill(DAYS, "KRW-BTC", "2023-01-01", "2024-05-31").wait(timeout=60) is JobState.DONE


@pytest.fixture
def older(reopen: Callable[[], Gapless]) -> Gapless:
    """A history of a version whose days had no value, no change rate, and a column that is gone by now."""
    history = reopen()
    fill(history)
    run(history, 'DROP COLUMN "value"', 'DROP COLUMN "change_rate"', 'ADD COLUMN "mood" INTEGER')
    return reopen()


def run(history: Gapless, *changes: str) -> None:
    def write(tx) -> None:
        for one in changes:
            tx.cursor.execute(f"ALTER TABLE {TABLE} {one}")

    history.store.write(write, isolated=True)


def content(history: Gapless) -> tuple[int, str]:
    with history.store.read() as tx:
        its = series.find(tx, DAYS, "KRW-BTC")
        assert its is not None
        return rows.content(tx, history.dataset(DAYS), its, EVER)


def changed(history: Gapless, *, drop: bool = False) -> int | None:
    """Change the table; the job that fills it."""
    change = columns.look(history, DAYS)
    columns.check(history, change, leave_empty=False)
    columns.alter(history, change, drop=drop, leave_empty=False)
    return columns.begin(history, change.dataset)


def test_a_table_of_another_version_is_told_before_anything_is_read_or_written(older: Gapless) -> None:
    with pytest.raises(StoreError, match=f"{TABLE} .* lacks value, change_rate; `gapless migrate columns {DAYS}"):
        older.dataset(DAYS)
    older.dataset("upbit.candles.1m")


def test_a_look_says_what_would_change_and_changes_nothing(older: Gapless) -> None:
    change = columns.look(older, DAYS)
    assert [one.name for one in change.lacking] == ["value", "change_rate"]
    assert (change.surplus, change.rows, change.note) == (("mood",), 517, None)
    told = columns.words(older, change, drop=False, leave_empty=False)
    assert "517 rows have nothing there and would be fetched again" in told
    assert columns.look(older, DAYS) == change


def test_rows_are_fetched_again_for_a_new_column(
    older: Gapless, reopen: Callable[[], Gapless], upbit: SandboxProcess
) -> None:
    """What is not known is missing, not empty; afterwards the history is what a new one would be."""
    job = changed(older, drop=True)
    assert job is not None
    assert older.run(job).wait(timeout=60) is JobState.DONE
    assert columns.begin(older, older.dataset(DAYS)) is None
    assert columns.look(older, DAYS).note is None

    assert set(older.gaps(DAYS, "KRW-BTC", "2023-01-01", "2024-05-31")["word"]) == {"missing"}
    assert older.read(DAYS, "KRW-BTC", "2023-01-01", "2024-05-31", fill=False).height == 517, "as they were"
    fill(older)
    again = older.read(DAYS, "KRW-BTC", "2023-01-01", "2024-05-31", fill=False)
    assert again["value"].null_count() == 0
    assert not older.verify(DAYS).findings
    have = content(older)
    run(older, "RENAME TO data_kept")
    fresh = reopen()
    fresh.dataset(DAYS)
    fresh.backfill(DAYS, "KRW-BTC", "2023-01-01", "2024-05-31", mode="all").wait(timeout=60)
    assert content(fresh) == have
    assert columns.look(older, DAYS).surplus == ()


def test_a_change_that_was_left_goes_on(older: Gapless, reopen: Callable[[], Gapless]) -> None:
    """The table is changed and the job remembered, whatever happens between."""
    change = columns.look(older, DAYS)
    columns.alter(older, change, drop=False, leave_empty=False)
    # The program ended here: the table has its columns, and a note says that they are empty.
    again = reopen()
    note = columns.look(again, DAYS).note
    assert note is not None
    assert note.columns == ["change_rate", "value"]
    job = columns.begin(again, again.dataset(DAYS))
    assert job == columns.begin(reopen(), again.dataset(DAYS))
    assert job is not None
    again.jobs.cancel(job)
    later = columns.begin(again, again.dataset(DAYS))
    assert later is not None
    assert later != job
    assert again.run(later).wait(timeout=60) is JobState.DONE
    assert again.jobs.get(later).rows == 517
    assert columns.begin(again, again.dataset(DAYS)) is None


def test_what_the_source_has_forgotten_stays(older: Gapless) -> None:
    """It cannot be had again: better without the new column than not at all."""
    dataset = replace(older.catalogue.dataset(DAYS), earliest=at("2024-01-01T00:00:00Z"))
    older.catalogue.datasets[DAYS] = dataset
    job = changed(older)
    assert job is not None
    assert older.run(job).wait(timeout=60) is JobState.DONE
    assert older.jobs.get(job).rows == 152
    covered = older.coverage(DAYS, "KRW-BTC")
    assert covered["cells"].to_list() == [365]


def test_columns_may_stay_empty_only_where_they_may_be_null(older: Gapless) -> None:
    change = columns.look(older, DAYS)
    with pytest.raises(UsageError, match="value must have a value"):
        columns.check(older, change, leave_empty=True)
    only = replace(change, lacking=tuple(one for one in change.lacking if one.nullable))
    columns.check(older, only, leave_empty=True)
    columns.alter(older, only, drop=False, leave_empty=True)
    assert columns.look(older, DAYS).note is None
    while older.store.write(audit.seal):
        pass
    with older.store.read() as tx:
        assert [one.action for one in audit.sealed(tx, 0, 100)][-1] == "dataset.columns"


@pytest.mark.parametrize(("name", "said"), [("user.prices", "are imported, nobody"), ("gdelt.articles", "first word")])
def test_what_nobody_can_be_asked_for_is_refused(sqlite_made_url: str, name: str, said: str) -> None:
    with gapless.open(settings=Settings(database_url=sqlite_made_url)) as history:
        change = replace(columns.look(history, name), rows=1, lacking=history.catalogue.dataset(name).columns[:1])
        with pytest.raises(UsageError, match=said):
            columns.check(history, change, leave_empty=False)


def test_the_command_does_it_and_says_what_is_missing(
    sqlite_made_url: str, upbit: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPLESS_UPBIT_BASE_URL", upbit.url)
    runner, words = CliRunner(), ["migrate", "columns", DAYS, "--database", sqlite_made_url]
    with gapless.open(settings=Settings(database_url=sqlite_made_url, base_urls={"upbit": upbit.url})) as history:
        assert history.backfill(DAYS, "KRW-BTC", "2024-01-01", "2024-01-31").wait(timeout=60) is JobState.DONE
        assert "is as upbit.candles.1d declares it" in runner.invoke(tree("migrate"), words).stdout
        run(history, 'DROP COLUMN "value"')
    assert "gets value; 31 rows" in runner.invoke(tree("migrate"), [*words, "--dry-run"]).stdout
    done = runner.invoke(tree("migrate"), words)
    assert done.exit_code == 0
    assert "31 periods are missing again" in done.stdout
