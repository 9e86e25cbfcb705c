"""A new backfill: the plan beside the form, and the flow of the dividend users."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from gapless.testing.rooms import Room

Look = Callable[..., Page]


def test_the_plan_follows_the_form(still_room: Room, look: Look):
    """Nothing is asked of the source; the same wish is a command."""
    page = look(still_room, "/new?dataset=upbit.candles.1m&series=KRW-BTC&start=2026-01-01&end=2026-01-02")

    expect(page.locator("#plan-requests")).to_have_text("1 – 16")
    expect(page.locator("#plan-facts")).to_contain_text("2,880")
    page.locator("#series").fill("KRW-BTC, KRW-ETH\nKRW-XRP KRW-BTC")
    expect(page.locator("#series-count")).to_have_text("3 given")
    expect(page.locator("#plan-facts")).to_contain_text("8,640")
    page.get_by_role("radio", name="Everything again").check()
    page.get_by_role("radio", name="→ Oldest first").check()
    expect(page.locator("#command")).to_have_text(
        "gapless fill upbit.candles.1m KRW-BTC KRW-ETH KRW-XRP \\\n"
        "  --from 2026-01-01 --to 2026-01-02 \\\n  --mode all --direction forward"
    )


def test_starting_makes_one_job(room: Room, look: Look):
    """With everything that the form says."""
    page = look(room, "/new?dataset=upbit.candles.1m&series=KRW-BTC&start=2026-01-01&end=2026-01-02")

    page.get_by_label("Name").fill("my minutes")
    page.get_by_role("radio", name="High").check()
    page.get_by_label("Create it paused").check()
    page.get_by_role("button", name="Start backfill").click()
    expect(page).to_have_url(re.compile(r"/jobs/1$"))
    expect(page.locator("#name")).to_contain_text("my minutes")
    expect(page.locator("#state")).to_contain_text("Paused")
    job = room.history.jobs.get(1)
    assert (job.priority, job.name, job.state) == (0, "my minutes", "paused")


def test_what_is_wrong_is_named_and_what_was_typed_stays(still_room: Room, look: Look):
    """The field is marked, the next step is said, the button waits."""
    page = look(still_room, "/new?dataset=upbit.candles.1m&series=KRW-BTC&start=2026-01-01")

    page.get_by_label("From", exact=True).first.fill("2026-13-45")
    expect(page.get_by_role("alert")).to_contain_text("2026-13-45")
    expect(page.locator("[name=start]")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("button", name="Start backfill")).to_be_disabled()
    expect(page.locator("#series")).to_have_value("KRW-BTC")

    page.locator("[name=start]").fill("2026-01-01")
    expect(page.get_by_role("button", name="Start backfill")).to_be_enabled()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_refusal_begins_in_the_language_of_the_page(still_room: Room, look: Look):
    """The server's own words are English; what kind of trouble it is must not be."""
    page = look(still_room, "/new?dataset=upbit.candles.1m&series=KRW-BTC&start=2026-01-01", lang="ko")

    page.locator("[name=start]").fill("2026-13-45")
    expect(page.get_by_role("alert")).to_contain_text("입력을 확인하세요: ")
    expect(page.get_by_role("alert")).to_contain_text("2026-13-45")


def test_a_plan_that_has_changed_is_shown_again(room: Room, look: Look):
    """Somebody else has filled a part meanwhile: the difference is told before anything starts."""
    page = look(room, "/new?dataset=upbit.candles.1m&series=KRW-BTC&start=2026-01-01&end=2026-01-02")
    expect(page.locator("#plan-facts")).to_contain_text("2,880")
    meanwhile = room.job("KRW-BTC", "2026-01-01", "2026-01-01")
    room.history.watch(meanwhile.id).wait(timeout=40)

    page.get_by_role("button", name="Start backfill").click()
    expect(page.locator("#plan-warnings")).to_contain_text("no longer missing: KRW-BTC")
    expect(page.locator("#plan-facts")).to_contain_text("1,440")
    page.get_by_role("button", name="Start backfill").click()
    expect(page).to_have_url(re.compile(r"/jobs/2$"))


def test_the_dividend_flow(room: Room, look: Look):
    """Stocks are pasted, years and report chosen; the job counts; the last ten are at hand with their verbs."""
    page = look(room, "/new?dataset=dart.dividends")
    expect(page.get_by_label("Report")).to_have_value("11011")

    page.locator("#series").fill("005930, 300010\n300050")
    page.locator("[name=startYear]").fill("2018")
    page.locator("[name=endYear]").fill("2023")
    page.get_by_label("Name").fill("KR large caps")
    expect(page.locator("#plan-facts")).to_contain_text("18")
    page.get_by_role("button", name="Start backfill").click()
    expect(page.locator("#state")).to_contain_text("Done")
    expect(page.locator("#unit-list")).to_contain_text("18")

    page.goto("/new?dataset=dart.dividends&series=005930&start=2018&end=2023")
    expect(page.locator("#plan-requests")).to_have_text("0")
    recent = page.locator("#recent-rows tr")
    expect(recent).to_have_count(1)
    expect(recent.first).to_contain_text("KR large caps")
    page.locator("#recheck").fill("2")
    expect(page.locator("#plan-facts div").first).to_contain_text("2")

    page.get_by_text("Pick from stored series").click()
    page.get_by_role("checkbox", name="300050").check()
    expect(page.locator("#series")).to_have_value("005930\n300050")
    page.get_by_role("radio", name="Everything again").check()
    expect(page.locator("#plan-facts div").first).to_contain_text("12")
    page.get_by_label("Create it paused").check()
    page.get_by_role("button", name="Start backfill").click()
    expect(page.locator("#state")).to_contain_text("Paused")

    page.goto("/new?dataset=dart.dividends")
    expect(recent).to_have_count(2)
    recent.first.get_by_role("button", name=re.compile("^Resume")).click()
    expect(recent.first).to_contain_text("Done")
    recent.first.get_by_role("button", name=re.compile("^Start over")).click()
    expect(recent).to_have_count(3)


def test_sources_show_their_own_datasets(still_room: Room, look: Look):
    """Years where people count years, dates elsewhere."""
    page = look(still_room, "/new")

    expect(page.get_by_text("candles.1m", exact=True)).to_be_visible()
    page.get_by_role("radio", name="dart").check()
    expect(page.get_by_text("candles.1m", exact=True)).to_be_hidden()
    expect(page.get_by_role("group", name="Years")).to_be_visible()
    expect(page.get_by_role("group", name="Range")).to_be_hidden()
