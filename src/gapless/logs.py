"""How our log events are written: to standard error, one line each, and never a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog

from gapless.core.redact import redacted


def write_logs(level: int, *, json: bool = False) -> None:
    """Write events from a level of `logging` on. Tracebacks are plain: the values of variables stay out of them."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact,
            structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Line,
    )


class _Line:
    """Standard error. Whoever has stopped reading it, or a full disk behind it, must not stop the work."""

    def __init__(self, *_: object) -> None:
        self._printer = structlog.PrintLogger(sys.stderr)

    def msg(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._printer.msg(text)

    log = debug = info = warn = warning = error = err = critical = exception = fatal = failure = msg


def be_calm() -> None:
    """In a program that has not configured structlog: only what needs somebody's attention."""
    if not structlog.is_configured():
        write_logs(logging.ERROR)


def _redact(_: Any, __: str, said: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out of every text of an event."""
    return {key: redacted(one) if isinstance(one, str) else one for key, one in said.items()}
