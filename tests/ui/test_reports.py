"""The page of reports: made, seen on the list and on the page of their job, downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from gapless.testing.rooms import DAYS, Room

Look = Callable[..., Page]


def test_a_report_is_made_and_downloaded(room: Room, look: Look):
    """From an empty page to a file with what is stored in it; what is wrong is said beside the form."""
    room.history.watch(room.job(dataset=DAYS).id).wait(timeout=60)
    page = look(room, "/reports")
    expect(page.locator("#rows")).to_contain_text("Make a report below")
    page.get_by_label("Dataset").select_option(DAYS)
    page.get_by_label("From").first.fill("2026-13-01")
    page.get_by_role("button", name="Make report").click()
    expect(page.locator("#wrong")).to_contain_text("2026-13-01")
    expect(page.locator("#start")).to_be_focused()
    page.get_by_label("From").first.fill("2026-01-01")
    page.get_by_label("To", exact=True).first.fill("2026-01-31")
    page.get_by_role("checkbox", name="HTML").uncheck()
    page.get_by_role("checkbox", name="Markdown").check()
    page.get_by_role("button", name="Make report").click()

    row = page.locator("#rows tr", has_text="KRW-BTC")
    expect(row).to_contain_text("Done")
    file = page.locator("#files tr")
    expect(file).to_contain_text("upbit.candles.1d-KRW-BTC-2026-01-01-2026-01-31.en.md")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download: ").click()
    body = Path(waiting.value.path()).read_text()
    assert "KRW-BTC" in body

    row.get_by_role("link").click()
    expect(page.locator("#files tr")).to_contain_text(".en.md")
    page.goto("/reports")
    page.get_by_role("button", name="Files: #").click()
    expect(page.locator("#files-title")).to_contain_text("Files of job #")
    expect(page.locator("#files tr")).to_contain_text(".en.md")
