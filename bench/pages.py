"""How soon a page is there for somebody who was never here: 10,000 jobs, and a coverage grid of a million cells."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench import rig, server, table

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
#: A page with its data may take so many times as long as the first paint of one without any.
HOLD = 3.0
#: Pages beside one that shows no data at all.
BARE = "/login"
PAGES = (
    (f"{server.WAITING:,} jobs", "/jobs"),
    ("coverage, 1 M cells", "/coverage?dataset=upbit.candles.1m&q=KRW-R"),
)
#: Notes when the picture that follows the last answer is on the screen: in the second frame after it was drawn.
NOTE = """
new MutationObserver((_, watch) => {
  if (!document.documentElement?.dataset.ready) return;
  watch.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = performance.now(); }));
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['data-ready']});
"""
FIRST = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


def run(*, long: bool) -> Iterator[table.Line]:
    """Each page some times, with nothing kept from the time before."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        found = None
    if found is None:
        yield table.Line(
            name="first paint", measured="–", limit="needs Chromium and playwright", ratio=None, hold="", ok=None
        )
        return
    with rig.folder() as place, rig.history_at(f"sqlite:///{place / 'history.db'}", rig.NOWHERE) as history:
        history.dataset(rig.CANDLES.name)
        history.store.write(server.fill)
        with server.served(history, place) as started, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=SWITCHES)
            yield from _pages(browser, started.url, 15 if long else 5)
            browser.close()


def _pages(browser: Browser, url: str, times: int) -> Iterator[table.Line]:
    signing = browser.new_context(base_url=url)
    said = {"user": server.ACCOUNT, "password": server.PASSWORD}
    if not signing.request.post("/api/session", data=said, headers={"Origin": url}).ok:
        raise RuntimeError("nobody could sign in")
    bare = [_opened(browser, url, BARE, None)[0] for _ in range(times)]
    for name, path in PAGES:
        seen = [_opened(browser, url, path, signing.storage_state()) for _ in range(times)]
        first, whole = (table.middle([one[i] for one in seen]) for i in (0, 1))
        worst = max(one[1] for one in seen)
        yield table.Line(
            name=f"{name}: first paint, with data (worst)",
            measured=f"{first:.0f}, {whole:.0f} ({worst:.0f}) ms",
            limit=f"{table.middle(bare):.0f} ms, first paint of {BARE}",
            ratio=whole / table.middle(bare),
            hold=f"≤ {HOLD:g} ×",
            ok=whole <= HOLD * table.middle(bare),
        )


def _opened(browser: Browser, url: str, path: str, state: object) -> tuple[float, float]:
    """Milliseconds from the click to the first paint, and to the one with all that was asked for."""
    context = browser.new_context(base_url=url, storage_state=state, viewport={"width": 1440, "height": 900})  # type: ignore[arg-type]
    context.add_init_script(NOTE)
    page = context.new_page()
    page.goto(path)
    if state is not None:
        page.wait_for_function("() => window.painted")
    spent = (float(page.evaluate(FIRST)), float(page.evaluate("window.painted ?? 0")))
    context.close()
    return spent
