"""The system page, settings, two tabs, and a server that comes and goes."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, Route, expect

from gapless.testing.rooms import Room

Look = Callable[..., Page]


def test_the_system_page_tells_health(shown_room: Room, look: Look):
    """Workers, queues, budgets, and what the server itself needs."""
    page = look(shown_room, "/system")

    expect(page.locator("#workers tr")).to_have_count(1)
    expect(page.locator("#queues")).to_contain_text("backfill")
    expect(page.get_by_role("meter").first).to_be_visible()
    expect(page.locator("#budgets")).to_contain_text("upbit")
    expect(page.locator("#k-memory")).to_contain_text("MB")
    expect(page.locator("#health")).to_contain_text(re.compile("Healthy|Degraded"))


def test_a_token_is_shown_once(still_room: Room, look: Look):
    """It works, it is listed without its secret, and it can be revoked."""
    page = look(still_room, "/settings")
    page.get_by_label("Name").fill("nightly")
    page.get_by_label("Role").select_option("operator")
    page.get_by_role("button", name="Create token").click()
    secret = page.locator("#secret-text")
    expect(secret).not_to_be_empty()
    bearer = {"Authorization": f"Bearer {secret.inner_text()}"}
    assert page.request.get("/api/batch/jobs", headers=bearer).ok

    page.reload()
    expect(page.locator("#tokens tr")).to_contain_text("nightly")
    expect(page.locator("#secret")).to_be_hidden()
    page.get_by_role("button", name="Revoke: nightly").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.locator("#tokens")).to_contain_text("No tokens yet.")
    assert page.request.get("/api/batch/jobs", headers=bearer).status == 401


def test_looks_are_kept(still_room: Room, look: Look):
    """Language, theme and candle colours, from the first byte of the next page on."""
    page = look(still_room, "/settings")

    page.get_by_role("radio", name="Green up, red down").check()
    page.get_by_role("radio", name="Dark").check()
    page.get_by_role("radio", name="한국어").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("설정")
    page.goto("/jobs")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    expect(root).to_have_attribute("data-candles", "western")
    expect(root).to_have_attribute("lang", "ko")
    expect(page.get_by_role("heading", level=1)).to_have_text("백필 작업")
    page.get_by_role("button", name="밝은 화면과 어두운 화면 전환").click()
    expect(root).to_have_attribute("data-theme", "light")


def test_two_tabs_see_the_same(room: Room, contexts: Callable[..., BrowserContext]):
    """What one does, the other shows at once; two people too."""
    job = room.job(rate=2.0)
    mine, yours = contexts(room).new_page(), contexts(room, lang="ko").new_page()
    mine.goto("/jobs")
    yours.goto(f"/jobs/{job.id}")

    mine.locator("tr.r").get_by_role("button", name="Pause").click()
    expect(yours.locator("#state")).to_contain_text("일시정지")
    yours.get_by_role("button", name="취소").click()
    yours.get_by_role("dialog").get_by_role("button", name="취소").click()
    expect(mine.locator("tr.r")).to_contain_text("Cancelled")


def test_nothing_is_missed_while_a_page_opens(room: Room, contexts: Callable[..., BrowserContext]):
    """A change after the page has read the job, told to others before the page listens."""
    job = room.job(rate=2.0)
    mine, yours = contexts(room).new_page(), contexts(room).new_page()
    mine.goto("/jobs")
    expect(mine.locator("tr.r")).to_contain_text("Running")

    def answer_late(route: Route) -> None:
        answer = route.fetch()
        assert answer.json()["state"] == "running"
        room.history.jobs.pause(job.id)
        expect(mine.locator("tr.r")).to_contain_text("Paused")
        route.fulfill(response=answer)

    yours.route(re.compile(f"/api/batch/jobs/{job.id}$"), answer_late, times=1)
    yours.goto(f"/jobs/{job.id}")
    expect(yours.locator("#state")).to_contain_text("Paused")


def test_what_is_told_while_a_list_is_read_counts(room: Room, contexts: Callable[..., BrowserContext]):
    """The list that comes late does not show again what has changed."""
    job = room.job(rate=2.0)
    mine, yours = contexts(room).new_page(), contexts(room).new_page()
    mine.goto("/jobs")
    yours.goto("/jobs")
    expect(yours.locator("tr.r")).to_contain_text("Running")

    def answer_late(route: Route) -> None:
        answer = route.fetch()
        assert answer.json()["jobs"][0]["state"] == "running"
        room.history.jobs.pause(job.id)
        expect(mine.locator("tr.r")).to_contain_text("Paused")
        expect(yours.locator("#k-running")).to_contain_text("0")
        route.fulfill(response=answer)

    yours.route(re.compile("/api/batch/jobs[?].*q=KRW"), answer_late, times=1)
    yours.get_by_role("searchbox").fill("KRW")
    expect(yours.locator("tr.r")).to_contain_text("Paused")


def test_a_page_outlives_the_server(settings, look: Look):
    """Scroll, search and what was typed stay; it is live again without a reload."""
    with Room(settings) as first:
        job = first.job(rate=4.0)
        page = look(first, "/jobs?q=KRW")
        expect(page.locator("html")).to_have_attribute("data-live", "on")
        page.evaluate("window.isTheSamePage = true")
    expect(page.locator("#live")).to_have_text("Reconnecting…")

    with Room(settings, port=first.port) as again:
        expect(page.locator("#live")).to_have_text("Live")
        expect(page.locator("tr.r")).to_contain_text("Running")
        expect(page.get_by_role("searchbox")).to_have_value("KRW")
        again.history.jobs.pause(job.id)
        expect(page.locator("tr.r")).to_contain_text("Paused")
        assert page.evaluate("window.isTheSamePage") is True


def test_a_form_outlives_the_server(settings, look: Look):
    """The plan goes on by itself; nothing typed is lost."""
    with Room(settings, slots=0) as first:
        page = look(first, "/new?dataset=upbit.candles.1m&series=KRW-BTC&start=2026-01-01&end=2026-01-02")
        expect(page.locator("html")).to_have_attribute("data-live", "on")
    page.locator("#series").fill("KRW-BTC KRW-ETH")
    expect(page.get_by_role("alert").first).to_contain_text("The server does not answer")

    with Room(settings, slots=0, port=first.port):
        expect(page.locator("#plan-facts")).to_contain_text("5,760")
        expect(page.locator("#series")).to_have_value("KRW-BTC KRW-ETH")


def test_what_a_viewer_may_not_do_is_not_offered(room: Room, contexts: Callable[..., BrowserContext]):
    """They see everything."""
    from gapless.core.actor import Role

    room.job(hold=True)
    room.history.accounts.add("guest", Role.VIEWER, "a long enough password")
    context = contexts(room, signed_in=False)
    said = {"user": "guest", "password": "a long enough password"}
    assert context.request.post("/api/session", data=said, headers={"Origin": room.url}).ok
    page = context.new_page()
    page.goto("/jobs")

    expect(page.locator("tr.r")).to_contain_text("Paused")
    assert page.get_by_role("button", name="Resume").count() == 0
    expect(page.get_by_role("link", name="New backfill")).to_be_hidden()
