"""The pages of templates and schedules: made, run, switched, taken away, as a person does it."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from gapless.store import jobs
from gapless.testing.rooms import DAYS, Room

Look = Callable[..., Page]


def fill(page: Page, name: str, series: str = "KRW-BTC KRW-ETH") -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Dataset", exact=True).select_option(DAYS)
    page.get_by_label("Series", exact=True).fill(series)
    page.get_by_label("Days back").fill("30")


def test_a_template_is_saved_run_and_removed(still_room: Room, look: Look):
    """What the form says is what is stored; its job is on the list a moment later."""
    page = look(still_room, "/templates")
    expect(page.locator("#rows")).to_contain_text("No templates yet")
    fill(page, "month")
    page.get_by_role("button", name="Save template").click()
    row = page.locator("#rows tr", has_text="month")
    expect(row).to_contain_text("KRW-BTC, KRW-ETH · last 30 days")
    saved = still_room.history.templates.get("month")
    assert saved.settings == {"dataset": DAYS, "series": ["KRW-BTC", "KRW-ETH"], "days": 30.0}

    page.get_by_role("button", name="Run: month").click()
    expect(page.get_by_role("alert").filter(has_text="is on its way")).to_be_visible()
    with still_room.history.store.read() as tx:
        (job,) = jobs.recent(tx)
    assert (job.name, job.owner, job.series_count) == ("month", "admin", 2)

    expect(page.get_by_role("link", name="Open as backfill: month")).to_have_attribute(
        "href", re.compile("series=KRW-BTC")
    )
    page.get_by_role("button", name="Remove: month").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator("#rows")).to_contain_text("No templates yet")


def test_what_is_wrong_is_shown_and_kept(still_room: Room, look: Look):
    """The field has the focus, the words say what to do, and nothing that was typed is lost."""
    page = look(still_room, "/templates")
    fill(page, "odd", "not a market!")
    page.get_by_role("button", name="Save template").click()
    expect(page.locator("#wrong")).to_contain_text("series")
    expect(page.get_by_label("Series", exact=True)).to_be_focused()
    expect(page.get_by_label("Series", exact=True)).to_have_value("not a market!")
    expect(page.get_by_label("Name", exact=True)).to_have_value("odd")
    assert still_room.history.templates.every() == []


def test_a_schedule_is_made_run_switched_and_removed(still_room: Room, look: Look):
    """Each button does what the command of the same name does."""
    still_room.history.templates.save("week", "collect", {"dataset": DAYS, "series": ["KRW-BTC"], "days": 7})
    page = look(still_room, "/schedules")
    page.get_by_label("Name", exact=True).fill("nightly")
    page.get_by_label("When (cron)").fill("61 9 * * *")
    page.get_by_label("Time zone").fill("Asia/Seoul")
    page.get_by_role("button", name="Save schedule").click()
    expect(page.locator("#wrong")).to_contain_text("cron")
    page.get_by_label("When (cron)").fill("10 9 * * *")
    page.get_by_role("button", name="Save schedule").click()
    row = page.locator("#rows tr", has_text="nightly")
    expect(row).to_contain_text("00:10 UTC")

    page.get_by_role("button", name="Run now: nightly").click()
    expect(row.get_by_role("link", name="#1")).to_be_visible()
    page.get_by_role("button", name="Run now: nightly").click()
    expect(page.get_by_role("alert").filter(has_text="job 1 of schedule nightly is pending")).to_be_visible()
    page.get_by_role("button", name="Switch off: nightly").click()
    expect(row).to_contain_text("Off")
    assert not still_room.history.schedules.get("nightly").enabled
    page.get_by_role("button", name="Switch on: nightly").click()
    expect(row).to_contain_text("00:10 UTC")
    page.get_by_role("button", name="Remove: nightly").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator("#rows")).to_contain_text("No schedules yet")


def test_a_schedule_needs_a_template(still_room: Room, look: Look):
    """And says where to make one."""
    page = look(still_room, "/schedules")
    expect(page.locator("#no-template")).to_be_visible()
    expect(page.get_by_role("button", name="Save schedule")).to_be_disabled()
