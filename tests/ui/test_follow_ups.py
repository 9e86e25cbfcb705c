"""The pages of chains and notifications: what follows a job, and who hears of it."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from gapless.core.actor import Role
from gapless.testing.rooms import DAYS, PASSWORD, Room

Look = Callable[..., Page]


def test_a_chain_is_added_and_removed(still_room: Room, look: Look):
    """From the page of a job: its steps are templates, one after the other."""
    job = still_room.job()
    page = look(still_room, f"/jobs/{job.id}")
    page.get_by_role("link", name="Then…").click()
    expect(page.locator("#rows")).to_contain_text("Nothing follows a job yet")
    expect(page.locator("#no-template")).to_be_visible()
    still_room.history.templates.save("week", "collect", {"dataset": DAYS, "series": ["KRW-BTC"], "days": 7})
    still_room.history.templates.save("again", "collect", {"mode": "all"})
    page.reload()
    expect(page.get_by_label("After job")).to_have_value(str(job.id))
    page.get_by_label("After job").fill("999")
    page.get_by_label("Step 1").select_option("week")
    page.get_by_label("Step 2").select_option("again")
    page.get_by_role("button", name="Add chain").click()
    expect(page.locator("#wrong")).to_contain_text("there is no job 999")
    expect(page.get_by_label("After job")).to_be_focused()
    page.get_by_label("After job").fill(str(job.id))
    page.get_by_role("radio", name="Ended").check()
    page.get_by_role("button", name="Add chain").click()
    row = page.locator("#rows tr", has_text="week → again")
    expect(row).to_contain_text("Waiting")
    (link,) = still_room.history.chains.every()
    assert (link.job, link.after, link.owner) == (job.id, "ended", "admin")
    page.get_by_role("button", name=f"Remove: {link.id}").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator("#rows")).to_contain_text("Nothing follows a job yet")


def test_a_notification_is_added_tried_switched_and_removed(still_room: Room, look: Look):
    """Its secret is shown once; a test says how it went; what was told is listed."""
    page = look(still_room, "/notifications")
    expect(page.locator("#rows")).to_contain_text("Nobody is told yet")
    page.get_by_label("Name", exact=True).fill("ops")
    page.get_by_label("Address").fill("T0P-S3CRET")
    page.get_by_role("button", name="Add notification").click()
    expect(page.locator("#wrong")).to_contain_text("url: is not understood")
    page.get_by_label("Address").fill("http://127.0.0.1:9/T0P-S3CRET")
    page.get_by_role("checkbox", name="cancelled").check()
    page.get_by_role("button", name="Add notification").click()
    expect(page.locator("#secret-text")).to_contain_text("whsec_")
    row = page.locator("#rows tr", has_text="ops")
    expect(row).to_contain_text("http://127.0.0.1/…")

    page.get_by_role("button", name="Send a test: ops").click()
    expect(page.get_by_role("alert").filter(has_text="was not told: no answer")).to_be_visible()
    page.get_by_role("button", name="Switch off: ops").click()
    expect(row).to_contain_text("Off")
    page.get_by_role("button", name="Switch on: ops").click()
    expect(row).to_contain_text("On")
    still_room.history.jobs.cancel(still_room.job(name="night").id)
    still_room.history.deliveries.tick()
    page.reload()
    told = page.locator("#told tr")
    expect(told).to_have_count(1)
    expect(told).to_contain_text(re.compile(r"ops\s*cancelled\s*#1\s*Waiting"))
    expect(told).to_contain_text("no answer")
    page.get_by_role("button", name="Delivered").click()
    expect(page.locator("#told")).to_contain_text("Nothing in this state")
    assert "T0P-S3CRET" not in page.content()
    page.get_by_role("button", name="Remove: ops").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator("#rows")).to_contain_text("Nobody is told yet")


def test_what_is_for_admins_is_not_offered_to_others(still_room: Room, contexts: Callable[..., object]):
    """The navigation does not lead there; who goes there all the same is told why it is empty."""
    still_room.history.accounts.add("kim", Role.OPERATOR, PASSWORD)
    context = contexts(still_room, signed_in=False)
    said = {"user": "kim", "password": PASSWORD}
    context.request.post("/api/session", data=said, headers={"Origin": still_room.url})  # type: ignore[attr-defined]
    page: Page = context.new_page()  # type: ignore[attr-defined]
    page.goto("/audit")
    expect(page.locator("#rows")).to_contain_text("this takes the role admin")
    expect(page.locator("#holds")).to_contain_text("Not checked")
    expect(page.get_by_role("link", name="Notifications")).to_have_count(0)
    expect(page.get_by_role("link", name="Chains")).to_be_visible()
