"""Commands about events: import them, value them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gapless.app import enriching
from gapless.app.parts import owner
from gapless.cli.collect import EXITS, Detach, Here, Hold, Slots, said, started
from gapless.cli.common import AsJson, Database, dump, history, out
from gapless.core.errors import UsageError
from gapless.core.job import priority_of

app = typer.Typer(help="Value events: what a company was worth at each of them.", no_args_is_help=True)


def register(to: typer.Typer) -> None:
    """Add this group."""
    to.add_typer(app, name="enrich")


Tickers = Annotated[list[str] | None, typer.Argument(help="Only these companies.")]


@app.command("import")
def import_(
    file: Annotated[Path | None, typer.Argument(help="A .csv or .parquet file.")] = None,
    table: Annotated[str, typer.Option("--table", help="A table of the database of GAPLESS_EVENTS_URL.")] = "",
    query: Annotated[str, typer.Option("--query", help="A query on it.")] = "",
    ticker: Annotated[str, typer.Option("--ticker", help="Column with the ticker.")] = "ticker",
    time: Annotated[str, typer.Option("--time", help="Column with date or time.")] = "event_date",
    kind: Annotated[str, typer.Option("--kind", help="Column with the kind of event.")] = "",
    key: Annotated[str, typer.Option("--id", help="Column with the key of the row.")] = "",
    origin: Annotated[str, typer.Option("--origin", help="Column with where it comes from.")] = "",
    zone: Annotated[str, typer.Option("--zone", help="Zone of dates and of times without offset.")] = "",
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Import events from a file, or from a table or query of your own database. Values stay as they are."""
    from gapless.app import outside

    columns = enriching.Columns(ticker=ticker, time=time, kind=kind, id=key, origin=origin, zone=zone)
    if (file is None) == (not table and not query):
        raise UsageError("file: give a file, --table or --query", field="file", hint="exactly one of them")
    with history(database) as opened:
        if file is not None:
            told: Any = enriching.read_file(file)
        else:
            told = outside.rows(opened.settings.events_url, table=table, query=query)
        added = enriching.add(opened, told, columns, origin=file.name if file else table or "query")
    if json:
        return dump({"rows": added.rows, "companies": added.companies, "stored": added.stored})
    out.print(
        f"{added.rows:,} events of {added.companies:,} companies; {added.stored:,} new or changed", highlight=False
    )
    return None


@app.command()
def events(
    tickers: Tickers = None,
    valuation: Annotated[bool, typer.Option("--valuation", help="Value them.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Those that have values, too.")] = False,
    write_back: Annotated[str, typer.Option("--write-back", help="Table that results are written to.")] = "",
    key: Annotated[str, typer.Option("--key", help="Its key column.")] = "id",
    column: Annotated[
        list[str] | None, typer.Option("--column", help="VALUE=COLUMN of that table; may be repeated.")
    ] = None,
    priority_: Annotated[str, typer.Option("--priority", help="high, normal or low.")] = "normal",
    name: Annotated[str, typer.Option("--name", help="A name for the job.")] = "",
    slots: Slots = None,
    hold: Hold = False,
    detach: Detach = False,
    here: Here = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Value the events that have no values yet: every question once a company, all its events in one update."""
    if not valuation:
        raise UsageError("valuation: nothing is to be done", field="valuation", hint="add --valuation")
    if not write_back and (column or key != "id"):
        raise UsageError("write-back: no table is named", field="write-back", hint="add --write-back TABLE")
    with history(database, slots) as opened:
        where = {"table": write_back, "key": key, "columns": _columns(column or [])} if write_back else None
        wish = enriching.wish(opened, owner(), tickers or [], overwrite=overwrite, write_back=where)
        made = opened.create(wish, priority=priority_of(priority_), name=name, hold=hold)
        state = started(opened, made, hold=hold, detach=detach, here=here, json=json)
        if state is None:
            return
        said(opened, opened.jobs.get(made.job.id), json, "")
    raise typer.Exit(int(EXITS[state]))


@app.command()
def sectors(
    fact: Annotated[str, typer.Option("--fact", help="The imported column that names the sector.")] = "sector",
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Compare valued events with the others of their sector; nothing is asked of anybody."""
    from gapless.app.sectors import compare

    with history(database) as opened:
        told = compare(opened, fact)
    if json:
        return dump({"events": told.events, "compared": told.compared, "sectors": told.sectors})
    out.print(
        f"{told.compared:,} of {told.events:,} events compared in {told.sectors:,} sectors; the others say why not",
        highlight=False,
    )
    return None


def _columns(told: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in told]
    if not pairs or not all(name and column for name, _, column in pairs):
        raise UsageError("column: say which value goes where", field="column", hint="--column per=value_per")
    return {name: column for name, _, column in pairs}
