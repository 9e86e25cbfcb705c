"""Words and markup of the pages, read as files: what a browser would show only by chance."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gapless.core.job import JobState
from gapless.core.segment import SegmentState
from gapless.server.ui import assets, words
from gapless.server.ui.routes import NAVIGATION

FOLDER = Path(words.__file__).parent
MODULES = sorted((FOLDER / "static").glob("*.js"))
PAGES = sorted((FOLDER / "templates").glob("*.html"))


def test_both_languages_have_the_same_words():
    """A key that is missing in one language would be shown as it is."""
    english, korean = words.words("en"), words.words("ko")

    assert english.keys() == korean.keys()
    for key in english:
        assert sorted(re.findall(r"\{\w+\}", english[key])) == sorted(re.findall(r"\{\w+\}", korean[key])), key


def test_every_word_that_a_page_says_is_there():
    """Also those whose key is put together: states, verbs, navigation."""
    said = {found for file in MODULES for found in re.findall(r"\bt\('([\w.]+)'", file.read_text())}
    said |= {found for file in PAGES for found in re.findall(r"\b_\('([\w.]+)'", file.read_text())}
    said |= {f"state.{one}" for one in JobState} | {f"segment.{one}" for one in SegmentState}
    said |= {f"nav.{one}" for one in NAVIGATION}

    missing = {one for one in said if not one.endswith(".") and one not in words.words("en")}
    assert not {one for one in missing if not any(key.startswith(f"{one}") for key in words.words("en"))}


def test_markup_is_made_of_text_in_one_place_only():
    """Everything else goes through the tag that escapes: a series called `<img onerror=…>` is shown, not run."""
    for file in MODULES:
        raw = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", file.read_text()
        )
        assert raw == (["innerHTML"] if file.name == "dom.js" else []), file.name


@pytest.mark.parametrize("file", PAGES + MODULES, ids=lambda one: one.name)
def test_nothing_needs_a_looser_policy(file: Path):
    """No inline styles, no handlers in attributes, nothing from elsewhere."""
    text = file.read_text()

    assert not re.search(r"\sstyle=\"|\son\w+=\"|javascript:", text)
    assert not re.search(r"(src|href)=\"(https?:)?//", text)


def test_the_address_of_files_changes_with_them(tmp_path: Path):
    """Browsers keep them for ever."""
    assert re.fullmatch(r"/static/[0-9a-f]{12}", assets.address())


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "chosen"),
    [
        ("ko", "en", "en", "ko"),
        (None, "ko", "en-US,en;q=0.9", "ko"),
        (None, None, "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        (None, None, "fr-FR, ko;q=0.5", "ko"),
        (None, None, "fr", "en"),
        ("xx", None, "", "en"),
    ],
)
def test_a_reader_gets_their_language(asked: str | None, kept: str | None, accepted: str, chosen: str):
    """Asked for, kept, accepted, English: in this order."""
    assert words.choose(asked, kept, accepted) == chosen
