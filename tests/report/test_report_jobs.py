"""Reports as jobs: every file once, whole and vouched for, whatever is left, lost or in the way."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import gapless
from gapless.app import Gapless
from gapless.app.report import Manner, manner_of, report_wish, reporting
from gapless.core.errors import LeaseLost, UsageError
from gapless.core.job import Job, JobState, Kind, Queue
from gapless.core.paging import fresh
from gapless.core.reports import REPORTS
from gapless.engine.truth import differences
from gapless.store import claims
from gapless.testing import heavy
from gapless.testing.history import until
from gapless.work.processes import Processes

INDEX = "index.fear_greed"
MONTHS = ("2012-07", "2012-09")
#: Seconds that a job may take at most, on a machine that does many other things.
PATIENCE = 240


def make(history: Gapless, folder: Path | None, *formats: str, each: str = "month", periods: tuple[str, ...] = MONTHS):
    """A job for reports on an index and on the prices below it; nobody runs it yet."""
    manner = Manner(per="all", each=each, formats=formats or ("md",))
    told = [(INDEX, ["KOSPI"]), ("krx.indices", ["KOSPI"])]
    wish = report_wish(history, told, None, None, periods=periods, manner=manner, folder=folder)
    return history.create(wish).job


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_many_datasets_and_periods_are_one_job(history: Gapless) -> None:
    """What is counted are reports; each of its files is known by its digest."""
    job = make(history, None, "md", "html")
    assert (job.kind, job.queue, job.series_count) == (Kind.REPORT, Queue.COMPUTE, 2)
    assert history.run(job.id).wait(timeout=PATIENCE) is JobState.DONE

    made = history.report_files(job.id)
    assert len(made) == 2 * 2 * 2
    for file, path in made:
        body = path.read_bytes()
        assert (file.sha256, file.bytes) == (hashlib.sha256(body).hexdigest(), len(body))
        assert path.parent == history.reports_folder / f"job-{job.id}"
    assert f"{INDEX}-KOSPI-2012-07-01-2012-07-31.en.md" in {file.name for file, _ in made}
    units = history.units(job.id)
    assert units is not None
    assert (units.total, units.ok, units.fail) == (4, 4, 0)
    assert history.jobs.get(job.id).rows == 8

    sworn = history.certificate(job.id)
    assert [one["sha256"] for one in sworn["files"]] == [file.sha256 for file, _ in made]
    assert differences(sworn, history.certificate(job.id)) == []
    made[0][1].write_text("not what was written")
    assert differences(sworn, history.certificate(job.id)) == [f"{made[0][0].name}: found was unchanged, is changed"]


def test_one_that_was_left_goes_on_and_makes_nothing_twice(history: Gapless, tmp_path: Path) -> None:
    job = make(history, tmp_path)
    assert history.step(job.id, 2) == 2
    before = {one.name: one.stat().st_mtime_ns for one in tmp_path.iterdir()}
    assert len(before) == 2
    units = history.units(job.id)
    assert units is not None
    assert (units.total, units.ok) == (4, 2)

    assert history.run(job.id).wait(timeout=PATIENCE) is JobState.DONE
    after = {one.name: one.stat().st_mtime_ns for one in tmp_path.iterdir()}
    assert len(after) == 4
    assert before.items() <= after.items()


def test_a_lost_lease_leaves_no_file_behind(history: Gapless, tmp_path: Path) -> None:
    """Whoever comes back from the dead moves nothing into its place."""
    job = make(history, tmp_path)
    lease = history.store.write(lambda tx: claims.claim(tx, Queue.COMPUTE, "ghost", history.clock.now(), only=job.id))
    assert lease is not None
    work = history.catalogue.chore(Kind.REPORT).work(lease, REPORTS)
    with history.store.read() as tx:
        left = work.look(tx, lease, history.clock.now())
    asked = work.ask(left, lease.segment.name, fresh(work.shape), history.clock.now())
    assert asked is not None
    page = work.fetch(asked)
    assert [name.endswith(".part") for name in names(tmp_path)] == [True]
    history.jobs.cancel(job.id)
    with pytest.raises(LeaseLost):
        work.keep(asked, page, lease, history.clock.now(), requests=1)
    assert names(tmp_path) == []
    assert history.report_files(job.id) == []


def test_a_folder_that_is_in_the_way_is_said_and_retry_takes_the_rest(history: Gapless, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    job = make(history, folder, periods=("2012-07",))
    folder.rmdir()
    folder.write_text("a file of somebody")
    assert history.run(job.id).wait(timeout=PATIENCE) is JobState.FAILED
    ended: Job = history.jobs.get(job.id)
    assert "cannot be written" in ended.error
    folder.unlink()
    history.jobs.retry(job.id)
    assert history.run(job.id).wait(timeout=PATIENCE) is JobState.DONE
    assert len(names(folder)) == 2


def test_what_is_too_heavy_fails_with_its_reason_and_is_not_tried_again(history: Gapless, tmp_path: Path) -> None:
    """The job ends and says which limit it was; where there is more room, a retry takes what is left."""
    narrow = replace(history.settings, child_time=timedelta(milliseconds=10))
    job = make(history, tmp_path, each="all", periods=("2012-07",))
    with gapless.open(settings=narrow, clock=history.clock) as other:
        assert other.run(job.id).wait(timeout=PATIENCE) is JobState.FAILED
    said = "took more than 0.01 s; ask for less at once, or raise GAPLESS_CHILD_TIME"
    assert said in history.jobs.get(job.id).error
    assert history.progress(job.id).requests == 2
    history.jobs.retry(job.id)
    assert history.run(job.id).wait(timeout=PATIENCE) is JobState.DONE


def test_cancel_ends_what_is_being_drawn(history: Gapless) -> None:
    """The machine is free within a second or two, not when the child's time is over."""
    note = Path(f"{history.store.url.removeprefix('sqlite:///')}.drawing")
    job = make(history, None, each="all", periods=("2012-07",))
    with gapless.open(settings=history.settings, clock=history.clock) as other:
        pool = Processes(1)
        other.catalogue.chores[Kind.REPORT] = lambda: replace(reporting(other, pool), draw=heavy.draw_for_ever)
        running = other.run(job.id)
        until(lambda: note.exists() and note.read_text().endswith("\n"), seconds=PATIENCE)
        assert pool.pids == [int(note.read_text())]
        history.jobs.cancel(job.id)
        assert running.wait(timeout=PATIENCE) is JobState.CANCELLED
        until(lambda: pool.pids == [], seconds=PATIENCE)
    assert history.report_files(job.id) == []


def test_words_of_a_job_that_are_wrong_are_named(history: Gapless) -> None:
    with pytest.raises(UsageError, match=r"periods: .* overlap"):
        make(history, None, periods=("2012", "2012-09"))
    with pytest.raises(UsageError, match="each: 'week'"):
        make(history, None, each="week")
    with pytest.raises(UsageError, match="dataset: reports are files"):
        history.validate("reports")
    # Two halves of one day, told apart by no file's name.
    halves = ("2012-07-02T00:00Z..2012-07-02T12:00Z", "2012-07-02T12:00Z..2012-07-03T00:00Z")
    with pytest.raises(UsageError, match="would be one file"):
        report_wish(history, [("upbit.candles.1m", ["KRW-BTC"])], None, None, periods=halves)
    # Who sits at the machine names a folder; a template or a chain does not.
    with pytest.raises(UsageError, match=r"params: .*folder"):
        manner_of({"folder": "/etc"})
    assert manner_of({"formats": "md, html"}).formats == ("md", "html")
