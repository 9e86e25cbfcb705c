"""The page of the audit: entries as they are, narrowed, paged; and whether the chain holds."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from gapless.testing.rooms import Room

Look = Callable[..., Page]


def test_the_audit_is_read_narrowed_and_verified(still_room: Room, look: Look):
    """Who, what, before, after, why; the newest first; a changed entry is found."""
    job = still_room.job()
    for _ in range(30):
        still_room.history.jobs.pause(job.id)
        still_room.history.jobs.resume(job.id)
    page = look(still_room, "/audit")
    rows = page.locator("#rows tr")
    expect(page.locator("#holds")).to_contain_text("Verified")
    expect(rows).to_have_count(50)
    expect(page.get_by_role("region", name="Entries")).to_contain_text("admin")
    page.get_by_role("button", name="More").click()
    expect(rows.nth(61)).to_be_visible()

    page.get_by_label("What", exact=True).fill("job.paused")
    expect(rows).to_have_count(30)
    expect(rows.first).to_contain_text("pending → paused")
    expect(page).to_have_url(re.compile("action=job.paused"))
    page.get_by_label("Of what").fill("job/999")
    expect(page.locator("#rows")).to_contain_text("No entry matches")
    page.reload()
    expect(page.get_by_label("Of what")).to_have_value("job/999")

    change = "UPDATE audit SET actor = 'somebody else' WHERE place = 3"
    still_room.history.store.write(lambda tx: tx.cursor.execute(change))
    page.get_by_role("button", name="Check again").click()
    expect(page.locator("#holds")).to_contain_text("Broken")
    expect(page.locator("#chain")).to_contain_text("entry 3 (id 3) was changed")
