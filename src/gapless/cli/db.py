"""Commands about the database as a whole: upgrade, copy, backup, restore."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

from gapless.app import copies
from gapless.bars import duration, shades
from gapless.cli.common import AsJson, Database, dump, err, history, out, settings, table
from gapless.core.words import counted_word
from gapless.store.copies import Copied, Step
from gapless.store.store import HEAD, open_store

#: Columns of the bar.
_WIDTH = 30

File = Annotated[str, typer.Argument(metavar="FILE", help="The SQLite file of the backup.", show_default=False)]
app = typer.Typer(help="Look after the database.", no_args_is_help=True)


def register(to: typer.Typer) -> None:
    """Add this group."""
    to.add_typer(app, name="db")


@app.command()
def upgrade(database: Database = None) -> None:
    """Bring the database's schema to this program's."""
    opened = open_store(settings(database).database_url)
    opened.close()
    out.print(f"{opened.address}: schema {HEAD}", highlight=False)


@app.command()
def prune(
    jobs: Annotated[int | None, typer.Option("--jobs", help="Keep ended jobs for so many days from now on.")] = None,
    logs: Annotated[int | None, typer.Option("--logs", help="Keep log lines of jobs for so many days.")] = None,
    deliveries: Annotated[int | None, typer.Option("--deliveries", help="Keep what was told for so many days.")] = None,
    audit: Annotated[int | None, typer.Option("--audit", help="Keep entries of the audit for so many days.")] = None,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Take away what has ended and is older than it is kept, a little at a time; others go on working."""
    with history(database) as opened:
        for what, days in {"jobs": jobs, "logs": logs, "deliveries": deliveries, "audit": audit}.items():
            if days is not None:
                opened.retention.set_days(what, days)
        kept, dropped = opened.retention.days(), opened.retention.prune()
    if json:
        dump({what: {"days": kept[what], "dropped": dropped[what]} for what in kept})
        return
    table(
        ["what", "kept for days", "taken away"],
        [(what, f"{kept[what]:,}", f"{dropped[what]:,}") for what in kept],
        right=["kept for days", "taken away"],
    )


@app.command()
def copy(
    target: Annotated[str, typer.Option("--to", help="Address of an empty database, or a new file.")],
    source: Annotated[str | None, typer.Option("--from", help="Instead of GAPLESS_DATABASE_URL.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Although workers go on in the source.")] = False,
    json: AsJson = False,
) -> None:
    """Copy a whole history between SQLite and PostgreSQL, and compare. The same command again goes on where it was."""
    made = settings()
    with _bar("the same command goes on where it was") as tick:
        done = copies.copy(made, source or made.database_url, target, force=force, tick=tick)
    _say(done, tick.seconds, "copied", json)


@app.command()
def backup(file: File, json: AsJson = False, database: Database = None) -> None:
    """Write the history as it is now to a new SQLite file, while others go on working, and compare."""
    with _bar("nothing was written to its place") as tick:
        done = copies.backup(settings(database), file, tick=tick)
    _say(done, tick.seconds, "backed up", json)


@app.command()
def restore(
    file: File,
    force: Annotated[bool, typer.Option("--force", help="Replace the history that is there.")] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Put the history of a backup in place, all at once, and compare."""
    with _bar("the database is as it was; the same command begins again") as tick:
        done = copies.restore(settings(database), file, force=force, tick=tick)
    _say(done, tick.seconds, "restored", json)


class _Clocked:
    """Hands steps on to whoever draws them, and knows how long it has taken."""

    def __init__(self, draw: Callable[[Text], None]) -> None:
        self._draw = draw
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def __call__(self, step: Step) -> None:
        share = step.done / step.total if step.total else 1.0
        filled = [min(1.0, max(0.0, share * _WIDTH - i)) for i in range(_WIDTH)]
        left = f"  ETA {duration(self.seconds * (1 - share) / share)}" if 0 < share < 1 else ""
        self._draw(
            Text.assemble("▕", (shades(filled), "cyan"), f"▏ {100 * share:5.1f} %  {step.doing}{left}", no_wrap=True)
        )


@contextmanager
def _bar(way_on: str) -> Iterator[_Clocked]:
    """Draw how far it is, on a terminal; say how to go on when it is broken off."""
    try:
        if err.is_terminal:
            with Live(Text(), console=err, refresh_per_second=8, transient=True) as live:
                yield _Clocked(live.update)
        else:
            yield _Clocked(_tenths())
    except SystemExit:
        err.print(f"broken off: {way_on}", highlight=False)
        raise


def _tenths() -> Callable[[Text], None]:
    """Without a terminal: a line when a tenth more is done."""
    said: list[str] = []

    def draw(line: Text) -> None:
        tenth = line.plain.split("%")[0][:-4]
        if tenth not in said:
            said.append(tenth)
            err.print(line, soft_wrap=True)

    return draw


def _say(done: Copied, seconds: float, verb: str, json: bool) -> None:
    if json:
        dump(as_json(done, seconds))
        return
    tables = len({part.table for part, _ in done.parts})
    series = sum(part.series is not None for part, _ in done.parts)
    what = f"{counted_word(done.rows, 'row')} of {tables} tables and {series} series"
    if done.kept and done.kept == done.rows:
        out.print(f"{done.target} holds all of it already: {what}, every one the same", highlight=False)
    else:
        rate = f"{done.rows / seconds:,.0f} rows/s" if seconds > 0 else ""
        kept = f", {done.kept:,} of them before" if done.kept else ""
        out.print(f"{verb} {done.source} to {done.target}", highlight=False)
        out.print(f"{what}{kept}, in {duration(seconds)} ({rate}); both sides are equal", highlight=False)
    if done.left:
        out.print(f"not of this history, and left where they are: {', '.join(done.left)}", highlight=False)


def as_json(done: Copied, seconds: float) -> dict[str, Any]:
    """A copy as JSON."""
    return {
        "source": done.source,
        "target": done.target,
        "rows": done.rows,
        "rowsKept": done.kept,
        "seconds": round(seconds, 3),
        "leftBehind": list(done.left),
        "parts": [
            {
                "table": part.table,
                "part": part.label,
                "seriesId": part.series,
                "rows": seal.rows,
                "sha256": seal.sha256,
            }
            for part, seal in done.parts
        ],
    }
