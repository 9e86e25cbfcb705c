"""The words of the pages in each language, and which one a reader gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "i18n"
LANGUAGES = ("en", "ko")


@cache
def words(language: str) -> Mapping[str, str]:
    """All words of a language by key; the keys are the same in each."""
    return msgspec.json.decode((FOLDER / f"{language}.json").read_bytes(), type=dict[str, str])


def say(language: str, key: str, **values: object) -> str:
    """The text of a key; an unknown key stands for itself, so that it is seen."""
    text = words(language).get(key, key)
    return re.sub(r"\{(\w+)\}", lambda place: str(values.get(place[1], "")), text)


def choose(asked: str | None, kept: str | None, accepted: str) -> str:
    """A reader's language: asked for in the address, kept in the cookie, accepted by the browser, else English."""
    for one in (asked, kept):
        if one in LANGUAGES:
            return one
    preferred = [part.split(";")[0].strip()[:2].lower() for part in accepted.split(",")]
    return next((one for one in preferred if one in LANGUAGES), LANGUAGES[0])
