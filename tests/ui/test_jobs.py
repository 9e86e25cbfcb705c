"""The list of jobs."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from gapless.core.job import JobState
from gapless.core.segment import SegmentState
from gapless.store import jobs
from gapless.testing.fleet import eventually
from gapless.testing.rooms import Room

Look = Callable[..., Page]


def row(page: Page, job: int):
    """The row of a job."""
    return page.locator(f"tr.r[data-id='{job}']")


def test_rows_move_while_a_job_runs(room: Room, look: Look):
    """Numbers and both ends of the bar, without a reload."""
    job = room.job("KRW-BTC", "2026-01-01", "2026-02-28", rate=20.0)
    page = look(room, "/jobs")

    expect(row(page, job.id)).to_contain_text("Running")
    bar = row(page, job.id).get_by_role("progressbar")
    expect(bar).to_have_attribute(
        "aria-valuetext", re.compile(r"^[1-9][\d.]*% done; forward to 2026-0\d-\d\d, backward to 2026-")
    )
    expect(page.locator("#k-running")).to_contain_text("1")
    before = bar.get_attribute("aria-valuetext") or ""
    expect(bar).not_to_have_attribute("aria-valuetext", before)


def test_a_job_is_pending_until_a_slot_has_it(still_room: Room, look: Look):
    """One row, whatever its segments, and no progress that nobody makes."""
    job = still_room.job(["KRW-BTC", "KRW-ETH"])
    page = look(still_room, "/jobs")

    expect(page.locator("tr.r")).to_have_count(1)
    expect(row(page, job.id)).to_contain_text("Pending")
    expect(row(page, job.id)).to_contain_text("KRW-BTC + 1 more")
    # Each series is elsewhere: no dates are made up of their average.
    told = row(page, job.id).get_by_role("progressbar").get_attribute("aria-valuetext")
    assert told == "0.0% done; forward to 0.0%, backward to 0.0%"
    # Nothing happens, so no message comes: the tiles are of the first page.
    expect(page.locator("#k-running")).to_have_text("01 pending")
    expect(page.locator("#k-trouble")).to_have_text("0")


def test_pause_resume_and_cancel(room: Room, look: Look):
    """Pausing asks nothing; cancelling asks first, and Escape keeps the job."""
    job = room.job(rate=2.0)
    page = look(room, "/jobs")

    row(page, job.id).get_by_role("button", name="Pause").click()
    expect(row(page, job.id)).to_contain_text("Paused")
    assert room.history.jobs.get(job.id).state == JobState.PAUSED
    eventually(lambda: SegmentState.RUNNING not in room.history.progress(job.id).segments)

    row(page, job.id).get_by_role("button", name="Resume").click()
    expect(row(page, job.id)).to_contain_text("Running")

    row(page, job.id).get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_contain_text("Cancel 1 job")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row(page, job.id)).to_contain_text("Running")

    row(page, job.id).get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(row(page, job.id)).to_contain_text("Cancelled")
    assert room.history.jobs.get(job.id).state == JobState.CANCELLED


def test_retry_and_start_over(room: Room, look: Look):
    """A cancelled job goes on where it was; starting over makes another and leaves this one in the list."""
    job = room.job("KRW-BTC", "2026-01-01", "2026-01-02", hold=True)
    room.history.jobs.cancel(job.id)
    page = look(room, "/jobs")

    row(page, job.id).get_by_role("button", name="Retry").click()
    expect(row(page, job.id)).to_contain_text("Done")
    row(page, job.id).get_by_role("button", name="Start over").click()
    expect(page.locator("tr.r")).to_have_count(2)


def made(room: Room) -> list[int]:
    """All jobs of a room that several tests share, the newest first."""
    with room.history.store.read() as tx:
        return [one.id for one in jobs.recent(tx)]


def test_a_filter_is_an_address(shown_room: Room, look: Look):
    """It can be kept and sent; a reload shows the same."""
    page = look(shown_room, "/jobs")
    page.keyboard.press("/")
    page.keyboard.type("large")
    expect(page).to_have_url(re.compile(r"\?q=large$"))
    expect(page.locator("tr.r")).to_have_count(1)

    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    expect(page.get_by_role("searchbox")).to_have_value("large")
    expect(page.locator("tr.r")).to_contain_text("large caps")

    page.get_by_role("searchbox").fill("nothing is called so")
    expect(page.get_by_text("No job matches these filters.")).to_be_visible()
    page.get_by_role("button", name="Reset filters").click()
    expect(page.locator("tr.r")).to_have_count(len(made(shown_room)))


def test_tabs_count_and_filter(shown_room: Room, look: Look):
    """Counts are of all jobs, the read of the directory included; what needs attention is one click away."""
    page = look(shown_room, "/jobs")

    expect(page.get_by_role("button", name=re.compile("^All"))).to_have_text(f"All{len(made(shown_room))}")
    page.get_by_role("button", name=re.compile("^Needs attention")).click()
    expect(page.locator("tr.r")).to_have_count(1)
    expect(page.locator("tr.r")).to_contain_text("no such market")
    expect(page).to_have_url(re.compile("state=incomplete"))
    page.get_by_role("button", name="State").click()
    expect(page.locator("th[data-k=state]")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name=re.compile("^All")).click()
    page.get_by_role("button", name="Progress").click()
    page.get_by_role("button", name="Progress").click()
    expect(page.locator("th[data-k=percent]")).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("tr.r").first.locator(".p")).to_have_text("0.0%")
    expect(page.locator("tr.r").last.locator(".p")).to_have_text("100%")
    for name in ("Fail", "Time left"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("th[aria-sort=descending]")).to_have_text(name)
        expect(page.locator("tr.r").first).to_be_visible()


def test_the_list_by_keyboard_alone(shown_room: Room, look: Look):
    """Down the rows, select, open."""
    page = look(shown_room, "/jobs")

    page.keyboard.press("j")
    expect(page.locator("tr.r:focus")).to_have_attribute("aria-rowindex", "2")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("tr.r:focus")).to_have_attribute("aria-rowindex", "3")
    page.keyboard.press(" ")
    expect(page.locator("tr.r:focus")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("group", name="Selected jobs")).to_contain_text("1 selected")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/jobs/{made(shown_room)[1]}$"))


def test_many_jobs_at_once(still_room: Room, look: Look):
    """Those that are picked, and all that a filter finds, also those that were never on screen."""
    for i in range(3):
        still_room.job("KRW-BTC", f"2026-0{i + 1}-01", f"2026-0{i + 1}-05")
    page = look(still_room, "/jobs")

    row(page, 1).get_by_role("checkbox").check()
    row(page, 3).get_by_role("checkbox").check()
    page.get_by_role("group", name="Selected jobs").get_by_role("button", name="Pause").click()
    expect(row(page, 3)).to_contain_text("Paused")
    assert [still_room.history.jobs.get(i).state for i in (1, 2, 3)] == ["paused", "pending", "paused"]

    page.get_by_label("Select all jobs of this list").check()
    page.get_by_role("group", name="Selected jobs").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_contain_text("Cancel 3 job")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("tr.r .chip", has_text="Cancelled")).to_have_count(3)


def test_new_jobs_wait_behind_a_chip(still_room: Room, look: Look):
    """Rows do not jump under somebody's eyes."""
    still_room.job()
    page = look(still_room, "/jobs")
    expect(page.locator("html[data-tick]")).to_be_attached()

    still_room.job("KRW-ETH")
    page.get_by_role("button", name="1 new").click()
    expect(page.locator("tr.r")).to_have_count(2)
    expect(page.get_by_role("button", name="1 new")).to_be_hidden()


def test_ten_thousand_jobs(still_room: Room, look: Look):
    """Only what is on screen is in the document, and the last row is a key away."""
    still_room.many(10_000)
    page = look(still_room, "/jobs")

    expect(page.get_by_role("table")).to_have_attribute("aria-rowcount", "10001")
    assert page.locator("tr.r").count() < 60
    page.locator("#scroll").evaluate("box => { box.scrollTop = box.scrollHeight }")
    expect(row(page, 1)).to_be_visible()
    expect(page.locator("#range")).to_contain_text("of 10,000")

    page.get_by_role("searchbox").fill("#7777")
    expect(page.locator("tr.r")).to_have_count(1)
