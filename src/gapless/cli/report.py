"""`gapless report`: files that a person would read, written by a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gapless.app import Gapless
from gapless.app.report import Manner, check_stored, report_wish
from gapless.app.wishes import bounds_of
from gapless.cli.collect import EXITS, Detach, Here, Hold, MaxRetries, MaxRuntime, started
from gapless.cli.common import (
    AsJson,
    Database,
    Dataset,
    Days,
    From,
    SeriesMany,
    To,
    dump,
    history,
    out,
)
from gapless.core.errors import Exit, UsageError
from gapless.core.job import JobState, priority_of


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(report)


def report(
    dataset: Dataset,
    series: SeriesMany = None,
    period: Annotated[
        str, typer.Option("--period", help="Instead of --from and --to: 2024-01..2024-12; several with commas.")
    ] = "",
    start: From = None,
    end: To = None,
    days: Days = None,
    each: Annotated[str, typer.Option("--each", help="A report for each day, month or year; all: one.")] = "all",
    per: Annotated[str, typer.Option("--per", help="Rows of its tables: day, month, year or all.")] = "month",
    format_: Annotated[str, typer.Option("--format", help="html, md, xlsx, pdf; several with commas.")] = "html",
    language: Annotated[str, typer.Option("--lang", help="en or ko; both with a comma.")] = "en",
    also: Annotated[
        list[str] | None, typer.Option("--also", help="Another dataset, in the same job: DATASET or DATASET:SERIES,….")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", "--out", help="Folder to write to; default: the current one.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="A name for the job.")] = "",
    priority_: Annotated[str, typer.Option("--priority", help="high, normal or low.")] = "normal",
    max_retries: MaxRetries = None,
    max_runtime: MaxRuntime = None,
    hold: Hold = False,
    detach: Detach = False,
    here: Here = False,
    json: AsJson = False,
    database: Database = None,
) -> None:
    """Write a report on each series: completeness, path, statistics, gaps and findings, in one file each.

    The same command again goes on where it was. With --detach and --hold the job has a folder of its own.
    """
    if output is None and not (detach or hold):
        output = Path()
    with history(database) as app:
        wish = report_wish(
            app,
            [(dataset, series or []), *(_also(one) for one in also or [])],
            start,
            end,
            days=days,
            periods=_listed(period),
            manner=Manner(per=per, each=each, formats=_listed(format_), languages=_listed(language)),
            folder=output,
        )
        check_stored(app, wish)
        bounds = bounds_of(max_retries, max_runtime)
        made = app.create(wish, priority=priority_of(priority_), name=name, bounds=bounds, hold=hold)
        # Its files are for whoever has typed this: on this machine.
        state = started(app, made, hold=hold, detach=detach, here=here or output is not None, json=json, alone=True)
        if state is None:
            return
        _tell(app, made.job.id, state, json=json)
    # Nobody refuses a report.
    raise typer.Exit(int(Exit.FAILED if state is JobState.FAILED else EXITS[state]))


def _tell(app: Gapless, job_id: int, state: JobState, *, json: bool) -> None:
    paths = [str(path) for _, path in app.report_files(job_id)]
    if json:
        dump({"job": job_id, "state": state.value, "files": paths})
        return
    for one in paths:
        out.print(one, highlight=False, markup=False)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _also(text: str) -> tuple[str, list[str]]:
    dataset, _, series = text.partition(":")
    if not dataset:
        raise UsageError(f"also: {text!r} names no dataset", field="also", hint="write DATASET or DATASET:SERIES")
    return dataset, list(_listed(series))
