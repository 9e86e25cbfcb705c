"""`gapless migrate import`: tables that a user has."""

from __future__ import annotations

from typing import Annotated

import typer

from gapless.app.imports import Order, import_table
from gapless.cli.common import AsJson, Database, Dataset, dump, history, out
from gapless.core.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add this command to the group `migrate`."""
    app.command("import")(import_)


def import_(
    dataset: Dataset,
    source: Annotated[str, typer.Argument(help="A .csv or .parquet file, a .json (--format), or sqlite:///old.db.")],
    table: Annotated[str, typer.Option("--table", help="Of the database.")] = "",
    series: Annotated[str, typer.Option("--series", help="The series of all rows, unless a column tells it.")] = "",
    map_: Annotated[str, typer.Option("--map", help="time=Date,close=Adj Close: ours=theirs.")] = "",
    on_duplicate: Annotated[str, typer.Option("--on-duplicate", help="first, last or fail.")] = "last",
    vouch: Annotated[
        str, typer.Option("--vouch", help="What counts as covered: none, rows, or FROM..TO as a whole.")
    ] = "none",
    format_: Annotated[
        str, typer.Option("--format", help="A published index as JSON: cnn or alternative.me; into user.fear_greed.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the table.")] = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Import a table: all of it or nothing. Only what you vouch for counts as covered."""
    order = Order(
        dataset=dataset,
        source=source,
        table=table,
        series=series,
        columns=_map(map_),
        on_duplicate=on_duplicate,
        vouch=vouch,
        dry_run=dry_run,
        format=format_,
    )
    with history(database) as app:
        made = import_table(app, order)
    if json:
        dump(
            {
                "rows": made.rows,
                "series": made.series,
                "stored": made.stored,
                "duplicates": made.duplicates,
                "passedOver": made.passed_over,
                "coveredPeriods": made.covered,
            }
        )
        return
    out.print(
        f"{made.rows:,} rows of {made.series:,} series read, {made.stored:,} stored; {made.duplicates:,} told twice, "
        f"{made.passed_over:,} left as the source told them; {made.covered:,} periods covered",
        highlight=False,
    )


def _map(text: str) -> dict[str, str]:
    made: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        mine, is_there, theirs = part.partition("=")
        if not is_there:
            raise UsageError(f"map: {part!r} is not understood", field="map", hint="write time=Date,close=Close")
        made[mine.strip()] = theirs.strip()
    return made
