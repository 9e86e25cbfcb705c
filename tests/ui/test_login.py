"""Nobody sees anything before they sign in."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from gapless.testing.rooms import PASSWORD, Room

Look = Callable[..., Page]


def test_a_page_waits_behind_the_login(still_room: Room, look: Look):
    """Whoever signs in lands where they wanted to go."""
    page = look(still_room, "/jobs?state=running", signed_in=False)
    expect(page).to_have_url(re.compile(r"/login\?next=%2Fjobs%3Fstate%3Drunning$"))

    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The user or the password is not right.")
    expect(page.get_by_label("Password")).to_be_focused()

    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/jobs\?state=running$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Backfill jobs")


def test_next_leads_nowhere_else(still_room: Room, look: Look):
    """A link to our login must not end on somebody else's page."""
    for elsewhere in ("https://example.org/", "//example.org/", "/\\example.org", "javascript:alert(1)"):
        page = look(still_room, f"/login?next={elsewhere}", signed_in=False)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{still_room.url}/jobs")


def test_signing_out_ends_the_session(still_room: Room, look: Look):
    """Also in the other tab, at its next word with the server."""
    page = look(still_room, "/jobs")
    other = page.context.new_page()
    other.goto("/jobs")

    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login"))
    other.get_by_role("button", name=re.compile("^Done")).click()
    expect(other).to_have_url(re.compile("/login"))
