"""Names that people give to things."""

from __future__ import annotations

from gapless.core.errors import UsageError

#: Characters at most.
LONGEST = 100


def checked_name(name: str) -> str:
    """A name that a page, an address and a log can hold; raises `UsageError`."""
    if not name.strip():
        raise UsageError("name: is empty", field="name", hint="give it a name")
    if len(name) > LONGEST or not name.isprintable() or "/" in name or name != name.strip():
        raise UsageError(
            "name: cannot be used", field="name", hint=f"give up to {LONGEST} printable characters, none of them /"
        )
    return name
