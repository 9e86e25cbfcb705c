"""Jobs over HTTP: made, listed, steered; what is wrong is named."""

from __future__ import annotations

from typing import Any

from gapless.core.job import Queue
from gapless.testing.history import MINUTES, until

DAY = {"dataset": MINUTES, "series": ["KRW-BTC"], "start": "2024-01-01", "end": "2024-01-01"}


def made(api: Any, **more: Any) -> dict[str, Any]:
    """A job over a day of minutes."""
    answer = api.post("/api/batch/jobs", json={**DAY, **more})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def test_a_job_is_made_run_and_shown_done(client, history):
    """The whole way over HTTP: plan, start, numbers, certificate, rows."""
    api = client("operator")
    plan = api.post("/api/plan", json=DAY).json()
    assert (plan["missing"], plan["wanted"]) == (1440, 1440)

    job = made(api, planId=plan["planId"], name="a day")
    assert (job["state"], job["owner"], job["total"]) == ("pending", "operator", 1440)
    engine = history.engine({Queue.BACKFILL: 2})
    until(lambda: api.get(f"/api/batch/jobs/{job['id']}").json()["state"] == "done", 30)
    history.release(engine)

    shown = api.get(f"/api/batch/jobs/{job['id']}").json()
    assert (shown["percent"], shown["forward"] + shown["backward"]) == (100, 1)
    assert api.get(f"/api/batch/jobs/{job['id']}/certificate").json()["isComplete"]
    assert {one["state"] for one in api.get(f"/api/batch/jobs/{job['id']}/segments").json()["segments"]} == {"done"}
    names = [one["event"] for one in api.get(f"/api/batch/jobs/{job['id']}/logs").json()["lines"]]
    assert (names[0], names[-1]) == ("job.made", "job.done")
    assert api.post("/api/plan", json=DAY).json()["missing"] == 0
