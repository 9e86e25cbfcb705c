"""What an owner allows a single job: so many attempts, so long to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapless.app import Gapless
from gapless.core.errors import UsageError
from gapless.core.job import Bounds, JobState
from gapless.core.span import SECOND
from gapless.sandbox.process import SandboxProcess
from gapless.store import events, segments
from gapless.testing.history import MINUTES, open_history

SPAN = ("2024-06-01T00:00Z", "2024-06-01T03:00Z")


@pytest.mark.parametrize("retries", [0, 2])
def test_a_job_is_tried_as_often_as_its_owner_says(tmp_path: Path, retries: int) -> None:
    """Instead of what the settings say (three times more); also after a restart, as it is the job's."""
    with open_history(tmp_path, "http://127.0.0.1:9", slots=1) as history:
        running = history.backfill(MINUTES, "KRW-BTC", *SPAN, direction="forward", bounds=Bounds(max_retries=retries))
        assert running.wait(timeout=60) is JobState.FAILED
        assert running.progress().requests == 1 + retries


def test_a_job_that_has_run_for_too_long_fails_and_says_so(history: Gapless, upbit: SandboxProcess) -> None:
    """Whatever it waits for; nobody works on it after that, and a retry begins with a new clock."""
    upbit.control(down=True)
    running = history.backfill(MINUTES, "KRW-BTC", *SPAN, bounds=Bounds(max_retries=100, max_runtime=SECOND))
    assert running.wait(timeout=60) is JobState.FAILED
    assert running.job.error == "it has run for 0:00:01, its longest time to run"
    with history.store.read() as tx:
        assert events.of_job(tx, running.id)[-1].name == "job.failed"
        assert not segments.has_live(tx, running.id)

    after = history.jobs.retry(running.id)
    assert (after.state, after.ran, after.max_runtime) == (JobState.PENDING, 0, SECOND)


@pytest.mark.parametrize("bounds", [Bounds(max_retries=101), Bounds(max_runtime=0)])
def test_bounds_that_cannot_be_are_named(history: Gapless, bounds: Bounds) -> None:
    with pytest.raises(UsageError, match=r"^max_(retries|runtime): "):
        history.backfill(MINUTES, "KRW-BTC", *SPAN, bounds=bounds)
