"""Templates, schedules, chains, notifications and forecasts over HTTP: the same verbs, with rights."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gapless.core.job import JobState
from gapless.testing.history import MINUTES

SETTINGS = {"dataset": MINUTES, "series": ["KRW-BTC"], "start": "2024-06-01", "end": "2024-06-01"}


def save(api: Any, name: str = "day", **more: Any) -> Any:
    return api.post("/api/templates", json={"name": name, "settings": SETTINGS, **more})


def test_a_template_lives_a_life(client):
    """Saved, shown, changed, run, forgotten."""
    api = client("operator")
    made = save(api)
    assert (made.status_code, made.json()["settings"]) == (201, SETTINGS)
    assert save(api).status_code == 422
    assert [one["name"] for one in api.get("/api/templates").json()["templates"]] == ["day"]
    changed = api.put("/api/templates/day", json={"settings": {**SETTINGS, "series": "KRW-BTC KRW-ETH"}})
    assert changed.json()["settings"]["series"] == ["KRW-BTC", "KRW-ETH"]
    run = api.post("/api/templates/day/run")
    assert run.status_code == 202
    assert run.json()["owner"] == "operator"
    assert api.post("/api/templates/day/run").json()["id"] == run.json()["id"]
    assert api.delete("/api/templates/day").status_code == 204
    assert api.get("/api/templates/day").status_code == 404


def test_a_schedule_lives_a_life(client, history):
    """Its run is the owner's job, on the queue of its own."""
    api = client("operator")
    save(api)
    body = {"name": "nightly", "template": "day", "cron": "30 3 * * *", "zone": "Asia/Seoul"}
    made = api.post("/api/schedules", json=body)
    assert made.status_code == 201
    assert made.json()["nextAt"].endswith("18:30:00Z")
    assert api.post("/api/schedules", json={**body, "name": "b", "cron": "never"}).json()["field"] == "cron"
    assert api.post("/api/schedules", json={**body, "name": "b", "zone": "Mars"}).json()["field"] == "zone"
    assert api.post("/api/schedules", json={**body, "name": "b", "template": "no"}).status_code == 404
    run = api.post("/api/schedules/nightly/run")
    assert (run.status_code, run.json()["queue"], run.json()["owner"]) == (202, "daily", "operator")
    assert api.post("/api/schedules/nightly/run").status_code == 409
    assert api.delete("/api/templates/day").status_code == 409
    assert not api.post("/api/schedules/nightly/disable").json()["enabled"]
    assert api.post("/api/schedules/nightly/enable").json()["enabled"]
    (listed,) = api.get("/api/schedules").json()["schedules"]
    assert (listed["runs"], listed["lastJob"]) == (1, run.json()["id"])
    assert api.delete("/api/schedules/nightly").status_code == 204
    assert api.post("/api/schedules/nightly/enable").status_code == 404


def test_a_chain_is_made_seen_and_taken_away(client, history):
    """The next job is made when the first is done."""
    api = client("operator")
    save(api)
    save(api, "again", settings={"mode": "all"})
    job = api.post("/api/templates/day/run").json()["id"]
    made = api.post("/api/chains", json={"job": job, "templates": ["again"]})
    other = api.post("/api/chains", json={"job": job, "templates": ["again", "day"], "after": "ended"})
    assert (made.status_code, made.json()["state"]) == (201, "waiting")
    assert api.delete(f"/api/chains/{other.json()['id']}").status_code == 204
    assert api.delete("/api/chains/999").status_code == 404
    assert api.post("/api/chains", json={"job": 999, "templates": ["again"]}).status_code == 404
    assert api.post("/api/chains", json={"job": job, "templates": ["no"]}).status_code == 404
    assert history.run(job).wait(timeout=60) is JobState.DONE
    (following,) = history.chains.tick()
    (link,) = api.get("/api/chains", params={"job": job}).json()["chains"]
    assert (link["nextJob"], following.owner, following.mode) == (following.id, "operator", "all")
    assert api.delete(f"/api/chains/{link['id']}").status_code == 409


