"""Coverage and series: what is there, and what is not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from gapless.testing.rooms import DIVIDENDS, Room

Look = Callable[..., Page]

#: Stored, missing, verified empty: the colours of the light theme.
STORED, MISSING = 0x4A80CF, 0xD27F00


def colours(page: Page) -> set[int]:
    """What a canvas shows."""
    return set(
        page.locator("#canvas").evaluate(
            """canvas => {
                const pen = canvas.getContext('2d'), seen = new Set();
                const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
                for (let i = 0; i < data.length; i += 4) seen.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
                return [...seen];
            }"""
        )
    )


WINDOW = "?dataset=upbit.candles.1m&q=KRW-BTC&from=2026-03-01&to=2026-03-09"


def test_the_map_shows_what_is_stored_and_what_is_missing(shown_room: Room, look: Look):
    """The picture is the ledger's."""
    page = look(shown_room, f"/coverage{WINDOW}")

    assert {STORED, MISSING} <= colours(page)


def test_a_gap_by_keyboard_leads_to_the_filled_in_form(shown_room: Room, look: Look):
    """From gap to gap with the arrows, Enter fills; the reader hears what is under the cursor."""
    page = look(shown_room, f"/coverage{WINDOW}")

    page.get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#told")).to_contain_text("KRW-BTC upbit.candles.1m, Missing, 2026-03-03 23:")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/new\?dataset=upbit\.candles\.1m&series=KRW-BTC&start=2026-03-0"))
    expect(page.get_by_label("Series", exact=False).first).to_have_value("KRW-BTC")
    expect(page.locator("#plan-requests")).not_to_have_text("–")


def test_a_gap_by_mouse(shown_room: Room, look: Look):
    """The tip names what is under the pointer; a click goes to the form."""
    page = look(shown_room, f"/coverage{WINDOW}")

    box = page.get_by_role("application").bounding_box()
    assert box
    across = box["x"] + 236 + (box["width"] - 300) * 0.5
    page.mouse.move(across, box["y"] + 45)
    expect(page.locator(".tip")).to_contain_text("Missing")
    page.mouse.click(across, box["y"] + 45)
    expect(page).to_have_url(re.compile(r"/new\?dataset=upbit"))


def test_the_list_of_gaps_is_the_twin_of_the_map(shown_room: Room, look: Look):
    """Everything that the canvas shows can be read."""
    page = look(shown_room, f"/coverage{WINDOW}")

    page.get_by_role("button", name="Gap list").click()
    rows = page.locator("#gap-rows tr")
    expect(rows.first).to_contain_text("KRW-BTC")
    expect(rows).to_have_count(2)
    expect(page).to_have_url(re.compile("view=list"))
    expect(rows.first.get_by_role("link", name=re.compile("^Fill this gap"))).to_have_attribute(
        "href", re.compile(r"start=2026-03-04")
    )


def test_all_gaps_at_once(room: Room, look: Look):
    """One question, one job for each dataset; afterwards nothing is missing."""
    done = room.job("KRW-BTC", "2026-03-01", "2026-03-01")
    room.history.watch(done.id).wait(timeout=40)
    page = look(room, "/coverage?from=2026-03-01&to=2026-03-03")

    expect(page.locator("#gap-count")).to_have_text("1")
    page.get_by_role("button", name=re.compile("^Fill all gaps")).click()
    expect(page.get_by_role("dialog")).to_contain_text("Fill 1 gaps of 1 series?")
    page.get_by_role("dialog").get_by_role("button", name="Fill all gaps").click()
    expect(page).to_have_url(re.compile(r"/jobs/\d+$"))
    expect(page.locator("#state")).to_contain_text("Done")


