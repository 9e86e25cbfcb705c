"""Who may do what: every route, for every role, for owners and others."""

from __future__ import annotations

from typing import Any

import pytest

from gapless.core.actor import Role
from gapless.testing.history import MINUTES

ROLES = ["", "viewer", "operator", "admin"]
#: (method, route) → the least role, and a request that is right but for the rights. `{job}` is operator's.
MATRIX: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("GET", "/healthz"): ("", {}),
    ("POST", "/api/session"): ("", {"json": {"user": "nobody", "password": "wrong password"}}),
    ("POST", "/api/setup"): ("", {"json": {"token": "wrong", "password": "long enough"}}),
    ("GET", "/api/session"): ("viewer", {}),
    ("DELETE", "/api/session"): ("viewer", {}),
    ("PUT", "/api/session/password"): ("person", {"json": {"old": "x", "new": "y"}}),
    ("GET", "/api/batch/jobs"): ("viewer", {}),
    ("GET", "/api/batch/jobs/{job_id}"): ("viewer", {}),
    ("GET", "/api/batch/jobs/{job_id}/segments"): ("viewer", {}),
    ("GET", "/api/batch/jobs/{job_id}/logs"): ("viewer", {}),
    ("GET", "/api/batch/jobs/{job_id}/events"): ("viewer", {}),
    ("GET", "/api/batch/jobs/{job_id}/certificate"): ("viewer", {}),
    ("POST", "/api/plan"): ("viewer", {"json": {"dataset": MINUTES, "series": "KRW-BTC", "days": 1}}),
    ("GET", "/api/coverage"): ("viewer", {}),
    ("GET", "/api/coverage/gaps"): ("viewer", {}),
    ("GET", "/api/datasets"): ("viewer", {}),
    ("GET", "/api/series"): ("viewer", {}),
    ("GET", "/api/series/{dataset}/{series}"): ("viewer", {}),
    ("GET", "/api/series/{dataset}/{series}/rows"): ("viewer", {}),
    ("GET", "/api/system"): ("viewer", {}),
    ("GET", "/api/workers"): ("viewer", {}),
    ("GET", "/api/budgets"): ("viewer", {}),
    ("GET", "/api/batch/metrics"): ("viewer", {}),
    ("GET", "/metrics"): ("viewer", {}),
    ("GET", "/api/tokens"): ("viewer", {}),
    ("DELETE", "/api/tokens/{token_id}"): ("viewer", {}),
    ("POST", "/api/tokens"): ("operator", {"json": {"name": "mine", "role": "viewer"}}),
    ("POST", "/api/batch/jobs"): ("operator", {"json": {"dataset": MINUTES, "series": "KRW-BTC", "days": 2}}),
    ("POST", "/api/batch/historical-backfill"): (
        "operator",
        {"json": {"dataset": MINUTES, "series": "KRW-BTC", "days": 3}},
    ),
    ("POST", "/api/batch/index-recalculation"): ("operator", {"json": {"market": "CRYPTO", "days": 3}}),
    ("POST", "/api/batch/data-validation"): (
        "operator",
        {"json": {"dataset": MINUTES, "series": "KRW-BTC", "days": 3}},
    ),
    ("POST", "/api/batch/bulk-report"): ("operator", {"json": {"dataset": MINUTES, "series": "KRW-BTC", "days": 3}}),
    ("GET", "/api/jobs/{job_id}/files"): ("viewer", {}),
    ("GET", "/api/jobs/{job_id}/files/{name}"): ("viewer", {}),
    ("POST", "/api/batch/data-migration"): ("operator", {"json": {"dataset": "dart.dividends"}}),
    ("POST", "/api/batch/event-valuation"): ("operator", {"json": {}}),
    ("POST", "/backfillEventsTable"): ("operator", {"json": {}}),
    ("GET", "/api/batch/jobs/{job_id}/findings"): ("viewer", {}),
    ("GET", "/api/findings"): ("viewer", {}),
    ("GET", "/api/findings/series"): ("viewer", {"params": {"job": 1}}),
    ("POST", "/api/batch/jobs/{job_id}/repair"): ("owner", {}),
    ("POST", "/api/batch/jobs/bulk"): ("operator", {"json": {"verb": "pause", "ids": []}}),
    ("POST", "/api/batch/jobs/{job_id}/clone"): ("operator", {}),
    ("POST", "/api/batch/jobs/{job_id}/{verb}"): ("owner", {}),
    ("PATCH", "/api/batch/jobs/{job_id}"): ("owner", {"json": {"priority": "low"}}),
    ("PATCH", "/api/queues/{queue}"): ("admin", {"json": {"limit": 3}}),
    ("GET", "/api/users"): ("admin", {}),
    ("POST", "/api/users"): ("admin", {"json": {"name": "new", "role": "viewer", "password": "long enough"}}),
    ("PATCH", "/api/users/{name}"): ("person", {"json": {"role": "viewer"}}),
    ("GET", "/api/audit"): ("admin", {}),
    ("GET", "/api/audit/verify"): ("admin", {}),
}


