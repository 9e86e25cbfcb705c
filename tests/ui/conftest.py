"""The pages in a real Chromium, against a real server over a history on SQLite and simulated providers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from gapless.sandbox.process import SandboxProcess
from gapless.server.access import COOKIE
from gapless.settings import Settings
from gapless.testing.rooms import DAYS, DIVIDENDS, PASSWORD, Room, settings_of

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
expect.set_options(timeout=15_000)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """One process runs all of these, so that one browser and one pair of simulators serve them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium of this machine; Playwright's own is not downloaded."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("no Chromium on PATH: install the package `chromium`")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=list(SWITCHES))
        yield started
        started.close()


@pytest.fixture(scope="session")
def upbit() -> Iterator[SandboxProcess]:
    """A simulated Upbit without a limit."""
    with SandboxProcess("upbit", rate=0) as started:
        yield started


@pytest.fixture(scope="session")
def dart() -> Iterator[SandboxProcess]:
    """A simulated OpenDART with a small market."""
    with SandboxProcess("opendart", companies=120) as started:
        yield started


@pytest.fixture
def settings(tmp_path: Path, upbit: SandboxProcess, dart: SandboxProcess) -> Settings:
    """Of an empty history."""
    return settings_of(tmp_path, upbit, dart)


@pytest.fixture
def room(settings: Settings) -> Iterator[Room]:
    """An empty history with a server and four slots."""
    with Room(settings) as opened:
        yield opened


@pytest.fixture
def still_room(settings: Settings) -> Iterator[Room]:
    """The same without slots: what is pending stays so."""
    with Room(settings, slots=0) as opened:
        yield opened


@pytest.fixture(scope="session")
def shown_room(tmp_path_factory: pytest.TempPathFactory, upbit: SandboxProcess, dart: SandboxProcess) -> Iterator[Room]:
    """A history with something of everything, for tests that only look."""
    with Room(settings_of(tmp_path_factory.mktemp("shown"), upbit, dart)) as opened:
        done = {
            "minutes": opened.job("KRW-BTC", "2026-03-01", "2026-03-03", name="minutes"),
            "more": opened.job("KRW-BTC", "2026-03-06", "2026-03-08"),
            "days": opened.job(["KRW-BTC", "KRW-ETH"], "2026-01-01", "2026-03-31", dataset=DAYS),
            "prefetch": opened.job(["005930", "300010"], "2015", "2024", dataset=DIVIDENDS, name="large caps"),
            "failed": opened.job("KRW-NOPE", "2026-03-01", "2026-03-01", name="no such market"),
        }
        for one in done.values():
            opened.history.watch(one.id).wait(timeout=60)
        opened.spoil("KRW-ETH")
        opened.history.validate(DAYS)
        report = opened.history.report(DAYS, "KRW-BTC", "2026-01-01", "2026-01-31", name="january")
        report.wait(timeout=60)
        done["slow"] = opened.job("KRW-ETH", "2026-01-01", "2026-02-28", rate=1.0, name="slow one")
        done["held"] = opened.job("KRW-XRP", "2026-01-01", "2026-01-31", hold=True)
        settings = {"dataset": DAYS, "series": ["KRW-BTC", "KRW-ETH"], "days": 7}
        opened.history.templates.save("recheck", "collect", {"recheck": 2})
        opened.history.templates.save("last week", "collect", settings, then=("recheck",))
        opened.history.schedules.add("nightly", "last week", "10 9 * * *", "Asia/Seoul")
        opened.named = {name: one.id for name, one in done.items()} | {"report": report.id}
        yield opened


@pytest.fixture
def contexts(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Windows of people who are signed in to a room; every error of a page fails the test."""
    made: list[BrowserContext] = []
    trouble: list[str] = []

    def make(room: Room, *, signed_in: bool = True, lang: str = "en", theme: str = "light", **options: Any) -> Any:
        options.setdefault("viewport", {"width": 1440, "height": 900})
        context = browser.new_context(base_url=room.url, locale={"en": "en-US", "ko": "ko-KR"}[lang], **options)
        made.append(context)
        context.on("weberror", lambda error: trouble.append(str(error.error)))
        context.on("console", lambda line: "Content Security" in line.text and trouble.append(line.text))
        context.add_cookies([{"name": "theme", "value": theme, "url": room.url}])
        if signed_in:
            # Once for each room: checking a password is slow on purpose.
            if not room.cookies:
                said = {"user": "admin", "password": PASSWORD}
                answer = context.request.post("/api/session", data=said, headers={"Origin": room.url})
                assert answer.ok, answer.text()
                room.cookies = [one for one in context.cookies() if one["name"] == COOKIE]
            context.add_cookies(room.cookies)
        return context

    yield make
    for one in made:
        one.close()
    assert not trouble


@pytest.fixture
def look(contexts: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """Open a page of a room and wait until it can be used: `look(room, "/jobs", lang="ko")`."""

    def go(room: Room, path: str, **options: Any) -> Page:
        page: Page = contexts(room, **options).new_page()
        page.goto(path)
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    return go
