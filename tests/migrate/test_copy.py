"""Copying series between histories: rows and their ledger, nothing of our own overwritten, and read back to compare."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from typer.testing import CliRunner

import gapless
from gapless.app import Gapless, bringing
from gapless.app.imports import Order, import_table
from gapless.cli import tree
from gapless.core.errors import UsageError
from gapless.core.job import JobState
from gapless.core.page import Raw
from gapless.core.span import DAWN, DAY, DOOM, Span
from gapless.sandbox.clock import instant as at
from gapless.settings import Settings
from gapless.store import coverage, pages, payloads, rows, series
from gapless.testing.dart import MovedClock

PRICES, SHARES = "user.prices", "krx.stocks"
EVER = Span(DAWN, DOOM)
JANUARY = "2024-01-01..2024-01-31"
Open = Callable[[str], Gapless]


@pytest.fixture
def opener() -> Iterator[Open]:
    """Opens histories; all are closed at the end."""
    with ExitStack() as stack:

        def open_at(url: str) -> Gapless:
            made = gapless.open(settings=Settings(database_url=url), clock=MovedClock("2024-06-14T03:00:00Z"))
            made.dataset(PRICES)
            made.dataset(SHARES)
            return stack.enter_context(made)

        yield open_at


@pytest.fixture
def there(opener: Open, sqlite_made: Path, tmp_path: Path) -> Gapless:
    """The other history, with January of two series, and rows of February that nobody vouches for."""
    made = opener(f"sqlite:///{shutil.copy(sqlite_made, tmp_path / 'there.db')}")
    for name in ("AAPL", "MSFT"):
        put(made, name, {f"2024-01-{day:02}": float(day) for day in range(2, 30)}, JANUARY)
        put(made, name, {"2024-02-05": 5.5, "2024-02-06": 6.5}, "none")
    return made


@pytest.fixture
def here(opener: Open, made_url: str) -> Gapless:
    """An empty history on each database."""
    return opener(made_url)


def put(history: Gapless, name: str, days: dict[str, float], vouch: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        pl.DataFrame({"time": list(days), "close": list(days.values())}).write_parquet(path)
        import_table(history, Order(dataset=PRICES, source=str(path), series=name, columns={}, vouch=vouch))


def stored(history: Gapless, name: str, dataset: str = PRICES) -> tuple[list[tuple[object, ...]], list[Span]]:
    """Rows and covered spans."""
    with history.store.read() as tx:
        its = series.find(tx, dataset, name)
        assert its is not None
        return rows.frame(tx, history.dataset(dataset), its, EVER).rows(), coverage.spans(tx, its)


def look(here: Gapless, there: Gapless, *names: str, dataset: str = PRICES, **span: str) -> bringing.Bringing:
    return bringing.look(here, there.store.url, here.dataset(dataset), names, **span)


def copied(here: Gapless, found: bringing.Bringing) -> JobState:
    made = here.create(bringing.copy_wish(here, found))
    return here.run(made.job.id).wait(timeout=60)


def test_rows_and_their_ledger_come_as_they_are(here: Gapless, there: Gapless) -> None:
    """What is covered there is covered here; what nobody vouches for stays so; a second copy brings nothing."""
    found = look(here, there)
    told = bringing.compare(here, found)
    assert [(one.series, one.rows, one.new, one.both) for one in told] == [("AAPL", 30, 31, 0), ("MSFT", 30, 31, 0)]

    assert copied(here, found) is JobState.DONE

    for name in ("AAPL", "MSFT"):
        assert stored(here, name) == stored(there, name)
    verified = here.verify(PRICES)
    assert not verified.findings
    assert verified.outside == 4
    assert [(one.new, one.both, one.differs) for one in bringing.compare(here, found)] == [(0, 31, ())] * 2
    again = here.create(bringing.copy_wish(here, found))
    assert here.run(again.job.id).wait(timeout=60) is JobState.DONE
    assert here.jobs.get(again.job.id).rows == 0


def test_what_is_covered_here_stays_and_the_difference_is_told(here: Gapless, there: Gapless, tmp_path: Path) -> None:
    """Our own word counts; rows that nobody vouches for give way to those that somebody does."""
    put(here, "AAPL", {"2024-01-10": 99.0}, "rows")
    put(here, "AAPL", {"2024-01-11": 77.0, "2024-02-05": 55.0}, "none")
    found = look(here, there, "AAPL")
    assert copied(here, found) is JobState.DONE
    have = {row[0].day: row[4] for row in stored(here, "AAPL")[0] if row[0].month == 1}
    assert (have[9], have[10], have[11], len(have)) == (9.0, 99.0, 11.0, 28)
    assert [row[4] for row in stored(here, "AAPL")[0] if row[0].month == 2] == [55.0, 6.5]
    (told,) = bringing.compare(here, found)
    assert told.differs == (Span(at("2024-01-01T00:00:00Z"), at("2024-02-01T00:00:00Z")),)
    assert not here.verify(PRICES).findings


def test_only_what_was_asked_for_comes(here: Gapless, there: Gapless) -> None:
    found = look(here, there, "MSFT", start="2024-01-10", end="2024-01-15")
    assert copied(here, found) is JobState.DONE
    listed, spans = stored(here, "MSFT")
    assert [row[0].day for row in listed] == [10, 11, 12, 13, 14, 15]
    assert spans == [Span(at("2024-01-10T00:00:00Z"), at("2024-01-16T00:00:00Z"))]
    assert here.series(here.dataset(PRICES)) == ["MSFT"]


def test_a_copy_that_was_left_goes_on(here: Gapless, there: Gapless) -> None:
    """A stretch is a transaction: what has come is whole, and comes once."""
    job = here.create(bringing.copy_wish(here, look(here, there))).job
    assert here.step(job.id, 1) == 1
    done = here.verify(PRICES)
    assert not done.findings
    assert here.run(job.id).wait(timeout=60) is JobState.DONE
    assert here.jobs.get(job.id).rows == 60
    assert stored(here, "MSFT") == stored(there, "MSFT")


def test_answers_that_may_still_change_come_along(here: Gapless, there: Gapless) -> None:
    """Else a day that was empty for now would be empty for ever; keys and the start of the history come, too."""
    day = Span(at("2024-06-10T15:00:00Z"), at("2024-06-11T15:00:00Z"))
    raw = Raw(name="20240611", version="empty", body=b'{"OutBlock_1":[]}', again_at=at("2024-06-13T00:00:00Z"))
    dataset = there.dataset(SHARES)

    def write(tx) -> None:
        its = series.ensure(tx, SHARES, "KOSPI")
        shares = [(day.start - DAY, code, "name", 1.0, 2.0, 0.5, 1.5, 10, 15, 100, 7) for code in ("000010", "000020")]
        pages.put(tx, dataset, its, shares, [Span(day.start - DAY, day.end)])
        payloads.keep(tx, its, raw, day, dataset.parser, at("2024-06-12T00:00:00Z"))
        series.set_since(tx, its, day.start - DAY, 7)

    there.store.write(write)
    assert copied(here, look(here, there, dataset=SHARES)) is JobState.DONE
    assert stored(here, "KOSPI", SHARES) == stored(there, "KOSPI", SHARES)
    with here.store.read() as tx:
        its = series.find(tx, SHARES, "KOSPI")
        assert its is not None
        assert [one.raw.body for one in payloads.of_series(tx, its)] == [raw.body]
        assert payloads.due(tx, SHARES, at("2024-06-13T00:00:00Z")) == [(its, day)]
        assert series.since(tx, its) == (day.start - DAY, 7)


def test_a_history_on_postgresql_is_copied_from(
    opener: Open, sqlite_made_url: str, postgresql_made_url: str, there: Gapless
) -> None:
    """In every direction: there and back."""
    server, back = opener(postgresql_made_url), opener(sqlite_made_url)
    assert copied(server, look(server, there)) is JobState.DONE
    assert copied(back, look(back, server)) is JobState.DONE
    assert stored(back, "AAPL") == stored(there, "AAPL")


def test_a_source_that_is_gone_holds_the_job(here: Gapless, there: Gapless, tmp_path: Path) -> None:
    found = look(here, there)
    job = here.create(bringing.copy_wish(here, found)).job
    there.close()
    (tmp_path / "there.db").rename(tmp_path / "moved.db")
    assert here.run(job.id).wait(timeout=60) is JobState.FAILED
    assert "there is no file" in here.jobs.get(job.id).error
    (tmp_path / "moved.db").rename(tmp_path / "there.db")
    here.jobs.retry(job.id)
    assert here.run(job.id).wait(timeout=60) is JobState.DONE


@pytest.mark.parametrize(
    ("source", "dataset", "names", "said"),
    [
        ("", PRICES, (), "source: is empty"),
        ("nowhere.db", PRICES, (), "source: there is no file"),
        ("postgresql://me:secret@127.0.0.1/x", PRICES, (), "the address holds a password"),
        ("there", PRICES, ("TSLA",), "has nothing of TSLA; it has: AAPL, MSFT"),
        ("there", SHARES, (), "has nothing of krx.stocks"),
        ("there", "index.rsi", (), "name the job that computed them"),
    ],
)
def test_wrong_words_are_named(
    opener: Open, sqlite_made_url: str, there: Gapless, source: str, dataset: str, names: tuple[str, ...], said: str
) -> None:
    here = opener(sqlite_made_url)
    url = there.store.url if source == "there" else source
    with pytest.raises(UsageError) as raised:
        bringing.look(here, url, here.dataset(dataset), names)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
    with pytest.raises(UsageError, match="is the history itself"):
        bringing.look(here, here.store.url, here.dataset(PRICES), names)


def test_the_command_says_what_would_come_and_what_came(sqlite_made_url: str, there: Gapless) -> None:
    words = ["migrate", "copy", PRICES, "AAPL", "--source", there.store.url, "--database", sqlite_made_url]
    runner = CliRunner()
    tried = runner.invoke(tree("migrate"), [*words, "--dry-run", "--json"])
    assert '"onlyThere": 31' in tried.stdout
    done = runner.invoke(tree("migrate"), words)
    assert done.exit_code == 0
    assert "30 rows stored" in done.stdout
