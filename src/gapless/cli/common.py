"""What commands share: options, opening, printing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import gapless
from gapless.app import Gapless
from gapless.core.errors import UsageError
from gapless.core.span import SECOND, Instant, iso
from gapless.settings import Settings, load

Dataset = Annotated[str, typer.Argument(help="Dataset, such as upbit.candles.1m.", show_default=False)]
Series = Annotated[str, typer.Argument(help="Series, such as KRW-BTC.", show_default=False)]
SeriesMany = Annotated[list[str] | None, typer.Argument(metavar="SERIES", help="Series, such as KRW-BTC; one or more.")]
From = Annotated[str | None, typer.Option("--from", help="Start: 2024, 2024-01, 2024-01-31 or 2024-01-31T09:00Z.")]
To = Annotated[str | None, typer.Option("--to", help="End: a bare date is included, an instant is not. Default: now.")]
Days = Annotated[float | None, typer.Option("--days", help="Instead of --from: so many days before the end.")]
Report = Annotated[str, typer.Option("--report", help="For bare stock codes: the report, such as 11011 (annual).")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs.")]
Database = Annotated[str | None, typer.Option("--database", help="Instead of GAPLESS_DATABASE_URL.")]

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)
#: Tables are never folded or cut: a terminal wraps what is too long, a file keeps it.
_tables = Console(soft_wrap=True, width=400)


def complain(message: str) -> None:
    """One line on standard error."""
    err.print(f"error: {message}", style="red", markup=False, highlight=False)


def settings(database: str | None = None, slots: int | None = None) -> Settings:
    """The settings, with flags before everything else."""
    made = load()
    if database:
        made = replace(made, database_url=database)
    if slots is not None:
        if slots < 0:
            raise UsageError("slots: is negative", field="slots", hint="give 0 or more")
        made = replace(made, slots=slots)
    return made


def history(database: str | None = None, slots: int | None = None) -> Gapless:
    """Open the history that the flags and settings name."""
    return gapless.open(settings=settings(database, slots))


def series_of(names: Sequence[str] | None, file: typer.FileText | None = None) -> list[str]:
    """Series from arguments and a file: lines, commas or spaces."""
    listed = list(names or [])
    if file is not None:
        listed += file.read().replace(",", " ").split()
    return [one for name in listed for one in name.split(",") if one]


def dump(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def table(columns: Iterable[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """A table for people."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=True)
    for row in rows:
        made.add_row(*(Text(str(cell)) for cell in row))
    _tables.print(made)


def when(at: Instant | None) -> str:
    """An instant for people; a dash where there is none."""
    return "-" if at is None else iso(at - at % SECOND)
