"""One job, looked at closely."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from gapless.testing.rooms import Room

Look = Callable[..., Page]


def test_a_running_job_shows_where_both_ends_are(room: Room, look: Look):
    """Frontiers, segments and counters move; the log goes on by itself."""
    job = room.job("KRW-BTC", "2026-01-01", "2026-02-28", rate=10.0, name="two months")
    page = look(room, f"/jobs/{job.id}")

    expect(page.get_by_role("heading", level=1)).to_contain_text("KRW-BTC")
    expect(page.locator("#state")).to_contain_text("Running")
    expect(page.locator("#big")).to_have_attribute("aria-label", re.compile(r"^[1-9][\d.]*% done; forward to 2026-"))
    expect(page.locator("#segments tr").first).to_contain_text("running")
    expect(page.locator("#log li").first).to_contain_text("job.made")
    expect(page.locator("#area polyline")).to_be_attached()

    lines = page.locator("#log li").count()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#state")).to_contain_text("Paused")
    expect(page.locator("#why")).to_contain_text("paused")
    expect(page.locator("#log li")).not_to_have_count(lines)


def test_errors_are_grouped_and_the_log_can_be_narrowed(shown_room: Room, look: Look):
    """Ten thousand times the same error is one line."""
    page = look(shown_room, f"/jobs/{shown_room.named['failed']}")

    expect(page.locator("#state")).to_contain_text(re.compile("Failed|Incomplete"))
    expect(page.locator(".err").first).to_contain_text("KRW-NOPE")
    assert page.locator(".err").count() < page.locator("#log li").count()
    # Once: that it has failed says the chip.
    expect(page.locator("#why .note")).to_have_count(1)
    expect(page.locator("#why")).to_contain_text("KRW-NOPE")
    every = page.locator("#log li").count()
    page.get_by_label("Level").select_option("error")
    expect(page.locator("#log li")).not_to_have_count(every)


def test_a_certificate_can_be_kept(shown_room: Room, look: Look):
    """A finished job vouches for what it says."""
    page = look(shown_room, "/jobs/1")

    with page.expect_download() as download:
        page.get_by_role("link", name="Certificate").click()
    assert "KRW-BTC" in download.value.path().read_text()


def test_a_prefetch_counts_stocks_and_years(shown_room: Room, look: Look):
    """Processed = ok + cached + skip + fail, as the dividend users count."""
    page = look(shown_room, f"/jobs/{shown_room.named['prefetch']}")

    counts = dict(
        zip(
            page.locator("#unit-list span").all_inner_texts(),
            page.locator("#unit-list b").all_inner_texts(),
            strict=True,
        )
    )
    assert counts["Total"] == counts["Processed"] == "20"
    assert sum(int(counts[one]) for one in ("OK", "Cached", "Skip", "Fail")) == 20


def test_start_over_opens_the_new_job(shown_room: Room, look: Look):
    """The old one stays in the list."""
    page = look(shown_room, "/jobs/1")

    page.get_by_role("button", name="Start over").click()
    expect(page).not_to_have_url(re.compile("/jobs/1$"))
    expect(page.locator("#state")).to_contain_text("Done")


def test_a_job_that_there_is_not(shown_room: Room, look: Look, contexts: Callable[..., object]):
    """The page says so, and where to go."""
    page = contexts(shown_room).new_page()  # type: ignore[attr-defined]
    page.goto("/jobs/99999")
    expect(page.get_by_text("There is no job 99999.")).to_be_visible()
