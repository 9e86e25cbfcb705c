"""Signing in, cookies, foreign pages, limits, headers, secrets."""

from __future__ import annotations

import json

import httpx
import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from gapless.core.actor import Role
from gapless.core.errors import NotAllowed, StoreError, UsageError
from gapless.core.redact import redacted
from gapless.server.access import Access
from gapless.server.problems import Problem, problem_of
from gapless.testing.history import MINUTES

PASSWORD = "correct horse battery"


@pytest.fixture
def person(serving, history):
    """A browser in which nobody is signed in; account kim is there."""
    history.accounts.add("kim", Role.OPERATOR, PASSWORD)
    with httpx.Client(base_url=serving.url, headers={"Origin": serving.url}, timeout=30) as made:
        yield made


def sign_in(api: httpx.Client, password: str = PASSWORD) -> httpx.Response:
    return api.post("/api/session", json={"user": "kim", "password": password})


def test_a_session_opens_with_the_password_and_ends_with_signing_out(person):
    """The cookie is out of reach of scripts and of other sites; after signing out it opens nothing."""
    assert sign_in(person, "wrong password").status_code == 401
    answer = sign_in(person)
    assert answer.json() == {"name": "kim", "role": "operator", "via": "session"}
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    kept = dict(person.cookies)
    assert person.get("/api/session").json()["name"] == "kim"

    assert person.delete("/api/session").status_code == 204
    person.cookies.update(kept)
    assert person.get("/api/session").status_code == 401


def test_a_cookie_that_we_did_not_sign_is_not_looked_up(person):
    """A guess does not even reach the database."""
    sign_in(person)
    value = person.cookies["gapless_session"]
    person.cookies.set("gapless_session", value[:-1] + ("0" if value[-1] != "0" else "1"))
    assert person.get("/api/session").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": ""},
    ],
)
def test_a_request_of_another_site_is_refused_although_the_cookie_comes_along(person, headers):
    """Cross-site request forgery."""
    sign_in(person)
    body = {"dataset": MINUTES, "series": "KRW-BTC", "days": 1}
    assert person.post("/api/batch/jobs", json=body, headers=headers).status_code == 403
    assert person.post("/api/batch/jobs", json=body).status_code == 202


def test_wrong_passwords_are_limited(person, history):
    """After five the name has to wait, also for the right password; the answer says how long."""
    for _ in range(5):
        assert sign_in(person, "wrong password").status_code == 401
    answer = sign_in(person)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 301
    # A server that is started anew has not forgotten it.
    with pytest.raises(Problem) as refused:
        Access(history).sign_in("kim", PASSWORD, "192.0.2.1")
    assert refused.value.status == 429


def test_another_password_ends_the_other_sessions(person, serving):
    """Whoever had got in is out."""
    sign_in(person)
    with httpx.Client(base_url=serving.url, headers={"Origin": serving.url}) as other:
        sign_in(other)
        wrong = person.put("/api/session/password", json={"old": "not this one", "new": "another password"})
        assert (wrong.status_code, wrong.json()["field"]) == (403, "old")
        assert person.put("/api/session/password", json={"old": PASSWORD, "new": "short"}).status_code == 422
        assert person.put("/api/session/password", json={"old": PASSWORD, "new": "another password"}).status_code == 204
        assert person.get("/api/session").status_code == 200
        assert other.get("/api/session").status_code == 401


def test_the_set_up_link_makes_one_admin_once(serving, history):
    """Whoever starts the server is the first; the link is worth nothing after that."""
    token = history.accounts.offer_setup()
    with httpx.Client(base_url=serving.url, headers={"Origin": serving.url}) as api:
        body = {"token": token, "password": PASSWORD}
        assert api.post("/api/setup", json={**body, "token": "guess"}).status_code == 409
        assert api.post("/api/setup", json=body).json()["role"] == "admin"
        assert api.get("/api/users").status_code == 200
        assert api.post("/api/setup", json=body).status_code == 409


def test_the_last_admin_cannot_be_closed(history):
    """Nobody could open the door again."""
    history.accounts.add("admin", Role.ADMIN, PASSWORD)
    with pytest.raises(NotAllowed, match="last admin"):
        history.accounts.close("admin")
    with pytest.raises(NotAllowed, match="last admin"):
        history.accounts.set_role("admin", Role.VIEWER)


