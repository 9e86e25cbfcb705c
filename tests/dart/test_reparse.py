"""Reading stored answers again: what an older parser got wrong is put right, and nobody is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gapless.app import Gapless, migrations
from gapless.core.errors import UsageError
from gapless.core.job import Job, JobState
from gapless.core.span import DAWN, DOOM, Span
from gapless.sandbox.opendart.keys import KEY
from gapless.sandbox.process import SandboxProcess
from gapless.store import events, payloads, rows, series
from gapless.store.database import Tx
from gapless.testing.dart import DISCLOSURES, DIVIDENDS, MovedClock, dart_settings, open_dart
from gapless.testing.history import run

STOCKS = ["005930", "308880", "300010", "300070"]
EVER = Span(DAWN, DOOM)


@pytest.fixture
def filled(history: Gapless, dart: SandboxProcess) -> Iterator[Gapless]:
    """Four stocks over eleven years; whoever asks the provider from now on is found out."""
    assert history.backfill(DIVIDENDS, STOCKS, "2013", "2023").wait(timeout=60) is JobState.DONE
    dart.control(reset_stats=True)
    yield history
    assert dart.stats()["requests"] == 0


def content(history: Gapless) -> dict[str, tuple[int, str]]:
    """What is stored, to the last digit."""
    dataset = history.dataset(DIVIDENDS)
    with history.store.read() as tx:
        ids = {name: series.find(tx, DIVIDENDS, name) for name in history.series(dataset)}
        return {name: rows.content(tx, dataset, one, EVER) for name, one in ids.items() if one is not None}


def outdated(history: Gapless) -> int:
    return sum(one.outdated for one in migrations.kept(history, history.dataset(DIVIDENDS), []))


def spoil(history: Gapless, *statements: str) -> None:
    """Leave the rows as an older parser would have: with other values, with a row too few or too many."""

    def write(tx: Tx) -> None:
        for statement in (*statements, "UPDATE payload SET parser = 0"):
            tx.cursor.execute(statement)

    history.store.write(write)


WRONG = "UPDATE data_dart_dividends SET dps = '7', flags = 'old' WHERE share_kind = 'common' AND rank = 1"
TOO_FEW = "DELETE FROM data_dart_dividends WHERE rank = 2"
TOO_MANY = "UPDATE data_dart_dividends SET share_kind = 'stock' WHERE share_kind = 'common' AND rank = 0"


def reparse(history: Gapless) -> Job:
    dataset = history.dataset(DIVIDENDS)
    wish = migrations.reparse_wish(dataset, migrations.kept(history, dataset, []))
    job = history.create(wish).job
    assert history.run(job.id).wait(timeout=60) is JobState.DONE
    return history.jobs.get(job.id)


@pytest.mark.parametrize("damage", [[WRONG], [TOO_MANY], [WRONG, TOO_FEW, TOO_MANY]])
def test_rows_become_what_todays_parser_makes_of_the_stored_answers(filled: Gapless, damage: list[str]) -> None:
    """Wrong values, wrong keys, rows that were not seen: all of it is put right, and the ledger agrees."""
    right = content(filled)
    spoil(filled, *damage)
    assert content(filled) != right
    assert outdated(filled) > 10

    job = reparse(filled)

    assert content(filled) == right
    assert outdated(filled) == 0
    assert job.rows > 0
    with filled.store.read() as tx:
        told = [one.message for one in events.of_job(tx, job.id) if one.name == "series.reparsed"]
    assert len(told) == len(STOCKS)
    if damage == [WRONG]:
        assert not filled.verify(DIVIDENDS).findings


def test_the_ledger_counts_what_was_put_right(filled: Gapless) -> None:
    """Rows that a better parser finds, or gives up, must not look like a hole in the data afterwards."""
    right = content(filled)
    spoil(filled, TOO_FEW)
    filled.verify(DIVIDENDS, repair=False)
    dataset = filled.dataset(DIVIDENDS)

    def recount(tx: Tx) -> None:
        """The tallies of that older parser."""
        tx.cursor.execute(
            "UPDATE tally SET rows = (SELECT count(*) FROM data_dart_dividends WHERE series = tally.series)"
            " WHERE series IN (SELECT id FROM series WHERE dataset = 'dart.dividends')"
        )

    filled.store.write(recount)
    assert not filled.verify(DIVIDENDS).findings
    reparse(filled)

    assert content(filled) == right
    assert not filled.verify(DIVIDENDS).findings
    assert dataset.parser > 0


def test_a_rehearsal_counts_exactly_and_changes_nothing(filled: Gapless) -> None:
    right = content(filled)
    spoil(filled, WRONG, TOO_FEW, TOO_MANY)
    before, dataset = content(filled), filled.dataset(DIVIDENDS)

    told = migrations.rehearse(filled, dataset, migrations.kept(filled, dataset, []))

    assert content(filled) == before != right
    assert outdated(filled) == told.answers > 10
    assert reparse(filled).rows == told.rows + told.gone
    assert told.gone > 0


def test_an_answer_that_was_fetched_meanwhile_is_left_alone(filled: Gapless) -> None:
    """Between the reading and the writing a fill may have got a newer answer: its rows stay."""
    spoil(filled, WRONG)
    dataset = filled.dataset(DIVIDENDS)
    work, (one, *_) = migrations.reparse(filled), migrations.kept(filled, dataset, [])
    with filled.store.read() as tx:
        its = series.find(tx, DIVIDENDS, one.series)
    assert its is not None
    read = work.read(dataset, one.series, its, one.span)
    filled.store.write(lambda tx: tx.cursor.execute("UPDATE payload SET fetched_at = fetched_at + 1"))

    assert filled.store.write(lambda tx: work.put(tx, dataset, its, read)).answers == 0


def test_it_goes_on_after_a_pause_with_what_is_left(filled: Gapless) -> None:
    """Ten thousand stocks are not read in one go: what was done stays done."""
    right = content(filled)
    spoil(filled, WRONG)
    total, dataset = outdated(filled), filled.dataset(DIVIDENDS)
    job = filled.create(migrations.reparse_wish(dataset, migrations.kept(filled, dataset, []))).job
    filled.step(job.id, 2)
    assert 0 < outdated(filled) < total
    filled.jobs.pause(job.id)

    again = filled.create(migrations.reparse_wish(dataset, migrations.kept(filled, dataset, [])))
    assert again.adopted
    filled.jobs.resume(job.id)
    assert filled.run(job.id).wait(timeout=60) is JobState.DONE
    assert content(filled) == right
    assert outdated(filled) == 0


def test_an_answer_that_cannot_be_read_any_more_fails_by_name(filled: Gapless) -> None:
    """The other series are read all the same, and nothing is lost of this one."""
    spoil(filled, WRONG)
    with filled.store.read() as tx:
        its = series.find(tx, DIVIDENDS, "308880/11011")
    assert its is not None
    kept = content(filled)["308880/11011"]

    def garble(tx: Tx) -> None:
        raw = payloads.Raw(name="2023", version="20240101000000", body=b'{"status":"000","list":[{}]}')
        payloads.keep(tx, its, raw, Span(1_640_962_800_000_000, 1_672_498_800_000_000), 0, 1)

    filled.store.write(garble)
    dataset = filled.dataset(DIVIDENDS)
    job = filled.create(migrations.reparse_wish(dataset, migrations.kept(filled, dataset, []))).job
    assert filled.run(job.id).wait(timeout=60) is JobState.INCOMPLETE
    assert "308880/11011, 2023" in filled.jobs.get(job.id).error
    assert content(filled)["308880/11011"] == kept
    assert migrations.kept(filled, dataset, ["005930"])[0].outdated == 0


def test_what_keeps_no_answers_says_so(sqlite_url: str, dart: SandboxProcess, wall: MovedClock) -> None:
    with open_dart(sqlite_url, dart.url, wall) as history:
        for dataset, names in ((DISCLOSURES, []), ("upbit.candles.1m", []), (DIVIDENDS, ["005930"])):
            with pytest.raises(UsageError, match="answer"):
                migrations.kept(history, history.dataset(dataset), names)


def test_the_command_tells_what_it_would_change_and_what_it_has_changed(
    dart: SandboxProcess, tmp_path: Path, wall: MovedClock
) -> None:
    """A dry run first, then the job, then nothing is left to do."""
    url = f"sqlite:///{tmp_path / 'history.db'}"
    with open_dart(url, dart.url, wall) as history:
        history.backfill(DIVIDENDS, STOCKS, "2013", "2023").wait(timeout=60)
        right = content(history)
        spoil(history, WRONG, TOO_FEW)
    settings = dart_settings(url, dart.url)
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(__import__("sys").path),
        "GAPLESS_DATABASE_URL": settings.database_url,
        "GAPLESS_DART_BASE_URL": dart.url,
        "GAPLESS_DART_API_KEY": KEY,
    }
    dart.control(reset_stats=True)
    words = ["migrate", "reparse", DIVIDENDS]
    told = json.loads(run(*words, "--dry-run", "--json", env=env).stdout)
    done = run(*words, "--json", env=env)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (told["answers"], told["rows"] + told["gone"]) == (made["answers"], made["rows"])
    assert "nothing to read again" in run(*words, env=env).stdout
    assert run("migrate", "reparse", "upbit.candles.1m", env=env).returncode == 2
    with open_dart(url, dart.url, wall) as history:
        assert content(history) == right
    assert dart.stats()["requests"] == 0