def path_of(route: str, job: int) -> str:
    """A path of a route that leads to something."""
    known = {"{job_id}": str(job), "{verb}": "pause", "{dataset}": MINUTES, "{series}": "KRW-BTC", "{queue}": "live"}
    known |= {"{token_id}": "999", "{name}": "nobody"}
    for key, text in known.items():
        route = route.replace(key, text)
    return route


def routes(api: Any) -> set[tuple[str, str]]:
    """Every route of the document."""
    paths = api.get("/api/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, ways in paths.items() for method in ways}


def test_every_route_is_in_the_matrix(client):
    """A route that nobody has thought about would be open."""
    beside = {("GET", "/api/events")}  # A stream: below.
    known = {key for key in routes(client("admin")) if not key[1].startswith(OTHERS)}

    assert known == set(MATRIX) | beside


#: Routes whose own tests hold their rights.
OTHERS = ("/api/templates", "/api/schedules", "/api/chains", "/api/notifications", "/api/forecast")


@pytest.mark.parametrize("caller", [*ROLES, "other"])
def test_a_route_lets_in_whom_it_should(client, caller: str):
    """401 for nobody, 403 for too little, and neither for whoever may. `other` is an operator without a job."""
    owner = client("operator")
    job = owner.post("/api/batch/jobs", json={"dataset": MINUTES, "series": "KRW-ETH", "days": 1}).json()["id"]
    api = client("operator", "other") if caller == "other" else client(caller)
    for (method, route), (least, request) in MATRIX.items():
        answer = api.request(method, path_of(route, job), **request)
        assert answer.status_code in allowed(caller, least, route), f"{method} {route}: {answer.text}"
        owner.post(f"/api/batch/jobs/{job}/start")


OVER_STORED = (
    "/api/batch/event-valuation",
    "/backfillEventsTable",
    "/api/batch/data-migration",
    "/api/batch/bulk-report",
)


def allowed(caller: str, least: str, route: str) -> set[int]:
    """The statuses that are right."""
    role = "operator" if caller == "other" else caller
    if route == "/api/session" and least == "":
        return {401}
    if not role and least:
        return {401}
    # `person`: whoever comes with a token has not the right, whatever its role.
    enough = {"": 0, "viewer": 1, "operator": 2, "owner": 2, "admin": 3, "person": 9}[least]
    if ["", "viewer", "operator", "admin"].index(role) < enough or (least == "owner" and caller == "other"):
        return {403}
    # 422: nothing is stored that these kinds of work could go over.
    return {200, 201, 202, 204, 404, 409} | ({422} if route in OVER_STORED else set())


def test_streams_and_pages_need_a_session_too(client, serving):
    """What has no JSON is no way around."""
    nobody = client("")

    assert nobody.get("/api/events").status_code == 401
    assert nobody.get("/api/openapi.json").status_code == 401
    assert nobody.get("/api/docs").status_code == 401
    moved = nobody.get("/jobs?q=a%26b")
    assert (moved.status_code, moved.headers["location"]) == (303, "/login?next=%2Fjobs%3Fq%3Da%2526b")


def test_a_token_may_at_most_what_its_account_may(client, history):
    """A role that is taken away is taken from its tokens, too."""
    api = client("operator")
    assert api.post("/api/tokens", json={"name": "x", "role": "admin"}).status_code == 422
    history.accounts.set_role("operator", Role.VIEWER)
    assert api.post("/api/tokens", json={"name": "x", "role": "viewer"}).status_code == 403
    history.accounts.close("operator")
    assert api.get("/api/batch/jobs").status_code == 401