def test_a_socket_without_session_is_closed_with_a_code_that_pages_know(person, serving):
    """Closed before it was accepted, a browser would try for ever."""
    address = serving.url.replace("http", "ws") + "/api/live"
    with websockets.sync.client.connect(address, origin=serving.url) as socket, pytest.raises(ConnectionClosed) as one:
        socket.recv(5)
    assert one.value.rcvd.code == 4401
    sign_in(person)
    cookie = {"Cookie": f"gapless_session={person.cookies['gapless_session']}"}
    foreign = websockets.sync.client.connect(address, origin="http://evil.example", additional_headers=cookie)
    with foreign as socket, pytest.raises(ConnectionClosed) as other:
        socket.recv(5)
    assert other.value.rcvd.code == 4403
    with websockets.sync.client.connect(address, origin=serving.url, additional_headers=cookie) as socket:
        assert json.loads(socket.recv(5))["k"] == "hello"


def test_every_answer_carries_the_headers(client):
    """Scripts of ours only, no frames, no guessing of types, nothing kept by caches."""
    for path in ("/healthz", "/api/batch/jobs", "/nowhere"):
        headers = client("viewer", "kim2").get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_requests_have_bounds(client):
    """Too much is said to be too much, with or without an announced length."""
    api = client("admin")
    big = b'{"dataset": "' + b"x" * 2_100_000 + b'"}'
    assert api.post("/api/plan", content=big).status_code == 413
    assert api.post("/api/plan", content=iter([big])).status_code == 413
    assert api.get("/api/batch/jobs", params={"q": "x" * 20_000}).status_code == 414
    assert api.get("/api/batch/jobs?q=%00").status_code == 422
    assert api.get("/api/batch/jobs?q=%ff").status_code == 422
    assert api.get("/api/batch/jobs?limit=501").json()["field"] == "limit"
    assert api.get("/api/batch/jobs/99999999999999999999999").status_code == 422
    assert api.post("/api/plan", content=b'{"dataset": "a\\u0000b"}').status_code == 422
    assert api.post("/api/plan", json={"dataset": MINUTES, "series": "KRW-BTC", "start": "0001"}).status_code == 422


SECRET = "a1b2c3d4e5" * 4


@pytest.mark.parametrize(
    "text",
    [
        f"GET /api/x?crtfc_key={SECRET}&corp_code=1 failed",
        f"cannot connect to postgresql://me:{SECRET}@db/x",
        f'{{"password": "{SECRET}", "user": "kim"}}',
        f"Authorization: Bearer {SECRET}",
        f"the token gl_{SECRET} opens nothing",
        f"api_key={SECRET}",
    ],
)
def test_secrets_are_taken_out_of_texts(text: str):
    """Whatever a library puts into its errors."""
    assert SECRET not in redacted(text)
    assert redacted("nothing secret: 5 tokens, one password") == "nothing secret: 5 tokens, one password"


def test_a_planted_key_reaches_no_answer(client, history, caplog, capfd):
    """Errors of sources and of the database name what went wrong, never the key."""
    api = client("operator")
    job = api.post("/api/batch/jobs", json={"dataset": MINUTES, "series": "KRW-BTC", "days": 1}).json()["id"]
    wrong = f"answer to crtfc_key={SECRET} was cut"

    def spoil(tx) -> None:
        mark = "?" if tx.name == "sqlite" else "%s"
        tx.cursor.execute(f"UPDATE job SET error = {mark}, state = 'failed' WHERE id = {job}", (wrong,))
        tx.cursor.execute(f"UPDATE segment SET error = {mark}, state = 'failed'", (wrong,))
        tx.cursor.execute(f"UPDATE event SET message = {mark}, level = 'error'", (wrong,))

    history.store.write(spoil)
    admin = client("admin")
    paths = ["", f"/{job}", f"/{job}/segments", f"/{job}/logs"]
    texts = [api.get(f"/api/batch/jobs{one}").text for one in paths] + [admin.get("/api/audit").text]
    texts.append(json.dumps(problem_of(StoreError(f"postgresql://me:{SECRET}@db is away")).body))
    texts.append(json.dumps(problem_of(UsageError(f"key {wrong}", field="key")).body))
    logged = capfd.readouterr()
    for text in [*texts, caplog.text, logged.out, logged.err]:
        assert SECRET not in text
    assert all("was cut" in one for one in texts[:4])
