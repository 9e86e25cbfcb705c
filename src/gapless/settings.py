"""Settings: one frozen value, read from flags > environment > file > default, and checked at the start."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_config_path, user_data_path

from gapless.core.errors import UsageError
from gapless.core.pacing import LEAST_RATE, MOST_RATE
from gapless.sources import DEFAULT_URLS, KEYS, QUOTAS, SOURCES

FILE = "gapless.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a user may set. Names in the environment are `GAPLESS_` and the upper-case name."""

    #: `sqlite:///FILE` or `postgresql://…`.
    database_url: str = ""
    #: The database of somebody's own table of events, for import and write-back; may hold a password, never printed.
    events_url: str = field(default="", repr=False)
    #: Worker slots of a process.
    slots: int = 4
    #: Attempts after the first, with waits of `retry_delay` × 1, 2, 4 …
    max_retries: int = 3
    retry_delay: timedelta = timedelta(seconds=1)
    #: Days (or cells) that work over stored rows does in one transaction.
    chunk_size: int = 100
    #: Where report jobs that name no folder write; empty: beside a SQLite file, else in the user's data folder.
    reports_dir: str = ""
    #: What one call of a child process may take: on the clock, of processor time, and bytes; 0 lifts a limit.
    child_time: timedelta = timedelta(minutes=10)
    child_cpu: timedelta = timedelta(minutes=5)
    child_memory: int = 1_000_000_000
    #: How long a source may take to answer.
    timeout: timedelta = timedelta(seconds=15)
    #: SQLite: fsync every commit (power loss loses nothing at all).
    durable: bool = False
    #: How long to wait for another program's lock on a SQLite file.
    busy_timeout: timedelta = timedelta(seconds=30)
    #: Where `gapless serve` listens.
    host: str = "127.0.0.1"
    port: int = 3000
    #: The password that account `admin` has after a start of `gapless serve`; never printed.
    admin_password: str = field(default="", repr=False)
    #: Jobs that may wait, and that may run at once, in the whole history, as its servers hold it.
    queued_jobs: int = 10_000
    running_jobs: int = 50
    #: Scheme, host and port of each source.
    base_urls: Mapping[str, str] = field(default_factory=dict)
    #: Requests per second of each source's limit, where it is not the source's own; None lifts it.
    rates: Mapping[str, float | None] = field(default_factory=dict)
    #: Requests a day of each source's quota, where it is not the source's own; None lifts it.
    dailies: Mapping[str, int | None] = field(default_factory=dict)
    #: Keys of sources that want one; never printed.
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Whose limit it is, where processes use several addresses or keys.
    scopes: Mapping[str, str] = field(default_factory=dict)

    def base_url(self, source: str) -> str:
        """Where a source's requests go."""
        return self.base_urls.get(source) or DEFAULT_URLS[source]


def default_database_url() -> str:
    """A SQLite file in the user's data folder."""
    return f"sqlite:///{user_data_path('gapless') / 'gapless.db'}"