def test_candles_with_a_band_where_data_is_missing(shown_room: Room, look: Look):
    """And a table of the same rows, for those who cannot see the picture."""
    page = look(shown_room, "/series/upbit.candles.1m/KRW-BTC")

    assert {0xD1383D, 0x2467DC} <= colours(page)
    chart = page.get_by_role("application")
    chart.focus()
    expect(page.locator("#gap-links a")).to_have_count(0)
    for before in ("1,000", "2,000", "3,000", "4,000"):
        expect(page.locator("#extent")).to_contain_text(f"{before}+ rows")
        page.keyboard.press("Home")
    expect(page.locator("#gap-links")).to_contain_text("2026-03-04")
    page.get_by_role("button", name="Fit").click()
    assert any(
        abs((one >> 16) - 0xD2) < 8 and abs((one >> 8 & 255) - 0x7F) < 8 and one & 255 < 8 for one in colours(page)
    )
    page.keyboard.press("-")
    expect(page.locator("#told")).to_contain_text("rows shown")
    newest = page.locator("#ohlc b").first.inner_text()
    page.get_by_role("button", name="Line").click()
    expect(page.locator("#ohlc b").first).to_have_text(newest)
    page.get_by_role("button", name="Table").click()
    expect(page.locator("#table-rows tr")).to_have_count(200)
    expect(page.locator("#table-rows tr").first).to_contain_text(newest.replace(" ", "T"))


def test_older_rows_come_when_they_are_looked_for(shown_room: Room, look: Look):
    """The page begins with the newest thousand."""
    page = look(shown_room, "/series/upbit.candles.1m/KRW-BTC")

    expect(page.locator("#extent")).to_contain_text("1,000+ rows")
    page.get_by_role("application").focus()
    page.keyboard.press("Home")
    expect(page.locator("#extent")).not_to_contain_text(" 1,000+ rows")


def test_a_series_can_be_kept(shown_room: Room, look: Look):
    """As CSV and as Parquet, all of it."""
    page = look(shown_room, "/series/upbit.candles.1d/KRW-ETH")

    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 1 + 90
    with page.expect_download() as download:
        page.get_by_role("link", name="Parquet").click()
    assert download.value.path().read_bytes()[:4] == b"PAR1"


def test_dividends_are_a_line_of_years(shown_room: Room, look: Look):
    """No candles for what has none; the value can be chosen."""
    page = look(shown_room, "/series/dart.dividends/005930/11011")

    expect(page.get_by_role("button", name="Candles")).to_have_count(0)
    expect(page.get_by_label("Value")).to_have_value("dps")
    expect(page.locator("#ohlc")).to_contain_text("dps")


def test_a_line_is_of_one_kind_of_records(shown_room: Room, look: Look):
    """Common and preferred shares of a year pay different dividends: a line through both would be nobody's."""
    rows = shown_room.history.read(DIVIDENDS, "005930", "2015", "2024", fill=False)
    newest = {one["share_kind"]: one["dps"] for one in rows.to_dicts()}
    page = look(shown_room, "/series/dart.dividends/005930/11011")

    kinds = page.get_by_label("Kind")
    assert sorted(kinds.locator("option").all_inner_texts()) == sorted(newest)
    assert len(newest) > 1
    for kind, paid in newest.items():
        kinds.select_option(kind)
        expect(page.locator("#ohlc")).to_contain_text(f"{float(paid):,g}")
    page.get_by_role("button", name="Table").click()
    expect(kinds).to_be_hidden()


def test_the_list_of_series_finds_by_name(shown_room: Room, look: Look):
    """And leads to each."""
    page = look(shown_room, "/series")

    page.get_by_role("searchbox").fill("300010")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_role("link", name="300010/11011").click()
    expect(page).to_have_url(re.compile("/series/dart.dividends/300010/11011$"))


def test_names_from_outside_are_text(shown_room: Room, look: Look):
    """A name with markup in it is shown as it is, in JSON as in HTML."""
    evil = "</script><img src=x onerror=alert(1)>"
    page = look(shown_room, f"/new?dataset=upbit.candles.1m&name={evil}&series={evil}")

    expect(page.get_by_label("Name")).to_have_value(evil)
    expect(page.locator("#wrong")).to_contain_text("series")
    assert page.locator("img").count() == 0
    assert evil not in json.dumps(page.content())
