"""Another name for a series: at once where the name is free, as a job where both have rows, never at a loss."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest
from typer.testing import CliRunner

import gapless
from gapless.app import Gapless, renaming
from gapless.app.imports import Order, import_table
from gapless.cli import tree
from gapless.core.errors import NotAllowed, UsageError
from gapless.core.job import JobState
from gapless.core.span import DAWN, DOOM, Span
from gapless.settings import Settings
from gapless.store import audit, coverage, events, rows, series
from gapless.testing.dart import MovedClock

PRICES = "user.prices"
OLD, NEW = "FB", "META"
EVER = Span(DAWN, DOOM)


@pytest.fixture
def history(made_url: str) -> Iterator[Gapless]:
    """An empty history on each database."""
    with gapless.open(settings=Settings(database_url=made_url), clock=MovedClock("2024-06-14T03:00:00Z")) as opened:
        opened.dataset(PRICES)
        yield opened


def put(history: Gapless, tmp_path, name: str, days: dict[str, float], vouch: str = "rows") -> None:
    """Prices of days, and what is vouched for."""
    path = tmp_path / f"{name}.parquet"
    pl.DataFrame({"time": list(days), "close": list(days.values())}).write_parquet(path)
    import_table(history, Order(dataset=PRICES, source=str(path), series=name, columns={}, vouch=vouch))


def month(number: int, days: range, price: float = 10.0) -> dict[str, float]:
    return {f"2024-{number:02}-{day:02}": price + day for day in days}


def stored(history: Gapless, name: str) -> tuple[list[tuple[object, ...]], list[Span]]:
    """Rows and covered spans."""
    with history.store.read() as tx:
        its = series.find(tx, PRICES, name)
        if its is None:
            return [], []
        return rows.frame(tx, history.dataset(PRICES), its, EVER).rows(), coverage.spans(tx, its)


def look(history: Gapless, old: str = OLD, new: str = NEW, *, merge: bool = False) -> renaming.Renaming:
    return renaming.look(history, history.dataset(PRICES), old, new, merge=merge)


def merged(history: Gapless) -> JobState:
    made = history.create(renaming.merge_wish(history, look(history, merge=True)))
    return history.run(made.job.id).wait(timeout=60)


def test_a_series_gets_another_name_and_its_old_one_back(history: Gapless, tmp_path) -> None:
    """One transaction, however many rows; the audit knows; the same the other way round takes it back."""
    put(history, tmp_path, OLD, month(1, range(2, 30)), "2024-01-01..2024-01-31")
    before, seen = stored(history, OLD), look(history)
    assert (seen.rows, seen.spans, seen.is_merge) == (28, 1, False)
    assert stored(history, OLD) == before, "a look changes nothing"

    renaming.rename(history, history.dataset(PRICES), OLD, NEW)
    assert stored(history, NEW) == before
    assert history.series(history.dataset(PRICES)) == [NEW]
    assert not history.verify(PRICES).findings
    while history.store.write(audit.seal):
        pass
    with history.store.read() as tx:
        entry = audit.sealed(tx, 0, 100)[-1]
    assert (entry.action, entry.before, entry.after) == ("series.renamed", OLD, NEW)

    renaming.rename(history, history.dataset(PRICES), NEW, OLD)
    assert stored(history, OLD) == before


def test_a_name_that_only_old_jobs_know_is_free(history: Gapless, tmp_path) -> None:
    """A validation of both names stands in the list of jobs, with its series, afterwards too."""
    put(history, tmp_path, OLD, month(1, range(2, 5)))
    put(history, tmp_path, NEW, month(1, range(2, 5)))
    job = history.validate(PRICES).job

    def forget(tx) -> None:
        its = series.find(tx, PRICES, NEW)
        assert its is not None
        tx.cursor.execute(f"DELETE FROM coverage WHERE series = {its}")
        tx.cursor.execute(f"DELETE FROM tally WHERE series = {its}")
        rows.delete(tx, history.dataset(PRICES), its, EVER)

    history.store.write(forget)
    renaming.rename(history, history.dataset(PRICES), OLD, NEW)
    assert [one.series for one in history.validated(job).series] == [NEW]
    assert not history.verify(PRICES).findings


def test_two_series_are_put_together_without_a_loss(history: Gapless, tmp_path) -> None:
    """Rows, covered spans and counts of both; days that both tell alike are there once; the old name is gone."""
    put(history, tmp_path, OLD, month(1, range(2, 30)) | month(2, range(1, 5)), "2024-01-01..2024-02-04")
    put(history, tmp_path, NEW, month(2, range(1, 20)), "2024-02-01..2024-02-20")
    expected = stored(history, OLD)[0] + stored(history, NEW)[0][4:]

    assert merged(history) is JobState.DONE

    have, spans = stored(history, NEW)
    assert have == expected
    assert len(spans) == 1
    assert history.series(history.dataset(PRICES)) == [NEW]
    assert not history.verify(PRICES).findings
    gaps = history.gaps(PRICES, NEW, "2024-01-01", "2024-02-20")
    assert set(gaps["word"]) == {"empty"}


def test_rows_that_nobody_vouches_for_stay_so(history: Gapless, tmp_path) -> None:
    put(history, tmp_path, OLD, month(1, range(2, 6)), "none")
    put(history, tmp_path, NEW, month(2, range(1, 5)))
    assert merged(history) is JobState.DONE
    assert len(stored(history, NEW)[0]) == 8
    assert history.verify(PRICES).outside == 4
    assert not history.verify(PRICES).findings


def test_a_merge_that_was_left_goes_on(history: Gapless, tmp_path) -> None:
    """Between two stretches every row has one name, and the ledger of both is true."""
    put(history, tmp_path, OLD, {"2018-01-01": 1.0, "2024-01-02": 2.0}, "2018-01-01..2024-01-31")
    put(history, tmp_path, NEW, month(2, range(1, 5)))
    job = history.create(renaming.merge_wish(history, look(history, merge=True))).job
    assert history.step(job.id, 1) == 1
    assert (len(stored(history, OLD)[0]), len(stored(history, NEW)[0])) == (1, 5)
    assert not history.verify(PRICES).findings
    assert history.run(job.id).wait(timeout=60) is JobState.DONE
    assert (len(stored(history, OLD)[0]), len(stored(history, NEW)[0])) == (0, 6)
    assert history.series(history.dataset(PRICES)) == [NEW]
    with history.store.read() as tx:
        assert [one.name for one in events.of_job(tx, job.id) if one.name.startswith("series.")] == ["series.merged"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ((month(1, range(2, 5)), "rows"), (month(1, range(4, 6), 11.0), "rows"), "rows differ at 2024-01-04"),
        ((month(1, range(2, 5)), "rows"), (month(1, range(5, 6)), "2024-01-01..2024-01-31"), "none at 2024-01-02"),
        ((month(1, range(5, 6)), "2024-01-01..2024-01-31"), (month(1, range(2, 5)), "none"), "none at 2024-01-02"),
    ],
)
def test_what_contradicts_itself_is_not_put_together(history: Gapless, tmp_path, old, new, said: str) -> None:
    put(history, tmp_path, OLD, *old)
    put(history, tmp_path, NEW, *new)
    before = stored(history, OLD), stored(history, NEW)
    with pytest.raises(NotAllowed, match="--merge"):
        look(history)
    with pytest.raises(NotAllowed, match=said):
        look(history, merge=True)
    assert (stored(history, OLD), stored(history, NEW)) == before


def test_a_contradiction_that_comes_later_holds_the_job(history: Gapless, tmp_path) -> None:
    put(history, tmp_path, OLD, month(1, range(2, 5)))
    put(history, tmp_path, NEW, month(2, range(2, 5)))
    job = history.create(renaming.merge_wish(history, look(history, merge=True))).job
    put(history, tmp_path, NEW, month(1, range(4, 5), 99.0))
    assert history.run(job.id).wait(timeout=60) is JobState.FAILED
    assert "their rows differ at 2024-01-04" in history.jobs.get(job.id).error
    assert len(stored(history, OLD)[0]) == 3


def test_wrong_words_and_work_under_way_are_refused(history: Gapless, tmp_path) -> None:
    with pytest.raises(UsageError, match="nothing is known of FB"):
        look(history)
    put(history, tmp_path, OLD, month(1, range(2, 5)))
    with pytest.raises(UsageError, match="is the old name"):
        look(history, OLD, OLD)
    with pytest.raises(UsageError, match="is named by what it is made of"):
        renaming.look(history, history.dataset("index.fear_greed"), "KOSPI", "CRYPTO", merge=False)
    made = history.create(history.validation_wish(PRICES, OLD), hold=True)
    with pytest.raises(NotAllowed, match=f"job {made.job.id} "):
        renaming.rename(history, history.dataset(PRICES), OLD, NEW)


def test_the_command_says_what_it_would_do_and_does_it(sqlite_made_url: str, tmp_path) -> None:
    with gapless.open(settings=Settings(database_url=sqlite_made_url)) as opened:
        put(opened, tmp_path, OLD, month(1, range(2, 5)))
        put(opened, tmp_path, NEW, month(2, range(2, 5)))
    words = ["migrate", "rename", PRICES, OLD, NEW, "--database", sqlite_made_url]
    runner = CliRunner()
    assert isinstance(runner.invoke(tree("migrate"), words).exception, NotAllowed)
    tried = runner.invoke(tree("migrate"), [*words, "--merge", "--dry-run"])
    assert "3 rows and 1 covered span of FB would join those of META" in tried.stdout
    done = runner.invoke(tree("migrate"), [*words, "--merge"])
    assert done.exit_code == 0
    assert "3 rows of FB joined those of META" in done.stdout
    again = runner.invoke(tree("migrate"), ["migrate", "rename", PRICES, NEW, OLD, "--database", sqlite_made_url])
    assert "`gapless migrate rename user.prices FB META` takes it back" in again.stdout


@pytest.mark.parametrize("params", [{"verb": "merge", "from": OLD}, {"verb": "copy", "source": "other.db"}, {}])
def test_a_template_cannot_go_round_the_command(history: Gapless, tmp_path, params: dict[str, str]) -> None:
    """The command looks first whether anything would be lost; a template, which others may write, would not."""
    put(history, tmp_path, OLD, month(1, range(2, 5)))
    settings = {"dataset": PRICES, "series": [NEW], "days": 100, "params": params}
    with pytest.raises(UsageError, match="cannot migrate with verb"):
        history.templates.save("odd", "migrate", settings)
