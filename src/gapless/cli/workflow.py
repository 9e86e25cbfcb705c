"""What templates, schedules, chains and notifications have in common on the command line."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from gapless.app import Gapless
from gapless.cli.common import err, out
from gapless.core.errors import UsageError
from gapless.engine.jobs import Made
from gapless.store.chains import Step

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name.", show_default=False)]


def made_said(app: Gapless, made: Made) -> None:
    """Say which job was made, and whether anybody will do it."""
    job = made.job
    verb = "is under way already" if made.adopted else "is made"
    out.print(f"job {job.id} {verb} on queue {job.queue}: `gapless jobs show {job.id}`", highlight=False)
    if not job.is_final and not app.serving(job.id):
        hint = f"`gapless jobs resume {job.id} --here` or start `gapless worker`"
        err.print(f"no worker serves queue {job.queue}: {hint}", highlight=False)


def short(settings: dict[str, Any]) -> str:
    """Settings on one line."""
    return ", ".join(f"{key} {_text(value)}" for key, value in settings.items())


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(str(one) for one in value[:5]) + (f" … ({len(value)})" if len(value) > 5 else "")
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def steps_said(steps: tuple[Step, ...]) -> str:
    """Steps on one line."""
    return " → ".join(one.name or one.kind for one in steps)


def params_of(pairs: list[str] | None) -> dict[str, Any]:
    """`key=value` pairs; a value that is JSON is what it says, all else is text."""
    found: dict[str, Any] = {}
    for pair in pairs or []:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise UsageError(f"param: {pair!r} is not understood", field="param", hint="give NAME=VALUE")
        try:
            found[key] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            found[key] = text
    return found
