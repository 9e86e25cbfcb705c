"""`gapless report`: files that a person would read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gapless.app.report import reports
from gapless.cli.common import AsJson, Database, Dataset, Days, From, SeriesMany, To, dump, history, out
from gapless.core.errors import UsageError
from gapless.work.report.words import Language


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(report)


def report(
    dataset: Dataset,
    series: SeriesMany = None,
    period: Annotated[str, typer.Option("--period", help="Instead of --from and --to: 2024-01..2024-12.")] = "",
    start: From = None,
    end: To = None,
    days: Days = None,
    per: Annotated[str, typer.Option("--per", help="Rows of its tables: day, month, year or all.")] = "month",
    format_: Annotated[str, typer.Option("--format", help="html, md, xlsx, pdf; several with commas.")] = "html",
    language: Annotated[Language, typer.Option("--lang", help="en or ko.")] = Language.EN,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")] = Path(),
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Write a report on each series: completeness, path, statistics, gaps and findings, in one file each."""
    if period:
        if start or end:
            raise UsageError("period: cannot be given with from or to", field="period", hint="give one of them")
        start, dots, end = period.partition("..")
        end = end if dots else start
    with history(database) as app:
        made = reports(
            app,
            dataset,
            series or [],
            start,
            end,
            days=days,
            per=per,
            formats=[one.strip() for one in format_.split(",")],
            language=language,
            folder=output,
        )
    if json:
        dump([str(one) for one in made])
        return
    for one in made:
        out.print(str(one), highlight=False, markup=False)
