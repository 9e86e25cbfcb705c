"""`gapless report`, `compute` and `validate`: here, on hold, or left to the workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gapless.app import Gapless
from gapless.cli import tree
from gapless.core.errors import UsageError
from gapless.core.job import JobState, Queue
from gapless.testing.history import until

INDEX = "index.fear_greed"
SPAN = ["--from", "2012-07-01", "--to", "2012-08-31"]


@pytest.fixture
def gapless_command(history: Gapless, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Any]]:
    """A command on the history of these tests: its exit code, and what it prints as JSON."""
    monkeypatch.setenv("GAPLESS_DATABASE_URL", history.store.url)

    def run(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(tree(words[0]), [*words, "--json"])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, json.loads(done.stdout) if done.stdout else None

    return run


@pytest.fixture
def worker(history: Gapless) -> Iterator[None]:
    """Somebody serves the queue, so that nothing has to be started."""
    engine = history.engine({Queue.COMPUTE: 1})
    yield
    history.release(engine)


def test_a_report_is_written_where_one_is(gapless_command, tmp_path: Path) -> None:
    words = ["--per", "all", "--format", "md", "--lang", "en,ko", "--also", "krx.indices:KOSPI"]
    code, told = gapless_command("report", INDEX, "KOSPI", *SPAN, *words, "-o", str(tmp_path))
    assert (code, told["state"]) == (0, "done")
    assert sorted(told["files"]) == sorted(str(one) for one in tmp_path.iterdir())
    assert len(told["files"]) == 2 * 2


def test_what_is_left_to_the_workers_is_done_by_them(gapless_command, history: Gapless, worker) -> None:
    """Reports into a folder of the job's own; a computation and a validation are no different."""
    jobs = [
        gapless_command("report", INDEX, "KOSPI", *SPAN, "--per", "all", "--format", "md", "--detach")[1]["id"],
        gapless_command("compute", INDEX, "--market", "KOSPI", *SPAN, "--overwrite", "--detach")[1]["id"],
        gapless_command("validate", INDEX, "KOSPI", *SPAN, "--chunk", "10", "--max-runtime", "1h", "--detach")[1]["id"],
    ]
    for job in jobs:
        until(lambda job=job: history.jobs.get(job).state == JobState.DONE, seconds=240)
    ((_, path),) = history.report_files(jobs[0])
    assert path.parent == history.reports_folder / f"job-{jobs[0]}"
    assert history.jobs.get(jobs[2]).bounds.max_runtime == 3_600_000_000
    # 62 days, ten at a time.
    assert history.progress(jobs[2]).requests == 7


def test_on_hold_it_waits_for_its_owner(gapless_command, history: Gapless) -> None:
    code, told = gapless_command("validate", INDEX, "KOSPI", *SPAN, "--max-retries", "1", "--hold")
    assert (code, told["state"], told["maxRetries"]) == (0, "paused", 1)
    history.jobs.cancel(told["id"])
    with pytest.raises(UsageError, match="max_runtime: '2 weeks'"):
        gapless_command("validate", INDEX, "KOSPI", *SPAN, "--max-runtime", "2 weeks")
    with pytest.raises(UsageError, match="repair: "):
        gapless_command("validate", INDEX, "KOSPI", *SPAN, "--repair", "--detach")
