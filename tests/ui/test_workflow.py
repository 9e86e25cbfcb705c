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

    expect(page.get_by_role("link", name="Open as backfill: month")).to_have_attribute("href", "/new?template=month")
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


def test_forecasts_are_shown_and_so_is_their_honesty(still_room: Room, look: Look):
    """P50 and P90 of a job that waits; afterwards how many of such jobs ended in time."""
    job = still_room.job(name="soon")
    page = look(still_room, f"/jobs/{job.id}")
    told = page.locator("#stats div", has_text="Forecast, P50 – P90")
    expect(told).to_contain_text(re.compile(r"\ds – \d"))
    system = look(still_room, "/system")
    expect(system.locator("#forecasts")).to_contain_text("No job that was forecast has ended yet")
    still_room.history.run(job.id).wait(timeout=60)
    system.reload()
    expect(system.locator("#forecasts")).to_contain_text("upbit/candle, by budget")


def test_a_wish_is_kept_as_a_template_and_fills_the_form_again(still_room: Room, look: Look):
    """Where it is written, with its name asked for in place; nothing of it is lost on the way."""
    told = "dataset=upbit.candles.1d&series=KRW-BTC,KRW-ETH&start=2026-01-01&mode=all&direction=backward&priority=low"
    page = look(still_room, f"/new?{told}&recheck=3&rate=7")
    page.get_by_text("Save as template").click()
    name, save = page.get_by_label("Template", exact=True), page.get_by_role("button", name="Save template")
    save.click()
    expect(page.locator("#keep-wrong")).to_contain_text("name")
    expect(name).to_be_focused()
    name.fill("month")
    page.get_by_label("Days back").fill("x")
    save.click()
    expect(page.locator("#keep-wrong")).to_contain_text("days")
    page.get_by_label("Days back").fill("30")
    name.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Template month is saved")).to_be_visible()
    wanted = {"dataset": DAYS, "series": ["KRW-BTC", "KRW-ETH"], "days": 30.0, "mode": "all", "recheck": 3}
    wanted |= {"direction": "backward", "priority": "low", "rate": 7.0}
    assert still_room.history.templates.get("month").settings == wanted

    page.goto("/new")
    page.get_by_label("Fill in from a template").select_option("month")
    expect(page).to_have_url(re.compile("template=month"))
    expect(page.locator("#series")).to_have_value("KRW-BTC\nKRW-ETH")
    expect(page.locator("#command")).to_contain_text("--mode all")
    expect(page.locator("#command")).to_contain_text("--recheck 3 --direction backward")
    expect(page.locator("#command")).to_contain_text("--priority low --rate 7")
    page.reload()
    expect(page.locator("#keep-told")).to_have_text("Replaces template month")
    page.locator("#series").fill("not a market!")
    save.click()
    expect(page.locator("#series")).to_have_attribute("aria-invalid", "true")
    page.locator("#series").fill("KRW-XRP")
    save.click()
    expect(page.get_by_role("alert").filter(has_text="Template month is saved")).to_be_visible()
    assert still_room.history.templates.get("month").settings == wanted | {"series": ["KRW-XRP"]}
    expect(look(still_room, "/new?template=gone").get_by_role("alert")).to_contain_text("There is no template gone")