def test_a_notification_shows_its_secret_once(client):
    """And its address never."""
    api = client("admin")
    url = "https://hooks.example/T0P-S3CRET"
    made = api.post("/api/notifications", json={"name": "ops", "url": url})
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    assert made.json()["events"] == ["done", "incomplete", "failed", "waiting"]
    assert not api.post("/api/notifications/ops/disable").json()["enabled"]
    shown = api.get("/api/notifications").text + api.get("/api/notifications/deliveries").text
    assert "T0P-S3CRET" not in shown
    assert made.json()["secret"] not in shown
    wrong = api.post("/api/notifications", json={"name": "x", "url": "T0P-S3CRET"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "url")
    assert "T0P-S3CRET" not in wrong.text
    assert api.delete("/api/notifications/ops").status_code == 204


def test_a_forecast_is_told_and_scored(client, history):
    """Seconds while it runs, null afterwards, and a row in the score."""
    api = client("operator")
    save(api)
    job = api.post("/api/templates/day/run").json()["id"]
    told = api.get(f"/api/forecast/jobs/{job}").json()["forecast"]
    assert 0 < told["p50"] <= told["p90"]
    assert told["basis"] == "budget"
    assert history.run(job).wait(timeout=60) is JobState.DONE
    assert api.get(f"/api/forecast/jobs/{job}").json() == {"forecast": None}
    assert api.get("/api/forecast/score").json()["score"]["all"]["jobs"] == 1
    assert api.get("/api/forecast/jobs/999").status_code == 404
    assert api.get("/api/forecast/score", params={"days": 0}).status_code == 422


#: (method, route) → the least role; `owner` is the owner of the thing, or an admin.
MATRIX: dict[tuple[str, str], str] = {
    ("GET", "/api/templates"): "viewer",
    ("POST", "/api/templates"): "operator",
    ("GET", "/api/templates/{name}"): "viewer",
    ("PUT", "/api/templates/{name}"): "owner",
    ("DELETE", "/api/templates/{name}"): "owner",
    ("POST", "/api/templates/{name}/run"): "operator",
    ("GET", "/api/schedules"): "viewer",
    ("POST", "/api/schedules"): "owner",
    ("DELETE", "/api/schedules/{name}"): "owner",
    ("POST", "/api/schedules/{name}/run"): "owner",
    ("POST", "/api/schedules/{name}/{verb}"): "owner",
    ("GET", "/api/chains"): "viewer",
    ("POST", "/api/chains"): "owner",
    ("DELETE", "/api/chains/{chain_id}"): "owner",
    ("GET", "/api/notifications"): "admin",
    ("POST", "/api/notifications"): "admin",
    ("GET", "/api/notifications/deliveries"): "admin",
    ("DELETE", "/api/notifications/{name}"): "admin",
    ("POST", "/api/notifications/{name}/test"): "admin",
    ("POST", "/api/notifications/{name}/{verb}"): "admin",
    ("GET", "/api/forecast/jobs/{job_id}"): "viewer",
    ("GET", "/api/forecast/score"): "viewer",
}
PREFIXES = ("/api/templates", "/api/schedules", "/api/chains", "/api/notifications", "/api/forecast")


def test_every_route_of_the_workflow_is_in_the_matrix(client):
    """A route that nobody has thought about would be open."""
    paths = client("admin").get("/api/openapi.json").json()["paths"]
    known = {(way.upper(), path) for path, ways in paths.items() for way in ways if path.startswith(PREFIXES)}
    assert known == set(MATRIX)


@pytest.mark.parametrize("role", ["", "viewer", "operator", "owner", "admin"])
def test_rights_of_the_workflow(client, role):
    """Every route for every role: those who may are let through, the others are not, and nothing happens."""
    owner = client("operator", "owner")
    save(owner)
    job = owner.post("/api/templates/day/run").json()["id"]
    owner.post("/api/schedules", json={"name": "nightly", "template": "day", "cron": "0 3 * * *"})
    link = owner.post("/api/chains", json={"job": job, "templates": ["day"]}).json()["id"]
    client("admin").post("/api/notifications", json={"name": "ops", "url": "http://127.0.0.1:9/x"})
    bodies: dict[tuple[str, str], Any] = {
        ("POST", "/api/templates"): {"name": "other", "settings": SETTINGS},
        ("PUT", "/api/templates/{name}"): {"settings": SETTINGS},
        ("POST", "/api/schedules"): {"name": "other", "template": "day", "cron": "0 3 * * *"},
        ("POST", "/api/chains"): {"job": job, "templates": ["day"], "after": "ended"},
        ("POST", "/api/notifications"): {"name": "other", "url": "http://127.0.0.1:9/x"},
    }
    names = {"/api/templates": "day", "/api/schedules": "nightly", "/api/notifications": "ops"}
    mine = client("operator", "owner") if role == "owner" else client(role)
    ranks = ["", "viewer", "operator", "owner", "admin"]
    # What takes things away comes last.
    for (method, route), least in sorted(MATRIX.items(), key=lambda one: one[0][0] == "DELETE"):
        name = next((name for prefix, name in names.items() if route.startswith(prefix)), "")
        path = route.format(name=name, verb="disable", job_id=job, chain_id=link)
        answer = mine.request(method, path, json=bodies.get((method, route)))
        if not role:
            assert answer.status_code == 401, (method, route)
        elif ranks.index(role) < ranks.index(least):
            assert answer.status_code == 403, (method, route, answer.text)
        else:
            assert answer.status_code in (200, 201, 202, 204, 404, 409), (method, route, answer.text)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/templates", {"name": "a/b", "settings": SETTINGS}, "name"),
        ("/api/templates", {"name": "x", "settings": {**SETTINGS, "days": 1, "colour": "red"}}, "settings.colour"),
        ("/api/templates", {"name": "x", "settings": {"dataset": "no.such"}}, "dataset"),
        ("/api/templates", {"name": "x", "kind": "conquer", "settings": SETTINGS}, "kind"),
        ("/api/templates", {"name": "x", "settings": {**SETTINGS, "params": {"a": "\ud800"}}}, "settings.params.a"),
        ("/api/templates", {"name": "x", "settings": SETTINGS, "then": ["nothing"]}, "then"),
    ],
)
def test_what_is_wrong_is_named(client, path, body, field):
    """Whatever is sent: the field, and no fault of ours."""
    answer = client("operator").post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (404, 422), answer.text
    assert answer.json()["field"].startswith(field)
