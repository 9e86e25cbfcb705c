"""Jobs over HTTP: made, listed, steered; what is wrong is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

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


def test_the_list_is_filtered_searched_sorted_and_paged(client):
    """Every job once, whichever way the pages are turned."""
    api = client("operator")
    names = ["beta", "alpha", "gamma", "50 % off_sale"]
    ids = [made(api, name=name, start=f"2024-01-0{i + 1}", end="2024-01-09")["id"] for i, name in enumerate(names)]
    api.post(f"/api/batch/jobs/{ids[0]}/cancel")

    def listed(**params: Any) -> list[str]:
        return [one["name"] for one in api.get("/api/batch/jobs", params=params).json()["jobs"]]

    assert listed() == names[::-1]
    assert listed(sort="name") == ["50 % off_sale", "alpha", "beta", "gamma"]
    assert listed(state="cancelled") == ["beta"]
    assert listed(q="% off_") == ["50 % off_sale"]
    assert listed(q="GAM btc") == ["gamma"]
    assert listed(q=f"#{ids[1]}", state="pending")[-1] == "alpha"
    assert listed(source="upbit", series="KRW-BTC", kind="collect", owner="operator", queue="backfill") == names[::-1]
    assert listed(source="dart") == []
    assert listed(upTo=ids[1]) == ["alpha", "beta"]
    assert listed(offset=1, limit=2) == ["gamma", "alpha"]
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get("/api/batch/jobs", params={"limit": 1, "sort": "state", "cursor": cursor}).json()
        seen += [one["name"] for one in page["jobs"]]
        cursor = page["cursor"]
    assert seen == ["beta", "alpha", "gamma", "50 % off_sale"]
    for sort in ("percent", "fail", "eta"):
        assert listed(sort=f"-{sort}") == names[::-1], "nothing is known of any: the newest first"
    whole = api.get("/api/batch/jobs", params={"state": "pending", "limit": 1}).json()
    assert (whole["total"], whole["counts"]) == (3, {"cancelled": 1, "pending": 3})


@pytest.mark.parametrize(
    ("params", "field"),
    [({"state": "lost"}, "state"), ({"sort": "luck"}, "sort"), ({"cursor": "x"}, "cursor"), ({"nope": 1}, "nope")],
)
def test_a_wrong_question_names_its_field(client, params, field: str):
    """Not an empty list: that would be an answer."""
    answer = client("viewer").get("/api/batch/jobs", params=params)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**DAY, "dataset": "upbit.candles.1x"}, "dataset"),
        ({**DAY, "series": ["nothing at all"]}, "series"),
        ({**DAY, "series": []}, "series"),
        ({**DAY, "mode": "some"}, "mode"),
        ({**DAY, "start": "yesterday"}, "start"),
        ({**DAY, "end": "2023-01-01"}, "start"),
        ({**DAY, "startDate": "2024-01-01"}, "startDate"),
        ({**DAY, "rate": -1}, "rate"),
        ({**DAY, "recheck": -1}, "recheck"),
        ({**DAY, "report": "11011"}, "report"),
        ({**DAY, "colour": "red"}, "colour"),
        ({**DAY, "kind": "magic"}, "kind"),
        ({**DAY, "name": "a\x00b"}, "name"),
        ({**DAY, "days": float("1e300")}, "days"),
        ([], "body"),
    ],
)
def test_a_wrong_wish_names_its_field_and_makes_nothing(client, body, field: str):
    """What the form has to show beside the field."""
    api = client("operator")
    answer = api.post("/api/batch/jobs", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.get("/api/batch/jobs").json()["total"] == 0


def test_a_body_that_breaks_off_is_named(client):
    """Not by the place where the parser gave up."""
    text = {"Content-Type": "application/json"}
    answer = client("operator").post("/api/batch/jobs", content='{"dataset": "upbit', headers=text)
    assert (answer.status_code, answer.json()["field"]) == (422, "body")
    assert "no JSON" in answer.json()["detail"]


def test_a_job_may_be_of_the_daily_collection(client):
    """It has slots and a lane of its own; what runs live is not made like this."""
    api = client("operator")
    job = api.post("/api/batch/jobs", json={**DAY, "queue": "daily", "autoStart": False}).json()
    assert [one["id"] for one in api.get("/api/batch/jobs", params={"queue": "daily"}).json()["jobs"]] == [job["id"]]
    assert api.post("/api/batch/jobs", json={**DAY, "queue": "live"}).status_code == 422


def test_the_same_request_makes_one_job(client):
    """A client that did not hear the answer may ask again; another request under the same key is a mistake."""
    api = client("operator")
    key = {"Idempotency-Key": "nightly"}
    first = api.post("/api/batch/jobs", json={**DAY, "autoStart": False}, headers=key)
    api.post(f"/api/batch/jobs/{first.json()['id']}/cancel")
    again = api.post("/api/batch/jobs", json={**DAY, "autoStart": False}, headers=key)

    assert first.json()["state"] == "paused"
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (first.json()["id"], "true")
    assert api.post("/api/batch/jobs", json=DAY, headers=key).status_code == 422
    assert client("operator", "other").post("/api/batch/jobs", json=DAY, headers=key).json()["owner"] == "other"
    wrong = {"Idempotency-Key": "wrong"}
    assert api.post("/api/batch/jobs", json={**DAY, "mode": "x"}, headers=wrong).status_code == 422
    assert api.post("/api/batch/jobs", json=DAY, headers=wrong).status_code == 202


def test_a_plan_that_is_not_true_any_more_is_not_started(client, history):
    """The difference is shown, and a new plan to agree with."""
    api = client("operator")
    plan = api.post("/api/plan", json=DAY).json()
    history.backfill(MINUTES, "KRW-BTC", "2024-01-01T00:00Z", "2024-01-01T06:00Z").wait()

    answer = api.post("/api/batch/jobs", json={**DAY, "planId": plan["planId"]})
    assert (answer.status_code, answer.json()["field"]) == (409, "planId")
    assert answer.json()["difference"] == [
        {"series": "KRW-BTC", "more": [], "less": [["2024-01-01T00:00:00Z", "2024-01-01T06:00:00Z"]]}
    ]
    assert made(api, planId=answer.json()["planId"])["cached"] == 360
    assert api.post("/api/batch/jobs", json={**DAY, "planId": "unknown"}).status_code == 409


def test_verbs_obey_the_table_of_moves(client):
    """What a state does not allow is 409 with the ways on; stop is pause."""
    api = client("operator")
    job = made(api)["id"]

    def order(verb: str) -> Any:
        answer = api.post(f"/api/batch/jobs/{job}/{verb}", headers={"X-Reason": "a test"})
        return answer.json().get("state", answer.status_code)

    assert [order(verb) for verb in ("pause", "pause", "start", "cancel", "resume", "start", "retry")] == [
        "paused",
        409,
        "pending",
        "cancelled",
        409,
        "pending",
        409,
    ]
    assert api.post(f"/api/batch/jobs/{job}/explode").status_code == 422
    assert api.post("/api/batch/jobs/4711/pause").status_code == 404
    changed = api.patch(f"/api/batch/jobs/{job}", json={"priority": "high", "rate": 2}).json()
    assert (changed["priority"], changed["rateLimit"]) == ("high", 2)
    assert api.patch(f"/api/batch/jobs/{job}", json={"rate": 0}).json()["rateLimit"] is None
    said = client("admin").get("/api/audit", params={"subject": f"job/{job}"}).json()["entries"]
    assert [(one["action"], one["before"], one["after"]) for one in said][-3:] == [
        ("job.resumed", "paused", "pending"),
        ("job.paused", "pending", "paused"),
        ("job.made", "", "pending"),
    ]
    assert {(one["actor"], one["via"], one["reason"]) for one in said if one["action"] == "job.paused"} == {
        ("operator", "token", "a test")
    }


def test_many_are_steered_at_once_and_each_refusal_is_named(client):
    """By numbers, and by what a filter finds; those of others are not touched."""
    api, other = client("operator"), client("operator", "other")
    mine = [made(api, start=f"2024-02-{i + 1:02}", end="2024-03-01")["id"] for i in range(4)]
    theirs = made(other, start="2024-03-01", end="2024-03-01")["id"]
    api.post(f"/api/batch/jobs/{mine[0]}/pause")

    answer = api.post("/api/batch/jobs/bulk", json={"verb": "pause", "ids": [*mine, theirs, 4711]}).json()
    assert answer["done"] == 3
    assert {one["id"] for one in answer["refused"]} == {mine[0], theirs, 4711}
    answer = api.post("/api/batch/jobs/bulk", json={"verb": "start", "filter": {"state": "paused"}}).json()
    assert (answer["done"], answer["refused"]) == (4, [])
    answer = client("admin").post("/api/batch/jobs/bulk", json={"verb": "cancel", "filter": {"q": "btc"}}).json()
    assert answer["done"] == 5
    assert api.post("/api/batch/jobs/bulk", json={"verb": "cancel"}).status_code == 422


def test_a_full_queue_says_when_to_come_again(client, history):
    """429 with Retry-After, and no job."""
    history.settings = replace(history.settings, queued_jobs=2)
    api = client("operator")
    for day in (1, 2):
        made(api, start=f"2024-01-0{day}", end=f"2024-01-0{day}")
    answer = api.post("/api/batch/jobs", json=DAY | {"start": "2023-01-01"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert api.get("/api/batch/jobs").json()["total"] == 2


def test_no_more_jobs_run_than_the_history_allows(client, history):
    """The rest wait `pending`, and say why."""
    api = client("operator")
    history.allow_running(1)
    # More than a page each, at a pace at which none of them ends before we have looked.
    jobs = [made(api, start=f"2024-0{i + 1}", end=f"2024-0{i + 1}", rate=2)["id"] for i in range(3)]
    engine = history.engine({Queue.BACKFILL: 6})

    def states() -> list[str]:
        return [api.get(f"/api/batch/jobs/{one}").json()["state"] for one in jobs]

    until(lambda: states()[0] == "running", 60)
    shown = api.get(f"/api/batch/jobs/{jobs[1]}").json()
    assert (states()[1:], shown["reasons"][-1]) == (["pending"] * 2, "as many jobs run as may run at once")
    history.allow_running(2)
    until(lambda: states()[1] == "running", 60)
    assert states()[2] == "pending"
    history.release(engine)