def load(environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Read the settings; raises `UsageError` that names the variable to change."""
    said = {**_file(folder or Path.cwd()), **_environment(os.environ if environment is None else environment)}
    made = Settings(
        database_url=said.pop("database_url", "") or default_database_url(), events_url=said.pop("events_url", "")
    )
    urls: dict[str, str] = {}
    rates: dict[str, float | None] = {}
    scopes: dict[str, str] = {}
    keys: dict[str, str] = {}
    dailies: dict[str, int | None] = {}
    for source in SOURCES:
        if f"{source}_base_url" in said:
            urls[source] = _url(source, said.pop(f"{source}_base_url"))
        if f"{source}_rate" in said:
            rates[source] = _rate(f"{source}_rate", said.pop(f"{source}_rate"))
        scopes[source] = said.pop(f"{source}_scope", "")
        if source in KEYS and said.get(f"{source}_api_key"):
            keys[source] = _key(source, said.pop(f"{source}_api_key"))
        if source in QUOTAS and f"{source}_daily" in said:
            dailies[source] = int(_number(f"{source}_daily", said.pop(f"{source}_daily"), least=0)) or None
    plain: dict[str, Callable[[str], Any]] = {
        "slots": lambda text: int(_number("slots", text, least=0, most=1000)),
        "chunk_size": lambda text: int(_number("chunk_size", text, least=1, most=100_000)),
        "max_retries": lambda text: int(_number("max_retries", text, least=0, most=100)),
        "retry_delay": lambda text: _duration("retry_delay", text),
        "reports_dir": lambda text: text.strip(),
        "child_time": lambda text: _duration("child_time", text),
        "child_cpu": lambda text: _duration("child_cpu", text),
        "child_memory": lambda text: _bytes("child_memory", text),
        "timeout": lambda text: _duration("timeout", text),
        "busy_timeout": lambda text: _duration("busy_timeout", text),
        "durable": lambda text: _yes("durable", text),
        "host": lambda text: text.strip(),
        "port": lambda text: int(_number("port", text, least=0, most=65_535)),
        "admin_password": _password,
        "queued_jobs": lambda text: int(_number("queued_jobs", text, least=1, most=1_000_000)),
        "running_jobs": lambda text: int(_number("running_jobs", text, least=1, most=100_000)),
    }
    values = {name: read(said.pop(name)) for name, read in plain.items() if name in said}
    known = [
        "database_url",
        "events_url",
        *plain,
        *(f"{source}_{what}" for source in SOURCES for what in of_source(source)),
    ]
    _check_unknown(said, known)
    return replace(made, base_urls=urls, rates=rates, scopes=scopes, api_keys=keys, dailies=dailies, **values)


def of_source(source: str) -> list[str]:
    """The settings that a source has."""
    return [
        "base_url",
        "rate",
        "scope",
        *(["api_key"] if source in KEYS else []),
        *(["daily"] if source in QUOTAS else []),
    ]


def _check_unknown(left: Mapping[str, str], known: list[str]) -> None:
    """Refuse a name that is nearly one of ours: a misspelt setting must not be silently without effect."""
    for name in left:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if near and name not in _OTHERS:
            variable = f"GAPLESS_{name.upper()}"
            raise UsageError(
                f"{variable}: there is no such setting", field=variable, hint=f"did you mean GAPLESS_{near[0].upper()}?"
            )


#: Names that other parts of the project read.
_OTHERS = ("test_database_url", "demo_folder")


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    prefix = "GAPLESS_"
    return {key.removeprefix(prefix).lower(): text for key, text in environment.items() if key.startswith(prefix)}


def _file(folder: Path) -> dict[str, str]:
    """`gapless.toml` here, else in the user's configuration folder."""
    for place in (folder / FILE, user_config_path("gapless") / FILE):
        if place.is_file():
            try:
                content = tomllib.loads(place.read_text())
            except (OSError, ValueError) as error:
                raise UsageError(f"{place}: {error}", field=FILE, hint="mend or remove the file") from None
            return {key.lower(): str(value) for key, value in content.items()}
    return {}


def _wrong(name: str, text: str, hint: str) -> UsageError:
    variable = f"GAPLESS_{name.upper()}"
    return UsageError(f"{variable}: {text!r} is not understood", field=variable, hint=hint)


def _key(source: str, text: str) -> str:
    """A key in its form; a wrong one is never repeated."""
    form, hint = KEYS[source]
    if not re.fullmatch(form, text.strip()):
        variable = f"GAPLESS_{source.upper()}_API_KEY"
        raise UsageError(
            f"{variable}: {len(text.strip())} characters that are no key",
            field=variable,
            hint=hint,
        )
    return text.strip()


def _password(text: str) -> str:
    """A password; a wrong one is never repeated."""
    if text and not 8 <= len(text) <= 256:
        variable = "GAPLESS_ADMIN_PASSWORD"
        raise UsageError(f"{variable}: has {len(text)} characters", field=variable, hint="give 8 to 256 characters")
    return text


def _url(source: str, text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise _wrong(f"{source}_base_url", text, "give scheme, host and port: http://127.0.0.1:8000")
    return text.rstrip("/")


def _number(name: str, text: str, *, least: float, most: float = 1e9) -> float:
    try:
        value = float(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise _wrong(name, text, f"give a number from {least:g} to {most:g}")
    return value


def _rate(name: str, text: str) -> float | None:
    value = _number(name, text, least=0, most=MOST_RATE)
    if 0 < value < LEAST_RATE:
        raise _wrong(name, text, f"give requests per second, from {LEAST_RATE:g} on, or 0 for no limit")
    return value or None


def _duration(name: str, text: str) -> timedelta:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m)?", text.strip())
    if not match:
        raise _wrong(name, text, "give seconds (1s), milliseconds (500ms) or minutes (2m)")
    unit = {"ms": 0.001, "s": 1.0, "m": 60.0}[match[2] or "s"]
    return timedelta(seconds=float(match[1]) * unit)


def _bytes(name: str, text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(k|M|G)?B?", text.strip())
    if not match:
        raise _wrong(name, text, "give megabytes (500MB), gigabytes (2GB) or bytes; 0 lifts the limit")
    return round(float(match[1]) * {"k": 1e3, "M": 1e6, "G": 1e9}.get(match[2] or "", 1))


def _yes(name: str, text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off", ""):
        return False
    raise _wrong(name, text, "give yes or no")
