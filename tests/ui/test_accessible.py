"""For everybody: screen readers, keyboards, narrow windows, both languages, both themes."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from gapless.testing.rooms import Room

Look = Callable[..., Page]
AXE = files("axe_playwright_python") / "axe.min.js"
PAGES = {
    "login": "/login",
    "setup": "/setup?token=x",
    "jobs": "/jobs",
    "job": "/jobs/{failed}",
    "prefetch": "/jobs/{prefetch}",
    "coverage": "/coverage?from=2026-01-01&to=2026-04-01",
    "gaps": "/coverage?view=list",
    "list": "/series",
    "series": "/series/upbit.candles.1m/KRW-BTC",
    "new": "/new?dataset=upbit.candles.1m&series=KRW-BTC&start=2026-03-01",
    "dividends": "/new?dataset=dart.dividends&series=005930",
    "findings": "/findings",
    "reports": "/reports?job={report}",
    "report": "/jobs/{report}",
    "templates": "/templates",
    "schedules": "/schedules",
    "system": "/system",
    "chains": "/chains",
    "notifications": "/notifications",
    "audit": "/audit",
    "settings": "/settings",
    "missing": "/series/no.such/thing",
}
CHECK = """async rules => {
    const found = await axe.run(document, {resultTypes: ['violations'], ...(rules && {runOnly: rules})});
    const told = node => `${node.html} ${node.failureSummary}`;
    return found.violations.map(one => `${one.id}: ${one.help}: ` + one.nodes.map(told).join(' | '));
}"""


OVER = """() => [...document.querySelectorAll('main *')].filter(one => {
    const box = one.getBoundingClientRect();
    if (!box.width || one.closest('svg, .over, .segments, .log, .heat, .picks, .sr, .ranges')) return false;
    return box.right > innerWidth + 1;
}).map(one => one.outerHTML.slice(0, 120))"""
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 820, "height": 1100}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(name: str, shown_room: Room, contexts: Callable[..., BrowserContext]):
    """axe finds nothing in both languages and both themes; at 820 px nothing hangs over the edge."""
    for lang, theme, other, size in (("en", "light", "dark", WIDE), ("ko", "dark", "light", NARROW)):
        signed_in = name not in ("login", "setup")
        context = contexts(shown_room, lang=lang, theme=theme, signed_in=signed_in, viewport=size)
        context.add_init_script(AXE.read_text())
        page = context.new_page()
        page.goto(PAGES[name].format(**shown_room.named))
        if name != "missing":
            page.wait_for_selector("html[data-ready]", state="attached")
        assert page.evaluate(CHECK) == []
        assert page.evaluate(OVER) == []
        # Another theme changes nothing but colours.
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", other)
        assert page.evaluate(CHECK, ["color-contrast"]) == []


def test_a_backfill_without_a_mouse(room: Room, look: Look):
    """From the list to a running job with keys alone."""
    page = look(room, "/jobs")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()

    page.get_by_role("link", name="New backfill").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.get_by_role("radio", name="candles.1m", exact=True).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="candles.3m", exact=True)).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("KRW-BTC")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.locator("[name=start]").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("2026-03-01")
    expect(page.get_by_role("button", name="Start backfill")).to_be_enabled()
    page.get_by_role("button", name="Start backfill").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("Running")


def test_without_motion_and_with_forced_colours(shown_room: Room, look: Look):
    """The page asks for neither animation nor its own colours."""
    page = look(shown_room, "/jobs", reduced_motion="reduce", forced_colors="active")

    moving = "() => document.getAnimations().length"
    assert page.evaluate(moving) == 0
    bar = page.locator("tr.r .bar").first
    assert bar.evaluate("one => getComputedStyle(one).borderTopWidth") == "1px"
