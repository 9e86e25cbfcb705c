"""Jobs of every kind over HTTP: made by name or by route, in camelCase, with what has to come before and after them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.store import jobs, series
from gapless.store.chains import Step
from gapless.testing.history import MINUTES

DAYS = "upbit.candles.1d"
RANGE = {"dateRange": {"startDate": "2024-05-01", "endDate": "2024-05-03"}}


def work(history: Gapless) -> None:
    """Run every job that waits, and those that follow them."""
    while True:
        waiting = [one for one in history_jobs(history) if one["state"] in ("pending", "running")]
        if not waiting:
            if not history.chains.tick():
                return
            continue
        for one in waiting:
            assert history.run(one["id"]).wait(timeout=60) is not JobState.PAUSED


def history_jobs(history: Gapless) -> list[dict[str, Any]]:
    with history.store.read() as tx:
        return [{"id": one.id, "kind": one.kind, "state": one.state, "dataset": one.dataset} for one in jobs.recent(tx)]


def test_an_index_over_history_fetches_its_inputs_first_and_is_validated_after(client, history: Gapless) -> None:
    """The request of the documentation: fill → compute → validate, each when the one before has ended."""
    api = client("operator")
    body = {"market": "CRYPTO", "universe": ["KRW-BTC", "KRW-ETH"], "validationLevel": "COMPREHENSIVE", **RANGE}
    answer = api.post("/api/batch/historical-backfill", json=body)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["kind"], answer.json()["dataset"]) == ("collect", "upbit.candles.1d")

    work(history)

    made = sorted(history_jobs(history), key=lambda one: one["id"])
    assert [one["kind"] for one in made] == ["collect", "collect", "compute", "validate"]
    assert [one["state"] for one in made] == ["done"] * 4
    with history.store.read() as tx:
        (name,) = series.names(tx, "index.fear_greed")
    assert history.read("index.fear_greed", name, "2024-05-01", "2024-05-03", fill=False).height == 3

    seen = api.get(f"/api/batch/jobs/{made[-1]['id']}/findings").json()
    assert [one["series"] for one in seen["series"]] == [name]
    assert 0 <= seen["series"][0]["score"] <= 100
    assert api.get(f"/api/batch/jobs/{made[0]['id']}/findings").status_code == 409

    # Now that its inputs are there, the index is computed at once, with other weights beside the first.
    again = api.post("/api/batch/index-recalculation", json={"market": "CRYPTO", "universe": body["universe"], **RANGE})
    assert (again.status_code, again.json()["kind"]) == (202, "compute"), again.text


def test_a_fill_by_its_route_is_validated_after(client, history: Gapless) -> None:
    """With a dataset of a source the same route fills."""
    api = client("operator")
    body = {
        "dataset": MINUTES,
        "series": "KRW-BTC",
        "startDate": "2024-06-01T00:00Z",
        "endDate": "2024-06-01T02:00Z",
        "validationLevel": "basic",
    }
    answer = api.post("/api/batch/historical-backfill", json=body)
    assert (answer.status_code, answer.json()["kind"]) == (202, "collect"), answer.text
    work(history)
    assert {one["kind"]: one["state"] for one in history_jobs(history)} == {"collect": "done", "validate": "done"}


def test_reports_of_many_series_are_one_job_with_files(client, history: Gapless) -> None:
    """What was fetched, computed and validated is reported on, and its files can be had by whoever may look."""
    api = client("operator")
    fill = {"dataset": DAYS, "series": "KRW-BTC", "startDate": "2023-12", "endDate": "2024-05"}
    first = api.post("/api/batch/historical-backfill", json=fill).json()["id"]
    mean = {"dataset": "index.moving_average", "series": ["upbit.candles.1d:KRW-BTC/5"]}
    span = {"start": "2024-05-10", "end": "2024-05-31"}
    steps = (
        Step(kind="compute", name="", settings=mean | span),
        Step(kind="validate", name="", settings={"params": {"level": "basic"}}),
        Step(kind="report", name="", settings={"params": {"formats": ["md"], "per": "day"}}),
    )
    history.chains.add(first, steps)
    work(history)
    made = sorted(history_jobs(history), key=lambda one: one["id"])
    assert [(one["kind"], one["state"]) for one in made] == [
        ("collect", "done"), ("compute", "done"), ("validate", "done"), ("report", "done")
    ]  # fmt: skip

    body = {"dataset": DAYS, "series": "KRW-BTC", "items": [mean], "periods": ["2024-05"], "formats": ["md", "html"]}
    answer = api.post("/api/batch/bulk-report", json=body)
    assert (answer.status_code, answer.json()["kind"], answer.json()["seriesCount"]) == (202, "report", 2), answer.text
    job = answer.json()["id"]
    assert api.get(f"/api/jobs/{job}/files").json() == []
    work(history)
    row = api.get(f"/api/batch/jobs/{job}").json()
    assert (row["state"], row["ok"], row["units"]["total"]) == ("done", 2, 2)

    reader = client("viewer")
    listed = reader.get(f"/api/jobs/{job}/files").json()
    assert len(listed) == 4
    assert {one["mediaType"] for one in listed} == {"text/html; charset=utf-8", "text/markdown; charset=utf-8"}
    for one in listed:
        got = reader.get(f"/api/jobs/{job}/files/{one['name']}")
        assert (got.status_code, len(got.content)) == (200, one["bytes"])
        assert hashlib.sha256(got.content).hexdigest() == one["sha256"]
        assert got.headers["content-disposition"].startswith("attachment")
        assert got.headers["x-content-type-options"] == "nosniff"
    for name in ("..%2Fgapless.db", "%2Fetc%2Fpasswd", "..", "gapless.db", f".{listed[0]['name']}"):
        assert reader.get(f"/api/jobs/{job}/files/{name}").status_code in (307, 404), name
    path = history.reports_folder / f"job-{job}" / listed[0]["name"]
    path.write_text("something else")
    assert reader.get(f"/api/jobs/{job}/files/{listed[0]['name']}").status_code == 404
    assert reader.get(f"/api/jobs/{made[0]['id']}/files").json() == []
    assert reader.get("/api/jobs/999/files").status_code == 404


def test_the_same_key_makes_one_job(client) -> None:
    api = client("operator")
    body = {"kind": "validate", "dataset": MINUTES, "series": ["KRW-BTC"], "days": 2, "level": "BASIC"}
    body |= {"chunkSize": 500, "maxRetries": 1, "maxRuntime": "2h"}
    first = api.post("/api/batch/jobs", json=body, headers={"Idempotency-Key": "a"})
    assert (first.status_code, first.json()["kind"]) == (202, "validate"), first.text
    assert (first.json()["maxRetries"], first.json()["maxRuntime"]) == (1, 7200)
    second = api.post("/api/batch/jobs", json=body, headers={"Idempotency-Key": "a"})
    assert second.json()["id"] == first.json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        ("historical-backfill", {"market": "MARS", "days": 3}, "market"),
        ("index-recalculation", {"market": "CRYPTO", "days": 3, "weights": {"luck": 1.0}}, "weights"),
        ("index-recalculation", {"market": "CRYPTO", "days": 3, "strategy": "magic"}, "strategy"),
        ("historical-backfill", {"dataset": "no.such", "days": 3}, "dataset"),
        ("historical-backfill", {"startDate": "2024-01-01", **RANGE}, "startDate"),
        ("data-validation", {"dataset": MINUTES}, "series"),
        ("data-validation", {"dataset": MINUTES, "level": "thorough"}, "level"),
        ("data-migration", {"dataset": MINUTES}, "dataset"),
        ("bulk-report", {"dataset": MINUTES, "series": "KRW-BTC", "days": 2}, "start"),
        ("bulk-report", {"dataset": MINUTES, "series": "KRW-BTC", "days": 2, "formats": ["doc"]}, "0"),
        ("bulk-report", {"dataset": MINUTES, "series": "KRW-BTC", "periods": ["2024", "2024-05"]}, "periods"),
        ("bulk-report", {"days": 2}, "dataset"),
        ("bulk-report", {"dataset": MINUTES, "days": 2, "folder": "/etc"}, "folder"),
        ("data-validation", {"dataset": MINUTES, "days": 1, "maxRuntime": "soon"}, "maxRuntime"),
        ("historical-backfill", {"market": "CRYPTO", "days": 3, "maxRetries": 101}, "maxRetries"),
        ("event-valuation", {}, "events"),
        ("event-valuation", {"ticker": "AAPL"}, "ticker"),
    ],
)
def test_what_is_wrong_is_named(client, route: str, body: dict[str, Any], field: str) -> None:
    """422 with the field, and nothing half done."""
    api = client("operator")
    answer = api.post(f"/api/batch/{route}", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"].split(".")[-1] == field, answer.text
    assert api.get("/api/batch/jobs").json()["total"] == 0


def test_findings_are_listed_scored_and_mended(client, history: Gapless) -> None:
    """A price that cannot be is found, taken back, and fetched again by a job of the one who asked."""
    api = client("operator")
    history.backfill(MINUTES, "KRW-BTC", "2024-06-02", "2024-06-02").wait(timeout=60)
    broken = (
        "UPDATE data_upbit_candles_1m SET low = high * 2 WHERE time = (SELECT min(time) FROM data_upbit_candles_1m)"
    )
    history.store.write(lambda tx: tx.cursor.execute(broken))
    body = {"dataset": MINUTES, "series": "KRW-BTC"}
    job = api.post("/api/batch/data-validation", json=body).json()["id"]
    work(history)

    listed = api.get("/api/findings", params={"job": job, "rule": "low_high", "severity": "error"}).json()
    (found,) = listed["findings"]
    assert (found["series"], found["start"], found["rows"]) == ("KRW-BTC", "2024-06-02T00:00:00Z", 1)
    assert {"rule": "low_high", "severity": "error", "count": 1} in listed["counts"]
    (verdict,) = api.get("/api/findings/series", params={"job": job}).json()["series"]
    assert verdict["score"] == api.get(f"/api/batch/jobs/{job}/findings").json()["series"][0]["score"] < 100

    assert client("operator", "other").post(f"/api/batch/jobs/{job}/repair").status_code == 403
    mending = api.post(f"/api/batch/jobs/{job}/repair").json()["job"]
    assert (mending["kind"], mending["owner"], mending["name"]) == ("collect", "operator", f"repair of job {job}")
    assert api.post(f"/api/batch/jobs/{mending['id']}/repair").status_code == 409
    work(history)
    again = api.post("/api/batch/data-validation", json=body).json()["id"]
    work(history)
    assert api.get("/api/findings", params={"job": again, "severity": "error"}).json()["findings"] == []
    entries = client("admin").get("/api/audit", params={"subject": f"job/{job}"}).json()["entries"]
    assert "findings.repaired" in [one["action"] for one in entries]
    for path, params, field in (
        ("/api/findings", {"severity": "odd"}, "severity"),
        ("/api/findings/series", {}, "job"),
        ("/api/findings/series", {"job": job, "cursor": "x"}, "cursor"),
    ):
        answer = api.get(path, params=params)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
