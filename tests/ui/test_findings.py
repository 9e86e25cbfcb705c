"""The page of findings: what is wrong with stored rows is seen, narrowed, and mended."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from gapless.testing.rooms import DAYS, Room

Look = Callable[..., Page]


def test_what_is_wrong_is_found_narrowed_and_mended(room: Room, look: Look):
    """From an empty page to clean rows: validate, look, repair, validate again."""
    room.history.watch(room.job(["KRW-BTC", "KRW-ETH"], dataset=DAYS).id).wait(timeout=60)
    room.spoil("KRW-ETH")
    page = look(room, "/findings")
    expect(page.locator("#rows")).to_contain_text("Start a validation below")
    page.get_by_label("Dataset").select_option(DAYS)
    page.get_by_label("Series", exact=True).fill("not a market!")
    page.get_by_role("button", name="Validate").click()
    expect(page.locator("#wrong")).to_contain_text("series")
    page.get_by_label("Series", exact=True).fill("")
    page.get_by_role("button", name="Validate").click()

    found = page.locator("#rows tr", has_text="low_high")
    expect(found).to_contain_text("Error")
    expect(found).to_contain_text("2026-01-01")
    expect(page.locator("#state")).to_contain_text("Done")
    verdicts = page.locator("#verdicts tr")
    expect(verdicts.first).to_contain_text("KRW-ETH")
    expect(verdicts.nth(1)).to_contain_text("100")
    expect(found.get_by_role("link", name="Coverage: KRW-ETH")).to_have_attribute(
        "href", re.compile(r"q=KRW-ETH&from=2025-12-31&to=2026-01-0[23]")
    )

    page.get_by_role("group", name="Severity").get_by_role("button", name=re.compile("Warning")).click()
    expect(found).to_have_count(0)
    page.get_by_role("group", name="Severity").get_by_role("button", name=re.compile("All")).click()
    expect(found).to_be_visible()
    page.get_by_label("Rule").select_option("low_high")
    expect(page).to_have_url(re.compile("rule=low_high"))
    page.get_by_label("Filter series").fill("btc")
    expect(page).to_have_url(re.compile("q=btc"))
    expect(page.locator("#rows")).to_contain_text("No finding matches")
    page.reload()
    expect(page.get_by_label("Filter series")).to_have_value("btc")
    page.get_by_label("Filter series").fill("eth")
    expect(found).to_be_visible()

    page.get_by_role("button", name="Repair").click()
    page.get_by_role("dialog").get_by_role("button", name="Repair").click()
    expect(page).to_have_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#name")).to_contain_text("repair of job")
    expect(page.locator("#state")).to_contain_text("Done")
    page.goto("/findings")
    # Before the page has read the last validation the dataset is the first of the list.
    expect(page.get_by_label("Dataset")).to_have_value(DAYS)
    page.get_by_role("button", name="Validate").click()
    expect(page.locator("#rows")).to_contain_text("Nothing was found")


def test_a_page_that_could_not_be_read_says_so_and_tries_again(shown_room: Room, look: Look):
    """The server was away for a moment: nothing has to be loaded anew."""
    page = look(shown_room, "/findings")
    expect(page.locator("#rows tr", has_text="low_high")).to_be_visible()
    page.route("**/api/findings?*", lambda route: route.abort())
    page.get_by_label("Rule").select_option("low_high")
    expect(page.locator("#rows")).to_contain_text("The server does not answer")
    page.unroute("**/api/findings?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#rows tr", has_text="low_high")).to_be_visible()
